"""Tables of the paper made from run records: every number beside the printed one."""

import dataclasses
import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from combgrad import results
from combgrad.results.heads import Head, in_order
from combgrad.results.layout import Layout, LayoutError, Metric
from combgrad.results.paper import PaperValue, find_paper_value
from combgrad.results.record import RunRecord

if TYPE_CHECKING:
    import pandas as pd

#: How many of the paper's standard deviations a number may be away from the printed one.
TOLERANCE = 2
#: What summing decimal fractions may cost; a number exactly at the border counts as inside.
ROUNDING = 1e-9

#: What is asked for in one cell, and the signature of its runs in each profile.
Asked = tuple[Mapping[str, Any], Mapping[str, str]]


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
    OTHER_DATA = "other-data"


@dataclass(frozen=True)
class Cell:
    """One number of a table.

    Attributes:
        point: the overrides of its runs.
        metric: which of their numbers it is.
        values: one for each seed, in the paper's unit.
        seeds: those of `values`, ascending.
        runs: the file names of the records behind `values`, in their order.
        left_out: file names of records of this cell that do not count, see `frames.frame`.
        lacking: file names of records that would count but do not have the metric.
        own: how many of `values` are the user's own, not committed.
        mean: over the seeds, None where there is no run.
        std: the population standard deviation, None for fewer than two runs.
        paper: what the paper printed, if anything.
        mark: how the mean compares with it.
        best: whether no other mean of the same task and metric is better, see `with_best`.
    """

    point: Mapping[str, Any]
    metric: Metric
    values: tuple[float, ...]
    seeds: tuple[int, ...]
    runs: tuple[str, ...]
    left_out: tuple[str, ...]
    lacking: tuple[str, ...]
    own: int
    mean: float | None
    std: float | None
    paper: PaperValue | None
    mark: Mark
    best: bool = False

    @property
    def difference(self) -> float | None:
        """The mean minus the printed one, None where one is missing or they are of other data."""
        apart = self.mark in (Mark.STAND_IN, Mark.OTHER_DATA)
        if self.mean is None or self.paper is None or apart:
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
        grid: the cell of each row and column, None where there is none.
        strangers: file names of records of the table's experiments, of any profile and source,
            whose settings are those of no cell.
        replaced: file names of committed records of whose runs the user's own are shown.
        committed: the same table of the committed records alone, where some are replaced.
    """

    layout: Layout
    profile: str
    data_source: str | None
    rows: tuple[Head, ...]
    columns: tuple[Head, ...]
    grid: tuple[tuple[Cell | None, ...], ...]
    strangers: tuple[str, ...] = ()
    replaced: frozenset[str] = frozenset()
    committed: "Table | None" = None

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

    Records of another profile (`custom` among them) or source never meet in a table, and what ran
    on other data alone has no place there. `own` are the keys of records that are not committed.
    """
    data = results.frame(records=records)
    wanted = {(profile, mark) for _, marks in asked for profile, mark in marks.items()}
    strange = [pair not in wanted for pair in zip(data.profile, data.signature, strict=True)]
    others = data.loc[strange]
    strangers = others.file[others.experiment.isin([point.get("experiment") for point, _ in asked])]
    groups = data.drop(others.index).groupby(["profile", "data_source"]).groups
    order = sorted(groups, key=lambda group: (group[0] != layout.profile, group))
    printed = list(printed)
    tables = [
        _table(layout, profile, source, asked, data, printed, own)
        for profile, source in order or [(layout.profile, None)]
    ]
    return [dataclasses.replace(table, strangers=tuple(strangers)) for table in tables]


def _table(
    layout: Layout,
    profile: str,
    source: str | None,
    asked: Sequence[Asked],
    data: "pd.DataFrame",
    printed: list[PaperValue],
    own: Collection[str],
) -> Table:
    data = data[data.profile == profile]
    here = data.data_source == source
    # What was run on data of another source alone has its number in the table of that one.
    elsewhere = {*data.signature[~here]} - {*data.signature[here]}
    asked = [(point, marks) for point, marks in asked if marks.get(profile) not in elsewhere]
    data = data[here]
    runs = dict(iter(data.groupby("signature")))
    cells = [
        make_cell(
            point,
            metric,
            runs.get(marks.get(profile), data[:0]),
            printed_for(layout, point, metric, printed),
            own,
            layout.printed_on,
        )
        for metric in layout.metrics
        for point, marks in asked
    ]
    places: dict[tuple[Head, Head], Cell] = {}
    for cell in with_best(cells, layout):
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


