"""What a run tells its loggers beside its curves: how it was made, what came out, its pictures.

Any of Lightning's loggers will do. What only some of them can do is found by the method they have
for it, so that none of them is imported here.
"""

import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from matplotlib.image import imread

from combgrad.errors import CombgradError, redacted
from combgrad.guards.lightning import pl
from combgrad.results.identity import signature
from combgrad.results.record import RunRecord
from combgrad.runs import provenance
from combgrad.runs.configuration import chosen_options, profile_label, scientific

#: What has a value for each epoch; everything else has one for the whole run.
CURVES = ("train/*", "val/*")


def describe(config: Any, data: Any) -> dict[str, Any]:
    """All that decides or names a run before it starts, under the names that its record uses.

    config is the resolved configuration, data the run's data module. `cell` is what a run has in
    common with those of other seeds.
    """
    chosen = scientific(config)
    return {
        **chosen,
        "cell": signature(chosen)[:8],
        "choices": chosen_options(config),
        "profile": profile_label(config),
        "data_source": data.source,
        "data_fingerprint": data.data_fingerprint,
        "commit": provenance.commit(),
        **({"debug": str(config.debug.name)} if config.debug else {}),
    }


class LoggerError(CombgradError, RuntimeError):
    """A logger that cannot be opened."""


@contextmanager
def session(loggers: Sequence[Any], description: dict[str, Any]) -> Iterator[None]:
    """Open the loggers with a run's description and close them again, also where it fails.

    A W&B run left open would take in whatever the same process runs next.
    """
    with ExitStack() as stack:
        for logger in loggers:
            _open(logger, description)
            stack.push(partial(_close, logger))
        yield


@contextmanager
def silence(trainer: pl.Trainer) -> Iterator[None]:
    """Keep the loggers from hearing what is measured; a run is tested twice under one name."""
    loggers, trainer.loggers = trainer.loggers, []
    try:
        yield
    finally:
        trainer.loggers = loggers


def logged_name(column: str) -> str:
    """What a column of a table is called by loggers: `seconds/train` for `seconds.train`."""
    return column.replace("seconds.", "seconds/")


@pl.utilities.rank_zero_only
def conclude(
    loggers: Sequence[Any], record: RunRecord, pictures: Sequence[Path], step: int
) -> None:
    """Log a run's final numbers, once, and its pictures, PNG or HTML files."""
    seconds = {f"seconds.{name}": value for name, value in record.seconds.items()}
    numbers = {**seconds, **record.summarised, "best_epoch": record.best_epoch}
    final = record.metrics | {logged_name(name): value for name, value in numbers.items()}
    for logger in loggers:
        logger.log_metrics(final, step=step)
        for picture in pictures:
            _show(logger, picture, step)


@contextmanager
def _redacted_command_line() -> Iterator[None]:
    """Hide what is secret on the command line, which W&B writes down."""
    words = sys.argv
    sys.argv = [words[0], *map(redacted, words[1:])]
    try:
        yield
    finally:
        sys.argv = words


@pl.utilities.rank_zero_only
def _open(logger: Any, description: dict[str, Any]) -> None:
    with _redacted_command_line():
        run = _opened(logger)
    logger.log_hyperparams(description)
    if hasattr(run, "define_metric"):
        run.define_metric("epoch")
        for curve in CURVES:
            run.define_metric(curve, step_metric="epoch")
        # Only now known: the profile may be `custom`, and the data module says what it found.
        told = [description[key] for key in ("profile", "data_source")]
        told += ["debug"] if "debug" in description else []
        run.tags = (*(run.tags or ()), *told)


def _opened(logger: Any) -> Any:
    try:
        return logger.experiment
    except Exception as error:
        if not type(error).__module__.startswith("wandb"):
            raise
        raise LoggerError(
            f"W&B cannot be used: {str(error).strip()} Run `wandb login` once, or set "
            f"WANDB_API_KEY; or write logger.wandb.offline=true, which needs no account."
        ) from error


@pl.utilities.rank_zero_only
def _close(logger: Any, kind: type[BaseException] | None, *_: Any) -> None:
    failed = kind is not None
    logger.finalize("failed" if failed else "success")
    finish = getattr(logger.experiment, "finish", None)
    if callable(finish):
        finish(exit_code=int(failed))


def _show(logger: Any, picture: Path, step: int) -> None:
    name, run = f"pictures/{picture.stem}", logger.experiment
    if picture.suffix == ".html":
        # W&B shows a page only as an object of its own.
        page = getattr(sys.modules.get(type(run).__module__.partition(".")[0]), "Html", None)
        if page is not None:
            # As it is: W&B would add a style sheet from its server.
            logger.log_metrics({name: page(str(picture), inject=False)}, step=step)
    elif hasattr(logger, "log_image"):
        logger.log_image(name, [str(picture)], step=step)
    elif hasattr(run, "add_image"):
        run.add_image(name, imread(picture), step, dataformats="HWC")
