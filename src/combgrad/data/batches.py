"""Batches of rows in memory or on disk, in an order that depends only on seed and epoch."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler


class Column(Protocol):
    """N rows; a tensor of row numbers (B,) gives some of them, (B, ...)."""

    def __len__(self) -> int: ...

    def __getitem__(self, rows: Tensor, /) -> Tensor: ...


class StoredRows:
    """Rows of arrays one after another, such as memory-mapped files; reads only those asked for.

    Args:
        parts: arrays (N_i, *S), of any number type.
        dtype: of the tensors that come out.
    """

    def __init__(self, parts: Sequence[np.ndarray], dtype: type[np.generic]) -> None:
        self.parts, self.dtype = list(parts), dtype
        self.ends = np.cumsum([len(part) for part in self.parts])

    def __len__(self) -> int:
        return int(self.ends[-1])

    def first(self, count: int) -> "StoredRows":
        """At most the first `count` rows."""
        starts = [0, *self.ends[:-1]]
        kept = [part[: max(0, count - s)] for part, s in zip(self.parts, starts, strict=True)]
        return StoredRows(kept, self.dtype)

    def __getitem__(self, rows: Tensor, /) -> Tensor:
        wanted = rows.numpy()
        if wanted.size and not 0 <= wanted.min() <= wanted.max() < len(self):
            raise IndexError(f"rows {wanted.min()} to {wanted.max()} of {len(self)}")
        found = np.empty((len(wanted), *self.parts[0].shape[1:]), self.dtype)
        start = 0
        for part, end in zip(self.parts, self.ends, strict=True):
            here = (wanted >= start) & (wanted < end)
            found[here] = part[wanted[here] - start]
            start = end
        return torch.from_numpy(found)


class Table(Dataset[dict[str, Tensor]]):
    """Named columns of equal length N; indexing with a tensor of rows gives a whole batch."""

    def __init__(self, columns: Mapping[str, Column]) -> None:
        self.columns = dict(columns)
        lengths = {name: len(column) for name, column in self.columns.items()}
        if len(set(lengths.values())) != 1:
            raise ValueError(f"the columns differ in length: {lengths}")
        self.length = next(iter(lengths.values()))

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, rows: Tensor) -> dict[str, Tensor]:
        return {name: column[rows] for name, column in self.columns.items()}


class EpochSampler(Sampler[Tensor]):
    """Row indices of one batch after another, shuffled by (seed, epoch) alone.

    A resumed run therefore sees the same batches as an uninterrupted one. Each of `world`
    processes gets every world-th row; shuffled rows that do not divide evenly are dropped, because
    processes that train together must take equally many steps.
    """

    def __init__(
        self, rows: int, batch_size: int, *, shuffle: bool, seed: int, rank: int, world: int
    ) -> None:
        self.rows, self.batch_size, self.shuffle, self.seed = rows, batch_size, shuffle, seed
        self.rank, self.world = rank, world
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the order of the next pass; Lightning calls it at the start of every epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        return -(-self._share() // self.batch_size)

    def _share(self) -> int:
        mine = len(range(self.rank, self.rows, self.world))
        return self.rows // self.world if self.shuffle else mine

    def __iter__(self) -> Iterator[Tensor]:
        if self.shuffle:
            generator = torch.Generator().manual_seed(self.seed * 1_000_003 + self.epoch)
            order = torch.randperm(self.rows, generator=generator)
        else:
            order = torch.arange(self.rows)
        yield from order[self.rank :: self.world][: self._share()].split(self.batch_size)


def batches(
    columns: Mapping[str, Column],
    batch_size: int,
    *,
    shuffle: bool = False,
    seed: int = 0,
    rank: int = 0,
    world: int = 1,
) -> DataLoader[dict[str, Tensor]]:
    """A loader of dictionaries of (B, ...) tensors, each batch taken in one indexing operation."""
    table = Table(columns)
    sampler = EpochSampler(
        len(table), batch_size, shuffle=shuffle, seed=seed, rank=rank, world=world
    )
    # Its own generator: a loader otherwise draws from the global one whenever it is started.
    return DataLoader(table, sampler=sampler, batch_size=None, generator=torch.Generator())
