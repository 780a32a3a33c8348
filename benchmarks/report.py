"""The benchmark on disk and on the screen: JSON, Markdown and a picture."""

import json
import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.cases import Row
from combgrad.files.writing import write_text_atomically
from combgrad.pictures import save_figure

COLUMNS = ("size", "batch", "implementation", "threads", "ms a batch", "least", "ms an instance")
INTRODUCTION = """\
Times are medians of interleaved calls after a warm-up call; "least" is the fastest call of a batch.
"ratio" is the time over that of the reference, the first implementation of each problem: below 1 is
faster. "exact" tells whether all objective values of the batch agree with the reference's within
1e-9, relative; for a layer those of the forward pass; "-" where noise makes them incomparable. The
size is the number of cities, the side of the grid or matrix, or the length of the vector or
sequence."""


@dataclass(frozen=True)
class Report:
    """Where and how it was measured, and the rows."""

    header: dict[str, Any]
    rows: list[Row]


def to_json(report: Report) -> str:
    """The report as JSON: {"header": {...}, "rows": [{...}]}."""
    return json.dumps(asdict(report), indent=1) + "\n"


def from_json(text: str) -> Report:
    """The report that `to_json` wrote."""
    content = json.loads(text)
    return Report(content["header"], [Row(**row) for row in content["rows"]])


def number(value: float) -> str:
    """A time or ratio with three significant digits and no exponent."""
    if value <= 0:
        return "0"
    return f"{value:.{max(0, 2 - math.floor(math.log10(value)))}f}"


def cells(row: Row) -> list[str]:
    """A row as the text of its cells, without the problem's name."""
    return [
        str(row.size),
        str(row.batch),
        row.impl,
        str(row.threads),
        number(row.ms_median),
        number(row.ms_min),
        number(row.ms_median / row.batch),
        "-" if row.ratio_to_reference is None else number(row.ratio_to_reference),
        {None: "-", True: "yes", False: "NO"}[row.exact],
    ]


def table(rows: Iterable[Row]) -> str:
    """The rows as a Markdown table whose source lines up."""
    lines = [[*COLUMNS, "ratio", "exact"], *(cells(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    text = [
        " | ".join(cell.ljust(w) for cell, w in zip(line, widths, strict=True)) for line in lines
    ]
    text.insert(1, " | ".join("-" * width for width in widths))
    return "\n".join(f"| {line} |" for line in text)


def problems(report: Report) -> dict[str, list[Row]]:
    """The rows of each problem, in the order of measuring."""
    found: dict[str, list[Row]] = {}
    for row in report.rows:
        found.setdefault(row.what, []).append(row)
    return found


def tables(report: Report) -> str:
    """One Markdown table a problem, under its name."""
    return "\n\n".join(f"## {what}\n\n{table(rows)}" for what, rows in problems(report).items())


def to_markdown(report: Report, picture: str | None) -> str:
    """The page: how it was measured, the picture, the tables, the notes."""
    header = dict(report.header)
    notes, cold = header.pop("notes"), header.pop("cold_seconds")
    facts = [f"- {name}: {describe(value)}" for name, value in header.items()]
    parts = ["# Benchmark of the solvers", INTRODUCTION, "\n".join(facts)]
    if picture:
        parts.append(f"![Time against size, one panel a problem]({picture})")
    parts.append(tables(report))
    if notes:
        parts.append("## Notes\n\n" + "\n".join(f"- {note}" for note in notes))
    first_calls = "\n".join(f"- {name}: {seconds:.3f} s" for name, seconds in cold.items())
    parts.append(
        "## First calls\n\nHow much longer the first call of a process took, at most: loading "
        "compiled code (compiling it, where it is not yet cached) or building a model.\n\n"
        f"{first_calls}"
    )
    return "\n\n".join(parts) + "\n"


def describe(value: Any) -> str:
    """A header value as words."""
    if isinstance(value, dict):
        return ", ".join(f"{name} {part}" for name, part in value.items())
    return str(value)


def draw_panel(axis: Axes, what: str, rows: list[Row], colours: dict[str, str]) -> None:
    """Time an instance against size, one line an implementation."""
    for name, threads in dict.fromkeys((row.impl, row.threads) for row in rows):
        # Of several batches of one size the last, largest one is drawn.
        line = {row.size: row for row in rows if (row.impl, row.threads) == (name, threads)}
        axis.plot(
            list(line),
            [row.ms_median / row.batch for row in line.values()],
            marker="o",
            markersize=4,
            color=colours[name],
            linestyle="-" if threads == 1 else ":",
            label=name if threads == 1 else f"{name}, {threads} threads",
        )
    sizes = sorted({row.size for row in rows})
    # Numbers beside each other would run into one another.
    sizes = [size for size in sizes if not size < max(sizes) < 1.03 * size]
    axis.set(xscale="log", yscale="log", title=what, xlabel="size", ylabel="ms an instance")
    axis.set_xticks(sizes, [str(size) for size in sizes])
    axis.minorticks_off()
    axis.grid(alpha=0.3)
    axis.legend(fontsize=7)


def _colours(panels: list[set[str]]) -> dict[str, str]:
    """One colour for each implementation, and never the same for two in one panel."""
    colours: dict[str, str] = {}
    for name in sorted(set().union(*panels)):
        beside = set().union(*(names for names in panels if name in names))
        taken = {colours.get(other) for other in beside}
        free = (colour for colour in (f"C{i}" for i in range(10)) if colour not in taken)
        colours[name] = next(free, "black")
    return colours


def draw(report: Report) -> Figure:
    """One panel for each problem measured at several sizes; for every problem where there is none.

    Both axes are logarithmic; dotted lines use several threads.
    """
    panels = problems(report)
    several = {what: rows for what, rows in panels.items() if len({row.size for row in rows}) > 1}
    panels = several or panels
    columns = min(4, len(panels))
    count = -(-len(panels) // columns)
    figure = Figure(figsize=(4.2 * columns, 3.4 * count), dpi=110)
    axes = figure.subplots(count, columns, squeeze=False).flat
    colours = _colours([{row.impl for row in rows} for rows in panels.values()])
    for axis, (what, rows) in zip(axes, panels.items(), strict=False):
        draw_panel(axis, what, rows, colours)
    for axis in figure.axes[len(panels) :]:
        axis.set_axis_off()
    figure.tight_layout()
    return figure


def save(report: Report, folder: Path, extra_json: Path | None = None) -> list[Path]:
    """Write bench.json, bench.png and bench.md into a folder, and the JSON elsewhere if asked."""
    text = to_json(report)
    written = [write_text_atomically(folder / "bench.json", text)]
    if extra_json is not None:
        written.append(write_text_atomically(extra_json, text))
    picture = None
    if report.rows:
        picture = "bench.png"
        written.append(save_figure(draw(report), folder / picture))
    written.append(write_text_atomically(folder / "bench.md", to_markdown(report, picture)))
    return written
