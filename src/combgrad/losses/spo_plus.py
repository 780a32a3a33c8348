"""SPO+: a convex bound on the regret of deciding by predicted costs."""

import torch
from torch import Tensor

from combgrad.gradients.sampling import within_reach
from combgrad.instances import NOTHING, Instances
from combgrad.labels import Labels, need
from combgrad.layer import CombinatorialLayer
from combgrad.losses.base import Loss, Outcome, true_costs_seen, warn_unless_best
from combgrad.losses.pool import solve_by
from combgrad.solvers import SolutionPool
from combgrad.solvers.spending import spent


class SPOPlus(Loss):
    """Mean over the batch of 2<w, y*> - <c, y*> - min over y of <2w - c, y>.

    c are the true costs and y* their solutions. It is convex in w, at least the regret
    <c, y(w)> - <c, y*>, and 0 at w = c; its subgradient is 2(y* - y(2w - c))/B. With a projection
    both w and c are the projected costs, whose solutions are the same. `normalised` divides by the
    mean of |<c, y*>|, sum before ratio, which bounds the batch's normalised regret and has no unit.
    Source: Elmachtoub and Grigas, Management Science 2022, definition 3, proposition 3 and, for the
    ratio, section 6.

    Args:
        normalised: whether to divide by what the true solutions cost.
        pool: known solutions that stand for the solver in some steps; None to solve always.

    Raises ValueError where all true solutions of a batch cost 0 and are to be divided by.
    """

    needs = frozenset({"target", "true_costs"})

    def __init__(self, normalised: bool = False, pool: SolutionPool | None = None) -> None:
        super().__init__()
        self.normalised, self.pool = normalised, pool

    def forward(
        self,
        layer: CombinatorialLayer,
        costs: Tensor,
        labels: Labels,
        instances: Instances | None = None,
    ) -> Outcome:
        """The loss; ValueError without target and true costs of the costs' shape.

        A RuntimeWarning tells of a target that costs clearly more than a solution found on the way.
        """
        known = instances or NOTHING
        target = known.zeroed(need("SPOPlus", "target", labels.target, costs))
        prepared = layer.prepare(costs, labels, known)
        true_costs = true_costs_seen("SPOPlus", layer, prepared, labels, known)
        # An entry forbidden by either stays forbidden: inf - inf would be nothing at all.
        forbidden = (prepared == torch.inf) | (true_costs == torch.inf)
        shifted = (2 * prepared - true_costs).masked_fill(forbidden, torch.inf)
        shifted = within_reach(shifted, prepared.masked_fill(forbidden, torch.inf))
        solution = solve_by(self.pool, layer.solver, shifted.detach(), known)
        best = spent(true_costs, target)
        warn_unless_best("SPOPlus", spent(true_costs, solution) - best, true_costs, target)
        loss = (2 * spent(prepared, target) - best - spent(shifted, solution)).mean()
        return Outcome(loss / _mean_size(best) if self.normalised else loss)


def _mean_size(best: Tensor) -> Tensor:
    """The mean of |z*| of what true solutions cost, (B,); ValueError where there is nothing."""
    size = best.abs().mean()
    if bool(size == 0):
        raise ValueError(
            "SPOPlus: all true solutions of the batch cost 0, and the loss is to be divided by "
            "what they cost; use normalised=False (loss.normalised=false)."
        )
    return size
