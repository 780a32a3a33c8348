"""Tables as plain text: the words of a cell, Markdown and CSV."""

import csv
import io
import unicodedata
from collections.abc import Callable, Iterable

from combgrad.results.comparisons import ratio_notes, reading_notes
from combgrad.results.heads import Head, place_of, words_of
from combgrad.results.layout import Layout
from combgrad.results.paper import paper_of
from combgrad.results.ranking import sentences
from combgrad.results.tables import TOLERANCE, Cell, Mark, Table, is_stand_in
from combgrad.results.templates import writable

#: What follows the difference to the printed number, or stands in its place.
MARK_WORDS = {
    Mark.INSIDE: "inside",
    Mark.OUTSIDE: "outside",
    Mark.NO_RUN: "",
    Mark.NO_METRIC: "",
    Mark.NO_PAPER: "nothing printed",
    Mark.NO_SPREAD: "no spread printed",
    Mark.NOT_COMPARED: "not compared",
    Mark.STAND_IN: "other data",
    Mark.OTHER_DATA: "other data",
}

CSV_COLUMNS = (
    "table",
    "profile",
    "data_source",
    "row",
    "column",
    "point",
    "metric",
    "unit",
    "mean",
    "std",
    "seeds",
    "paper_mean",
    "paper_std",
    "paper_restarts",
    "difference",
    "mark",
    "runs",
    "left_out",
    "paper_source",
    "own_seeds",
)


def ours(cell: Cell) -> str:
    """Our number as text: `99.44 ± 0.05 (3)`, the number of seeds in brackets.

    Where some are the user's own they are counted there too: `(3, 1 own)`.
    """
    if cell.mean is None:
        return f"no {cell.metric.name}" if cell.mark is Mark.NO_METRIC else "not run"
    spread = "" if cell.std is None else f" ± {cell.metric.format(cell.std)}"
    own = f", {cell.own} own" if cell.own else ""
    return f"{cell.metric.format(cell.mean)}{spread} ({len(cell.seeds)}{own})"


def printed(cell: Cell) -> str:
    """The paper's number as text: `99.67 ± 0.10 (5)`, `(?)` where it does not state the runs."""
    if cell.paper is None:
        return "-"
    return f"{cell.paper.text} ({cell.paper.restarts or '?'})"


def compared(cell: Cell) -> str:
    """The difference to the paper's number with its mark: `-0.23 outside`."""
    words = MARK_WORDS[cell.mark]
    if cell.difference is None:
        return words
    text = cell.metric.format(cell.difference)
    sign = "" if cell.difference < 0 or float(text) == 0 else "+"
    return f"{sign}{text} {words}"


#: The lines that a row of a table is printed as.
LINES: tuple[tuple[str, Callable[[Cell], str]], ...] = (
    ("ours", ours),
    ("paper", printed),
    ("difference", compared),
)


def paper_word(table: Table) -> str:
    """What the lines of printed numbers are called: `paper, on Pascal VOC` where ours are not."""
    on = table.layout.printed_on
    return f"paper, on {on}" if on else "paper"


def lines_of(cells: Iterable[Cell | None], paper: str) -> list[tuple[str, list[str]]]:
    """A row of cells as its lines, each with its name; without those that say nothing.

    `paper` is what the line of the printed numbers is called.
    """
    cells = list(cells)
    given = [cell for cell in cells if cell]
    telling = {
        "ours": True,
        "paper": any(cell.paper for cell in given),
        "difference": any(cell.difference is not None for cell in given),
    }
    return [
        (paper if name == "paper" else name, [text(cell) if cell else "" for cell in cells])
        for name, text in LINES
        if telling[name]
    ]


def facts(table: Table) -> list[str]:
    """What must be known to read the numbers: profile, data, seeds, and what the words mean."""
    layout = table.layout
    said = [_made_of(table), *_stand_in(table)]
    beside = any(cell.paper for _, _, cell in table.cells())
    theirs = table.data_source in (None, "original") or is_stand_in(table.data_source)
    if beside and not theirs:
        said.append("The data are not the paper's, so a difference may be theirs.")
    if beside and table.profile != "paper":
        said.append("The training is shorter or smaller than the paper's.")
    said.append(
        f"Shown: {_shown(layout)}; mean ± population standard deviation over the seeds, their "
        f"number in brackets (planned: {layout.seeds})."
    )
    if any(cell.own for _, _, cell in table.cells()):
        said.append("Own: runs of the user's, which are not among the committed ones.")
    if beside:
        said.append(
            f"Paper: {paper_of(layout.number).citation}; in brackets the number of its runs, ? "
            f"where it is not stated."
        )
        if layout.printed_on:
            said.append(
                f"Its numbers are of {layout.printed_on}, other data than ours, and are not "
                f"compared."
            )
        else:
            said.append(f"Inside: at most {TOLERANCE} of its standard deviations from its mean.")
    return said


def brief_facts(table: Table) -> list[str]:
    """The facts that are this table's own, for a page that says once what holds for all."""
    layout = table.layout
    said = [_made_of(table), *_stand_in(table)]
    planned = "1 seed is" if layout.seeds == 1 else f"{layout.seeds} seeds are"
    said.append(f"Shown: {_shown(layout)}; {planned} planned.")
    if layout.printed_on and any(cell.paper for _, _, cell in table.cells()):
        said.append(
            f"The paper's numbers are of {layout.printed_on}, other data than ours, and are not "
            f"compared."
        )
    return said


