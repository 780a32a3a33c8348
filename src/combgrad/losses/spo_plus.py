"""SPO+: a convex bound on the regret of deciding by predicted costs."""

import torch
from torch import Tensor

from combgrad.gradients.sampling import within_reach
from combgrad.instances import NOTHING, Instances
from combgrad.labels import Labels, need
from combgrad.layer import CombinatorialLayer
from combgrad.losses.base import Loss, Outcome
from combgrad.solvers.spending import spent


class SPOPlus(Loss):
    """Mean over the batch of 2<w, y*> - <c, y*> - min over y of <2w - c, y>.

    c are the true costs and y* their solutions. It is convex in w, at least the regret
    <c, y(w)> - <c, y*>, and 0 at w = c; its subgradient is 2(y* - y(2w - c))/B. With a projection
    both w and c are the projected costs, whose solutions are the same. Source: Elmachtoub and
    Grigas, Management Science 2022, definition 3 and proposition 3.
    """

    needs = frozenset({"target", "true_costs"})

    def forward(
        self,
        layer: CombinatorialLayer,
        costs: Tensor,
        labels: Labels,
        instances: Instances | None = None,
    ) -> Outcome:
        """The loss; ValueError without target and true costs of the costs' shape."""
        known = instances or NOTHING
        target = known.zeroed(need("SPOPlus", "target", labels.target, costs))
        true_costs = need("SPOPlus", "true_costs", labels.true_costs, costs).to(costs.device)
        prepared = layer.prepare(costs, labels, known)
        with torch.no_grad():
            true_costs = known.without_padding(true_costs.to(costs.dtype))
            true_costs = layer.project(true_costs).to(prepared.dtype)
        # An entry forbidden by either stays forbidden: inf - inf would be nothing at all.
        forbidden = (prepared == torch.inf) | (true_costs == torch.inf)
        shifted = (2 * prepared - true_costs).masked_fill(forbidden, torch.inf)
        shifted = within_reach(shifted, prepared.masked_fill(forbidden, torch.inf))
        solution = layer.solver(shifted.detach(), known)
        bound = 2 * spent(prepared, target) - spent(true_costs, target) - spent(shifted, solution)
        return Outcome(bound.mean())
