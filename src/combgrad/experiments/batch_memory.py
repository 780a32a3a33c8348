"""What earlier batches leave to a loss of ranks, so that it is nearer to that of a whole set."""

from typing import Any, Literal

import torch
from torch import Tensor, nn

from combgrad.arguments import check_count, check_option

Memory = Literal["none", "rows", "embeddings"]


class BatchMemory(nn.Module):
    """Tensors of the last few batches, without gradient; part of the checkpoint.

    Args:
        kind: `rows`, scores and marks of earlier queries, (B, n) each; `embeddings`, embeddings
            (B, D) and labels (B,), which become further candidates; `none`, nothing (A-24).
        batches: how many batches are kept, >= 1.

    Raises ValueError for another kind or number.
    """

    def __init__(self, kind: Memory, batches: int) -> None:
        super().__init__()
        check_option("memory", kind, Memory, "task")
        self.kind, self.batches = kind, check_count("memory_batches", batches, "task")
        self._kept: list[tuple[Tensor, Tensor]] = []

    def joined(self, kind: Memory, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
        """Two tensors (B, ...) followed by those kept of earlier batches, where these are `kind`.

        The two are then kept in the place of the oldest.
        """
        if kind != self.kind:
            return first, second
        earlier = [tuple(part.to(first.device) for part in pair) for pair in self._kept]
        self._kept = [*self._kept, (first.detach(), second.detach())][-self.batches :]
        parts = [(first, second), *earlier]
        return torch.cat([pair[0] for pair in parts]), torch.cat([pair[1] for pair in parts])

    def get_extra_state(self) -> dict[str, Any]:
        """What is kept, for a checkpoint."""
        return {"kind": self.kind, "kept": [tuple(pair) for pair in self._kept]}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        if state["kind"] == self.kind:
            self._kept = [tuple(pair) for pair in state["kept"]]
