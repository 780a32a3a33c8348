"""What a sweep shows while it works: jobs done, jobs running, the time left."""

import sys
import threading
from collections.abc import Callable, Sequence
from types import TracebackType

from tqdm import tqdm

from combgrad.files.claim import read_status
from combgrad.results.record import RunRecord
from combgrad.results.store import load_records
from combgrad.sweeps.jobs import Job
from combgrad.sweeps.times import Total, total_time

#: Seconds between two looks, at a terminal and where the output is a file.
INTERVALS = (1.0, 30.0)


def duration(seconds: float | None) -> str:
    """Seconds as people say them."""
    if seconds is None:
        return "unknown"
    minutes = round(seconds / 60)
    if minutes < 1:
        return "under a minute"
    return f"about {minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"


def total_duration(total: Total, workers: int = 1) -> str:
    """A sum of times, shared by workers, as people say it; with what it lacks."""
    if not total.known:
        return "unknown" if total.unknown else "no time"
    known = duration(total.seconds / workers)
    if not total.unknown:
        return known
    jobs = "job" if total.unknown == 1 else "jobs"
    return f"at least {known.removeprefix('about ')} ({total.unknown} {jobs} of unknown length)"


class SweepProgress:
    """A bar over the jobs of a sweep, fed by a thread that reads the runs' folders.

    Args:
        jobs: all of them.
        undone: which of them, at the moment, have neither failed nor a record.
    """

    def __init__(self, jobs: Sequence[Job], undone: Callable[[], list[Job]]) -> None:
        self.jobs, self._undone = jobs, undone
        self._records: list[RunRecord] = []
        self._count = -1
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)
        terminal = sys.stderr.isatty()
        self._interval = INTERVALS[0 if terminal else 1]
        self._bar: tqdm = tqdm(
            total=len(jobs),
            desc="sweep",
            unit="job",
            bar_format="{desc}: {n}/{total}{postfix}",
        )

    def __enter__(self) -> "SweepProgress":
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()
        self._show()
        self._bar.close()

    def _work(self) -> None:
        while not self._stop.wait(self._interval):
            self._show()

    def _finished(self, undone: int) -> list[RunRecord]:
        """The records to estimate by, read again only when another job is done."""
        if self.jobs and undone != self._count:
            self._records = load_records(*self.jobs[0].record_folders)
            self._count = undone
        return self._records

    def _show(self) -> None:
        undone = self._undone()
        running, shares = [], []
        for job in undone:
            status = read_status(job.folder)
            here = status is not None and status.state == "running" and job.is_running()
            share = 1.0
            if here and status is not None and status.epochs:
                share = 1 - status.epoch / status.epochs
                running.append(f"{job.name} {status.epoch}/{status.epochs}")
            elif here:
                running.append(job.name)
            shares.append((job, share))
        left = total_time(shares, self._finished(len(undone)))
        words = [f"{len(running)} running"] if undone else []
        words += [f"{total_duration(left, max(1, len(running)))} left"] if left.known else []
        self._bar.n = len(self.jobs) - len(undone)
        self._bar.set_postfix_str(", ".join([*words, *running[:3]]), refresh=True)
