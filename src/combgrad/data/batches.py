"""Batches of tensors held in memory, in an order that depends only on seed and epoch."""

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler


class TensorTable(Dataset[dict[str, Tensor]]):
    """Named tensors of equal length N; indexing with a tensor of rows gives a whole batch."""

    def __init__(self, columns: Mapping[str, Tensor]) -> None:
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
    columns: Mapping[str, Tensor],
    batch_size: int,
    *,
    shuffle: bool = False,
    seed: int = 0,
    rank: int = 0,
    world: int = 1,
) -> DataLoader[dict[str, Tensor]]:
    """A loader of dictionaries of (B, ...) tensors, each batch taken in one indexing operation."""
    table = TensorTable(columns)
    sampler = EpochSampler(
        len(table), batch_size, shuffle=shuffle, seed=seed, rank=rank, world=world
    )
    # Its own generator: a loader otherwise draws from the global one whenever it is started.
    return DataLoader(table, sampler=sampler, batch_size=None, generator=torch.Generator())
