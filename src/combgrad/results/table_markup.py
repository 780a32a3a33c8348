"""Tables as LaTeX and as HTML."""

import re
from collections.abc import Callable
from html import escape

from combgrad.results.layout import spans
from combgrad.results.table_text import compared, facts, lines_of, notes, ours, printed, title
from combgrad.results.tables import Cell, Table

#: What LaTeX must not meet as it is; Greek letters because its usual fonts have none in text.
LATEX = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": "$<$",
    ">": "$>$",
    "|": "$|$",
    "±": r"$\pm$",
    "\N{MULTIPLICATION SIGN}": r"$\times$",
    "\N{EN DASH}": "--",
    "\N{GREEK SMALL LETTER ALPHA}": r"$\alpha$",
    "λ": r"$\lambda$",
    "ξ": r"$\xi$",
    "\N{GREEK SMALL LETTER RHO}": r"$\rho$",
    "\N{GREEK SMALL LETTER SIGMA}": r"$\sigma$",
    "τ": r"$\tau$",
}


def latex_text(text: str) -> str:
    """A text in which LaTeX finds no command of its own; a leading minus becomes one."""
    escaped = "".join(LATEX.get(letter, letter) for letter in text)
    return re.sub(r"^-(?=\d)", "$-$", escaped)


def to_latex(table: Table) -> str:
    """A floating table for a document with the package booktabs."""
    depth = len(table.layout.rows)
    body: list[str] = []
    for head, cells in zip(table.rows, table.grid, strict=True):
        if body:
            body.append(r"\addlinespace")
        for number, (name, texts) in enumerate(lines_of(cells)):
            words = [latex_text(text) for text in texts]
            if name == "ours":
                best = [cell is not None and cell.best for cell in cells]
                words = [rf"\textbf{{{w}}}" if b else w for w, b in zip(words, best, strict=True)]
            heads = [latex_text(text) for text in head] if number == 0 else [""] * depth
            body.append(" & ".join([*heads, name, *words]) + r" \\")
    small = " ".join(latex_text(sentence) for sentence in [*facts(table), *notes(table)])
    return "\n".join(
        [
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{latex_text(title(table))}}}",
            rf"\label{{tab:{table.id}}}",
            rf"\begin{{tabular}}{{{'l' * (depth + 1)}{'r' * len(table.columns)}}}",
            r"\toprule",
            *_latex_heads(table),
            r"\midrule",
            *body,
            r"\bottomrule",
            r"\end{tabular}",
            rf"\par\smallskip\footnotesize {small}",
            r"\end{table}",
            "",
        ]
    )


def _latex_heads(table: Table) -> list[str]:
    levels, left = len(table.layout.columns), len(table.layout.rows) + 1
    lines = []
    for level in range(levels):
        words, rules, column = [], [], left + 1
        for text, count in spans(table.columns, level):
            words.append(rf"\multicolumn{{{count}}}{{c}}{{{latex_text(text)}}}")
            rules.append(rf"\cmidrule(lr){{{column}-{column + count - 1}}}")
            column += count
        lines.append(" & ".join([""] * left + words).strip() + r" \\")
        if level < levels - 1:
            lines.append("".join(rules))
    return lines


def cell_id(table: Table, row: int, column: int) -> str:
    """The id of a cell in HTML; rows and columns count from 0."""
    return f"{table.id}-{row}-{column}"


def to_html(table: Table, link: Callable[[Cell], str | None] = lambda cell: None) -> str:
    """A `<section>` for a page to embed, in ASCII; ids and classes are listed below.

    `section.result-table` has the table's id; cells are `td.cell.mark-<mark>` (`.best` too) with
    the id of `cell_id`, `data-runs` (file names of records, separated by spaces), `data-mark`,
    `data-seeds` and `data-point`, and hold `span.ours`, `.paper` and `.difference`. The first of
    them is a link where `link` knows an address for the cell. `div.scroll` is for wide tables.
    """
    sentences = "".join(f"<li>{escape(note)}</li>" for note in notes(table))
    lines = [
        f'<section class="result-table" id="{escape(table.id)}"'
        f' data-table="{escape(table.layout.number)}" data-profile="{escape(table.profile)}"'
        f' data-source="{escape(table.data_source or "none")}">',
        f"<h3>{escape(title(table))}</h3>",
        f'<p class="table-facts">{escape(" ".join(facts(table)))}</p>',
        f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(title(table))}">',
        "<table>",
        "<thead>",
        *_html_heads(table),
        "</thead>",
        "<tbody>",
        *_html_rows(table, link),
        "</tbody>",
        "</table>",
        "</div>",
        f'<ul class="table-notes">{sentences}</ul>' if sentences else "",
        "</section>",
        "",
    ]
    text = "\n".join(line for line in lines if line) + "\n"
    # A fragment cannot say its encoding.
    return text.encode("ascii", "xmlcharrefreplace").decode("ascii")


def _html_heads(table: Table) -> list[str]:
    levels, left = len(table.layout.columns), len(table.layout.rows)
    lines = []
    for level in range(levels):
        corner = f'<td colspan="{left}" rowspan="{levels}"></td>' if level == 0 else ""
        scope = "col" if level == levels - 1 else "colgroup"
        heads = [
            f'<th scope="{scope}" colspan="{count}">{escape(text)}</th>'
            for text, count in spans(table.columns, level)
        ]
        lines.append(f"<tr>{corner}{''.join(heads)}</tr>")
    return lines


def _html_rows(table: Table, link: Callable[[Cell], str | None]) -> list[str]:
    levels = len(table.layout.rows)
    starts: list[list[str]] = [[] for _ in table.rows]
    for level in range(levels):
        number = 0
        for text, count in spans(table.rows, level):
            scope = "row" if level == levels - 1 else "rowgroup"
            starts[number].append(f'<th scope="{scope}" rowspan="{count}">{escape(text)}</th>')
            number += count
    return [
        "<tr>"
        + "".join(starts[row])
        + "".join(
            _html_cell(cell, cell_id(table, row, column), link(cell)) if cell else "<td></td>"
            for column, cell in enumerate(line)
        )
        + "</tr>"
        for row, line in enumerate(table.grid)
    ]


def _html_cell(cell: Cell, name: str, address: str | None) -> str:
    classes = f"cell mark-{cell.mark}" + (" best" if cell.best else "")
    point = " ".join(f"{key}={value}" for key, value in cell.point.items())
    source = f' title="{escape(cell.paper.source)}"' if cell.paper else ""
    number = escape(ours(cell))
    if address is not None:
        number = f'<a href="{escape(address)}">{number}</a>'
    return (
        f'<td class="{classes}" id="{escape(name)}" data-mark="{cell.mark}"'
        f' data-seeds="{len(cell.seeds)}" data-runs="{escape(" ".join(cell.runs))}"'
        f' data-point="{escape(point)}"><span class="ours">{number}</span>'
        f' <span class="paper"{source}>paper {escape(printed(cell))}</span>'
        f' <span class="difference">{escape(compared(cell))}</span></td>'
    )
