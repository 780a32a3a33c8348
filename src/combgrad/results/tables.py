"""Tables of the paper made from run records: every number beside the printed one."""

import dataclasses
import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from combgrad.results.layout import Head, Layout, LayoutError, Metric, in_order
from combgrad.results.paper import PaperValue, find_paper_value
from combgrad.results.record import RunRecord

#: How many of the paper's standard deviations a number may be away from the printed one.
TOLERANCE = 2
#: What summing decimal fractions may cost; a number exactly at the border counts as inside.
ROUNDING = 1e-9

#: What is asked for in one cell, and the signature of its runs in each profile.
Asked = tuple[Mapping[str, Any], Mapping[str, str]]

#: The records of each signature.
Runs = dict[str, list[RunRecord]]


class Mark(StrEnum):
    """What a cell's number says about the printed one, or why it says nothing."""

    INSIDE = "inside"
    OUTSIDE = "outside"
    NO_RUN = "no-run"
    NO_METRIC = "no-metric"
    NO_PAPER = "no-paper"
    NO_SPREAD = "no-spread"
    NOT_COMPARED = "not-compared"
    STAND_IN = "stand-in"


@dataclass(frozen=True)
class Cell:
    """One number of a table.

    Attributes:
        point: the overrides of its runs.
        metric: which of their numbers it is.
        values: one for each seed, in the paper's unit.
        seeds: those of `values`, ascending.
        runs: the file names of the records behind `values`, in their order.
        left_out: file names of records of this cell that do not count, see `counted`.
        lacking: file names of records that would count but do not have the metric.
        own: how many of `values` are the user's own, not committed.
        paper: what the paper printed, if anything.
        mark: how the mean compares with it.
        best: whether no other mean of the same experiment and metric is better.
    """

    point: Mapping[str, Any]
    metric: Metric
    values: tuple[float, ...]
    seeds: tuple[int, ...]
    runs: tuple[str, ...]
    left_out: tuple[str, ...]
    lacking: tuple[str, ...]
    paper: PaperValue | None
    mark: Mark
    best: bool = False
    own: int = 0

    @property
    def mean(self) -> float | None:
        """The mean over the seeds, None where there is no run."""
        return sum(self.values) / len(self.values) if self.values else None

    @property
    def std(self) -> float | None:
        """The population standard deviation, None for fewer than two runs."""
        if self.mean is None or len(self.values) < 2:
            return None
        # Not the module statistics, which fails where a diverged run left NaN or infinity.
        squares = [(value - self.mean) * (value - self.mean) for value in self.values]
        return math.sqrt(sum(squares) / len(squares))

    @property
    def difference(self) -> float | None:
        """The mean minus the printed one, None where one is missing or ours is of a stand-in."""
        if self.mean is None or self.paper is None or self.mark is Mark.STAND_IN:
            return None
        return self.mean - self.paper.mean


@dataclass(frozen=True)
class Table:
    """A table of runs of one profile on data of one source; both are None where there is no run.

    Attributes:
        layout: what it shows.
        profile: of all its runs; the layout's own where there is none.
        data_source: of all its runs, None where there is none.
        rows, columns: the heads.
        grid: the cell of each row and column, None where the paper's table has none.
        strangers: file names of records of the table's experiments, of any profile and source,
            whose settings are those of no cell.
    """

    layout: Layout
    profile: str
    data_source: str | None
    rows: tuple[Head, ...]
    columns: tuple[Head, ...]
    grid: tuple[tuple[Cell | None, ...], ...]
    strangers: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """Unique among all tables, such as `table6-paper-regenerated`."""
        return f"{self.layout.name}-{self.profile}-{self.data_source or 'none'}"

    def cells(self) -> Iterable[tuple[Head, Head, Cell]]:
        """Every cell with its row and column, row by row."""
        for row, line in zip(self.rows, self.grid, strict=True):
            for column, cell in zip(self.columns, line, strict=True):
                if cell is not None:
                    yield row, column, cell


def make_tables(
    layout: Layout,
    asked: Sequence[Asked],
    records: Iterable[RunRecord],
    printed: Iterable[PaperValue],
    own: Collection[str] = (),
) -> list[Table]:
    """One table for each profile and data source with a run in it, or a single empty one.

    Records of another profile (`custom` among them) or source never meet in a table. `own` are the
    keys of records that are not committed.
    """
    printed = list(printed)
    groups: dict[tuple[str, str], Runs] = {}
    wanted = {(profile, mark) for _, marks in asked for profile, mark in marks.items()}
    experiments = {point.get("experiment") for point, _ in asked}
    strangers = []
    for record in records:
        mark = record.signature
        if (record.profile, mark) in wanted:
            group = groups.setdefault((record.profile, record.data_source), {})
            group.setdefault(mark, []).append(record)
        elif record.experiment in experiments:
            strangers.append(record.file_name)
    order = sorted(groups, key=lambda group: (group[0] != layout.profile, group))
    tables = [_table(layout, *group, asked, groups[group], printed, own) for group in order]
    tables = tables or [_table(layout, layout.profile, None, asked, {}, printed, own)]
    return [dataclasses.replace(table, strangers=tuple(strangers)) for table in tables]


