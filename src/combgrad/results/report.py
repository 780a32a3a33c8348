"""The report: all tables, figures and runs on one page that needs nothing but itself."""

import base64
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from string import Template

from combgrad.results.paper import PAPER
from combgrad.results.record import RunRecord
from combgrad.results.report_runs import (
    Place,
    address,
    fitting,
    group_id,
    natural,
    run_groups,
    short_commit,
)
from combgrad.results.series import Sketch, own
from combgrad.results.table_markup import cell_id, to_html
from combgrad.results.table_text import title
from combgrad.results.tables import Cell, Mark, Table, counted

FOLDER = Path(__file__).parent
NOTHING = '<p class="nothing" hidden>Nothing here fits the filter.</p>'


@dataclass(frozen=True)
class Drawing:
    """A figure of one profile and data source: its SVG, or the problem that it has none for."""

    sketch: Sketch
    profile: str
    source: str
    svg: str = ""
    problem: str = ""

    @property
    def id(self) -> str:
        """Unique among all figures, such as `figure4a-paper-regenerated`."""
        return f"{self.sketch.name}-{self.profile}-{self.source}"

    def runs(self, records: Sequence[RunRecord]) -> list[tuple[list[RunRecord], list[RunRecord]]]:
        """Of each of its cells, the runs that count and those left out."""
        kept = [r for r in records if (r.profile, r.data_source) == (self.profile, self.source)]
        return [counted(own(marks, kept)) for _, marks in self.sketch.asked]


@dataclass(frozen=True)
class Report:
    """What stands on the page.

    Attributes:
        records: of all runs.
        tables: from these records, with the empty ones.
        drawings: the figures from these records.
        waiting: the figures without a run.
        folder: the address of the folder of the records, seen from the page.
        made: when, for a reader.
        commit: of the code that made the page.
    """

    records: Sequence[RunRecord]
    tables: Sequence[Table]
    drawings: Sequence[Drawing]
    waiting: Sequence[Sketch]
    folder: str
    made: str
    commit: str
    by_file: dict[str, RunRecord] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "by_file", {record.file_name: record for record in self.records})

    def link(self, cell: Cell) -> str | None:
        """The address of the runs behind a cell, None where there is none."""
        return address(group_id(self.by_file[cell.runs[0]])) if cell.runs else None


def to_page(report: Report) -> str:
    """The page as HTML, in one file."""
    number = len(report.records)
    runs = f"{number} run{'' if number == 1 else 's'}"
    shown = [table for table in report.tables if table.data_source is not None]
    empty = [table for table in report.tables if table.data_source is None]
    return Template(_part("report_page.html")).substitute(
        style=_part("report.css"),
        script=_part("report.js"),
        paper=escape(PAPER),
        runs=runs,
        count=number,
        experiments=escape(", ".join(_experiments(report.records)) or "none"),
        when=escape(report.made),
        commit=escape(short_commit(report.commit)),
        filters=_filters(report.records),
        overview=_overview(report, shown),
        tables=_some("".join(_table(report, table) for table in shown)),
        figures=_some("".join(_figure(report, drawing) for drawing in report.drawings)),
        waiting=_waiting(empty, report.waiting),
        run_groups=_some(run_groups(report.records, _places(report, shown), report.folder)),
    )


