"""How near our numbers come to printed ones, and what two of them come to divided."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from combgrad.results.curves import deviation_of, mean_of
from combgrad.results.layout import Metric, Ratio
from combgrad.results.tables import Cell, Table

#: What a combined deviation is, in words.
COMBINED = (
    "a combined deviation is the root of the sum of the squares of our standard deviation over the "
    "seeds and the printed one; where one of them is missing it is the other"
)


def combined_deviation(cell: Cell) -> float | None:
    """sqrt(s^2 + s'^2) of our and the printed standard deviation, in the paper's unit.

    One that is missing counts as 0; None where that leaves 0.
    """
    printed = cell.paper.std if cell.paper else None
    found = math.hypot(cell.std or 0.0, printed or 0.0)
    return found or None


def deviations_away(cell: Cell) -> float | None:
    """Our mean minus the printed one in combined deviations; None where they are not compared."""
    deviation = combined_deviation(cell)
    return None if cell.difference is None or not deviation else cell.difference / deviation


@dataclass(frozen=True)
class Distance:
    """How far one reading is from what was printed, root mean squares over the same cells.

    Attributes:
        reading: its label.
        deviations: in combined deviations, None where no cell has one.
        units: in the unit of the metric.
        cells: their number.
    """

    reading: str
    deviations: float | None
    units: float
    cells: int


def distances(table: Table, metric: Metric) -> list[Distance]:
    """Of each reading that has runs, over the printed numbers that all such readings have."""
    found: dict[str, dict[int, Cell]] = {}
    for _, _, cell in table.cells():
        if cell.metric == metric and cell.difference is not None and cell.paper is not None:
            reading = table.layout.head((table.layout.readings,), cell.point, metric)[0]
            found.setdefault(reading, {})[id(cell.paper)] = cell
    shared = set.intersection(*(set(cells) for cells in found.values())) if found else set()
    return [
        _distance(reading, [cells[number] for number in cells if number in shared])
        for reading, cells in found.items()
        if shared
    ]


def _distance(reading: str, cells: Sequence[Cell]) -> Distance:
    apart = [cell.difference for cell in cells if cell.difference is not None]
    away = [away for away in map(deviations_away, cells) if away is not None]
    deviations = root_mean_square(away) if away else None
    return Distance(reading, deviations, root_mean_square(apart), len(cells))


def root_mean_square(values: Iterable[float]) -> float:
    """sqrt(mean of the squares)."""
    squares = [value**2 for value in values]
    return math.sqrt(sum(squares) / len(squares))


def reading_notes(table: Table) -> list[str]:
    """Sentences on which reading of the printed numbers the runs are nearest to."""
    notes = []
    for metric in table.layout.metrics if table.layout.readings else ():
        found = distances(table, metric)
        if not found:
            continue
        unit = "percentage points" if metric.unit == "%" else metric.unit or "units"
        each = "; ".join(
            f"{one.reading} {_digits(one.deviations)} combined deviations, "
            f"{one.units:.{metric.digits}f} {unit}"
            for one in found
        )
        cells = f"{found[0].cells} cell{'s' if found[0].cells > 1 else ''}"
        notes.append(
            f"Distance to the printed numbers, root mean square over the {cells} that all readings "
            f"with runs have: {each}. Here {COMBINED}."
        )
        if len(found) > 1:
            notes.append(f"Nearest {_nearest(found, unit)}.")
    return notes


def _nearest(found: Sequence[Distance], unit: str) -> str:
    """Which reading is nearest in each of the two ways to measure, where it can be told."""
    by_units = f"in {unit}: {min(found, key=lambda one: _or_far(one.units)).reading}"
    away = [(one.deviations, one.reading) for one in found if one.deviations is not None]
    if not away:
        return by_units
    return f"in combined deviations: {min(away, key=lambda one: _or_far(one[0]))[1]}; {by_units}"


def _or_far(distance: float) -> float:
    """Of runs that diverged the distance is NaN, which no comparison finds large."""
    return math.inf if math.isnan(distance) else distance


def _digits(value: float | None) -> str:
    return "no" if value is None else f"{value:.1f}"


def ratio_notes(table: Table) -> list[str]:
    """Sentences on the ratios of two cells, by pairs of runs of one seed, beside the printed."""
    wanted = table.layout.ratio
    if wanted is None:
        return []
    pairs: dict[tuple[str, str], list[Cell]] = {}
    for _, _, cell in table.cells():
        label = table.layout.head((wanted.each,), cell.point, cell.metric)[0]
        pairs.setdefault((label, cell.metric.title), []).append(cell)
    sentences = (_ratio(label, cells, table, wanted) for (label, _), cells in pairs.items())
    return [sentence for sentence in sentences if sentence]


def _ratio(label: str, cells: Sequence[Cell], table: Table, wanted: Ratio) -> str:
    above = [cell for cell in cells if str(cell.point.get(wanted.of)) == wanted.above]
    below = [cell for cell in cells if str(cell.point.get(wanted.of)) != wanted.above]
    if len(above) != 1 or len(below) != 1:
        return ""
    first, second = above[0], below[0]
    ratios = paired_ratios(first, second)
    if not ratios:
        return ""
    names = [_name(table, wanted, cell) for cell in (first, second)]
    mean, spread = mean_of(ratios), deviation_of(ratios)
    ours = f"{mean:.2f} ± {spread:.2f}" if len(ratios) > 1 else f"{mean:.2f}"
    return (
        f"{label}, {first.metric.label}: {names[0]} over {names[1]} {ours} ({len(ratios)}"
        f"{' pairs' if len(ratios) > 1 else ' pair'} of runs of one seed){_printed(first, second)}."
    )


def paired_ratios(first: Cell, second: Cell) -> list[float]:
    """The ratio of the runs of each seed that both cells have; of those that are no ratio none."""
    below = dict(zip(second.seeds, second.values, strict=True))
    found = [
        value / below[seed]
        for seed, value in zip(first.seeds, first.values, strict=True)
        if below.get(seed)
    ]
    return [ratio for ratio in found if math.isfinite(ratio)]


def _name(table: Table, wanted: Ratio, cell: Cell) -> str:
    return table.layout.head((f"{{{wanted.of}}}",), cell.point, cell.metric)[0]


def _printed(first: Cell, second: Cell) -> str:
    """The ratio of the printed numbers, with the deviation that theirs leave it to first order."""
    above, below = first.paper, second.paper
    if above is None or below is None or not below.mean or not above.mean:
        return ""
    ratio = above.mean / below.mean
    spread = ratio * math.hypot((above.std or 0) / above.mean, (below.std or 0) / below.mean)
    return f"; the paper's is {ratio:.2f} ± {spread:.2f}"
