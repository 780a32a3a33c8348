"""The report: all tables, figures and runs on one page that needs nothing but itself."""

import base64
import hashlib
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from combgrad.files.installation import program
from combgrad.results.layout import told
from combgrad.results.paper import PAPERS, Paper, paper_of
from combgrad.results.record import RunRecord
from combgrad.results.report_runs import (
    About,
    Place,
    group_id,
    link_to,
    natural,
    run_groups,
    short_commit,
)
from combgrad.results.selection import counted
from combgrad.results.series import Sketch, own
from combgrad.results.table_markup import cell_id, to_html
from combgrad.results.table_text import title
from combgrad.results.tables import Cell, Mark, Table
from combgrad.results.templates import address, templates

FOLDER = Path(__file__).with_name("pages")

#: What the filter of the page calls the fields of a record.
FILTERS = {"experiment": "Experiment", "profile": "Profile", "source": "Data"}


@dataclass(frozen=True)
class Drawing:
    """A figure of one profile and data source: its SVG, or the problem that it has none for.

    `unfit` are the files of records without the numbers that it draws.
    """

    sketch: Sketch
    profile: str
    source: str
    svg: str = ""
    problem: str = ""
    unfit: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """Unique among all figures, such as `figure4a-paper-regenerated`."""
        return f"{self.sketch.name}-{self.profile}-{self.source}"

    @property
    def about(self) -> About:
        """What the page's filter looks at."""
        return About(_sketched(self.sketch), self.profile, self.source)

    def runs(self, records: Sequence[RunRecord]) -> list[tuple[list[RunRecord], list[RunRecord]]]:
        """Of each of its cells, the runs that count and those left out."""
        kept = [r for r in records if (r.profile, r.data_source) == (self.profile, self.source)]
        counting, left_out = counted(kept)
        fitting = [run for run in counting if run.file_name not in self.unfit]
        others = [*left_out, *(run for run in counting if run.file_name in self.unfit)]
        return [(own(marks, fitting), own(marks, others)) for _, marks in self.sketch.asked]


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
    by_file: dict[str, RunRecord] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "by_file", {record.file_name: record for record in self.records})

    def link(self, cell: Cell) -> str | None:
        """The address of the runs behind a cell, None where there is none."""
        return address(group_id(self.by_file[cell.runs[0]])) if cell.runs else None


def to_page(report: Report) -> str:
    """The page as HTML, in one file."""
    number = len(report.records)
    shown = [table for table in report.tables if table.data_source is not None]
    empty = [table for table in report.tables if table.data_source is None]
    script = _part("report.js")
    return (
        templates(FOLDER)
        .get_template("report.html")
        .render(
            style=_part("report.css"),
            script=script,
            script_hash=_fingerprint(script),
            paper=PAPERS[0].citation,
            runs=f"{number} run{'' if number == 1 else 's'}",
            count=number,
            experiments=", ".join(_experiments(report.records)) or "none",
            when=report.made,
            commit=short_commit(report.commit),
            filters=_filters(report.records),
            overview=_overview(report, shown),
            papers=[_of_paper(paper, report, shown) for paper in PAPERS],
            waiting=_waiting(empty, report.waiting),
            own=sum(record.key in report.own for record in report.records),
            hidden=report.hidden,
            shares=report.shares,
            details=report.details and link_to(report.details, report.page.parent),
            groups=run_groups(
                report.records, _places(report, shown), report.page.parent, report.own
            ),
        )
    )


