"""The report: all tables, figures and runs on one page that needs nothing but itself."""

import base64
import hashlib
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from combgrad.files.installation import program
from combgrad.results import drawings, report_tables
from combgrad.results.drawings import Drawing, leading
from combgrad.results.heads import place_of, words_of
from combgrad.results.paper import PAPERS, Paper, paper_of
from combgrad.results.plan_names import told
from combgrad.results.questions import Question, answered, cited, linked
from combgrad.results.record import RunRecord
from combgrad.results.report_runs import (
    About,
    Place,
    Setups,
    first_of,
    group_id,
    link_to,
    natural,
    run_groups,
    short_commit,
)
from combgrad.results.report_tables import about, asides, little, trimmed
from combgrad.results.series import Sketch
from combgrad.results.story import distinct, findings
from combgrad.results.table_markup import Setting, cell_id, to_html
from combgrad.results.table_text import notes
from combgrad.results.tables import TOLERANCE, Cell, Mark, Table
from combgrad.results.templates import PAGES, address, templates

#: What the filter of the page calls the fields of a record.
FILTERS = {"experiment": "Experiment", "profile": "Profile", "source": "Data"}


@dataclass(frozen=True)
class Report:
    """What stands on the page.

    Attributes:
        records: of all runs that are shown.
        tables: from these records, with the empty ones.
        drawings: the figures from these records.
        waiting: the figures without a run.
        page: where the page will lie, from where its links lead to the records.
        made: when, for a reader.
        commit: of the code that made the page.
        own: the keys of the records that are the user's own.
        hidden: a sentence on the runs that are not shown, empty where all are.
        shares: a sentence for each paper on how much of it is reproduced.
        details: the page that tells so cell by cell, None where there is none.
        questions: what the paper leaves open, by the numbers that notes name.
        protocols: the page that has them at length, None where there is none.
    """

    records: Sequence[RunRecord]
    tables: Sequence[Table]
    drawings: Sequence[Drawing]
    waiting: Sequence[Sketch]
    page: Path
    made: str
    commit: str
    own: Collection[str] = ()
    hidden: str = ""
    shares: Sequence[str] = ()
    details: Path | None = None
    questions: Mapping[str, Question] = field(default_factory=dict)
    protocols: Path | None = None
    by_file: dict[str, RunRecord] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "by_file", {record.file_name: record for record in self.records})

    def link(self, table: Table, cell: Cell) -> str | None:
        """The address of the runs behind a cell, None where they are not on the page."""
        if table.layout.records or not cell.runs:
            return None
        return address(group_id(self.by_file[cell.runs[0]]))


def to_page(report: Report) -> str:
    """The page as HTML, in one file."""
    number = len(report.records)
    shown = [table for table in report.tables if table.data_source is not None]
    empty = [table for table in report.tables if table.data_source is None]
    known = cited(_notes(report, shown), report.questions)
    first = leading(report.drawings, report.records)
    setups = Setups()
    places = _places(report, shown)
    groups = run_groups(report.records, places, report.page.parent, report.own, setups)
    script = _part("report.js")
    return (
        templates(PAGES)
        .get_template("report.html")
        .render(
            style=_part("report.css"),
            script=script,
            script_hash=_fingerprint(script),
            paper=PAPERS[0].citation,
            tolerance=TOLERANCE,
            runs=f"{number} run{'' if number == 1 else 's'}",
            count=number,
            experiments=", ".join(_experiments(report.records)) or "none",
            when=report.made,
            commit=short_commit(report.commit),
            start=f"{program()} -m experiment=tsp5 profile=reduced seeds=2",
            again=program("report"),
            findings=findings(shown),
            pictures=[_figure(report, drawing, known) for drawing in first],
            filters=_filters(report.records),
            overview=_overview(report, shown),
            papers=[_of_paper(paper, report, shown, first, known) for paper in PAPERS],
            waiting=_waiting(empty, report.waiting),
            own=sum(record.key in report.own for record in report.records),
            hidden=report.hidden,
            shares=report.shares,
            details=report.details and link_to(report.details, report.page.parent),
            questions=[
                (number, answered(one.open, known), answered(one.here, known))
                for number, one in known.items()
            ],
            protocols=report.protocols and link_to(report.protocols, report.page.parent),
            groups=groups,
            setups=setups.found,
        )
    )


def _notes(report: Report, tables: Sequence[Table]) -> list[str]:
    """Every sentence that may name an open question."""
    below = [note for table in tables for note in notes(table)]
    return [*below, *(note for drawing in report.drawings for note in drawing.sketch.layout.notes)]


def _part(name: str) -> str:
    return (PAGES / name).read_text(encoding="utf-8").rstrip("\n")


def _fingerprint(script: str) -> str:
    """What the page's policy calls its only script, so that a browser runs no other."""
    digest = hashlib.sha256(script.encode("utf-8")).digest()
    return f"sha256-{base64.b64encode(digest).decode('ascii')}"


def _experiments(records: Sequence[RunRecord]) -> list[str]:
    return sorted({record.experiment for record in records}, key=natural)


def _filters(records: Sequence[RunRecord]) -> list[dict[str, Any]]:
    counts = {
        "experiment": Counter(record.experiment for record in records),
        "profile": Counter(record.profile for record in records),
        "source": Counter(record.data_source for record in records),
    }
    return [
        {
            "name": name,
            "label": FILTERS[name],
            "options": [(value, found[value]) for value in sorted(found, key=natural)],
        }
        for name, found in counts.items()
    ]


