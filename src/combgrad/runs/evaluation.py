"""The metrics of a checkpoint on validation and test data, without any training or record."""

from dataclasses import dataclass
from pathlib import Path

from omegaconf import DictConfig

from combgrad.errors import CombgradError
from combgrad.experiments.checkpoints import Saved, read
from combgrad.results.identity import identity, run_key
from combgrad.results.migrations import changes, migrated
from combgrad.runs import loggers
from combgrad.runs.configuration import resolved, scientific
from combgrad.runs.parts import Parts, build
from combgrad.runs.run import prepared_process

#: So many differences between two configurations are told.
MANY = 8


class CheckpointError(CombgradError, ValueError):
    """A checkpoint that is none, cannot be read, or is of another run than the one asked for."""


@dataclass(frozen=True)
class Evaluation:
    """What a checkpoint comes to.

    Attributes:
        name: of the run.
        checkpoint: the file.
        epoch: that it was saved after, counted from 0.
        metrics: `val/...` and `test/...`, means over all rows.
    """

    name: str
    checkpoint: Path
    epoch: int
    metrics: dict[str, float]


def evaluate_checkpoint(config: DictConfig, by_command: bool = False) -> Evaluation:
    """Measure `config.checkpoint` on the data of its run; nothing is trained or recorded.

    The file is read as plain values and tensors (`weights_only`), so that it can run no code.
    `by_command` is as in `combgrad.runs.run.run`.

    Raises CheckpointError for a file that is missing, no whole checkpoint, or of a run with another
    configuration or other data, with what differs.
    """
    config = resolved(config)
    path = Path(config.checkpoint)
    saved = _read(path)
    with prepared_process(config):
        parts = build(config, by_command)
        check_same_run(path, saved, config, parts.data.data_fingerprint)
        return _measure(config, parts, path, saved)


def _measure(config: DictConfig, parts: Parts, path: Path, saved: Saved) -> Evaluation:
    parts.experiment.load_state_dict(saved.weights)
    trainer = parts.trainer
    metrics: dict[str, float] = {}
    with loggers.session(trainer.loggers, loggers.describe(config, parts.data)):
        with loggers.silence(trainer):
            for measure in (trainer.validate, trainer.test):
                measure(parts.experiment, parts.data, verbose=False)
                metrics |= {name: float(v) for name, v in trainer.callback_metrics.items()}
        for logger in trainer.loggers:
            logger.log_metrics(metrics, step=0)
    return Evaluation(str(config.name), path, saved.epoch, dict(sorted(metrics.items())))


def _read(path: Path) -> Saved:
    where = "a training leaves outputs/<run>/checkpoints/best.ckpt and last.ckpt"
    if not path.exists():
        raise CheckpointError(f"there is no checkpoint {path}; {where}.")
    if not path.is_file():
        raise CheckpointError(f"{path} is no file; {where}.")
    try:
        return read(path)
    except ValueError as error:
        raise CheckpointError(f"{error}; {where}.") from error


def check_same_run(path: Path, saved: Saved, config: DictConfig, fingerprint: str) -> None:
    """CheckpointError unless a checkpoint is of the run that `config` and its data describe."""
    now = scientific(config)
    if not saved.run:
        if saved.run_key == run_key(now, fingerprint):
            return
        raise CheckpointError(
            f"{path} is of another run than the one asked for; an older version of combgrad wrote "
            f"it, which did not say of which. The command that trained it, with mode=test, fits."
        )
    if saved.run["debug"]:
        raise CheckpointError(f"{path} is of a run with debug={saved.run['debug']}, and no result.")
    fields = migrated({"config": saved.run["config"], "format": saved.run["format"]})
    found = changes(identity(fields["config"]), identity(now))
    if not found and saved.run["data"] != fingerprint:
        found = ["its data have another fingerprint, though all settings are the same"]
    if found:
        told = "; ".join(found[:MANY])
        rest = f"; and {len(found) - MANY} more" if len(found) > MANY else ""
        raise CheckpointError(
            f"{path} is of another configuration (in the checkpoint -> here): {told}{rest}. Give "
            f"the words that it was trained with."
        )
