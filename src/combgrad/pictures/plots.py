"""The paper's figures from their numbers: a metric against a value, or curves over the epochs."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from scipy.special import stdtrit

from combgrad.files.installation import program
from combgrad.files.writing import write_atomically
from combgrad.pictures.blank import blank
from combgrad.pictures.labels import INK
from combgrad.pictures.saving import save_figure
from combgrad.results.plan_names import told
from combgrad.results.series import FigureData, Panel, Series
from combgrad.results.templates import writable

#: Okabe and Ito's colours, which colour-blind readers tell apart; their yellow is too pale here.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
DASHES = ("-", (0, (5, 1.5)), (0, (1.2, 1.2)), (0, (6, 1.5, 1.2, 1.5)))
MARKERS = ("o", "s", "^", "D", "v")
FAINT = "#6b7a85"

#: Beyond this an axis cannot be divided any more.
LARGEST = 1e100

_LINES_OF_A_BOX = ("boxprops", "whiskerprops", "capprops", "medianprops")

# Inches.
_PANEL_WIDTH, _PANEL_HEIGHT, _LINE = 7.0, 4.0, 0.19
_HANDLE, _LEGEND_LETTER = 0.7, 0.072
_LETTERS_AN_INCH = {"title": 11, "footer": 15}
_LEGEND: dict[str, Any] = {"fontsize": 9, "labelcolor": INK, "edgecolor": "none"}


def draw_figure(data: FigureData, words: bool = True) -> Figure:
    """One figure, a panel for each metric; it says so where nothing was run.

    Without `words` it has neither title nor footer, for a page that has both as text.
    """
    width = _PANEL_WIDTH if len(data.panels) == 1 else 5.6 * len(data.panels)
    lines = footer(data, int(_LETTERS_AN_INCH["footer"] * width)) if words else []
    title = textwrap.wrap(data.title, int(_LETTERS_AN_INCH["title"] * width)) if words else []
    foot, head = _LINE * (len(lines) + 0.6), _LINE * (1.2 * len(title) + 0.6)
    figure = blank(None, dpi=150, fitted=False)
    boxes = figure.subplots(1, len(data.panels), squeeze=False)[0]
    for axes, panel in zip(boxes, data.panels, strict=True):
        _draw_panel(axes, data, panel)
    names = _names_below(data, boxes)
    columns = max(1, int(width / (_HANDLE + _LEGEND_LETTER * max(map(len, names), default=0))))
    below = _LINE * -(-len(names) // columns)
    height = _PANEL_HEIGHT + below + foot + head
    figure.set_size_inches(width, height)
    if names:
        place: dict[str, Any] = {"loc": "lower center", "bbox_to_anchor": (0.5, foot / height)}
        figure.legend(names.values(), names, ncols=columns, borderaxespad=0, **place, **_LEGEND)
        foot += below
    top = 1 - 0.12 / height
    # Names of files stand in there, which may hold dollars.
    plain: dict[str, Any] = {"parse_math": False}
    figure.text(0.5, top, "\n".join(title), size=12, color=INK, ha="center", va="top", **plain)
    low: dict[str, Any] = {"size": 8, "color": FAINT, "va": "bottom", **plain}
    figure.text(0.1 / width, 0.08 / height, "\n".join(lines), **low)
    figure.tight_layout(rect=(0, foot / height, 1, 1 - head / height))
    return figure


def save_plot(figure: Figure, folder: Path, name: str) -> list[Path]:
    """Write a figure as SVG and as PNG, the same bytes for the same numbers, and empty it."""

    def write(path: Path) -> None:
        figure.savefig(path, format="svg", metadata={"Date": None})

    with matplotlib.rc_context({"svg.hashsalt": name}):
        drawn = write_atomically(folder / f"{name}.svg", write)
    return [drawn, save_figure(figure, folder / f"{name}.png")]


def footer(data: FigureData, width: int) -> list[str]:
    """What a reader must know of the numbers, in lines of at most `width` letters."""
    texts = map(writable, (*reading(data), *data.notes))
    return [line for text in texts for line in textwrap.wrap(text, width)]


def reading(data: FigureData) -> list[str]:
    """What a reader must know of the numbers of a figure, but for its notes."""
    made = f"Profile {data.profile}" + (f", data {data.source}" if data.source else "")
    if data.empty:
        words = [f"{made}: no run of this figure has a record."]
    else:
        mark = {
            "values": "Markers: test at the best validation epoch.",
            "curves": "Markers: the best validation epoch, mean of the seeds.",
        }[data.kind]
        band = {
            "deviation": "population standard deviation over the seeds",
            "interval": "95 % confidence interval (Student's t) over the seeds",
            "box": "",
        }[data.band]
        shown = (
            "Boxes: median and quartiles of the seeds, whiskers to the last within 1.5 of their "
            "distance. Test at the best validation epoch."
            if data.band == "box"
            else f"Line and band: mean and {band}. {mark}"
        )
        words = [f"{made}. {shown}"]
        if data.own:
            words.append(f"Runs of the user's own, not among the committed ones: {data.own}.")
        if data.missing:
            words.append(f"Not run: {'; '.join(data.missing)}.")
        if data.left_out:
            files = ", ".join(data.left_out)
            words.append(f"Left out, of the same seeds or of other data: {files}.")
        if data.unfit:
            words.append(
                f"Left out, without the numbers that others have: {', '.join(data.unfit)}."
            )
    return words


def series_label(series: Series) -> str:
    """The name of a line in the legend, with its number of seeds."""
    if not series.x:
        return f"{series.label} (not run)"
    low, high = min(series.seeds), max(series.seeds)
    count = f"{low} to {high} seeds" if low < high else f"{low} seed{'s' if low > 1 else ''}"
    strange = np.flatnonzero(~np.isfinite(_drawable(series.mean)))
    broken = ""
    if len(strange):
        finite = np.isfinite(series.mean[strange[0]])
        word = "too large to draw" if finite else "not finite"
        broken = f", {word} from {series.x[strange[0]]:g} on"
    return f"{series.label} ({count}{broken})"


def _drawable(values: Sequence[float]) -> np.ndarray:
    """The values with NaN, which leaves a gap, in place of those that no axis can show."""
    found = np.array(values, dtype=float)
    return np.where(np.abs(found) < LARGEST, found, np.nan)


def _draw_panel(axes: Axes, data: FigureData, panel: Panel) -> None:
    axes.set_xlabel(data.x_label, color=INK)
    axes.set_ylabel(panel.label, color=INK)
    if data.kind == "curves":
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(color="#dfe5e9", linewidth=0.7)
    axes.spines[["top", "right"]].set_visible(False)
    if data.empty:
        axes.set(xticks=[], yticks=[])
        text = f"not run\n\n{program()} -m figure={told(data.name)[1]}"
        middle: dict[str, Any] = {"ha": "center", "va": "center", "transform": axes.transAxes}
        axes.text(0.5, 0.5, text, size=11, color=FAINT, **middle)
        return
    if data.band == "box":
        _draw_boxes(axes, panel)
    else:
        for number, series in enumerate(panel.series):
            _draw_series(axes, data, number, series)
    for number, end in enumerate(data.margin_ends if data.kind == "curves" else ()):
        # Between the last epoch with a margin and the first one without.
        label = "end of the margin" if number == 0 else None
        axes.axvline(end + 0.5, color=FAINT, linestyle=":", linewidth=1.2, zorder=1, label=label)


def _names_below(data: FigureData, boxes: Sequence[Axes]) -> dict[str, Artist]:
    """The lines of all panels by their names, where no panel has a corner free for a legend.

    A lone panel of lines has its legend within itself, and none is left.
    """
    if data.empty:
        return {}
    if len(boxes) == 1 and data.band != "box":
        boxes[0].legend(framealpha=0.85, **_LEGEND)
        return {}
    pairs = [zip(*axes.get_legend_handles_labels(), strict=True) for axes in boxes]
    return {str(name): line for panel in pairs for line, name in panel}


def half_width(series: Series, band: str) -> np.ndarray:
    """Half the height of the band (N,) around the N points of a series.

    The population deviation s of n seeds, or t s / sqrt(n - 1) with Student's t at 97.5 % for n - 1
    degrees of freedom: the 95 % interval of the mean. 0 for a single seed.
    """
    std, free = _drawable(series.std), np.array(series.seeds, dtype=float) - 1
    if band == "deviation":
        return std
    wide = stdtrit(np.maximum(free, 1), 0.975) / np.sqrt(np.maximum(free, 1))
    return np.where(free > 0, wide * std, 0.0)


def _draw_boxes(axes: Axes, panel: Panel) -> None:
    """A box over the seeds for each series and x, those of one x side by side."""
    places = sorted({x for series in panel.series for x in series.x})
    apart = min(np.diff(places), default=1.0)
    wide = 0.8 * apart / len(panel.series)
    for number, series in enumerate(panel.series):
        colour = COLOURS[number % len(COLOURS)]
        axes.plot([], [], color=colour, label=series_label(series))
        if not series.x:
            continue  # nothing of it was run, and boxplot takes no empty list
        style: dict[str, Any] = {name: {"color": colour} for name in _LINES_OF_A_BOX}
        shift = (number - (len(panel.series) - 1) / 2) * wide
        values = [one[np.isfinite(one)] for one in map(_drawable, series.values)]
        axes.boxplot(
            values,
            positions=[x + shift for x in series.x],
            widths=0.8 * wide,
            manage_ticks=False,
            **style,
            flierprops={"marker": ".", "markeredgecolor": colour},
        )
    axes.set_xticks(places, [f"{x:g}" for x in places])


def _draw_series(axes: Axes, data: FigureData, number: int, series: Series) -> None:
    """Line, band and markers; an empty line in the legend where nothing was run."""
    colour, marker = COLOURS[number % len(COLOURS)], MARKERS[number % len(MARKERS)]
    spots = range(len(series.x)) if data.kind == "values" else []
    mean, half = _drawable(series.mean), half_width(series, data.band)
    axes.plot(
        series.x,
        mean,
        color=colour,
        linestyle=DASHES[number % len(DASHES)],
        marker=marker,
        markevery=list(spots),
        label=series_label(series),
    )
    if max(series.seeds, default=0) > 1:
        axes.fill_between(series.x, mean - half, mean + half, color=colour, alpha=0.18, linewidth=0)
    if series.best is not None:
        x, y = series.best
        axes.plot([x], _drawable([y]), marker, color=colour, ms=9, mec="white", mew=1.2, zorder=4)
