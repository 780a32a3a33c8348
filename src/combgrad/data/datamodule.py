"""What all data sets share: batches of named columns, shared out among the processes."""

import os
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from torch.utils.data import DataLoader, Dataset

from combgrad.arguments import LARGEST_SEED, is_whole
from combgrad.data.base import Source, check_path
from combgrad.data.batch_plans import BatchPlan, FirstEpoch, InOrder, Shuffled
from combgrad.data.batches import Column, Table, loader
from combgrad.data.files.web import check_address
from combgrad.guards.lightning import pl

S = TypeVar("S", bound=Source)

#: Of all splits together more would not fit into memory.
MOST_ROWS = 10**7

MOST_WORKERS = 1000


def check_choice(name: str, value: str, choices: Collection[str]) -> None:
    """Raise ValueError for a setting `data.<name>` that is none of its choices."""
    if value not in choices:
        raise ValueError(f"data.{name} is {value!r}; choose one of {', '.join(choices)}.")


def check_collection(value: object, kind: type, what: str, free: str) -> None:
    """Raise ValueError for a `data.collection` of another kind; `free` is a choice that has one."""
    if not isinstance(value, kind):
        raise ValueError(
            f"data.collection is a {type(value).__name__}; give a set of {what}, such as that of "
            f"{free}."
        )


def check_whole(name: str, value: object, least: int, most: int | None = None) -> None:
    """Raise ValueError for a setting `data.<name>` that is no whole number in [least, most]."""
    if not is_whole(value) or not least <= value <= (value if most is None else most):  # type: ignore[operator]
        allowed = f"of at least {least}" if most is None else f"from {least} to {most}"
        raise ValueError(f"data.{name} is {value!r}; it must be a whole number {allowed}.")


def check_url(url: str | None, source: str, words: Collection[str] = ()) -> None:
    """Raise ValueError for an address `data.url` that would not be used, or could not.

    `words` may stand in its place. Raises DownloadError for what is no address of the web.
    """
    if url is None or url in words:
        return
    if source != "original":
        raise ValueError(
            f"data.url is given, and data.source={source} downloads nothing; leave it out, or "
            f"choose data.source=original."
        )
    if not isinstance(url, str):
        raise ValueError(f"data.url is of type {type(url).__name__}; give an https address.")
    check_address(url)


def choose(sources: Sequence[type[S]], name: str, path: object, url: str | None = None) -> type[S]:
    """The source of that name.

    Raises ValueError where there is none, where it needs a path that is not given, and for an
    address that it would not use, or could not.
    """
    check_choice("source", name, [source.name for source in sources])
    source = next(source for source in sources if source.name == name)
    if source.needs is not None:
        free = next(other.choice for other in sources if other.needs is None)
        check_path(source.choice, source.needs, path, free)
    check_url(url, name, source.words)
    return source


def user_path(path: str | os.PathLike[str] | None, name: str = "path") -> Path | None:
    """The setting `data.<name>` as a path, with `~` for the user's home; None stays None."""
    if path is None:
        return None
    if not isinstance(path, str | os.PathLike) or not str(path):
        raise ValueError(f"data.{name} is {path!r}; give a path, or null.")
    return Path(path).expanduser()


def checked_fingerprint(data: object) -> str:
    """The fingerprint of a data module; ValueError where it lacks what a record says of data."""
    for name, meaning in (
        ("source", "where the data come from, such as 'original'"),
        ("data_fingerprint", "a digest that changes whenever the data do"),
    ):
        text = getattr(data, name, None)
        if not isinstance(text, str):
            raise ValueError(
                f"{type(data).__name__}, the data module, has no text {name!r}, {meaning}, for "
                f"the record of a run; give it that attribute."
            )
    return str(text)


class TensorDataModule(pl.LightningDataModule, ABC):
    """A data set whose splits `train`, `val` and `test` are named columns; `columns` gives them.

    Args:
        train_size, eval_size: rows for training, and each for validation and test.
        batch_size: rows of a training step, over all processes.
        order_seed: of the training order.
        workers: processes that put batches together, beside the one that trains; 0 for none. They
            change no number.

    Raises ValueError for a setting that cannot be, and where the processes cannot share a batch
    evenly.
    """

    #: Where the data come from, for the record.
    source: str

    #: An evaluation takes more rows at once than a training step, unless they are large.
    eval_batch_size = 500

    #: Whether every epoch of a training has the batches of the first, in the same order.
    same_batches = False

    def __init__(
        self, train_size: int, eval_size: int, batch_size: int, order_seed: int, workers: int = 0
    ) -> None:
        super().__init__()
        for name, size in (("train", train_size), ("eval", eval_size), ("batch", batch_size)):
            check_whole(f"{name}_size", size, 1, MOST_ROWS)
        check_whole("order_seed", order_seed, 0, LARGEST_SEED)
        check_whole("workers", workers, 0, MOST_WORKERS)
        self.train_size, self.eval_size, self.batch_size = train_size, eval_size, batch_size
        self.order_seed, self.workers = order_seed, workers

    @property
    @abstractmethod
    def data_fingerprint(self) -> str:
        """Changes whenever the data of a run could; cheap, but says at once what is missing."""

    @abstractmethod
    def columns(self, split: str) -> Mapping[str, Column]:
        """The tensors of a split, each with the rows first, or what stands for one on disk."""

    def _size(self, split: str) -> int:
        return self.train_size if split == "train" else self.eval_size

    def _place(self) -> tuple[int, int]:
        """This process's number and how many there are, (0, 1) outside a trainer."""
        trainer = self.trainer
        return (trainer.global_rank, trainer.world_size) if trainer is not None else (0, 1)

    def table(self, split: str) -> Dataset[Any]:
        """What answers row numbers (B,) of a split with a batch: all columns, unless overridden."""
        return Table(self.columns(split))

    def train_plan(self, rows: int) -> BatchPlan:
        """Which rows of the table the training batches have: all, shuffled, unless overridden."""
        return Shuffled(rows, self.batch_size, self.order_seed)

    def train_dataloader(self) -> DataLoader[Any]:
        """The batches of the plan, shared out among the processes of the trainer."""
        rank, world = self._place()
        if self.batch_size % world:
            raise ValueError(
                f"data.batch_size is {self.batch_size}, which {world} processes cannot share "
                f"evenly; choose a multiple of {world}, or other trainer.devices."
            )
        table = self.table("train")
        plan = self.train_plan(len(table))  # type: ignore[arg-type]
        plan = FirstEpoch(plan) if self.same_batches else plan
        return loader(table, plan, even=True, rank=rank, world=world, workers=self.workers)

    def _eval_batches(self, split: str) -> DataLoader[Any]:
        rank, world = self._place()
        table = self.table(split)
        size = max(self.batch_size, self.eval_batch_size) * world
        plan = InOrder(len(table), size)  # type: ignore[arg-type]
        return loader(table, plan, even=False, rank=rank, world=world, workers=self.workers)

    def val_dataloader(self) -> DataLoader[Any]:
        """The validation split in order."""
        return self._eval_batches("val")

    def test_dataloader(self) -> DataLoader[Any]:
        """The test split in order."""
        return self._eval_batches("test")
