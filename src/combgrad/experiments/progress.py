"""How far the training is: a bar for people, a note in the run's folder for sweeps."""

import sys
from pathlib import Path
from typing import Any

from tqdm import tqdm

from combgrad.files.claim import note_epoch
from combgrad.guards.lightning import pl

#: Seconds between two lines where the output is a file rather than a terminal.
FILE_INTERVAL = 20.0


class TrainingProgress(pl.Callback):
    """A bar over all training steps; `metric` is shown beside it after every epoch.

    Args:
        metric: such as `val/edge_accuracy`.
        folder: the run's, for the note.
        bar: False where a sweep shows a bar of its own.
    """

    def __init__(self, metric: str, folder: str, bar: bool = True) -> None:
        self.metric = metric
        self.folder = Path(folder)
        self.bar = bar
        self._bar: Any = None

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Open the bar, at the epoch a resumed run goes on from."""
        steps, epochs = int(trainer.num_training_batches), trainer.max_epochs or 1
        self._bar = tqdm(
            total=steps * epochs,
            initial=steps * trainer.current_epoch,
            desc="training",
            unit="step",
            disable=not (self.bar and trainer.is_global_zero),
            mininterval=0.2 if sys.stderr.isatty() else FILE_INTERVAL,
        )

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, *args: Any, **kwargs: Any
    ) -> None:
        """One step further."""
        self._bar.update()

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Show the newest value of the metric."""
        value = trainer.callback_metrics.get(self.metric)
        if self._bar is not None and value is not None:
            self._bar.set_postfix({self.metric: f"{float(value):.4f}"}, refresh=False)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Note the epochs done."""
        if trainer.is_global_zero:
            note_epoch(self.folder, trainer.current_epoch + 1, trainer.max_epochs or 0)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Close the bar."""
        self._bar.close()

    def on_exception(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException
    ) -> None:
        """Close the bar, so that the error starts on a line of its own."""
        if self._bar is not None:
            self._bar.close()
