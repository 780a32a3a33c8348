"""The regret as a loss: what the decision y(w) truly costs beyond the best one."""

from torch import Tensor

from combgrad.instances import NOTHING, Instances
from combgrad.labels import Labels, need, spoken_of
from combgrad.layer import CombinatorialLayer
from combgrad.losses.base import Loss, Outcome, warn_unless_best
from combgrad.metrics import regret


class Regret(Loss):
    """Mean over the batch of <c, y(w)> - <c, y*>, differentiated by the layer's gradient method.

    dL/dy = c/B with the true costs c, whatever the solution; where entries are marked, both sums
    are over these. A wrong entry weighs what it costs, where `Hamming` counts it. Source: Tang
    and Khalil, Mathematical Programming Computation 2024, there what differentiable black-box
    optimizers are trained on.
    """

    needs = frozenset({"target", "true_costs"})
    through_layer = True

    def forward(
        self,
        layer: CombinatorialLayer,
        costs: Tensor,
        labels: Labels,
        instances: Instances | None = None,
    ) -> Outcome:
        """The loss and y(w) (B, *S); ValueError without target and true costs of that shape.

        A RuntimeWarning tells of a target that costs clearly more than what the solver answers.
        """
        known = instances or NOTHING
        target = need("Regret", "target", labels.target, costs)
        true_costs = need("Regret", "true_costs", labels.true_costs, costs)
        solution = layer(costs, target, known, marked=labels.of_margin)
        marked = spoken_of(labels.marked, known.valid, solution)
        if marked is not None:
            target = target.masked_fill(~marked, 0.0)
            true_costs = true_costs.masked_fill(~marked, 0.0)
        regrets = regret(solution, target, true_costs)
        # A soft answer need be none of the feasible ones, and may cost less than the best.
        relaxed = layer.training and layer.gradient.plain_in_evaluation
        if labels.marked is None and not relaxed:
            warn_unless_best("Regret", regrets.detach(), true_costs, target)
        return Outcome(regrets.mean(), solution)
