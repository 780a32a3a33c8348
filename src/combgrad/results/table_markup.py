"""Tables as LaTeX and as HTML."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from combgrad.results.heads import Head, spans, words_of
from combgrad.results.table_text import (
    brief_facts,
    compared,
    facts,
    lines_of,
    notes,
    ours,
    paper_word,
    printed,
)
from combgrad.results.tables import Cell, Table
from combgrad.results.templates import PAGES, templates

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
    "`": r"\textasciigrave{}",
    '"': "''",
    "<": "$<$",
    ">": "$>$",
    "|": "$|$",
    "±": r"$\pm$",
    "\N{MULTIPLICATION SIGN}": r"$\times$",
    "\N{EN DASH}": "--",
    "\N{EM DASH}": "---",
    "\N{HORIZONTAL ELLIPSIS}": r"\ldots{}",
    "\N{RIGHT SINGLE QUOTATION MARK}": "'",
    "≤": r"$\leq$",
    "≥": r"$\geq$",
    "\N{GREEK SMALL LETTER ALPHA}": r"$\alpha$",
    "λ": r"$\lambda$",
    "ξ": r"$\xi$",
    "\N{GREEK SMALL LETTER RHO}": r"$\rho$",
    "\N{GREEK SMALL LETTER SIGMA}": r"$\sigma$",
    "τ": r"$\tau$",
}


def latex_text(text: str) -> str:
    """A text in which LaTeX finds no command of its own; a leading minus becomes one.

    Blanks of any kind become a space, and letters that its usual fonts lack their number.
    """
    # Two of these in a row are another letter to LaTeX, and a bracket or star after the end of a
    # line is an option of that end.
    apart = re.sub(r"([-',])(?=\1)", "\\1\0", text.replace("\0", "\N{REPLACEMENT CHARACTER}"))
    escaped = "".join(_latex_letter(letter) for letter in apart)
    escaped = re.sub(r"^\s*([\[*])", r"{\1}", escaped)
    return re.sub(r"^-(?=\d)", "$-$", escaped)


def _latex_letter(letter: str) -> str:
    if letter == "\0":
        return "{}"
    if letter in LATEX or " " <= letter <= "~":
        return LATEX.get(letter, letter)
    if letter.isspace():
        return " "
    # Of the accented letters, those that even its oldest fonts can build.
    built = "À" <= letter <= "ÿ" and letter not in "ÐÞðþ÷"
    return letter if built else f"[U+{ord(letter):04X}]"


def latex_label(name: str) -> str:
    """A name that LaTeX can refer to: whatever is no letter, digit, dot or dash becomes a dash."""
    return re.sub(r"[^A-Za-z0-9.-]+", "-", name)


def to_latex(table: Table) -> str:
    """A floating table for a document with the package booktabs."""
    depth = len(table.layout.rows)
    body: list[str] = []
    for head, cells in zip(table.rows, table.grid, strict=True):
        if body:
            body.append(r"\addlinespace")
        for number, (name, texts) in enumerate(lines_of(cells, paper_word(table))):
            words = [latex_text(text) for text in texts]
            if name == "ours":
                best = [cell is not None and cell.best for cell in cells]
                words = [rf"\textbf{{{w}}}" if b else w for w, b in zip(words, best, strict=True)]
            heads = [latex_text(text) for text in head] if number == 0 else [""] * depth
            body.append(" & ".join([*heads, latex_text(name), *words]) + r" \\")
    small = " ".join(latex_text(sentence) for sentence in [*facts(table), *notes(table)])
    return "\n".join(
        [
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{latex_text(table.layout.heading)}}}",
            rf"\label{{tab:{latex_label(table.id)}}}",
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


@dataclass(frozen=True)
class Aside:
    """What stands below a table: a line, and closed what it is about, if that needs a list."""

    said: str
    items: Sequence[str]


@dataclass(frozen=True)
class Setting:
    """What a page that has several tables gives to each.

    Attributes:
        link: the address of the runs behind a cell, None where there is none.
        note: a sentence with the links that the page has for its words.
        asides: below the table.
    """

    link: Callable[[Cell], str | None]
    note: Callable[[str], str]
    asides: Sequence[Aside] = ()


def to_html(table: Table, setting: Setting | None = None) -> str:
    """A `<section>` for a page to embed, in ASCII; ids and classes are listed below.

    `section.result-table` has the table's id; cells are `td.cell.mark-<mark>` (`.best` too) with
    the id of `cell_id`, `data-runs` (file names of records, separated by spaces), `data-mark`,
    `data-seeds` and `data-point`, and hold `span.ours`, `.paper` and `.difference`. `div.scroll` is
    for wide tables.

    In a `setting` the first span is a link where there are runs, cells have `data-column`, the
    heads of their column, and what the page says once, or that nothing is printed, is left out.
    """
    page = templates(PAGES).get_template("table.html")
    note = setting.note if setting else str
    text = page.render(
        table=table,
        title=table.layout.heading,
        facts=brief_facts(table) if setting else facts(table),
        notes=[note(sentence) for sentence in notes(table)],
        asides=setting.asides if setting else (),
        depth=len(table.layout.rows),
        columns=[spans(table.columns, level) for level in range(len(table.layout.columns))],
        rows=[
            (
                heads,
                [_html_cell(table, row, column, setting) for column in range(len(table.columns))],
            )
            for row, heads in enumerate(_html_row_heads(table.rows, len(table.layout.rows)))
        ],
    )
    # A fragment cannot say its encoding.
    return f"{text}\n".encode("ascii", "xmlcharrefreplace").decode("ascii")


def _html_row_heads(rows: tuple[Head, ...], levels: int) -> list[list[tuple[str, str, int]]]:
    """Of each row the heads that start there: scope, text, number of rows they span."""
    starts: list[list[tuple[str, str, int]]] = [[] for _ in rows]
    for level in range(levels):
        number = 0
        for text, count in spans(rows, level):
            starts[number].append(("row" if level == levels - 1 else "rowgroup", text, count))
            number += count
    return starts


def _html_cell(
    table: Table, row: int, column: int, setting: Setting | None
) -> dict[str, Any] | None:
    cell = table.grid[row][column]
    if cell is None:
        return None
    return {
        "id": cell_id(table, row, column),
        "mark": cell.mark,
        "best": cell.best,
        "seeds": len(cell.seeds),
        "runs": " ".join(cell.runs),
        "point": " ".join(words_of(cell.point)),
        "address": setting.link(cell) if setting else None,
        "column": ", ".join(filter(None, table.columns[column])) if setting else None,
        "ours": ours(cell),
        "beside": setting is None or cell.paper is not None,
        "paper": printed(cell),
        "paper_word": paper_word(table),
        "source": cell.paper.source if cell.paper else "",
        "difference": compared(cell),
    }
