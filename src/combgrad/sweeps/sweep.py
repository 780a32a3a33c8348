"""Carrying out a sweep: skip what is done, resume what was cut off, run the rest, survive."""

import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn, JobStatus

from combgrad.claim import RunBusyError, Status, last_line, read_status
from combgrad.files import check_writable
from combgrad.results.record import RunRecord
from combgrad.sweeps.jobs import Job
from combgrad.sweeps.progress import SweepProgress

#: Hands job overrides to a launcher and returns what became of them, in the same order.
Launch = Callable[[Sequence[Sequence[str]]], Sequence[JobReturn]]

#: Seconds between two looks at runs that another process is at work on.
PATIENCE = 0.5


class State(Enum):
    """What has become of a job."""

    WAITING = "waiting"
    SKIPPED = "skipped"  # it was done before
    DONE = "done"
    RESUMED = "resumed"  # done, from an earlier attempt's checkpoint
    ELSEWHERE = "done elsewhere"  # by another sweep or process, meanwhile
    FAILED = "failed"


FINAL = frozenset(State) - {State.WAITING}


@dataclass
class Progress:
    """How far one job of a sweep is."""

    job: Job
    state: State = State.WAITING
    error: str = ""
    attempts: int = 0
    was_cut_off: bool = False
    record: RunRecord | None = None


@dataclass
class Sweep:
    """A list of jobs on its way to a list of records.

    A round hands all missing jobs to the launcher. What counts is not what the launcher says but
    what lies on disk: a complete record is a job done, whoever did it, and a run whose process died
    is tried again (`retries` times), from its checkpoint.

    Attributes:
        jobs: all of them, in the order in which they are to be launched.
        launch: hands overrides to Hydra's launcher.
        root: the folder all jobs work below, wherever their process is started.
        retries: how often a job is tried again after its process died.
        rerun: run also what is done, from the beginning.
    """

    jobs: Sequence[Job]
    launch: Launch
    root: str
    retries: int = 1
    rerun: bool = False
    id: str = field(default_factory=lambda: uuid.uuid4().hex[:12])
    started: float = field(default_factory=time.time)

    def __post_init__(self) -> None:
        self.progress = [Progress(job) for job in self.jobs]
        for entry in self.progress:
            if not self.rerun and self._look(entry):
                entry.state = State.SKIPPED

    def run(self) -> list[Progress]:
        """Work until every job is done or has failed."""
        for folder in sorted({job.record_path.parent for job in self.jobs}):
            check_writable(folder)
        with SweepProgress(self.jobs, self._undone):
            while waiting := self.waiting():
                free = [entry for entry in waiting if not entry.job.is_running()]
                if free:
                    self._round(free)
                else:
                    time.sleep(PATIENCE)
                self._look_at(self.waiting())
        return self.progress

    def waiting(self) -> list[Progress]:
        """The jobs that are neither done nor failed."""
        return [entry for entry in self.progress if entry.state not in FINAL]

    def _undone(self) -> list[Job]:
        """Those whose record is not there yet, whoever makes it."""
        jobs = [entry.job for entry in self.waiting()]
        return [job for job in jobs if self.rerun or not job.record_path.exists()]

    def _look(self, entry: Progress) -> bool:
        """Take a job's record from disk, if it is there and belongs to this sweep's wishes."""
        try:
            record = entry.job.record()
        except ValueError:
            return False  # a broken file; the run warns of it and replaces it
        if record is None or (self.rerun and record.finished < _iso(self.started)):
            return False
        entry.record = record
        return True

    def _look_at(self, entries: Sequence[Progress]) -> None:
        for entry in entries:
            if self._look(entry):
                status = read_status(entry.job.folder)
                entry.state = self._kind_of_success(entry, status)

    def _round(self, entries: list[Progress]) -> None:
        for entry in entries:
            entry.was_cut_off = not self.rerun and entry.job.is_cut_off()
        returns: Sequence[JobReturn | None] = [None] * len(entries)
        trouble = ""
        try:
            returns = self.launch([self._words(entry.job) for entry in entries])
        except Exception as error:
            # Launchers give up as a whole when one worker dies; the disk tells how far each job is.
            trouble = last_line(error)
        before = [(entry.state, entry.attempts) for entry in entries]
        for entry, result in zip(entries, returns, strict=True):
            self._settle(entry, result, trouble)
        moved = before != [(entry.state, entry.attempts) for entry in entries]
        if trouble and not moved and not any(e.job.is_running() for e in entries):
            for entry in entries:
                entry.state, entry.error = State.FAILED, f"the launcher gave up: {trouble}"

    def _words(self, job: Job) -> list[str]:
        own = {
            "paths.root": _quoted(self.root),
            "resume": str(not self.rerun).lower(),
            "sweep": self.id,
            "group": job.group or "null",
            "progress_bar": "false",
        }
        kept = [word for word in job.overrides if word.partition("=")[0] not in own]
        return [*kept, *(f"{key}={value}" for key, value in own.items())]

    def _settle(self, entry: Progress, result: JobReturn | None, trouble: str) -> None:
        error = _error_of(result)
        status = read_status(entry.job.folder)
        if self._look(entry):
            entry.state = self._kind_of_success(entry, status)
        elif isinstance(error, RunBusyError) or entry.job.is_running():
            return  # another process is at it; the next look will tell
        elif error is not None:
            entry.state, entry.error = State.FAILED, last_line(error)
        elif status is not None and status.sweep == self.id:
            self._settle_ended(entry, status, trouble)

    def _kind_of_success(self, entry: Progress, status: Status | None) -> State:
        if status is None or status.sweep != self.id:
            return State.ELSEWHERE
        return State.RESUMED if entry.was_cut_off else State.DONE

    def _settle_ended(self, entry: Progress, status: Status, trouble: str) -> None:
        """A job of ours that began and is at an end without a record or an answer."""
        entry.attempts += 1
        if status.state == "failed":
            entry.state, entry.error = State.FAILED, status.error
        elif entry.attempts > self.retries:
            entry.state = State.FAILED
            entry.error = f"its process died after epoch {status.epoch} of {status.epochs}"
            entry.error += f" ({trouble})" if trouble else ""


def _error_of(result: JobReturn | None) -> BaseException | None:
    if result is None or result.status != JobStatus.FAILED:
        return None
    error: Any = result._return_value  # the public property prints the traceback
    return error if isinstance(error, BaseException) else RuntimeError(str(error))


def _iso(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime(seconds))


def _quoted(text: str | Path) -> str:
    return "'" + str(text).replace("\\", "\\\\").replace("'", "\\'") + "'"
