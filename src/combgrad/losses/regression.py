"""Regression of the true costs: the two-stage way, which asks no solver."""

from torch import Tensor

from combgrad.instances import NOTHING, Instances
from combgrad.labels import Labels
from combgrad.layer import CombinatorialLayer
from combgrad.losses.base import Loss, Outcome, true_costs_seen
from combgrad.metrics import cost_mse


class CostMSE(Loss):
    """Mean over the batch of the mean squared error |w - c|^2 / n of n predicted costs.

    c are the true costs; entries that either forbids, and padding, count for nothing. It is what
    prediction before the decision, in two stages, is trained on, and no solver is asked. With a
    projection both w and c are the projected costs. Source: Elmachtoub and Grigas, Management
    Science 2022, section 2, there the least-squares loss.
    """

    needs = frozenset({"true_costs"})

    def forward(
        self,
        layer: CombinatorialLayer,
        costs: Tensor,
        labels: Labels,
        instances: Instances | None = None,
    ) -> Outcome:
        """The loss; ValueError without true costs of the costs' shape."""
        known = instances or NOTHING
        prepared = layer.prepare(costs, labels, known)
        true_costs = true_costs_seen("CostMSE", layer, prepared, labels, known)
        return Outcome(cost_mse(prepared, true_costs).mean())