def _part(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8").rstrip("\n")


def _fingerprint(script: str) -> str:
    """What the page's policy calls its only script, so that a browser runs no other."""
    digest = hashlib.sha256(script.encode("utf-8")).digest()
    return f"sha256-{base64.b64encode(digest).decode('ascii')}"


def _experiments(records: Sequence[RunRecord]) -> list[str]:
    return sorted({record.experiment for record in records}, key=natural)


def _asked(table: Table) -> list[str]:
    """The experiments of a table."""
    return list(dict.fromkeys(str(cell.point["experiment"]) for _, _, cell in table.cells()))


def _sketched(sketch: Sketch) -> list[str]:
    """The experiments of a figure."""
    return list(dict.fromkeys(str(point["experiment"]) for point, _ in sketch.asked))


def _title(sketch: Sketch) -> str:
    return f"{sketch.layout.called}: {sketch.layout.title}"


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
        marks = Counter(cell.mark for cell in _cells(table))
        run = sum(marks.values()) - marks[Mark.NO_RUN]
        numbers = (f"{run} of {sum(marks.values())}", marks[Mark.INSIDE], marks[Mark.OUTSIDE])
        about = About(_asked(table), table.profile, str(table.data_source))
        rows.append({"id": table.id, "title": title(table), "about": about, "numbers": numbers})
    for drawing in report.drawings:
        runs = drawing.runs(report.records)
        share = f"{sum(bool(kept) for kept, _ in runs)} of {len(runs)}"
        name = _title(drawing.sketch)
        rows.append(
            {"id": drawing.id, "title": name, "about": drawing.about, "numbers": (share, "", "")}
        )
    return rows


def _cells(table: Table) -> list[Cell]:
    """Each cell once, wherever and however often it stands."""
    cells = {(str(cell.point), cell.metric.name): cell for _, _, cell in table.cells()}
    return list(cells.values())


def _of_paper(paper: Paper, report: Report, tables: Sequence[Table]) -> dict[str, Any]:
    """What is shown of one paper's tables and figures."""
    return {
        "name": paper.name,
        "prefix": paper.prefix,
        "citation": paper.citation,
        "tables": [_table(report, t) for t in tables if paper_of(t.layout.number) is paper],
        "figures": [
            _figure(report, d) for d in report.drawings if paper_of(d.sketch.layout.number) is paper
        ],
    }


def _table(report: Report, table: Table) -> dict[str, Any]:
    about = About(_asked(table), table.profile, table.data_source)
    return {"about": about, "markup": to_html(table, report.link)}


def _figure(report: Report, drawing: Drawing) -> dict[str, Any]:
    cells = [
        {
            "point": " ".join(f"{key}={value}" for key, value in point.items()),
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
        "title": _title(drawing.sketch),
        "about": drawing.about,
        "problem": drawing.problem,
        "svg": base64.b64encode(drawing.svg.encode()).decode("ascii"),
        "cells": cells,
    }


def _waiting(tables: Sequence[Table], sketches: Sequence[Sketch]) -> list[dict[str, Any]]:
    items = [(t.layout.name, title(t), len(_cells(t)), _asked(t)) for t in tables]
    items += [(s.name, _title(s), len(s.asked), _sketched(s)) for s in sketches]
    lines = []
    for name, text, count, experiments in items:
        command = f"{program()} -m {'='.join(told(name))}"
        about = About(experiments, None, None)
        lines.append({"title": text, "cells": count, "command": command, "about": about})
    return lines


def _places(report: Report, tables: Sequence[Table]) -> dict[str, list[Place]]:
    """Where each run is shown, by the name of its file."""
    places: dict[str, list[Place]] = {}

    def add(counts: bool, files: Iterable[str], name: str, label: str) -> None:
        for file in files:
            places.setdefault(file, []).append(Place(name, label, counts))

    for table in tables:
        for row, line in enumerate(table.grid):
            for column, cell in enumerate(line):
                if cell is not None:
                    heads = ", ".join((*table.rows[row], *table.columns[column]))
                    name, label = cell_id(table, row, column), f"{table.layout.called} ({heads})"
                    add(True, cell.runs, name, label)
                    add(False, cell.left_out + cell.lacking, name, label)
    for drawing in report.drawings:
        label = drawing.sketch.layout.called
        for kept, left_out in drawing.runs(report.records):
            add(True, (run.file_name for run in kept), drawing.id, label)
            add(False, (run.file_name for run in left_out), drawing.id, label)
    return places
