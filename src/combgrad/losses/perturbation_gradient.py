"""Perturbation gradient: a difference quotient of the optimal value along the true costs."""

from typing import Literal

import torch
from torch import Tensor

from combgrad.arguments import check_option, check_positive
from combgrad.gradients.sampling import within_reach
from combgrad.instances import NOTHING, Instances
from combgrad.labels import Labels
from combgrad.layer import CombinatorialLayer
from combgrad.losses.base import Loss, Outcome, true_costs_seen
from combgrad.losses.pool import solve_by
from combgrad.solvers import SolutionPool
from combgrad.solvers.spending import spent

Difference = Literal["backward", "forward", "central"]
#: The two points of a difference, in steps along the true costs.
POINTS = {"backward": (0, -1), "forward": (1, 0), "central": (1, -1)}


class PerturbationGradient(Loss):
    """Mean over the batch of (V(w) - V(w - h c))/h, where V(w) = min over y of <w, y>.

    c are the true costs and h is `step`; `forward` is (V(w + h c) - V(w))/h and `central`
    (V(w + h c) - V(w - h c))/2h. For h -> 0 it is what deciding by w costs, <c, y(w)>, which the
    backward form bounds from above and the forward one from below, as V is concave. The gradient is
    the difference of the two solutions over h, such as (y(w) - y(w - h c))/hB. With a projection
    both w and c are the projected costs. Source: Gupta and Huang, Decision-Focused Learning with
    Directional Gradients, NeurIPS 2024.

    Args:
        step: h, > 0, in units of predicted by true cost.
        difference: `backward`, `forward` or `central`.
        pool: known solutions that stand for the solver in some steps; None to solve always.

    Raises ValueError for a value out of range.
    """

    needs = frozenset({"true_costs"})

    def __init__(
        self,
        step: float,
        difference: Difference = "backward",
        pool: SolutionPool | None = None,
    ) -> None:
        super().__init__()
        self.step = check_positive("step", step, "loss")
        check_option("difference", difference, Difference, "loss")
        self.difference: Difference = difference
        self.pool = pool

    def forward(
        self,
        layer: CombinatorialLayer,
        costs: Tensor,
        labels: Labels,
        instances: Instances | None = None,
    ) -> Outcome:
        """The loss, and y(w) but for `central`; ValueError without true costs of that shape.

        There is no y(w) either where true costs forbid an entry that w does not.
        """
        known = instances or NOTHING
        prepared = layer.prepare(costs, labels, known)
        true_costs = true_costs_seen("PerturbationGradient", layer, prepared, labels, known)
        ahead, behind = POINTS[self.difference]
        forbidden = (prepared == torch.inf) | (true_costs == torch.inf)
        start = prepared.masked_fill(forbidden, torch.inf)
        along = self.step * true_costs.masked_fill(forbidden, 0.0)
        moved = within_reach(torch.stack([start + ahead * along, start + behind * along]), start)
        moved = moved.flatten(0, 1)
        solutions = solve_by(self.pool, layer.solver, moved.detach(), known.repeat(2))
        upper, lower = spent(moved, solutions).view(2, len(costs))
        loss = ((upper - lower) / (self.step * (ahead - behind))).mean()
        pooled = self.pool is not None and self.training
        if self.difference == "central" or pooled or not torch.equal(start, prepared):
            return Outcome(loss)
        return Outcome(loss, solutions.view(2, *costs.shape)[0 if ahead == 0 else 1])
