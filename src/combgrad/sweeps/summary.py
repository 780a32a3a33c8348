"""What a sweep says before it starts (`dry=true`) and at its end."""

from collections import Counter
from collections.abc import Collection, Sequence

import numpy as np
from rich.console import Console
from rich.table import Table

from combgrad.errors import CombgradError
from combgrad.results.record import RunRecord
from combgrad.runs.configuration import judged_by
from combgrad.sweeps.jobs import Job
from combgrad.sweeps.progress import duration, total_duration
from combgrad.sweeps.sweep import Progress, State
from combgrad.sweeps.times import expected_seconds, total_time


class JobsFailedError(CombgradError, RuntimeError):
    """A sweep at whose end some jobs have failed."""


def print_plan(entries: Sequence[Progress], records: Sequence[RunRecord], rerun: bool) -> None:
    """List the jobs of a sweep, how far each is, and how long the rest would take."""
    table = Table(title="The jobs of this sweep (dry: nothing is started)")
    for column in ("job", "state", "expected"):
        justify = "right" if column == "expected" else "left"
        table.add_column(column, justify=justify, overflow="fold")  # type: ignore[arg-type]
    for entry in entries:
        done = entry.state == State.SKIPPED
        expected = None if done else expected_seconds(entry.job, records)
        table.add_row(entry.job.name, _state(entry, rerun), "" if done else duration(expected))
    undone = [(entry.job, 1.0) for entry in entries if entry.state != State.SKIPPED]
    console = Console()
    console.print(table)
    total = total_time(undone, records)
    order = " one after the other" if total.known else ""
    console.print(
        f"{len(entries)} jobs, {len(entries) - len(undone)} done, {len(undone)} to run; "
        f"training and evaluation: {total_duration(total)}{order}"
    )


def _state(entry: Progress, rerun: bool) -> str:
    if entry.state == State.SKIPPED:
        return "done"
    if entry.job.is_running():
        return "running now"
    return "cut off, will resume" if entry.job.is_cut_off() and not rerun else "to run"


def print_summary(entries: Sequence[Progress]) -> None:
    """What became of every job: its metric, or why it failed and how to run it again."""
    metrics = {judged_by(entry.job.config) for entry in entries}
    table = Table(title="The sweep")
    for column, justify in (("job", "left"), ("outcome", "left"), (_heading(metrics), "right")):
        table.add_column(column, justify=justify, overflow="fold")  # type: ignore[arg-type]
    for entry in entries:
        value = _value(entry.job, entry.record)
        told = "" if value is None else f"{_named(entry.job, metrics)}{value:.4f}"
        table.add_row(entry.job.name, entry.state.value, told)
    console = Console()
    console.print(table)
    _print_cells(console, entries)
    counts = Counter(entry.state.value for entry in entries)
    console.print(", ".join(f"{number} {state}" for state, number in counts.items()))
    for entry in entries:
        if entry.note:
            console.print(f"{entry.job.name}: {entry.note}", markup=False, soft_wrap=True)
        if entry.state == State.FAILED:
            console.print(f"failed: {entry.job.name}", style="bold", markup=False)
            console.print(f"  {entry.error}\n  {entry.job.command}", markup=False, soft_wrap=True)


def _heading(metrics: Collection[str]) -> str:
    """What stands above the values of some metrics."""
    return next(iter(metrics)) if len(metrics) == 1 else "metric"


def _named(job: Job, metrics: Collection[str]) -> str:
    """What stands before a job's value: the metric, where it does not stand above."""
    return "" if len(metrics) == 1 else f"{judged_by(job.config)} "


def _value(job: Job, record: RunRecord | None) -> float | None:
    return None if record is None else record.metrics.get(judged_by(job.config))


def _print_cells(console: Console, entries: Sequence[Progress]) -> None:
    """The means of the jobs that differ only in their seed, where there are such jobs."""
    cells: dict[tuple[str, ...], list[tuple[Job, float]]] = {}
    for entry in entries:
        value, record = _value(entry.job, entry.record), entry.record
        if record is not None and value is not None:
            cell = (record.signature, record.data_source, record.data_fingerprint)
            cells.setdefault(cell, []).append((entry.job, value))
    if all(len(runs) < 2 for runs in cells.values()):
        return
    metrics = {judged_by(runs[0][0].config) for runs in cells.values()}
    table = Table(title="Means over seeds, ± population standard deviation")
    for column, justify in (("cell", "left"), ("seeds", "right"), (_heading(metrics), "right")):
        table.add_column(column, justify=justify, overflow="fold")  # type: ignore[arg-type]
    for runs in cells.values():
        job, values = runs[0][0], [value for _, value in runs]
        mean = f"{sum(values) / len(values):.4f}"
        spread = f" ± {np.std(values):.4f}" if len(values) > 1 else ""
        name = job.name.rpartition("-seed")[0] or job.name
        table.add_row(name, str(len(values)), f"{_named(job, metrics)}{mean}{spread}")
    console.print(table)


def raise_if_any_failed(entries: Sequence[Progress]) -> None:
    """JobsFailedError where a job has failed."""
    failed = sum(entry.state == State.FAILED for entry in entries)
    if failed:
        raise JobsFailedError(
            f"{failed} of {len(entries)} jobs failed; start the same sweep again to try them again."
        )
