"""Margins: costs made harder while training, so that they cannot collapse (paper, section 3.6)."""

from abc import ABC, abstractmethod
from typing import Any, Literal

import torch
from torch import Tensor, nn

from combgrad.arguments import check_option, epochs_until, is_number
from combgrad.compatibility import Part
from combgrad.labels import marks, need

__all__ = ["InformedMargin", "Margin", "NoiseMargin"]

Position = Literal["before", "after"]
Distribution = Literal["two_point", "uniform"]


def check_until(until: Any) -> None:
    """Raise ValueError for an end of a margin that is neither a fraction nor a number of epochs."""
    if until is None:
        return
    if is_number(until) and (0 <= until <= 1 or (until > 1 and until == until // 1)):
        return
    raise ValueError(
        f"margin.until is {until!r}; give a fraction of the training from 0 to 1, a whole number "
        f"of epochs from 2 on, or null for always."
    )


class Margin(Part, nn.Module, ABC):
    """A perturbation of the costs of size `alpha`, active in training mode only.

    Args:
        alpha: the size, >= 0, in the unit of the costs it is added to.
        until: when it ends: a number up to 1 is a fraction of all epochs, 1 the whole training,
            a whole number from 2 on that many epochs, 0 or None at once or never. The layer's
            `set_epoch` moves it along.
        position: `before` or `after` the projection.
    """

    needs: frozenset[str] = frozenset()

    def __init__(
        self, alpha: float, until: float | None = None, position: Position = "before"
    ) -> None:
        super().__init__()
        if not is_number(alpha) or not 0 <= alpha < float("inf"):
            raise ValueError(f"margin.alpha is {alpha!r}; it must be finite and at least 0.")
        check_until(until)
        check_option("position", position, Position, "margin")
        self.alpha = float(alpha)
        self.until = until
        self.position: Position = position
        self._ended = until == 0

    def set_epoch(self, epoch: int, epochs: int) -> None:
        """Switch the margin on or off for a 0-based `epoch` out of `epochs`."""
        if self.until is None:
            return
        self._ended = epoch >= epochs_until(self.until, epochs)

    @property
    def active(self) -> bool:
        """Whether `forward` changes the costs now."""
        return self.training and not self._ended and self.alpha > 0

    def forward(
        self, costs: Tensor, target: Tensor | None = None, marked: Tensor | None = None
    ) -> Tensor:
        """Perturb costs (B, *S) -> (B, *S), of the `marked` entries; the identity when not active.

        Raises ValueError where the margin needs a `target` (B, *S) and has none, or one that is not
        finite where it is used.
        """
        if not self.active:
            return costs
        if "target" in self.needs:
            target = need(self.own_name, "target", target, costs, ", or use NoiseMargin")
        offset = self._offset(costs.detach(), target)
        if marked is not None:
            offset = offset.masked_fill(~marks(marked, costs), 0.0)
        if "target" in self.needs and not bool(offset.isfinite().all()):
            # Else the solver finds it in the costs, and speaks of a network that diverged.
            raise ValueError(f"{self.own_name}: the target holds NaN or inf; mend the labels.")
        return costs + offset

    @abstractmethod
    def _offset(self, costs: Tensor, target: Tensor | None) -> Tensor:
        """What is added to the costs (B, *S)."""


class NoiseMargin(Margin):
    """Fresh noise in every forward pass: w + xi, with xi drawn per entry.

    `two_point`: xi is -alpha/2 or +alpha/2 with equal probability, E|xi| = alpha/2; `uniform`: xi
    uniform on [-alpha/2, alpha/2], E|xi| = alpha/4. Source: paper, section 3.6 (A-01).
    """

    def __init__(
        self,
        alpha: float,
        distribution: Distribution = "two_point",
        until: float | None = None,
        position: Position = "before",
    ) -> None:
        super().__init__(alpha, until, position)
        check_option("distribution", distribution, Distribution, "margin")
        self.distribution: Distribution = distribution

    def _offset(self, costs: Tensor, target: Tensor | None) -> Tensor:
        del target
        draw = torch.rand_like(costs)
        if self.distribution == "two_point":
            draw = (draw < 0.5).to(costs.dtype)
        return self.alpha * (draw - 0.5)


class InformedMargin(Margin):
    """Make the true solution less attractive: w + (alpha/2) y* - (alpha/2) (1 - y*).

    Source: paper, section 3.6 (A-02).
    """

    needs = frozenset({"target"})

    def _offset(self, costs: Tensor, target: Tensor | None) -> Tensor:
        assert target is not None  # checked by forward
        return self.alpha * (target.detach().to(costs) - 0.5)
