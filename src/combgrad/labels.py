"""What is known of a batch beside its inputs, and what a loss or a margin may need of it."""

from collections.abc import Iterable
from typing import NamedTuple

from torch import Tensor

from combgrad.errors import IncompatibleError


class Labels(NamedTuple):
    """The labels of a batch of instances; None for what a task does not have.

    Attributes:
        target: true solutions y* (B, *S).
        true_costs: the costs c (B, *S) whose solutions they are.
    """

    target: Tensor | None = None
    true_costs: Tensor | None = None

    def repeat(self, times: int) -> "Labels":
        """The labels of a batch repeated as a whole, row m * B + i being of instance i."""
        return Labels(*(x if x is None else x.repeat(times, *[1] * (x.dim() - 1)) for x in self))


#: Name of a label -> what it is, for messages.
MEANINGS = {"target": "true solutions", "true_costs": "true costs"}


def check_needs(part: str, needs: Iterable[str], provided: Iterable[str], remedy: str) -> None:
    """Raise IncompatibleError where a part needs labels that are not provided."""
    missing = [name for name in MEANINGS if name in set(needs) - set(provided)]
    if missing:
        words = " and ".join(MEANINGS[name] for name in missing)
        raise IncompatibleError(f"{part} needs {words}, and there are none here: {remedy}.")


def need(part: str, name: str, label: Tensor | None, costs: Tensor, instead: str = "") -> Tensor:
    """A label that a part cannot do without; ValueError where it is missing or of another shape."""
    if label is None or label.shape != costs.shape:
        shape = None if label is None else tuple(label.shape)
        raise ValueError(
            f"{part} needs {MEANINGS[name]}: pass {name} of shape {tuple(costs.shape)}, one for "
            f"each instance (got {shape}){instead}."
        )
    return label