def _part(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8").rstrip("\n")


def _some(markup: str) -> str:
    return f"{markup}{NOTHING}" if markup else "<p>None yet.</p>"


def _experiments(records: Sequence[RunRecord]) -> list[str]:
    return sorted({record.experiment for record in records}, key=natural)


def _asked(table: Table) -> list[str]:
    """The experiments of a table."""
    return list(dict.fromkeys(str(cell.point["experiment"]) for _, _, cell in table.cells()))


def _sketched(sketch: Sketch) -> list[str]:
    """The experiments of a figure."""
    return list(dict.fromkeys(str(point["experiment"]) for point, _ in sketch.asked))


def _label(sketch: Sketch) -> str:
    """What the paper calls a figure."""
    return f"Figure {sketch.name.removeprefix('figure')}"


def _title(sketch: Sketch) -> str:
    return f"{_label(sketch)}: {sketch.layout.title}"


def _filters(records: Sequence[RunRecord]) -> str:
    counts = {
        "experiment": Counter(record.experiment for record in records),
        "profile": Counter(record.profile for record in records),
        "source": Counter(record.data_source for record in records),
    }
    words = {"experiment": "Experiment", "profile": "Profile", "source": "Data"}
    fields = []
    for name, found in counts.items():
        options = "".join(
            f'<option value="{escape(value)}">{escape(value)} ({found[value]})</option>'
            for value in sorted(found, key=natural)
        )
        fields.append(
            f'<label>{words[name]}<select name="{name}"><option value="">all</option>'
            f"{options}</select></label>"
        )
    return "\n".join(fields)


def _overview(report: Report, tables: Sequence[Table]) -> str:
    """How much of each table and figure there is, and how it compares."""
    rows = []
    for table in tables:
        marks = Counter(cell.mark for cell in _cells(table))
        run = sum(marks.values()) - marks[Mark.NO_RUN]
        about = (_asked(table), table.profile, str(table.data_source))
        share = f"{run} of {sum(marks.values())}"
        numbers = (share, str(marks[Mark.INSIDE]), str(marks[Mark.OUTSIDE]))
        rows.append(_overview_row(table.id, title(table), about, numbers))
    for drawing in report.drawings:
        runs = drawing.runs(report.records)
        numbers = (f"{sum(bool(kept) for kept, _ in runs)} of {len(runs)}", "", "")
        about = (_sketched(drawing.sketch), drawing.profile, drawing.source)
        rows.append(_overview_row(drawing.id, _title(drawing.sketch), about, numbers))
    if not rows:
        return "<p>No table or figure has a run yet.</p>"
    heads = ("Table or figure", "Profile", "Data", "Cells run", "Inside", "Outside")
    head = "".join(f'<th scope="col">{text}</th>' for text in heads)
    return (
        '<div class="scroll" tabindex="0" role="region" aria-label="Overview">'
        f'<table class="overview"><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>{NOTHING}"
    )


def _overview_row(
    name: str, text: str, about: tuple[list[str], str, str], numbers: tuple[str, ...]
) -> str:
    cells = "".join(f"<td>{escape(word)}</td>" for word in (*about[1:], *numbers))
    link = f'<a href="{escape(address(name))}">{escape(text)}</a>'
    return f"<tr{fitting(*about)}><td>{link}</td>{cells}</tr>"


def _cells(table: Table) -> list[Cell]:
    """Each cell once, wherever and however often it stands."""
    cells = {(str(cell.point), cell.metric.name): cell for _, _, cell in table.cells()}
    return list(cells.values())


def _table(report: Report, table: Table) -> str:
    about = fitting(_asked(table), table.profile, table.data_source)
    return f'<article class="card"{about}>{to_html(table, report.link)}</article>'


def _figure(report: Report, drawing: Drawing) -> str:
    name = _title(drawing.sketch)
    behind = []
    runs_of_cells = drawing.runs(report.records)
    for (point, _), (runs, _) in zip(drawing.sketch.asked, runs_of_cells, strict=True):
        words = " ".join(f"{key}={value}" for key, value in point.items())
        found = "not run"
        if runs:
            seeds = ", ".join(str(run.seed) for run in runs)
            files = escape(" ".join(run.file_name for run in runs))
            found = (
                f'<a href="{address(group_id(runs[0]))}" data-runs="{files}">'
                f"{'seeds' if len(runs) > 1 else 'seed'} {escape(seeds)}</a>"
            )
        behind.append(f"<li><code>{escape(words)}</code>: {found}</li>")
    about = fitting(_sketched(drawing.sketch), drawing.profile, drawing.source)
    return (
        f'<article class="card" id="{escape(drawing.id)}" tabindex="-1"{about}>'
        f"<h3>{escape(name)}</h3>"
        f'<p class="table-facts">Profile {escape(drawing.profile)}, data {escape(drawing.source)}.'
        f"</p>{_picture(drawing, name)}"
        f"<details><summary>Runs behind this figure</summary><ul>{''.join(behind)}</ul></details>"
        "</article>"
    )


def _picture(drawing: Drawing, name: str) -> str:
    if drawing.problem:
        return f'<p class="problem">Not drawn: {escape(drawing.problem)}</p>'
    # As an image the picture keeps its ids and styles to itself.
    data = base64.b64encode(drawing.svg.encode()).decode("ascii")
    return (
        '<div class="scroll" tabindex="0" role="region" aria-label="Picture"><figure>'
        f'<img alt="{escape(name)}" src="data:image/svg+xml;base64,{data}"></figure></div>'
    )


def _waiting(tables: Sequence[Table], sketches: Sequence[Sketch]) -> str:
    items = [(t.layout.name, title(t), len(_cells(t)), _asked(t)) for t in tables]
    items += [(s.name, _title(s), len(s.asked), _sketched(s)) for s in sketches]
    lines = []
    for name, text, count, experiments in items:
        kind = "table" if name.startswith("table") else "figure"
        command = f"python train.py -m {kind}={name.removeprefix(kind)}"
        lines.append(
            f"<li{fitting(experiments, None, None)}>{escape(text)} "
            f'<span class="small">({count} cells: <code>{escape(command)}</code>)</span></li>'
        )
    if not lines:
        return "<p>Every table and figure has runs.</p>"
    return f'<ul class="plain">{"".join(lines)}</ul>{NOTHING}'


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
                    name = cell_id(table, row, column)
                    add(True, cell.runs, name, f"Table {table.layout.number} ({heads})")
                    add(False, cell.left_out, name, f"Table {table.layout.number} ({heads})")
    for drawing in report.drawings:
        for kept, left_out in drawing.runs(report.records):
            add(True, (run.file_name for run in kept), drawing.id, _label(drawing.sketch))
            add(False, (run.file_name for run in left_out), drawing.id, _label(drawing.sketch))
    return places