def _made_of(table: Table) -> str:
    source = table.data_source or "none, for there is no such run yet"
    return f"Profile {table.profile}, data {source}."


def _stand_in(table: Table) -> list[str]:
    said = "The data are a stand-in: nothing here is a reproduction of the paper."
    return [said] if is_stand_in(table.data_source) else []


def _shown(layout: Layout) -> str:
    return ", ".join(metric.title for metric in layout.metrics)


def notes(table: Table) -> list[str]:
    """What stands below a table: its own notes and what became of records without a place."""
    left_out = {name for _, _, cell in table.cells() for name in cell.left_out}
    found = [*sentences(table), *table.layout.notes, *reading_notes(table), *ratio_notes(table)]
    found += _replaced(table)
    if left_out:
        found.append(
            "Left out, because a later run of the same seed or more seeds on other data exist: "
            f"{', '.join(sorted(left_out))}."
        )
    for name in dict.fromkeys(cell.metric.name for _, _, cell in table.cells()):
        cells = [cell for _, _, cell in table.cells() if cell.metric.name == name]
        lacking = sorted({file for cell in cells for file in cell.lacking})
        if lacking:
            found.append(f"Left out, because {name} is not in the record: {', '.join(lacking)}.")
    if table.strangers:
        found.append(
            f"Records of its experiments with other settings than any cell: {len(table.strangers)}."
        )
    return found


def _replaced(table: Table) -> list[str]:
    """A sentence for each cell in which the user's own runs hide what committed ones gave."""
    if table.committed is None:
        return []
    before = {(row, column): cell for row, column, cell in table.committed.cells()}
    found = []
    for row, column, cell in table.cells():
        # None where the committed ones ran on data of another source alone.
        old = before.get((row, column))
        number = len(table.replaced.intersection(old.runs)) if old and cell.own else 0
        if old and number:
            found.append(
                f"{place_of(row, column)}: your own runs stand for {number} "
                f"committed {'ones' if number > 1 else 'one'}; committed is {ours(old)}."
            )
    return found


def to_markdown(table: Table) -> str:
    """The table in Markdown; the best number of each experiment is bold."""
    depth = len(table.layout.rows)
    lines = [["" for _ in range(depth + 1)] + [", ".join(head) for head in table.columns]]
    for head, cells in zip(table.rows, table.grid, strict=True):
        for number, (name, texts) in enumerate(lines_of(cells, paper_word(table))):
            if name == "ours":
                texts = [
                    f"**{text}**" if cell and cell.best else text
                    for cell, text in zip(cells, texts, strict=True)
                ]
            lines.append([*(head if number == 0 else [""] * depth), name, *texts])
    lines = [list(map(markdown_cell, line)) for line in lines]
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    rows = ["| " + " | ".join(map(str.ljust, line, widths)) + " |" for line in lines]
    rows.insert(1, "| " + " | ".join("-" * max(width, 3) for width in widths) + " |")
    below = "".join(f"- {markdown_text(note)}\n" for note in notes(table))
    above = markdown_text(f"## {table.layout.heading}"), markdown_text(" ".join(facts(table)))
    return "\n\n".join([*above, "\n".join(rows), below])


def markdown_text(text: str) -> str:
    """A text on one line, in which no tag begins."""
    return " ".join(writable(text).splitlines()).replace("<", "\\<")


def markdown_cell(text: str) -> str:
    """The same in a cell of a table, which no bar ends."""
    return markdown_text(text).replace("|", "\\|")


def to_csv(tables: Iterable[Table]) -> str:
    """All tables as one CSV, a line a cell; numbers in the paper's unit.

    Files of it are UTF-8 without a mark at their start. Whatever is text and would be a formula in
    a spreadsheet has a quote before it.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    for table in tables:
        writer.writerows(_csv_line(table, *place) for place in table.cells())
    return text.getvalue()


def csv_cell(value: str | float | None) -> str:
    """A number as it is, and a text so that no spreadsheet takes it for a formula."""
    if value is None:
        return ""
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return f"{value:.6g}"
    # Readers of CSV end a line at a lone carriage return, and the writer quotes only line feeds.
    text = writable(value).replace("\r\n", "\n").replace("\r", "\n")
    # Spreadsheets read the wide forms of some scripts like the plain ones.
    first = unicodedata.normalize("NFKC", text[:1])
    return f"'{text}" if first and first in "=+-@\t\n" else text


def _csv_line(table: Table, row: Head, column: Head, cell: Cell) -> list[str]:
    paper = cell.paper
    values = (
        table.layout.number,
        table.profile,
        table.data_source,
        ", ".join(row),
        ", ".join(column),
        " ".join(words_of(cell.point)),
        cell.metric.name,
        cell.metric.unit,
        cell.mean,
        cell.std,
        len(cell.seeds),
        paper.mean if paper else None,
        paper.std if paper else None,
        paper.restarts if paper else None,
        cell.difference,
        cell.mark.value,
        " ".join(cell.runs),
        " ".join(cell.left_out),
        paper.source if paper else None,
        cell.own,
    )
    return list(map(csv_cell, values))
