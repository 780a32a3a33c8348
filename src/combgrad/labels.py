"""What is known of a batch beside its inputs, and what a loss or a margin may need of it."""

from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import Tensor

from combgrad.errors import IncompatibleError


class Labels(NamedTuple):
    """The labels of a batch of instances; None for what a task does not have.

    Attributes:
        target: true solutions y* (B, *S), floating-point numbers, whole ones or bool.
        true_costs: the costs c (B, *S) whose solutions they are, of either kind of number.
        marked: which entries a loss of the solution and a margin speak of, bool (B, *S) or (*S);
            None for all. A projection speaks of all in any case.
        perturbed: which entries a margin speaks of where these are others, in the same form.
    """

    target: Tensor | None = None
    true_costs: Tensor | None = None
    marked: Tensor | None = None
    perturbed: Tensor | None = None

    @property
    def of_margin(self) -> Tensor | None:
        """Which entries a margin speaks of, None for all."""
        return self.marked if self.perturbed is None else self.perturbed

    def repeat(self, times: int) -> "Labels":
        """The labels of a batch repeated as a whole, row m * B + i being of instance i."""
        whole = self.target if self.target is not None else self.true_costs
        marked, perturbed = (
            chosen if chosen is None or whole is None else marks(chosen, whole)
            for chosen in (self.marked, self.perturbed)
        )
        each = (self.target, self.true_costs, marked, perturbed)
        return Labels(*(x if x is None else x.repeat(times, *[1] * (x.dim() - 1)) for x in each))


def marks(marked: Tensor, like: Tensor) -> Tensor:
    """Marked entries as bool (B, *S), on the device of values (B, *S); ValueError for others."""
    if marked.dtype != torch.bool or marked.shape not in (like.shape, like.shape[1:]):
        raise ValueError(
            f"marked has shape {tuple(marked.shape)} and dtype {marked.dtype}; pass True for every "
            f"entry that counts, bool of shape {tuple(like.shape)} or {tuple(like.shape[1:])}."
        )
    return marked.to(like.device).expand_as(like)


def spoken_of(marked: Tensor | None, valid: Tensor | None, like: Tensor) -> Tensor | None:
    """Which entries of values (B, *S) are marked and no padding, bool (B, *S); None for all."""
    if valid is None:
        return None if marked is None else marks(marked, like)
    valid = valid.to(like.device)
    return valid if marked is None else valid & marks(marked, like)


#: Name of a label -> what it is, for messages.
MEANINGS = {"target": "true solutions", "true_costs": "true costs"}


def check_needs(part: str, needs: Iterable[str], provided: Iterable[str], remedy: str) -> None:
    """Raise IncompatibleError where a part needs labels that are not provided."""
    missing = [name for name in MEANINGS if name in set(needs) - set(provided)]
    if missing:
        words = " and ".join(MEANINGS[name] for name in missing)
        raise IncompatibleError(f"{part} needs {words}, and there are none here: {remedy}.")


def need(part: str, name: str, label: Tensor | None, costs: Tensor, instead: str = "") -> Tensor:
    """A label that a part cannot do without, as floating-point numbers where it is whole or bool.

    Raises ValueError where it is missing or of another shape.
    """
    if not isinstance(label, Tensor) or label.shape != costs.shape:
        shape = tuple(label.shape) if isinstance(label, Tensor) else type(label).__name__
        raise ValueError(
            f"{part} needs {MEANINGS[name]}: pass {name} of shape {tuple(costs.shape)}, one for "
            f"each instance (got {shape}){instead}."
        )
    if label.is_floating_point():
        return label
    return label.to(torch.promote_types(costs.dtype, torch.float32))
