"""How much of what the papers printed is reproduced: the state of every printed number, and why."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from combgrad.errors import CombgradError
from combgrad.results.comparisons import deviations_away
from combgrad.results.heads import place_of
from combgrad.results.layout import Layout, Metric
from combgrad.results.paper import Paper, PaperValue, paper_of
from combgrad.results.record import SOURCES
from combgrad.results.tables import ROUNDING, TOLERANCE, Cell, Mark, Table, printed_for

#: The profile whose numbers may count as reproductions.
FULL = "paper"

#: Where our seeds spread more than this many times as far as the printed deviation, a mean that is
#: inside two combined deviations is so by our spread, and is no reproduction.
WIDEST = 3.0


class ReproductionError(CombgradError, ValueError):
    """An explanation that cannot be read, or that explains nothing."""


class State(StrEnum):
    """What has become of one printed number."""

    REPRODUCED = "reproduced"
    OUTSIDE = "outside"
    WIDER = "inside by a wider spread"
    REDUCED_INSIDE = "inside, shorter training"
    REDUCED_OUTSIDE = "outside, shorter training"
    OTHER_DATA = "other data"
    STAND_IN = "stand-in data"
    NOT_COMPARED = "not compared"
    NOT_RUN = "not run"


@dataclass(frozen=True)
class Shown:
    """A plan as what it shows: its layout, its points, and its tables from some records."""

    layout: Layout
    points: Sequence[Mapping[str, Any]]
    tables: Sequence[Table]


@dataclass(frozen=True)
class Found:
    """Our number for a printed one, and where it stands."""

    cell: Cell
    profile: str
    source: str
    layout: Layout

    @property
    def state(self) -> State:
        """What it says of the printed number."""
        if self.cell.mark is Mark.STAND_IN:
            return State.STAND_IN
        if self.cell.mark is Mark.OTHER_DATA:
            return State.OTHER_DATA
        away = deviations_away(self.cell)
        if away is None or self.cell.mark is Mark.NOT_COMPARED:
            return State.NOT_COMPARED
        inside = abs(away) <= TOLERANCE + ROUNDING
        if self.profile != FULL:
            return State.REDUCED_INSIDE if inside else State.REDUCED_OUTSIDE
        if not inside:
            return State.OUTSIDE
        printed = self.cell.paper.std if self.cell.paper else None
        wide = (self.cell.std or 0.0) > WIDEST * (printed or 0.0)
        return State.WIDER if wide else State.REPRODUCED

    def rank(self) -> tuple[int, bool, str, int, str]:
        """The least is the one that says most: the state's data, the profile, the source."""
        data = {State.OTHER_DATA: 1, State.STAND_IN: 2}.get(self.state, 0)
        source = SOURCES.index(self.source) if self.source in SOURCES else len(SOURCES)
        return data, self.profile != FULL, self.profile, source, self.layout.name


@dataclass(frozen=True)
class Line:
    """One place in a table of a paper.

    Attributes:
        table: its word, such as `6`.
        place: the heads of its row and column.
        value: what is printed there.
        point: the overrides of its runs.
        metric: which of their numbers it is.
        found: ours, None where there is none.
        reasons: the ids of the explanations that hold for it.
    """

    table: str
    place: str
    value: PaperValue
    point: Mapping[str, Any]
    metric: Metric
    found: Found | None = None
    reasons: tuple[str, ...] = ()

    @property
    def state(self) -> State:
        """What has become of it."""
        return self.found.state if self.found else State.NOT_RUN

    @property
    def paper(self) -> Paper:
        """The paper that printed it."""
        return paper_of(self.table)


@dataclass(frozen=True)
class Explanation:
    """Why some printed numbers are, or are not, what they are here.

    Attributes:
        id: a short word.
        cells: what their points have: key -> one value, or several; `table` and `metric` are keys.
        states: those that it explains, all where none is named.
        text: Markdown, with the evidence.
    """

    id: str
    cells: Mapping[str, tuple[str, ...]]
    states: frozenset[State]
    text: str

    def is_about(self, line: Line) -> bool:
        """Whether the line is one of its cells, whatever its state."""
        known = {**line.point, "table": line.table, "metric": line.metric.name}
        return all(str(known.get(key, "")) in values for key, values in self.cells.items())

    def holds_for(self, line: Line) -> bool:
        """Whether it explains the line as that stands."""
        return self.is_about(line) and (not self.states or line.state in self.states)