def _table(
    layout: Layout,
    profile: str,
    source: str | None,
    asked: Sequence[Asked],
    runs: Runs,
    printed: list[PaperValue],
    own: Collection[str],
) -> Table:
    cells = [
        make_cell(
            point,
            metric,
            runs.get(marks.get(profile, ""), []),
            find_paper_value(printed, layout.number, point, metric.name),
            own,
        )
        for metric in layout.metrics
        for point, marks in asked
    ]
    places: dict[tuple[Head, Head], Cell] = {}
    for cell in with_best(cells):
        for place in layout.places(cell.point, cell.metric):
            if place in places:
                raise LayoutError(
                    f"{layout.name}: {dict(places[place].point)} and {dict(cell.point)} stand in "
                    f"the same place {place}; let a row or column show how they differ."
                )
            places[place] = cell
    rows = in_order(row for row, _ in places)
    columns = in_order(column for _, column in places)
    grid = tuple(tuple(places.get((row, column)) for column in columns) for row in rows)
    return Table(layout, profile, source, tuple(rows), tuple(columns), grid)


def make_cell(
    point: Mapping[str, Any],
    metric: Metric,
    records: Iterable[RunRecord],
    paper: PaperValue | None,
    own: Collection[str] = (),
) -> Cell:
    """The cell of a point from all records that belong to it.

    Those that lack the metric do not keep the others from being shown.
    """
    kept, left_out = counted(records)
    numbers = [(record, number_of(record, metric)) for record in kept]
    found = [(record, number) for record, number in numbers if number is not None]
    cell = Cell(
        point=point,
        metric=metric,
        values=tuple(number for _, number in found),
        seeds=tuple(record.seed for record, _ in found),
        runs=tuple(record.file_name for record, _ in found or numbers),
        left_out=tuple(record.file_name for record in left_out),
        lacking=tuple(r.file_name for r, number in numbers if found and number is None),
        paper=paper,
        mark=Mark.NO_RUN,
        own=sum(record.key in own for record, _ in found),
    )
    mark = mark_of(cell)
    judged = mark not in (Mark.NO_RUN, Mark.NO_METRIC, Mark.NO_PAPER)
    if judged and is_stand_in(kept[0].data_source):
        mark = Mark.STAND_IN
    return dataclasses.replace(cell, mark=mark)


def is_stand_in(source: str | None) -> bool:
    """Whether numbers on data of this source are no attempt at the printed ones."""
    return source == "stand-in"


def counted(records: Iterable[RunRecord]) -> tuple[list[RunRecord], list[RunRecord]]:
    """The records of one cell that count, by seed, and those left out, by file name.

    All that count share one data fingerprint: that with the most seeds, of equal ones that of the
    run finished last. Of several with the same seed the one finished last counts, so no seed counts
    twice.
    """
    data: dict[str, dict[int, RunRecord]] = {}
    everything = sorted(records, key=lambda record: (record.finished, record.file_name))
    for record in everything:
        data.setdefault(record.data_fingerprint, {})[record.seed] = record
    if not data:
        return [], []

    def weight(runs: dict[int, RunRecord]) -> tuple[int, str]:
        return len(runs), max(record.finished for record in runs.values())

    chosen = max(data.values(), key=weight)
    kept = [chosen[seed] for seed in sorted(chosen)]
    counting = set(map(id, kept))
    left_out = [record for record in everything if id(record) not in counting]
    return kept, sorted(left_out, key=lambda record: record.file_name)


def number_of(record: RunRecord, metric: Metric) -> float | None:
    """A record's number in the paper's unit, None where the record lacks it."""
    kind, _, name = metric.name.partition(".")
    numbers = record.seconds if kind == "seconds" else record.metrics
    value = numbers.get(name if kind == "seconds" else metric.name)
    return None if value is None else float(value) * metric.scale


def mark_of(cell: Cell) -> Mark:
    """How a cell compares with the printed number; its own mark is not looked at."""
    if cell.mean is None:
        return Mark.NO_METRIC if cell.runs else Mark.NO_RUN
    if cell.paper is None:
        return Mark.NO_PAPER
    if cell.metric.best is None:
        return Mark.NOT_COMPARED  # such as minutes, which are the machine's as much as the method's
    if not cell.paper.std:
        return Mark.NO_SPREAD
    away = abs(cell.mean - cell.paper.mean)
    return Mark.INSIDE if away <= TOLERANCE * cell.paper.std + ROUNDING else Mark.OUTSIDE


def with_best(cells: list[Cell]) -> list[Cell]:
    """The cells, the best of each experiment and metric marked where there are two to compare."""
    contests: dict[tuple[str, str], list[Cell]] = {}
    for cell in cells:
        if cell.metric.best and cell.mean is not None and math.isfinite(cell.mean):
            contest = (str(cell.point.get("experiment")), cell.metric.name)
            contests.setdefault(contest, []).append(cell)
    winners: set[int] = set()
    for rivals in contests.values():
        shown = {id(cell): cell.metric.format(cell.mean or 0.0) for cell in rivals}
        choose = max if rivals[0].metric.best == "max" else min
        # As printed, so that of two cells that look the same both are best.
        best = choose(shown.values(), key=float)
        winners |= {name for name, text in shown.items() if text == best and len(rivals) > 1}
    return [dataclasses.replace(c, best=True) if id(c) in winners else c for c in cells]
