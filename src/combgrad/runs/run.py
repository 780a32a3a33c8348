"""One run: a configuration in, a record out."""

import datetime
import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import torch
from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from combgrad.experiments.checkpoints import BEST, LAST, clear, last_to_resume, read
from combgrad.files.claim import claim, note_record
from combgrad.files.writing import check_writable
from combgrad.pictures import Page, save_picture
from combgrad.results.record import RunRecord
from combgrad.results.store import Shelf, save_record
from combgrad.runs import loggers, provenance
from combgrad.runs.checks.settings import check_settings
from combgrad.runs.commands import command
from combgrad.runs.configuration import (
    chosen_options,
    profile_label,
    record_folders,
    resolved,
    scientific,
)
from combgrad.runs.environment import written
from combgrad.runs.parts import Parts, build
from combgrad.runs.stopping import stoppable
from combgrad.runs.tracebacks import kept_in

log = logging.getLogger(__name__)

#: Advice of Lightning that does not hold for batches taken from memory in one operation, nor for
#: batch norms that are frozen on purpose.
MISPLACED_ADVICE = (
    ".*does not have many workers.*",
    ".*smaller than the logging interval.*",
    ".*LeafSpec.*is deprecated.*",
    ".*Experiment logs directory .* exists.*",
    ".*The `srun` command is available.*",
    ".*module\\(s\\) in eval mode at the start of training.*",
)


def checkpoint_to_resume(config: DictConfig, parts: Parts) -> Path | None:
    """The last checkpoint where `resume` asks for it; otherwise old checkpoints are removed."""
    folder = parts.checkpoints
    if not parts.trainer.is_global_zero:
        # The first process has put the folder in order before it started this one.
        return folder / LAST if config.resume and (folder / LAST).exists() else None
    if not config.resume:
        clear(folder)
        return None
    last = last_to_resume(folder, parts.key)
    if last is None and not config.sweep:
        log.info("no checkpoint in %s: starting from the beginning", folder)
    return last


def evaluate(parts: Parts) -> tuple[dict[str, float], int]:
    """Test at the last and at the best epoch: `last/...` and `test/...`, and the best epoch."""
    metrics: dict[str, float] = {}
    epoch = 0
    for name, prefix in ((LAST, "last"), (BEST, "test")):
        # Weights only: a test with `ckpt_path` would set the callbacks back to that epoch too.
        checkpoint = read(parts.checkpoints / name)
        parts.experiment.load_state_dict(checkpoint.weights)
        parts.trainer.test(parts.experiment, parts.data, verbose=False)
        for key, value in parts.trainer.callback_metrics.items():
            metrics[f"{prefix}/{key.split('/', 1)[1]}"] = float(value)
        epoch = checkpoint.epoch
    return metrics, epoch


def draw_pictures(parts: Parts, folder: Path, told: bool) -> list[Path]:
    """Save the experiment's pictures in `folder`: figures as PNG, pages of text as HTML.

    Where it is to be `told`, a page also says something in the terminal.
    """
    pictures = parts.experiment.pictures(parts.data)
    paths = []
    for name, picture in pictures.items():
        paths.append(save_picture(picture, folder, name))
        log.info("picture: %s", paths[-1])
        if told and isinstance(picture, Page):
            Console().print(picture.text)
    return paths


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def _six_digits(value: float) -> float:
    return float(f"{value:.6g}")


def asked_for(config: DictConfig) -> list[str]:
    """The overrides of a run, without those that say by which sweep and where on a disk it ran."""
    own = ("resume=", "group=", "sweep=", "progress_bar=", "paths.")
    return [word for word in config.overrides if not word.lstrip("+").startswith(own)]


