"""What an epoch measures: means over its instances, and metrics of all of them together."""

from collections.abc import Callable

import torch
from torch import Tensor

from combgrad.solvers.arrays import single


class Means:
    """Sums over the batches of one epoch, and the means that they come to."""

    def __init__(self) -> None:
        self._totals: dict[str, Tensor] = {}
        self._counts: dict[str, int] = {}

    def add(self, name: str, total: Tensor, count: int) -> None:
        """Add the sum, a scalar, of `count` values; halves would soon not count on."""
        total = single(total.detach())
        self._totals[name] = self._totals[name] + total if name in self._totals else total
        self._counts[name] = self._counts.get(name, 0) + count

    def take(self, reduce: Callable[[Tensor], Tensor] | None = None) -> dict[str, Tensor]:
        """The means by name, each a scalar.

        `reduce` sums a tensor over several processes: the mean of their means would be wrong where
        their shares differ in size.
        """
        sums = torch.stack([*self._totals.values()])
        both = torch.stack([sums, torch.tensor([*self._counts.values()]).to(sums)])
        if reduce is not None:
            both = reduce(both)
        return dict(zip(self._totals, both[0] / both[1], strict=True))


class Rows:
    """Rows of one epoch, batch by batch, for a metric that needs all of them at once."""

    def __init__(self) -> None:
        self._parts: dict[str, list[Tensor]] = {}

    def add(self, name: str, rows: Tensor) -> None:
        """Add the rows (B, ...) of a batch."""
        self._parts.setdefault(name, []).append(rows.detach())

    def take(self, gather: Callable[[Tensor], Tensor] | None = None) -> dict[str, Tensor]:
        """All rows (N, ...) by name, in the order of the data.

        `gather` answers a tensor of this process with those of all, (world, ...); each has every
        world-th row.
        """
        found = {name: torch.cat(parts) for name, parts in self._parts.items()}
        if gather is None:
            return found
        return {name: gathered(rows, gather) for name, rows in found.items()}


def gathered(rows: Tensor, gather: Callable[[Tensor], Tensor]) -> Tensor:
    """The rows (N, ...) of all processes in order, of which each has every world-th, (n, ...)."""
    counts = gather(torch.tensor(len(rows), device=rows.device)).flatten()
    most = int(counts.max())
    # Only tensors of equal shape can be gathered.
    padding = rows.new_zeros(most - len(rows), *rows.shape[1:])
    everything = gather(torch.cat([rows, padding])).transpose(0, 1)
    there = torch.arange(most, device=rows.device)[:, None] < counts
    return everything[there]