def printed_for(
    layout: Layout, point: Mapping[str, Any], metric: Metric, printed: Iterable[PaperValue]
) -> PaperValue | None:
    """What stands printed for a point, in this table or where `printed_as` says."""
    if layout.printed_as is None:
        return find_paper_value(printed, layout.number, point, metric.name)
    there = layout.printed_as
    return find_paper_value(printed, there.table, there.point(point), metric.name)


def make_cell(
    point: Mapping[str, Any],
    metric: Metric,
    runs: "pd.DataFrame",
    paper: PaperValue | None,
    own: Collection[str] = (),
    printed_on: str = "",
) -> Cell:
    """The cell of a point from the rows of all runs that belong to it, see `frames.frame`.

    Those that lack the metric do not keep the others from being shown. `printed_on` names the
    data of the printed number where they are others.
    """
    counting = runs[runs.counts].sort_values("seed")
    values = numbers_of(counting, metric)
    found = counting.loc[values.index]
    cell = Cell(
        point=point,
        metric=metric,
        values=tuple(values.tolist()),
        seeds=tuple(found.seed.tolist()),
        runs=tuple(found.file if len(found) else counting.file),
        left_out=tuple(sorted(runs.file[~runs.counts])),
        lacking=tuple(counting.file.drop(found.index)) if len(found) else (),
        own=int(found.key.isin(own).sum()),
        # Without a run that diverged they would be those of the others.
        mean=float(values.mean(skipna=False)) if len(found) else None,
        std=_deviation(values) if len(found) > 1 else None,
        paper=paper,
        mark=Mark.NO_RUN,
    )
    source = next(iter(counting.data_source), None)
    return dataclasses.replace(cell, mark=mark_of(cell, source, printed_on))


def numbers_of(runs: "pd.DataFrame", metric: Metric) -> "pd.Series":
    """The numbers in the paper's unit of the runs that have the metric, NaN for diverged ones."""
    column = runs.reindex(columns=[metric.name])[metric.name]
    known = [
        isinstance(value, int | float) and (value == value or metric.name in diverged)
        for value, diverged in zip(column, runs.diverged, strict=True)
    ]
    return column[known].astype(float) * metric.scale


def _deviation(values: "pd.Series") -> float:
    # NaN of NaN too; pandas would warn of infinite ones, and leave out what is NaN.
    finite = values.abs().max(skipna=False) < math.inf
    return float(values.std(ddof=0)) if finite else math.nan


def is_stand_in(source: str | None) -> bool:
    """Whether numbers on data of this source are no attempt at the printed ones."""
    return source == "stand-in"


def mark_of(cell: Cell, source: str | None, printed_on: str = "") -> Mark:
    """How a cell, of runs on data of a source, compares with the printed number.

    Its own mark is not looked at.
    """
    if cell.mean is None:
        return Mark.NO_METRIC if cell.runs else Mark.NO_RUN
    if cell.paper is None:
        return Mark.NO_PAPER
    if is_stand_in(source):
        return Mark.STAND_IN
    if printed_on or source == "other":
        return Mark.OTHER_DATA
    if cell.metric.best is None:
        return Mark.NOT_COMPARED  # such as minutes, which are the machine's as much as the method's
    if not cell.paper.std:
        return Mark.NO_SPREAD
    away = abs(cell.mean - cell.paper.mean)
    return Mark.INSIDE if away <= TOLERANCE * cell.paper.std + ROUNDING else Mark.OUTSIDE


def with_best(cells: list[Cell], layout: Layout) -> list[Cell]:
    """The cells, the best of each task and metric marked where there are two to compare.

    A task is an experiment, or in a table that ranks methods whatever that calls one.
    """

    def task(cell: Cell) -> str:
        if layout.ranking:
            return layout.head((layout.ranking.tasks,), cell.point, cell.metric)[0]
        return str(cell.point.get("experiment"))

    contests: dict[tuple[str, str], list[Cell]] = {}
    for cell in cells:
        if cell.metric.best and cell.mean is not None and math.isfinite(cell.mean):
            contests.setdefault((task(cell), cell.metric.name), []).append(cell)
    winners: set[int] = set()
    for rivals in contests.values():
        shown = {id(cell): cell.metric.format(cell.mean or 0.0) for cell in rivals}
        choose = max if rivals[0].metric.best == "max" else min
        # As printed, so that of two cells that look the same both are best.
        best = choose(shown.values(), key=float)
        winners |= {name for name, text in shown.items() if text == best and len(rivals) > 1}
    return [dataclasses.replace(c, best=True) if id(c) in winners else c for c in cells]