def read_explanations(entries: object) -> list[Explanation]:
    """Explanations from a YAML's list; ReproductionError names the one that is none."""
    if not isinstance(entries, list):
        raise ReproductionError("the explanations are no list; each is {id, cells, states, text}.")
    found = [_explanation(entry) for entry in entries]
    ids = [one.id for one in found]
    twice = sorted({name for name in ids if ids.count(name) > 1})
    if twice:
        raise ReproductionError(f"there are two explanations {', '.join(twice)}; rename one.")
    return found


def _explanation(entry: object) -> Explanation:
    if not isinstance(entry, dict) or not {"id", "cells", "text"} <= set(entry):
        raise ReproductionError(f"{entry!r} is no explanation; it needs id, cells and text.")
    unknown = sorted(set(entry) - {"id", "cells", "states", "text"})
    states = entry.get("states", [])
    wrong = [str(state) for state in states if state not in list(State)]
    if unknown or wrong or not isinstance(entry["cells"], dict):
        raise ReproductionError(
            f"the explanation {entry['id']}: unknown keys {unknown}, unknown states {wrong}; cells "
            f"is a mapping, and the states are {', '.join(State)}."
        )
    cells = {
        str(key): tuple(map(str, values if isinstance(values, list) else [values]))
        for key, values in entry["cells"].items()
    }
    text = " ".join(str(entry["text"]).split())
    return Explanation(str(entry["id"]), cells, frozenset(map(State, states)), text)


def reproduction(
    shown: Iterable[Shown], printed: Sequence[PaperValue], explanations: Sequence[Explanation] = ()
) -> list[Line]:
    """A line for each place of each table in which a paper printed a number, in that order.

    Of several runs for one number those are shown that say most: with the paper's profile before
    others, on its data before regenerated ones, and where there are none, on other data, also from
    tables that show the number beside runs on such.

    Raises ReproductionError for an explanation of no line.
    """
    plans = {one.layout.number: one for one in shown}
    ours = _ours(plans.values(), printed)
    lines = [
        line
        for number in sorted({number for value in printed for number in value.tables}, key=_order)
        if number in plans
        for line in _lines(number, plans[number], printed, ours)
    ]
    idle = [one.id for one in explanations if not any(map(one.is_about, lines))]
    if idle:
        raise ReproductionError(f"{', '.join(idle)} explains no printed number; mend its cells.")
    return [
        dataclasses.replace(
            line, reasons=tuple(one.id for one in explanations if one.holds_for(line))
        )
        for line in lines
    ]


def _order(number: str) -> tuple[bool, str]:
    return bool(paper_of(number).prefix), number


def _ours(plans: Iterable[Shown], printed: Sequence[PaperValue]) -> dict[int, list[Found]]:
    """By the id of the printed number, what may be shown beside it."""
    ours: dict[int, list[Found]] = {}
    for plan in plans:
        for table in plan.tables:
            for _, _, cell in table.cells():
                if cell.paper is None or cell.mean is None:
                    continue
                own = plan.layout.number in cell.paper.tables
                # Other tables' runs on the same data are of another method, and times are in
                # those of the paper alone.
                other = cell.mark in (Mark.OTHER_DATA, Mark.STAND_IN) and cell.metric.best
                if own or other:
                    found = Found(cell, table.profile, str(table.data_source), plan.layout)
                    ours.setdefault(id(cell.paper), []).append(found)
    return ours


def _lines(
    number: str, plan: Shown, printed: Sequence[PaperValue], ours: Mapping[int, list[Found]]
) -> Iterable[Line]:
    here = [value for value in printed if number in value.tables]
    told: set[int] = set()
    for point in plan.points:
        for metric in plan.layout.metrics:
            value = printed_for(plan.layout, point, metric, here)
            if value is not None:
                told.add(id(value))
                yield from _at(number, plan.layout, point, metric, value, ours)
    metrics = {metric.name: metric for metric in plan.layout.metrics}
    for value in here:
        if id(value) not in told:  # such as those of a method that cannot be run here
            metric = metrics.get(value.metric, Metric(value.metric, value.metric))
            yield from _at(number, plan.layout, value.point, metric, value, ours)


def _at(
    number: str,
    layout: Layout,
    point: Mapping[str, Any],
    metric: Metric,
    value: PaperValue,
    ours: Mapping[int, list[Found]],
) -> Iterable[Line]:
    found = min(ours.get(id(value), ()), key=Found.rank, default=None)
    for row, column in layout.places(point, metric):
        yield Line(number, place_of(row, column), value, point, metric, found)
