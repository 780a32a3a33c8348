"""The report's tables: without the numbers that say nothing, which are told of below them."""

import dataclasses
from collections.abc import Callable, Sequence

from combgrad.results.heads import Head, place_of
from combgrad.results.report_runs import About
from combgrad.results.selection import TRIAL
from combgrad.results.table_markup import Aside
from combgrad.results.tables import Cell, Mark, Table


def experiments_of(table: Table) -> list[str]:
    """The experiments of a table."""
    return list(dict.fromkeys(str(cell.point["experiment"]) for _, _, cell in table.cells()))


def about(table: Table) -> About:
    """What the page's filter looks at."""
    return About(experiments_of(table), table.profile, table.data_source)


def little(table: Table) -> str:
    """Why there is little to see in a table; empty where there is more."""
    return f"of profile {TRIAL}" if table.profile == TRIAL else ""


def trimmed(table: Table) -> Table:
    """The table without the rows and the columns in which nothing was run."""

    def run(cells: Sequence[Cell | None]) -> bool:
        return any(cell is not None and cell.mark is not Mark.NO_RUN for cell in cells)

    rows = [number for number, line in enumerate(table.grid) if run(line)]
    columns = [number for number, line in enumerate(zip(*table.grid, strict=True)) if run(line)]
    return dataclasses.replace(
        table,
        rows=tuple(table.rows[row] for row in rows),
        columns=tuple(table.columns[column] for column in columns),
        grid=tuple(tuple(table.grid[row][column] for column in columns) for row in rows),
    )


def asides(table: Table) -> list[Aside]:
    """What the trimmed table does not show: what was not run, and where nothing is printed."""
    kept = trimmed(table)
    shown = {(row, column) for row, column, _ in kept.cells()}
    gone = _places(table, lambda row, column, _: (row, column) not in shown)
    silent = _places(kept, lambda _, __, cell: cell.mark is Mark.NO_PAPER)
    total = len(list(table.cells()))
    found = []
    if gone:
        said = f"Not run, and not shown: {len(gone)} of {total} numbers"
        found.append(Aside(said, gone))
    if silent and len(silent) == len(shown):
        found.append(Aside("Nothing is printed beside these numbers.", ()))
    elif silent:
        said = f"Nothing is printed beside {len(silent)} of {len(shown)} numbers"
        found.append(Aside(said, silent))
    return found


def _places(table: Table, wanted: Callable[[Head, Head, Cell], bool]) -> list[str]:
    return [
        place_of(row, column) for row, column, cell in table.cells() if wanted(row, column, cell)
    ]
