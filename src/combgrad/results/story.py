"""What came out, in a few sentences that are computed from the tables of a report."""

import math
from collections.abc import Sequence

from combgrad.results.heads import place_of
from combgrad.results.layout import Metric
from combgrad.results.ranking import LEVEL, order_of
from combgrad.results.reproduction import FULL
from combgrad.results.tables import TOLERANCE, Cell, Mark, Table

#: The marks of numbers that are held against a printed one.
COMPARED = (Mark.INSIDE, Mark.OUTSIDE)


def findings(tables: Sequence[Table]) -> list[str]:
    """At most three sentences: how near the paper is, which method ranks first, how much is inside.

    One that no table has the numbers for is left out.
    """
    found = (_beside_printed(tables), _first_ranked(tables), _inside(tables))
    return [sentence for sentence in found if sentence]


def distinct(table: Table) -> list[Cell]:
    """Each cell once, wherever and however often it stands."""
    cells = {(str(cell.point), cell.metric.name): cell for _, _, cell in table.cells()}
    return list(cells.values())


def _compared(table: Table) -> list[Cell]:
    return [cell for cell in distinct(table) if cell.mark in COMPARED]


def _beside_printed(tables: Sequence[Table]) -> str:
    """Our best of each experiment in the table with most to compare, of full training if any is."""
    compared = [table for table in tables if _compared(table)]
    table = max(compared, key=lambda t: (t.profile == FULL, len(_compared(t))), default=None)
    if table is None:
        return ""
    (place, first), *others = _best(table, _compared(table)[0].metric)
    training = "" if table.profile == FULL else f", by the shorter training of {table.profile}"
    parts = [f"{_amount(first)} in {place}, where the paper prints {_text(first)}"]
    for place, cell in others:
        parts.append(f"{_number(cell)} in {place}, where it prints {_text(cell)}")
    return f"{_whose(table, [first, *(cell for _, cell in others)])}{training}: {'; '.join(parts)}."


def _best(table: Table, metric: Metric) -> list[tuple[str, Cell]]:
    """Of each experiment the best cell that can be compared, with the heads of its place."""
    best: dict[str, tuple[str, Cell]] = {}
    for row, column, cell in table.cells():
        if cell.metric == metric and cell.mark in COMPARED:
            experiment = str(cell.point.get("experiment"))
            if experiment not in best or _better(cell, best[experiment][1]):
                best[experiment] = (place_of(row, column), cell)
    return list(best.values())


def _text(cell: Cell) -> str:
    return cell.paper.text if cell.paper else ""


def _number(cell: Cell) -> str:
    return cell.metric.format(cell.mean or 0.0)


def _better(cell: Cell, other: Cell) -> bool:
    """Whether a number is better than another; one that diverged is worse than any."""
    worst = math.inf if cell.metric.best == "min" else -math.inf
    one, two = (worst if c.mean is None or c.mean != c.mean else c.mean for c in (cell, other))
    return one < two if cell.metric.best == "min" else one > two


def _amount(cell: Cell) -> str:
    """`99.67 % correct edges`, `cost ratio 1.03`."""
    metric = cell.metric
    if metric.unit == "%":
        return f"{_number(cell)} % {metric.label}"
    return f"{metric.label} {_number(cell)} {metric.unit}".strip()


def _whose(table: Table, cells: Sequence[Cell]) -> str:
    """Whose numbers they are: the method that they share, unless the heads of the table say it."""
    (grad, proj), *others = {(cell.point.get("grad"), cell.point.get("proj")) for cell in cells}
    told = any("{grad}" in head for head in (*table.layout.rows, *table.layout.columns))
    if told or others or grad is None:
        return "The best numbers here"
    name = table.layout.labels.get("grad", {}).get(str(grad), str(grad).capitalize())
    projected = f" with {proj}" if proj not in (None, "none") else ""
    return f"{name}{projected} at its best"


def _first_ranked(tables: Sequence[Table]) -> str:
    """Which method has the best mean rank in the table that ranks most runs."""
    orders = [(table, order) for table in tables if (order := order_of(table))]
    found = [(table, order.metric, order.ranking) for table, order in orders if order.ranking]
    if not found:
        return ""
    table, metric, ranking = max(found, key=lambda one: one[2].blocks * len(one[2].methods))
    # Not all of the table: runs of a task that some method lacks decide no rank.
    runs = ranking.blocks * len(ranking.methods)
    (first, best), *others = zip(ranking.methods, ranking.ranks, strict=True)
    behind = " and ".join(f"{name} ({rank:.2f})" for name, rank in others[:2])
    apart = sum(p < LEVEL for p in ranking.beside_best)
    return (
        f"{table.layout.called}: over {runs} runs {first} has the best mean rank of "
        f"{len(ranking.methods)} methods by {metric.label}, {best:.2f}, before {behind}; a test "
        f"tells it apart from {apart} of the {len(others)} others."
    )


def _inside(tables: Sequence[Table]) -> str:
    """How many numbers are near the printed ones, each counted once, whatever tables have it.

    Of one printed number there may be several: of two profiles, or of ways to read the paper.
    """
    marks, printed = {}, set()
    for table in tables:
        for cell in _compared(table):
            place = (table.profile, table.data_source, cell.metric.name, str(cell.point))
            marks[place] = cell.mark
            assert cell.paper is not None  # else nothing is compared
            printed.add((cell.paper.metric, str(cell.paper.point)))
    if not marks:
        return ""
    inside = _count(list(marks.values()))
    full = [mark for (profile, *_), mark in marks.items() if profile == FULL]
    said = (
        f"Of the {len(marks)} numbers that can be compared with "
        f"{'printed ones' if len(printed) == len(marks) else f'{len(printed)} printed ones'}, "
        f"{inside} {'lies' if inside == 1 else 'lie'} within {TOLERANCE} of the printed standard "
        f"deviations"
    )
    if full and len(full) < len(marks):
        said += f"; of the {len(full)} that were trained as long as the paper's, {_count(full)}"
    return f"{said}."


def _count(marks: Sequence[Mark]) -> int:
    return sum(mark is Mark.INSIDE for mark in marks)
