"""What a network thinks at a few moments of its training, kept for the pictures of the run."""

from collections.abc import Iterable
from typing import Any, Protocol, runtime_checkable

from torch import Tensor

from combgrad.experiments.looking import only_looking
from combgrad.guards.lightning import pl


@runtime_checkable
class Pictured(Protocol):
    """An experiment that has something small to show of its network at any moment."""

    def snapshot(self) -> Tensor:
        """What to keep; called in evaluation mode without gradients, draws no random numbers."""


class Snapshots(pl.Callback):
    """Keeps `snapshot()` of an experiment that has one; training goes on as if it were not there.

    `moments` maps a number of finished epochs to the snapshot taken then, on the CPU. Checkpoints
    hold them, so a resumed run has those from before its interruption too.

    Args:
        at: the moments, as fractions of all epochs from 0 to 1; all but 0 mean at least one epoch.
        wanted: False keeps none.
    """

    def __init__(self, at: Iterable[float], wanted: bool = True) -> None:
        self.at = tuple(at)
        if not all(0 <= fraction <= 1 for fraction in self.at):
            raise ValueError(
                f"callbacks.snapshots.at is {list(self.at)}; give fractions of the training, from "
                f"0.0 to 1.0."
            )
        self.wanted = wanted
        self.moments: dict[int, Tensor] = {}

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint holds: the snapshots so far."""
        return {"moments": self.moments}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over the snapshots of a checkpoint."""
        self.moments = dict(state_dict["moments"])

    def epochs(self, total: int) -> set[int]:
        """The numbers of finished epochs to take one at, in a training of `total` epochs."""
        return {max(1, round(at * total)) if at > 0 else 0 for at in self.at}

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """The moment before the training."""
        self._take(trainer, pl_module, trainer.current_epoch)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """A moment after an epoch, in time for the epoch's checkpoint."""
        self._take(trainer, pl_module, trainer.current_epoch + 1)

    def _take(self, trainer: pl.Trainer, module: pl.LightningModule, done: int) -> None:
        due = self.wanted and done in self.epochs(trainer.max_epochs or 1)
        if due and done not in self.moments and isinstance(module, Pictured):
            with only_looking(module):
                # A copy of its own: a view would change with what it is a view of.
                self.moments[done] = module.snapshot().detach().cpu().clone()


def moments_of(trainer: pl.Trainer) -> dict[int, Tensor]:
    """The snapshots of a run by the number of finished epochs, in order; {} where it kept none."""
    for callback in trainer.callbacks:  # type: ignore[attr-defined]
        if isinstance(callback, Snapshots):
            return dict(sorted(callback.moments.items()))
    return {}
