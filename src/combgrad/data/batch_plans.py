"""Which rows make the batches of an epoch: plans that a data module may exchange for another."""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator

import torch
from torch import Tensor
from torch.utils.data import Sampler

#: Random orders of all rows that an epoch of bags is drawn from before it is given up.
MOST_ORDERS = 1000


def seeded(seed: int, epoch: int) -> torch.Generator:
    """The random numbers of an epoch, which depend on nothing else."""
    return torch.Generator().manual_seed(seed * 1_000_003 + epoch)


class BatchPlan(ABC):
    """The batches of every epoch, each a tensor of row numbers, over all processes together.

    A plan answers the same whenever it is asked for an epoch, so that a resumed run sees the
    batches of an uninterrupted one. `sizes` are the lengths of the batches, the same in all epochs.
    An instance that is made of several rows is a row (b,) of their numbers.
    """

    sizes: list[int]

    @abstractmethod
    def batches(self, epoch: int) -> Iterator[Tensor]:
        """The row numbers (B,), or (B, b), of one batch after another."""


def sizes_of(rows: int, batch_size: int) -> list[int]:
    """The lengths of batches of rows that are taken one after another; the last may be shorter."""
    return [min(batch_size, rows - start) for start in range(0, rows, batch_size)]


class InOrder(BatchPlan):
    """All rows in order, the same in every epoch."""

    def __init__(self, rows: int, batch_size: int) -> None:
        self.rows, self.batch_size = rows, batch_size
        self.sizes = sizes_of(rows, batch_size)

    def batches(self, epoch: int) -> Iterator[Tensor]:
        """Rows 0 to N - 1."""
        del epoch
        yield from torch.arange(self.rows).split(self.batch_size)


class Shuffled(BatchPlan):
    """All rows, in an order that depends on seed and epoch alone."""

    def __init__(self, rows: int, batch_size: int, seed: int) -> None:
        self.rows, self.batch_size, self.seed = rows, batch_size, seed
        self.sizes = sizes_of(rows, batch_size)

    def batches(self, epoch: int) -> Iterator[Tensor]:
        """A permutation of the rows, cut into batches."""
        order = torch.randperm(self.rows, generator=seeded(self.seed, epoch))
        yield from order.split(self.batch_size)


class Fresh(BatchPlan):
    """Numbers that no epoch before had, for instances that are drawn by their number.

    Epoch e has those from e * count on, so that pairs, say, are new in every epoch and can still
    be found again.
    """

    def __init__(self, count: int, batch_size: int) -> None:
        self.count, self.batch_size = count, batch_size
        self.sizes = sizes_of(count, batch_size)

    def batches(self, epoch: int) -> Iterator[Tensor]:
        """The numbers of the epoch in order."""
        start = epoch * self.count
        yield from torch.arange(start, start + self.count).split(self.batch_size)


class FirstEpoch(BatchPlan):
    """The batches that another plan has in its first epoch, in every epoch."""

    def __init__(self, plan: BatchPlan) -> None:
        self.plan, self.sizes = plan, plan.sizes

    def batches(self, epoch: int) -> Iterator[Tensor]:
        """Those of epoch 0."""
        del epoch
        yield from self.plan.batches(0)


