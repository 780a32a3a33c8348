"""What all data sets share: batches of named columns, shared out among the processes."""

import os
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from pathlib import Path

import numpy as np
from torch import Tensor
from torch.utils.data import DataLoader

from combgrad.arguments import LARGEST_SEED
from combgrad.data.batches import Column, batches
from combgrad.data.files.web import check_address
from combgrad.guards.lightning import pl

#: Of all splits together more would not fit into memory.
MOST_ROWS = 10**7


def check_choice(name: str, value: str, choices: Collection[str]) -> None:
    """Raise ValueError for a setting `data.<name>` that is none of its choices."""
    if value not in choices:
        raise ValueError(f"data.{name} is {value!r}; choose one of {', '.join(choices)}.")


def check_whole(name: str, value: object, least: int, most: int | None = None) -> None:
    """Raise ValueError for a setting `data.<name>` that is no whole number in [least, most]."""
    whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if not whole or not least <= value <= (value if most is None else most):  # type: ignore[operator]
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

    Raises ValueError for a setting that cannot be, and where the processes cannot share a batch
    evenly.
    """

    #: Where the data come from, for the record.
    source: str

    #: An evaluation takes more rows at once than a training step, unless they are large.
    eval_batch_size = 500

    def __init__(self, train_size: int, eval_size: int, batch_size: int, order_seed: int) -> None:
        super().__init__()
        for name, size in (("train", train_size), ("eval", eval_size), ("batch", batch_size)):
            check_whole(f"{name}_size", size, 1, MOST_ROWS)
        check_whole("order_seed", order_seed, 0, LARGEST_SEED)
        self.train_size, self.eval_size, self.batch_size = train_size, eval_size, batch_size
        self.order_seed = order_seed

    @property
    @abstractmethod
    def data_fingerprint(self) -> str:
        """Changes whenever the data of a run could; cheap, but says at once what is missing."""

    @abstractmethod
    def columns(self, split: str) -> Mapping[str, Column]:
        """The tensors of a split, each with the rows first, or what stands for one on disk."""

    def _place(self) -> tuple[int, int]:
        """This process's number and how many there are, (0, 1) outside a trainer."""
        trainer = self.trainer
        return (trainer.global_rank, trainer.world_size) if trainer is not None else (0, 1)

    def train_dataloader(self) -> DataLoader[dict[str, Tensor]]:
        """Shuffled batches of the training split, shared out among the processes of the trainer."""
        rank, world = self._place()
        if self.batch_size % world:
            raise ValueError(
                f"data.batch_size is {self.batch_size}, which {world} processes cannot share "
                f"evenly; choose a multiple of {world}, or other trainer.devices."
            )
        return batches(
            self.columns("train"),
            self.batch_size // world,
            shuffle=True,
            seed=self.order_seed,
            rank=rank,
            world=world,
        )

    def _eval_batches(self, split: str) -> DataLoader[dict[str, Tensor]]:
        rank, world = self._place()
        return batches(
            self.columns(split), max(self.batch_size, self.eval_batch_size), rank=rank, world=world
        )

    def val_dataloader(self) -> DataLoader[dict[str, Tensor]]:
        """The validation split in order."""
        return self._eval_batches("val")

    def test_dataloader(self) -> DataLoader[dict[str, Tensor]]:
        """The test split in order."""
        return self._eval_batches("test")