def make_record(config: DictConfig, parts: Parts, started: str) -> RunRecord:
    """Evaluate a trained run and write down all about it."""
    metrics, best_epoch = evaluate(parts)
    choices = chosen_options(config)
    return RunRecord(
        name=config.name,
        experiment=choices["experiment"],
        choices=choices,
        config=scientific(config),
        profile=profile_label(config),
        data_source=parts.data.source,
        data_fingerprint=parts.data.data_fingerprint,
        seed=config.seed,
        metrics={name: _six_digits(value) for name, value in sorted(metrics.items())},
        best_epoch=best_epoch,
        curves={k: [_six_digits(v) for v in c] for k, c in sorted(parts.history.curves.items())},
        curve_epochs=dict(sorted(parts.history.sparse.items())),
        seconds={name: round(value, 2) for name, value in parts.history.seconds.items()},
        versions=provenance.versions(),
        commit=provenance.commit(),
        hardware=provenance.hardware(
            type(parts.trainer.accelerator).__name__, parts.trainer.strategy.root_device
        ),
        command=command(asked_for(config)),
        started=started,
        finished=_now(),
        resumed_at=parts.history.resumed_at,
    )


def run(config: DictConfig, by_command: bool = False) -> RunRecord:
    """Train, test and record what `config` describes; the record lies in `paths.results`.

    With a debug option the record is only returned, and written nowhere.

    `by_command` is whether the command line of this process means this very run, so that Lightning
    can start further processes by it.

    With `resume=true` an interrupted run goes on from its last epoch; on the CPU the result is the
    same, bit for bit, as that of an uninterrupted run.

    Raises IncompatibleError where the chosen parts do not fit and ValueError for numbers that
    cannot be, both before any data is touched; Stopped where SIGINT or SIGTERM ends it.
    """
    config = resolved(config)
    output = Path(config.paths.output)
    with prepared_process(config):
        parts = build(config, by_command)
        with (
            claim(output, sweep=config.sweep or "") if first_process() else nullcontext(),
            kept_in(output),
            stoppable(),  # once more, so that the claim hears of the signal
        ):
            return _run(config, parts)


@contextmanager
def prepared_process(config: DictConfig) -> Iterator[None]:
    """Threads, warnings and answers to signals as a run needs them.

    Raises ValueError for numbers that cannot be.
    """
    check_settings(config.seed, config.threads, config.trainer)
    torch.set_num_threads(config.threads)
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    with warnings.catch_warnings(), stoppable():
        for message in MISPLACED_ADVICE:
            warnings.filterwarnings("ignore", message=message)
        yield


def first_process() -> bool:
    """False in the further processes that Lightning starts for one run."""
    return os.environ.get("LOCAL_RANK", "0") == "0"


def _run(config: DictConfig, parts: Parts) -> RunRecord:
    started, output = _now(), Path(config.paths.output)
    finished = finished_record(config, parts.key) if config.resume else None
    if finished is not None and finished.path is not None:
        note_record(output, finished.path, found=True)
        return finished
    if not config.debug:
        check_writable(Path(config.paths.results))
    OmegaConf.save(written(config), output / "config.yaml")
    trainer = parts.trainer
    with loggers.session(trainer.loggers, loggers.describe(config, parts.data)):
        checkpoint = checkpoint_to_resume(config, parts)
        fit(parts, checkpoint)
        with loggers.silence(trainer):
            record = make_record(config, parts, started)
        if trainer.is_global_zero:
            if not config.debug:
                path = save_record(record, Path(config.paths.results))
                note_record(output, path)
                log.info("record: %s", path)
            told = config.sweep is None  # a sweep has other things to say
            pictures = draw_pictures(parts, output, told) if config.pictures else []
            loggers.conclude(trainer.loggers, record, pictures, trainer.global_step)
    return record


def finished_record(config: DictConfig, key: str) -> RunRecord | None:
    """The record of a run that is already finished; resuming it must not rewrite its provenance."""
    record = Shelf(record_folders(config)).find(key)
    if record is not None:
        log.info("already finished: %s", record.path)
    return record


def fit(parts: Parts, checkpoint: Path | None) -> None:
    """Train, from a checkpoint if there is one."""
    parts.trainer.fit(parts.experiment, parts.data, ckpt_path=checkpoint, weights_only=True)