def _overview(report: Report, tables: Sequence[Table]) -> list[dict[str, Any]]:
    """How much of each table and figure there is, and how it compares."""
    rows: list[dict[str, Any]] = []
    for table in tables:
        marks = Counter(cell.mark for cell in distinct(table))
        run = sum(marks.values()) - marks[Mark.NO_RUN]
        numbers = (f"{run} of {sum(marks.values())}", marks[Mark.INSIDE], marks[Mark.OUTSIDE])
        row = {"id": table.id, "title": table.layout.heading, "about": about(table)}
        rows.append(row | {"numbers": numbers, "little": little(table)})
    for drawing in report.drawings:
        runs = drawing.runs(report.records)
        share = f"{sum(bool(kept) for kept, _ in runs)} of {len(runs)}"
        row = {"id": drawing.id, "title": drawing.title, "about": drawing.about}
        rows.append(row | {"numbers": (share, "", ""), "little": drawing.little})
    return rows


def _of_paper(
    paper: Paper,
    report: Report,
    tables: Sequence[Table],
    first: Sequence[Drawing],
    known: Mapping[str, Question],
) -> dict[str, Any]:
    """What is shown of one paper's tables and figures, those with little to see apart."""
    here = [t for t in tables if paper_of(t.layout.number) is paper]
    drawn = [d for d in report.drawings if paper_of(d.sketch.layout.number) is paper]
    later = [d for d in drawn if d not in first]
    return {
        "name": paper.name,
        "prefix": paper.prefix,
        "citation": paper.citation,
        "tables": [_table(report, t, known) for t in here if not little(t)],
        "small_tables": [_table(report, t, known) for t in here if little(t)],
        "small_tables_are": _counted("table", map(little, here)),
        "at_the_top": [(d.id, d.title) for d in drawn if d in first],
        "figures": [_figure(report, d, known) for d in later if not d.little],
        "small_figures": [_figure(report, d, known) for d in later if d.little],
        "small_figures_are": _counted("figure", (d.little for d in later)),
    }


def _counted(what: str, reasons: Iterable[str]) -> str:
    """`2 figures of profile smoke, 1 figure of one point a line`; empty reasons are not counted."""
    counts = Counter(filter(None, reasons))
    return ", ".join(f"{n} {what}{'' if n == 1 else 's'} {why}" for why, n in counts.items())


def _table(report: Report, table: Table, known: Mapping[str, Question]) -> dict[str, Any]:
    setting = Setting(partial(report.link, table), lambda note: linked(note, known), asides(table))
    return {"about": about(table), "markup": to_html(trimmed(table), setting)}


def _figure(report: Report, drawing: Drawing, known: Mapping[str, Question]) -> dict[str, Any]:
    cells = [
        {
            "point": " ".join(words_of(point)),
            "runs": runs,
            "seeds": ", ".join(str(run.seed) for run in runs),
            "files": " ".join(run.file_name for run in runs),
            "group": group_id(runs[0]) if runs else "",
        }
        for (point, _), (runs, _) in zip(
            drawing.sketch.asked, drawing.runs(report.records), strict=True
        )
    ]
    return {
        "id": drawing.id,
        "title": drawing.title,
        "about": drawing.about,
        "problem": drawing.problem,
        "words": drawing.words,
        "notes": [linked(note, known) for note in drawing.sketch.layout.notes],
        "svg": base64.b64encode(drawing.svg.encode()).decode("ascii"),
        "cells": cells,
    }


def _waiting(tables: Sequence[Table], sketches: Sequence[Sketch]) -> list[dict[str, Any]]:
    items = [
        *((t.layout, len(distinct(t)), report_tables.experiments_of(t)) for t in tables),
        *((s.layout, len(s.asked), drawings.experiments_of(s)) for s in sketches),
    ]
    lines = []
    for layout, count, experiments in items:
        command = f"{program()} -m {'='.join(told(layout.name))}"
        fits = About(experiments, None, None)
        lines.append({"title": layout.heading, "cells": count, "command": command, "about": fits})
    return lines


def _places(report: Report, tables: Sequence[Table]) -> dict[str, list[Place]]:
    """Where each run is shown, by the name of its file: once in each table and figure."""
    places: dict[str, dict[tuple[str, bool], list[Place]]] = {}

    def add(counts: bool, files: Iterable[str], of: str, name: str, label: str) -> None:
        for file in files:
            there = places.setdefault(file, {}).setdefault((of, counts), [])
            there.append(Place(name, label, counts))

    # Records that lie apart have the names of those of the same settings here.
    for table in (trimmed(table) for table in tables if not table.layout.records):
        for row, line in enumerate(table.grid):
            for column, cell in enumerate(line):
                if cell is not None:
                    heads = place_of(table.rows[row], table.columns[column])
                    name, label = cell_id(table, row, column), f"{table.layout.called} ({heads})"
                    add(True, cell.runs, table.id, name, label)
                    add(False, cell.left_out + cell.lacking, table.id, name, label)
    for drawing in report.drawings:
        label = drawing.sketch.layout.called
        for kept, left_out in drawing.runs(report.records):
            add(True, (run.file_name for run in kept), drawing.id, drawing.id, label)
            add(False, (run.file_name for run in left_out), drawing.id, drawing.id, label)
    return {file: [first_of(there) for there in of.values()] for file, of in places.items()}
