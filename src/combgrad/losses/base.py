"""What every loss is: one call from a layer, costs and labels to a scalar."""

import warnings
from abc import ABC, abstractmethod
from typing import NamedTuple

import torch
from torch import Tensor, nn

from combgrad.arguments import Described
from combgrad.gradients.graphs import outside_graphs
from combgrad.instances import Instances
from combgrad.labels import Labels, need
from combgrad.layer import CombinatorialLayer
from combgrad.metrics.regret import NEGATIVE, REMEDY
from combgrad.solvers.base import Solver
from combgrad.solvers.spending import spent


class Outcome(NamedTuple):
    """A loss, a scalar, and the solution (B, *S) it was found by where that is y(w), else None."""

    loss: Tensor
    solution: Tensor | None = None


class Loss(Described, nn.Module, ABC):
    """What a network is trained on: a scalar of a layer, the costs w (B, *S) and the labels.

    A loss of the solution calls the layer, so that the gradient method speaks. A loss of the costs
    calls `layer.prepare` and the layer's solver, so that margin and projection hold for it too, and
    the gradient method is not asked. torch.compile leaves it out of its graphs, as the layer.

    `needs` are the labels it cannot do without, `through_layer` whether it is one of the solution.
    """

    needs: frozenset[str] = frozenset({"target"})
    through_layer = False

    def check_solver(self, solver: Solver) -> None:
        """Raise IncompatibleError, with the remedy, for a solver that the loss cannot do with."""
        del solver

    def __call__(
        self,
        layer: CombinatorialLayer,
        costs: Tensor,
        labels: Labels,
        instances: Instances | None = None,
    ) -> Outcome:
        """The loss of a batch, a mean over it.

        Raises TypeError for a tensor in the place of labels, and where `forward` gives no Outcome.
        """
        if not isinstance(labels, Labels):
            raise TypeError(
                f"{self.own_name} takes labels as combgrad.Labels, not as a "
                f"{type(labels).__name__}; pass Labels(target=...), Labels(true_costs=...) or both."
            )
        outcome: Outcome = outside_graphs(self._judged, layer, costs, labels, instances)
        return outcome

    def _judged(
        self,
        layer: CombinatorialLayer,
        costs: Tensor,
        labels: Labels,
        instances: Instances | None,
    ) -> Outcome:
        outcome: Outcome = super().__call__(layer, costs, labels, instances)
        if not isinstance(outcome, Outcome):
            raise TypeError(
                f"{self.own_name}: its forward gives a {type(outcome).__name__}; it must "
                f"return combgrad.losses.Outcome(loss), or Outcome(loss, solution)."
            )
        return outcome

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

    `prepared` are the predicted ones, whose dtype they get; no gradient passes. Raises ValueError
    without true costs of that shape, for NaN and -inf among them, and for some beyond the range of
    that dtype.
    """
    given = need(part, "true_costs", labels.true_costs, prepared)
    true_costs = given.detach().to(prepared)
    seen = instances.zeroed(true_costs)
    if given.dtype != prepared.dtype and bool(seen.isinf().any()):
        _check_range(part, seen, instances.zeroed(given.to(seen.device)))
    if seen.numel() and not bool(seen.amin() > -torch.inf):
        index = int((~(seen > -torch.inf)).flatten(1).any(dim=1).nonzero()[0])
        raise ValueError(
            f"{part}: the true costs of batch index {index} contain NaN or -inf; look for a label "
            f"that is missing, such as a gap in measured data."
        )
    with torch.no_grad():
        return layer.project(instances.without_padding(true_costs)).to(prepared.dtype)


def _check_range(part: str, seen: Tensor, given: Tensor) -> None:
    """Raise ValueError where true costs became infinite, which would forbid their entries."""
    beyond = (seen.isinf() & ~given.isinf()).flatten(1).any(dim=1)
    if bool(beyond.any()):
        raise ValueError(
            f"{part}: true costs of batch index {int(beyond.nonzero()[0])} become inf in "
            f"{seen.dtype}, the dtype of the predicted ones; pass costs.double()."
        )


def warn_unless_best(part: str, regrets: Tensor, true_costs: Tensor, target: Tensor) -> None:
    """Warn where a regret (B,) of a feasible solution is clearly below 0, as by a slip of the sign.

    No error, for labels may be wrong on purpose. Always the same words, so that it is said once.
    """
    rounding = max(NEGATIVE, 4 * torch.finfo(true_costs.dtype).eps)
    size = spent(true_costs.abs(), target.abs())
    if bool((regrets < -rounding * (size + size.mean())).any()):
        warnings.warn(
            f"{part}: by the true costs a target costs clearly more than another solution, so it "
            f"is not the best; {REMEDY}",
            RuntimeWarning,
            stacklevel=3,
        )
