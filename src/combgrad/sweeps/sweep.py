"""Carrying out a sweep: skip what is done, resume what was cut off, run the rest, survive."""

import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from hydra.core.utils import JobReturn

from combgrad.files.claim import in_one_line, read_status
from combgrad.files.writing import check_writable
from combgrad.results.record import RunRecord
from combgrad.results.store import Shelf, load_record
from combgrad.sweeps.answers import Answer, answer_of
from combgrad.sweeps.jobs import Job
from combgrad.sweeps.progress import SweepProgress
from combgrad.sweeps.words import quoted

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
    STOPPED = "stopped"  # in the midst of it, with the sweep


FINAL = frozenset(State) - {State.WAITING}


@dataclass
class Progress:
    """How far one job of a sweep is.

    Attributes:
        launches: how often it was started, or is said to have been.
        error: what went wrong last, or "".
        note: what is odd about a job that is done, or "".
        before: its record when the sweep began, where that one does not count.
    """

    job: Job
    state: State = State.WAITING
    launches: int = 0
    error: str = ""
    note: str = ""
    record: RunRecord | None = None
    before: RunRecord | None = None


@dataclass
class Sweep:
    """A list of jobs on its way to a list of records.

    A round hands all missing jobs to the launcher. What counts is not what the launcher says but
    what lies on disk: a complete record is a job done, whoever did it, and a run whose process died
    is tried again (`retries` times), from its checkpoint. Whatever a launcher does or says, no job
    is launched more than 1 + `retries` times; where the launcher gives up as a whole, a job that
    left no trace counts as not launched, and some other job as launched, so that this ends too.

    Attributes:
        jobs: all of them, in the order in which they are to be launched.
        launch: hands overrides to Hydra's launcher.
        root: the folder all jobs work below, wherever their process is started.
        retries: how often a job that ended without a record is launched again.
        rerun: run also what is done, from the beginning.
    """

    jobs: Sequence[Job]
    launch: Launch
    root: str
    retries: int = 1
    rerun: bool = False
    id: str = field(default_factory=lambda: uuid.uuid4().hex[:12])

    def __post_init__(self) -> None:
        self._shelf = Shelf(folder for job in self.jobs for folder in job.record_folders)
        self.progress = [Progress(job) for job in self.jobs]
        known = self._shelf.by_key()
        for entry in self.progress:
            if self.rerun:
                entry.before = known.get(entry.job.key)
            elif self._look(entry, known):
                entry.state = State.SKIPPED

    def run(self) -> list[Progress]:
        """Work until every job is done or has failed."""
        for folder in sorted({job.results for job in self.jobs}):
            check_writable(folder)
        try:
            with SweepProgress(self.jobs, self._undone):
                while waiting := self.waiting():
                    free = [entry for entry in waiting if not entry.job.is_running()]
                    if free:
                        self._round(free)
                    else:
                        time.sleep(PATIENCE)
                    self._look_at(self.waiting())
        except KeyboardInterrupt:
            self._stopped()
            raise
        return self.progress

    def _stopped(self) -> None:
        """See what was done before the sweep was stopped, for a launcher had no time to say so."""
        self._look_at(self.waiting())
        for entry in self.waiting():
            status = read_status(entry.job.folder)
            if status is not None and status.sweep == self.id:
                entry.state = State.STOPPED

    def waiting(self) -> list[Progress]:
        """The jobs that are neither done nor failed."""
        return [entry for entry in self.progress if entry.state not in FINAL]

    def _undone(self) -> list[Job]:
        """Those whose record is not there yet, whoever makes it."""
        known = {} if self.rerun else self._shelf.by_key()
        return [entry.job for entry in self.waiting() if entry.job.key not in known]

    def _look(self, entry: Progress, known: Mapping[str, RunRecord]) -> bool:
        """Take a job's record, if it lies where it belongs and is not the one before a `rerun`."""
        record = known.get(entry.job.key)
        if record is None or record == entry.before:
            return False
        entry.record = record
        return True

    def _look_at(self, entries: Sequence[Progress]) -> None:
        known = self._shelf.by_key()
        for entry in entries:
            if self._look(entry, known):
                status = read_status(entry.job.folder)
                ours = status is not None and status.sweep == self.id and not status.found
                entry.state = _kind_of_success(entry, ours)
            elif entry.launches > self.retries and not entry.job.is_running():
                entry.state = State.FAILED

    def _round(self, entries: list[Progress]) -> None:
        before = [read_status(entry.job.folder) for entry in entries]
        returns: Sequence[JobReturn | None] = [None] * len(entries)
        trouble = "it started no job and said nothing"
        try:
            found = self.launch([self._words(entry.job) for entry in entries])
            trouble = f"it answered {len(found)} times for {len(entries)} jobs"
            if len(found) == len(entries):
                returns, trouble = found, ""
        except Exception as error:
            # Launchers give up as a whole when one worker dies; the disk tells how far each job is.
            trouble = in_one_line(error)
        moved, known = False, self._shelf.by_key()
        for entry, old, result in zip(entries, before, returns, strict=True):
            answer = answer_of(result, old, read_status(entry.job.folder), self.id, trouble)
            self._settle(entry, answer, known)
            moved |= answer.launched or entry.state in FINAL
        if not moved:
            _give_up(entries, trouble)

    def _words(self, job: Job) -> list[str]:
        own = {
            "paths.root": quoted(self.root),
            "resume": str(not self.rerun).lower(),
            "sweep": self.id,
            "group": job.group or "null",
            "progress_bar": "false",
        }
        kept = [word for word in job.overrides if word.partition("=")[0] not in own]
        return [*kept, *(f"{key}={value}" for key, value in own.items())]

    def _settle(self, entry: Progress, answer: Answer, known: Mapping[str, RunRecord]) -> None:
        """Take in what one launch of a job came to."""
        entry.launches += answer.launched
        if self._look(entry, known) or _take(entry, answer.record):
            entry.state = _kind_of_success(entry, answer.ours)
        elif entry.state not in FINAL:
            entry.error = entry.error if answer.error == "" else answer.error
            if answer.final:
                entry.state = State.FAILED


def _take(entry: Progress, path: Path | None) -> bool:
    """Take a job's record from where the job says it wrote it."""
    if path is None:
        return False
    try:
        record = load_record(path)
    except (OSError, ValueError):
        return False
    if record.key != entry.job.key:
        entry.state = State.FAILED
        entry.error = (
            f"it ran another configuration than the one checked here, and wrote {path}; name the "
            "values that depend on the clock, the environment or the machine"
        )
        return False
    if record == entry.before:
        return False
    entry.record = record
    if path.parent not in entry.job.record_folders:
        entry.note = f"its record is {path}, not in {entry.job.results}: no sweep finds it there"
    return True


def _kind_of_success(entry: Progress, ours: bool) -> State:
    if not ours:
        return State.ELSEWHERE
    # What the record says: a run whose checkpoints were broken has begun anew.
    resumed = entry.record is not None and entry.record.resumed_at
    return State.RESUMED if resumed else State.DONE


def _give_up(entries: Sequence[Progress], trouble: str) -> None:
    """After a round in which no job began: fail, or count it where another process is at work."""
    running = any(entry.job.is_running() for entry in entries)
    for entry in entries:
        entry.error = f"the launcher gave up: {trouble}"
        entry.launches += 1
        if not running:
            entry.state = State.FAILED
