"""What all data sets share: batches of named columns, shared out among the processes."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from pathlib import Path

from torch import Tensor
from torch.utils.data import DataLoader

from combgrad.data.batches import Column, batches
from combgrad.lightning import pl


def check_choice(name: str, value: str, choices: Collection[str]) -> None:
    """Raise ValueError for a setting `data.<name>` that is none of its choices."""
    if value not in choices:
        raise ValueError(f"data.{name} is {value!r}; choose one of {', '.join(choices)}.")


def user_path(path: str | None) -> Path | None:
    """A setting as a path, with `~` for the user's home; None stays None."""
    return Path(path).expanduser() if path is not None else None


class TensorDataModule(pl.LightningDataModule, ABC):
    """A data set whose splits `train`, `val` and `test` are named columns; `columns` gives them.

    Args:
        train_size, eval_size: rows for training, and each for validation and test.
        batch_size: rows of a training step, over all processes.
        order_seed: of the training order.

    Raises ValueError for a size below 1, and where the processes cannot share a batch evenly.
    """

    #: An evaluation takes more rows at once than a training step, unless they are large.
    eval_batch_size = 500

    def __init__(self, train_size: int, eval_size: int, batch_size: int, order_seed: int) -> None:
        super().__init__()
        for name, size in (("train", train_size), ("eval", eval_size), ("batch", batch_size)):
            if size < 1:
                raise ValueError(f"data.{name}_size is {size}; it must be at least 1.")
        self.train_size, self.eval_size, self.batch_size = train_size, eval_size, batch_size
        self.order_seed = order_seed

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
