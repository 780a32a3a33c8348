"""A run's checkpoints: the last and the best epoch, and of each the one before it.

They name no folder, so that a run goes on wherever its own folder has been moved to.
"""

import io
import logging
import math
import shutil
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from combgrad.arguments import check_option
from combgrad.experiments.history import History
from combgrad.files.writing import write_atomically
from combgrad.guards.lightning import pl

log = logging.getLogger(__name__)

LAST, BEST = "last.ckpt", "best.ckpt"

Mode = Literal["min", "max"]


def before(path: Path) -> Path:
    """Where the file goes that a newer one has replaced."""
    return path.with_name(f"{path.stem}.before{path.suffix}")


class WholeFiles(pl.plugins.TorchCheckpointIO):
    """Writes checkpoints whole or not at all, and keeps the one before each.

    Lightning's own way leads through TMPDIR, and where that is another file system, through a copy
    that can be cut short.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None
    ) -> None:
        """Write a checkpoint beside its target, flush it to the disk, and rename it."""
        del storage_options
        # torch answers a full disk with a RuntimeError, a file with the OSError that says so.
        buffer = io.BytesIO()
        torch.save(checkpoint, buffer)

        def write(temporary: Path) -> None:
            temporary.write_bytes(buffer.getbuffer())

        write_atomically(Path(path), write, previous=before(Path(path)))


class Checkpoints(pl.callbacks.Checkpoint):
    """Saves `best.ckpt` whenever the monitored metric is better than ever, `last.ckpt` always.

    Args:
        folder: of the checkpoints.
        monitor: a metric of the validation, such as `val/edge_accuracy`.
        mode: `min` or `max`, whichever is better; NaN is the worst of all.
    """

    def __init__(self, folder: Path, monitor: str, mode: Mode) -> None:
        check_option("mode", mode, Mode, "monitor")
        self.folder, self.monitor, self.mode = folder, monitor, mode
        self.best_epoch: int | None = None
        self.best_score = math.nan

    def state_dict(self) -> dict[str, Any]:
        """Which epoch was the best so far, and how good it was."""
        return {"best_epoch": self.best_epoch, "best_score": self.best_score}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over what a checkpoint knows of the best epoch."""
        self.best_epoch = state_dict["best_epoch"]
        self.best_score = state_dict["best_score"]

    def on_validation_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
        """Raise ValueError where the validation does not measure what is monitored.

        The first time is before the training, by Lightning's check of a single batch.
        """
        if not pl_module.asks_epoch_metrics("val"):
            return
        measured = sorted(name for name in trainer.callback_metrics if name.startswith("val/"))
        if self.monitor not in measured:
            raise ValueError(
                f"monitor.metric is {self.monitor!r}, which this experiment does not measure; "
                f"choose one of {', '.join(measured)}."
            )

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
        """Save the epoch; the best is one of those in which the metric was measured."""
        score = float(trainer.callback_metrics.get(self.monitor, math.nan))
        if pl_module.measured_now(self.monitor) and self._improves(score):
            self.best_epoch, self.best_score = trainer.current_epoch, score
            trainer.save_checkpoint(self.folder / BEST)
        # After the best, of which it knows.
        trainer.save_checkpoint(self.folder / LAST)

    def _improves(self, score: float) -> bool:
        if self.best_epoch is None or math.isnan(self.best_score):
            return self.best_epoch is None or not math.isnan(score)
        return score > self.best_score if self.mode == "max" else score < self.best_score


@dataclass(frozen=True)
class Saved:
    """What a checkpoint file says of itself.

    Attributes:
        run_key: of the run it belongs to, or "" where an older version wrote it.
        epoch: the last finished one, counted from 0.
        best_epoch: the best up to it.
        run: which run that is, as `History.run` has it, or {} where an older version wrote it.
        weights: the state of the experiment, on the CPU.
    """

    run_key: str
    epoch: int
    best_epoch: int | None
    run: dict[str, Any]
    weights: dict[str, Any]


def read(path: Path) -> Saved:
    """What a checkpoint says of itself; ValueError where the file is cut, empty or damaged."""
    content = io.BytesIO(path.read_bytes())
    try:
        with zipfile.ZipFile(content) as archive:
            damaged = archive.testzip()
        content.seek(0)
        checkpoint = torch.load(content, map_location="cpu", weights_only=True)
        states = checkpoint["callbacks"]
        best = states.get(Checkpoints.__qualname__, {})
        history = states.get(History.__qualname__, {}) if best else {}
        saved = Saved(
            run_key=history.get("run_key", ""),
            epoch=int(checkpoint["epoch"]),
            best_epoch=best.get("best_epoch"),
            run=history.get("run", {}),
            weights=checkpoint["state_dict"],
        )
    except Exception as error:  # whatever a damaged file may lead the reader to
        raise ValueError(f"{path} is no whole checkpoint ({type(error).__name__})") from error
    if damaged is not None:
        raise ValueError(f"{path} is damaged in {damaged}")
    return saved


def last_to_resume(folder: Path, run_key: str) -> Path | None:
    """The checkpoint that the run `run_key` goes on from; None where it has to start anew.

    It is the newest that is whole and whose best epoch is there too. What cannot be used is set
    aside under another name. The log tells of both.
    """
    for leftover in folder.glob(".*.ckpt"):  # of a process that was killed while it wrote
        leftover.unlink()
    saved = _usable(folder, run_key)
    for last in (folder / LAST, before(folder / LAST)):
        for best in (folder / BEST, before(folder / BEST)):
            if last in saved and best in saved and saved[best].epoch == saved[last].best_epoch:
                log.info("going on after epoch %d", saved[last].epoch + 1)
                best.replace(folder / BEST)
                return last.replace(folder / LAST)
    for path in saved:
        path.unlink()
    return None


def _usable(folder: Path, run_key: str) -> dict[Path, Saved]:
    found = {}
    others = []
    for name in (LAST, BEST):
        for path in (folder / name, before(folder / name)):
            if not path.exists():
                continue
            try:
                saved = read(path)
            except ValueError as error:
                log.warning("%s; it is set aside as %s", error, _set_aside(path, "broken").name)
                continue
            if saved.run_key == run_key:
                found[path] = saved
            else:
                others.append(_set_aside(path, "other").name)
    if others:
        log.warning(
            "the checkpoints in %s are of other data than today's, or of an older version; they "
            "are set aside as %s",
            folder,
            ", ".join(others),
        )
    return found


def _set_aside(path: Path, why: str) -> Path:
    return path.replace(path.with_name(f"{path.name}.{why}"))


def clear(folder: Path) -> None:
    """Remove all checkpoints of earlier attempts."""
    shutil.rmtree(folder, ignore_errors=True)