class ClassBalanced(BatchPlan):
    """Batches of `classes` different classes with `samples` rows of each, class by class.

    An epoch has floor(N / (classes * samples)) batches. The classes of a batch are drawn anew for
    each; a class gives all its rows, in random order, before it gives one again, but for a rest
    that is smaller than `samples`.

    Args:
        labels: the class (N,) of each row, any whole numbers.
        classes: of a batch.
        samples: of a class in a batch.
        seed: of the drawing.

    Raises ValueError where there are fewer classes, or fewer rows of one, than that.
    """

    def __init__(self, labels: Tensor, classes: int, samples: int, seed: int) -> None:
        names, sizes = labels.unique(return_counts=True)
        if not 1 <= classes <= len(names):
            raise ValueError(f"a batch is to have {classes} classes, and there are {len(names)}.")
        if samples < 1 or int(sizes.min()) < samples:
            name, size = int(names[sizes.argmin()]), int(sizes.min())
            raise ValueError(
                f"a batch is to have {samples} rows of a class, and class {name} has {size}."
            )
        self.members = [(labels == name).nonzero().flatten() for name in names]
        self.classes, self.samples, self.seed = classes, samples, seed
        self.sizes = [classes * samples] * (len(labels) // (classes * samples))

    def batches(self, epoch: int) -> Iterator[Tensor]:
        """The rows of one batch after another, those of a class beside each other."""
        generator = seeded(self.seed, epoch)
        left: list[list[Tensor]] = [[] for _ in self.members]
        for _ in self.sizes:
            chosen = torch.randperm(len(self.members), generator=generator)[: self.classes]
            yield torch.cat([self._some(left, number, generator) for number in chosen.tolist()])

    def _some(self, left: list[list[Tensor]], number: int, generator: torch.Generator) -> Tensor:
        if not left[number]:
            rows = self.members[number]
            mixed = rows[torch.randperm(len(rows), generator=generator)]
            whole = len(rows) // self.samples * self.samples
            left[number] = list(mixed[:whole].split(self.samples))
        return left[number].pop()


class Bags(BatchPlan):
    """Batches of bags, each `size` rows that have enough different classes; drawn in every epoch.

    An epoch has floor(N / size) bags, cut from random orders of all rows, one after another; bags
    with fewer different classes than `distinct` of their size are dropped. Where none is, every row
    is in at most one bag of an epoch.

    Args:
        labels: the class (N,) of each row, any whole numbers.
        size: b, rows of a bag.
        bags: of a batch.
        seed: of the drawing.
        distinct: share of different classes that a bag has at least.

    Raises ValueError where no bag can have them; drawing an epoch does where hardly any has.
    """

    def __init__(
        self, labels: Tensor, size: int, bags: int, seed: int, distinct: float = 0.75
    ) -> None:
        self.least = math.ceil(distinct * size)
        classes = len(labels.unique())
        if size > len(labels) or self.least > classes:
            raise ValueError(
                f"a bag is to have {size} rows of {self.least} different classes at least, and "
                f"there are {len(labels)} rows of {classes} classes; choose smaller bags."
            )
        self.labels, self.size, self.bags, self.seed = labels, size, bags, seed
        self.count = len(labels) // size
        self.sizes = sizes_of(self.count, bags)

    def batches(self, epoch: int) -> Iterator[Tensor]:
        """The rows (bags, size) of one batch after another, those of a bag beside each other."""
        generator, found, left = seeded(self.seed, epoch), [], self.count
        for _ in range(MOST_ORDERS):
            order = torch.randperm(len(self.labels), generator=generator)
            cut = order[: self.count * self.size].view(self.count, self.size)
            found.append(cut[different(self.labels[cut]) >= self.least][:left])
            left -= len(found[-1])
            if left == 0:
                yield from torch.cat(found).split(self.bags)
                return
        raise ValueError(
            f"hardly any bag of {self.size} rows has {self.least} different classes; choose "
            f"smaller bags."
        )


def different(labels: Tensor) -> Tensor:
    """How many different whole numbers (B, n) there are in each row, (B,)."""
    ordered = labels.sort(dim=1).values
    return 1 + (ordered[:, 1:] != ordered[:, :-1]).sum(dim=1)


class PlanSampler(Sampler[Tensor]):
    """The share that one of `world` processes has of the batches of a plan: every world-th row.

    The first pass has the batches of epoch 0, or of that which `set_epoch` chose, and each pass
    after it those of the next, so that a loop of one's own sees another order every time.

    Args:
        plan: of the batches.
        rank, world: which process this is, of how many.
        even: whether rows of a batch that do not divide evenly are dropped, because processes that
            train together must take equally many steps; where not, some have a row more.
    """

    def __init__(self, plan: BatchPlan, *, rank: int, world: int, even: bool) -> None:
        self.plan, self.rank, self.world, self.even = plan, rank, world, even
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the batches of the next pass; Lightning calls it at the start of every epoch."""
        self.epoch = epoch

    def _share(self, size: int) -> int:
        return size // self.world if self.even else len(range(self.rank, size, self.world))

    def __len__(self) -> int:
        return sum(self._share(size) > 0 for size in self.plan.sizes)

    def __iter__(self) -> Iterator[Tensor]:
        epoch, self.epoch = self.epoch, self.epoch + 1
        for batch in self.plan.batches(epoch):
            share = batch[self.rank :: self.world][: self._share(len(batch))]
            if len(share):
                yield share
