"""Batches of instances of different size: what is padding, and how a solver never sees it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from combgrad.errors import CombgradError, SolverInputError

#: How a solver meets padding: the instances of each size are solved apart, without it (`cut`); it
#: is forbidden by +inf (`forbidden`), where that means the same; `_solve` takes `valid` (`read`).
Padding = Literal["cut", "forbidden", "read"]


class SameSize(NamedTuple):
    """Instances of one size: their places in the batch (N,), their shape, which entries (B, *S)."""

    rows: Tensor
    shape: tuple[int, ...]
    entries: Tensor

    def of(self, values: Tensor) -> Tensor:
        """Their own entries (N, *shape) of values (B, *S)."""
        return values[self.entries].view(len(self.rows), *self.shape)

    @contextmanager
    def counted(self) -> Iterator[None]:
        """Have errors say of which instances they speak, where these are not the whole batch."""
        try:
            yield
        except CombgradError as error:
            if len(self.rows) == len(self.entries):
                raise
            raise type(error)(
                f"{error} This counts the instances of shape {self.shape} alone, which are those "
                f"of batch index {', '.join(map(str, self.rows.cpu().tolist()))}."
            ) from error


def by_size(owner: str, valid: Tensor) -> Iterator[SameSize]:
    """The instances of a mask (B, *S), those of one size together.

    An instance consists of the entries at some places of each axis; the others are padding.
    Raises SolverInputError, naming the batch index, for a mask that is no such block.
    """
    axes = range(1, valid.dim())
    counts = [valid.any(dim=[a for a in axes if a != axis]) if len(axes) > 1 else valid
              for axis in axes]  # fmt: skip
    sizes = torch.stack([count.sum(dim=1) for count in counts], dim=1)
    wrong = valid.flatten(1).sum(dim=1) != sizes.prod(dim=1)
    if bool(wrong.any()):
        raise SolverInputError(
            f"{owner}: the valid entries of batch index {int(wrong.nonzero()[0])} are no block, "
            f"the same places of one axis wherever those of another are; pad whole rows and "
            f"columns."
        )
    kinds, kind = sizes.unique(dim=0, return_inverse=True)
    for number, shape in enumerate(kinds.cpu().tolist()):
        mine = kind == number
        where = mine.view(-1, *[1] * len(axes))
        yield SameSize(mine.nonzero()[:, 0], tuple(shape), valid & where)
