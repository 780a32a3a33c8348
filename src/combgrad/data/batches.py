"""Batches of rows in memory or on disk."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from combgrad.data.batch_plans import BatchPlan, PlanSampler


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
        for name, column in self.columns.items():
            if isinstance(column, np.ndarray | list | tuple):
                kind = type(column).__name__
                raise TypeError(
                    f"column {name!r} of the data is of type {kind}, of which batches would be no "
                    f"tensors; make it one with torch.as_tensor."
                )
        lengths = {name: len(column) for name, column in self.columns.items()}
        if len(set(lengths.values())) != 1:
            raise ValueError(f"the columns differ in length: {lengths}")
        self.length = next(iter(lengths.values()))

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, rows: Tensor) -> dict[str, Tensor]:
        return {name: column[rows] for name, column in self.columns.items()}


def loader(
    table: Dataset[Any],
    plan: BatchPlan,
    *,
    even: bool,
    rank: int = 0,
    world: int = 1,
    workers: int = 0,
) -> DataLoader[Any]:
    """A loader of the batches that a table gives for the rows of a plan, for one of the processes.

    Each batch is one indexing operation. `even` is as in PlanSampler; `workers` are processes that
    do the indexing, 0 for this one.
    """
    sampler = PlanSampler(plan, rank=rank, world=world, even=even)
    # Its own generator: a loader otherwise draws from the global one whenever it is started.
    return DataLoader(
        table,
        sampler=sampler,
        batch_size=None,
        generator=torch.Generator(),
        num_workers=workers,
        persistent_workers=workers > 0,
    )
