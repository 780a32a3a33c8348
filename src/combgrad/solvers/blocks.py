"""Several blocks of costs as one joint vector, for the layer, and apart again, for a solver."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from combgrad.errors import SolverInputError


class Blocks:
    """The blocks of an instance's costs, such as n x m of nodes and E x F of edges, in one row.

    A joint vector (B, N) holds the blocks one after the other, each row by row; costs, solutions,
    labels and `valid` masks all have this form.

    Args:
        *shapes: of the blocks of an instance, without the batch.
    """

    def __init__(self, *shapes: Sequence[int]) -> None:
        self.shapes = tuple(tuple(shape) for shape in shapes)
        self.sizes = tuple(math.prod(shape) for shape in self.shapes)

    @property
    def size(self) -> int:
        """N, of the joint vector."""
        return sum(self.sizes)

    def pack(self, *blocks: Tensor) -> Tensor:
        """Blocks (B, *shape) as one vector (B, N), differentiable.

        Raises SolverInputError for blocks of other shapes, or of different batches.
        """
        found = [tuple(block.shape[1:]) for block in blocks]
        if found != [*self.shapes] or len({len(block) for block in blocks}) > 1:
            raise SolverInputError(
                f"blocks have shapes {', '.join(str(tuple(block.shape)) for block in blocks)}; "
                f"pass {' and '.join(self._words())}, of one batch."
            )
        return torch.cat([block.flatten(1) for block in blocks], dim=1)

    def unpack(self, vector: Tensor) -> tuple[Tensor, ...]:
        """The blocks (B, *shape) of a vector (B, N), differentiable; refuses any other shape."""
        if vector.dim() != 2 or vector.shape[1] != self.size:
            raise SolverInputError(
                f"a joint vector has shape {tuple(vector.shape)}; the blocks "
                f"{' and '.join(self._words())} take (B, {self.size})."
            )
        parts = vector.split(self.sizes, dim=1)
        return tuple(
            part.reshape(len(vector), *shape)
            for part, shape in zip(parts, self.shapes, strict=True)
        )

    def marked(self, *numbers: int) -> Tensor:
        """Which entries of the vector are of the blocks of these numbers, bool (N,)."""
        each = [
            torch.full((size,), number in numbers, device="cpu")
            for number, size in enumerate(self.sizes)
        ]
        return torch.cat(each) if each else torch.zeros(0, dtype=torch.bool, device="cpu")

    def _words(self) -> list[str]:
        return [f"({', '.join(map(str, ('B', *shape)))})" for shape in self.shapes]
