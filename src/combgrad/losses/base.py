"""What every loss is: one call from a layer, costs and labels to a scalar."""

from abc import ABC, abstractmethod
from typing import NamedTuple

import torch
from torch import Tensor, nn

from combgrad.arguments import Described
from combgrad.instances import Instances
from combgrad.labels import Labels, need
from combgrad.layer import CombinatorialLayer
from combgrad.solvers.base import Solver


class Outcome(NamedTuple):
    """A loss, a scalar, and the solution (B, *S) it was found by where that is y(w), else None."""

    loss: Tensor
    solution: Tensor | None = None


class Loss(Described, nn.Module, ABC):
    """What a network is trained on: a scalar of a layer, the costs w (B, *S) and the labels.

    A loss of the solution calls the layer, so that the gradient method speaks. A loss of the costs
    calls `layer.prepare` and the layer's solver, so that margin and projection hold for it too, and
    the gradient method is not asked.

    `needs` are the labels it cannot do without, `through_layer` whether it is one of the solution.
    """

    needs: frozenset[str] = frozenset({"target"})
    through_layer = False

    def check_solver(self, solver: Solver) -> None:
        """Raise IncompatibleError, with the remedy, for a solver that the loss cannot do with."""
        del solver

    @abstractmethod
    def forward(
        self,
        layer: CombinatorialLayer,
        costs: Tensor,
        labels: Labels,
        instances: Instances | None = None,
    ) -> Outcome:
        """The loss of a batch, a mean over it."""


def true_costs_seen(
    part: str, layer: CombinatorialLayer, prepared: Tensor, labels: Labels, instances: Instances
) -> Tensor:
    """The true costs (B, *S) as the layer's solver sees costs: projected, +inf for padding.

    `prepared` are the predicted ones, whose dtype they get. Raises ValueError without true costs
    of that shape.
    """
    true_costs = need(part, "true_costs", labels.true_costs, prepared).to(prepared)
    with torch.no_grad():
        return layer.project(instances.without_padding(true_costs)).to(prepared.dtype)
