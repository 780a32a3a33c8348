"""Losses of what the best solution costs: a network is trained on <w, y(w)> itself."""

from torch import Tensor

from combgrad.instances import NOTHING, Instances
from combgrad.labels import Labels
from combgrad.layer import CombinatorialLayer
from combgrad.losses.base import Loss, Outcome
from combgrad.solvers.spending import spent


class OptimalValue(Loss):
    """Mean over the batch of z*(w) = min over y of <w, y>, whose gradient is y(w)/B.

    One call of the solver, none on the way back. z* is concave in w, and y(w) is its derivative
    wherever one solution is the best, and one of the supergradients at ties. No label is needed:
    what is to be learned stands in the costs, such as the negative logarithm of the probability of
    each pair of a matching. The network must not be able to lower all costs at once. With a
    projection or a margin it is the value of what the solver sees. Source: companion paper,
    Algorithm 1.
    """

    needs = frozenset()

    def forward(
        self,
        layer: CombinatorialLayer,
        costs: Tensor,
        labels: Labels,
        instances: Instances | None = None,
    ) -> Outcome:
        """The mean value and the solution y(w) (B, *S)."""
        known = instances or NOTHING
        prepared = layer.prepare(costs, labels, known)
        solution = layer.solver(prepared.detach(), known)
        return Outcome(spent(prepared, solution).mean(), solution)


class SolutionCost(Loss):
    """Mean over the batch of <w, y(w)>, with y(w) differentiated by the layer's gradient method.

    The same number as `OptimalValue` without projection and margin, but its gradient is
    (y(w) + G(w))/B, where G is what the method makes of dL/dy = w: -w for Identity. It is 0 for
    Blackbox on a solver that is scale-invariant, as y(w + lam w) = y(w): the gradient is then
    that of `OptimalValue`, for a second call of the solver. Source: companion paper, the
    interpolation that it is compared with.
    """

    needs = frozenset()
    through_layer = True

    def forward(
        self,
        layer: CombinatorialLayer,
        costs: Tensor,
        labels: Labels,
        instances: Instances | None = None,
    ) -> Outcome:
        """The mean cost and the solution y(w) (B, *S)."""
        known = instances or NOTHING
        solution = layer(costs, labels.target, known, marked=labels.of_margin)
        return Outcome(spent(known.without_padding(costs), solution).mean(), solution)
