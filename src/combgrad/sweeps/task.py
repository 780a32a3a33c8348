"""What a launcher carries to a worker: the run itself, and all a bare process lacks for it."""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.types import TaskFunction
from omegaconf import DictConfig

from combgrad.errors import CombgradError
from combgrad.files.claim import RunBusyError, is_claimed, read_status
from combgrad.results.identity import digest
from combgrad.runs.configuration import register_resolvers, scientific

# A worker imports this file to unpickle its task, before Hydra composes the job there.
register_resolvers()

#: Seconds that a job of several processes has to end by itself, then after each signal.
PATIENCE = (5.0, 20.0, 20.0)

#: Where these are set, Lightning waits for ranks that Slurm starts, and a sweep's job is one task.
TASKS = ("SLURM_NTASKS", "SLURM_NTASKS_PER_NODE")


class ProcessDiedError(CombgradError, RuntimeError):
    """A job's own process was ended from outside; trying again may help."""


class UncheckedError(CombgradError, RuntimeError):
    """A job that, where it runs, means something else than where the sweep was started."""


class JobFailedError(CombgradError, RuntimeError):
    """A job that ran in processes of its own ended with an error."""


@dataclass(frozen=True)
class Outcome:
    """What a job says at its end.

    Attributes:
        value: what it is judged by; None where it ran in processes of its own.
        record: where its record lies, or "".
    """

    value: Any
    record: str


class SweepTask:
    """The task of a sweep's jobs.

    Args:
        task: a single run in this process.
        script: the program that was started, to run a job of several processes by.

    Attributes:
        checked: the digests of all configurations that the sweep has checked; None allows any.
    """

    def __init__(self, task: TaskFunction, script: str) -> None:
        self.task, self.script = task, script
        self.checked: frozenset[str] | None = None

    def __call__(self, config: Any) -> Outcome:
        """Carry out one composed job; UncheckedError where it is none of those checked."""
        if self.checked is not None and digest(scientific(config)) not in self.checked:
            raise UncheckedError(
                "here this job's configuration is another than where the sweep checked it; name "
                "the values that depend on the environment or the machine in the command"
            )
        folder = Path(config.paths.output).absolute()
        value = None
        if has_one_process(config):
            value = self.task(config)
        else:
            run_alone([sys.executable, self.script, *_words()], folder)
        status = read_status(folder)
        return Outcome(value, status.record if status is not None else "")


def has_one_process(config: DictConfig) -> bool:
    """Whether a job can run inside its worker: Lightning starts no other process for it."""
    return str(config.trainer.get("devices", "auto")) == "1"


def _words() -> Sequence[str]:
    """The words of a single run that is this very job."""
    given = HydraConfig.get().overrides
    # In a sweep the words for Hydra itself hold its mode; of the others only `chdir` is the job's.
    own = [word for word in given.hydra if word.startswith("hydra.job.")]
    return [*own, *given.task]


def run_alone(command: Sequence[str], folder: Path) -> None:
    """Carry out a job as a single run of its own, from which Lightning can start its ranks.

    Lightning starts rank 1 by the command line of rank 0; inside a sweep that line is the sweep's.

    Raises RunBusyError, ProcessDiedError or JobFailedError where it does not end well, and Stopped
    where a signal ends this process, which then leaves none behind.
    """
    # Torch takes seconds to import, and a sweep's own process may do without it.
    from combgrad.runs.stopping import stoppable

    _check_free(folder)
    before = read_status(folder)
    environment = {key: value for key, value in os.environ.items() if key not in TASKS}
    process = subprocess.Popen(command, env=environment)
    try:
        with stoppable():
            code = process.wait()
    except BaseException:
        _end(process)
        raise
    if code == 0:
        return
    _check_free(folder)
    status = read_status(folder)
    if code < 0:
        epochs = f" after epoch {status.epoch} of {status.epochs}" if status else ""
        raise ProcessDiedError(f"its process died{epochs} ({signal.Signals(-code).name})")
    if status is not None and status != before and status.state == "failed":
        raise JobFailedError(status.error)
    raise JobFailedError(f"it ended with exit code {code}; what it said is in the output above")


def _check_free(folder: Path) -> None:
    """RunBusyError where some process holds the run's lock."""
    if is_claimed(folder):
        raise RunBusyError(f"another process is at work on this run ({folder.name}).")


def _end(process: "subprocess.Popen[bytes]") -> None:
    """End a process; after Ctrl-C it is at it already, since the terminal told it as well."""
    for number, seconds in zip((None, signal.SIGINT, signal.SIGTERM), PATIENCE, strict=True):
        if number is not None:
            process.send_signal(number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(seconds)
            return
    process.kill()
    process.wait()
