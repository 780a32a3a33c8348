"""Where the panels, the title and the legend of a picture go."""

from __future__ import annotations

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from combgrad.pictures.blank import blank
from combgrad.pictures.labels import INK
from combgrad.pictures.tour_lines import TOUR, WRONG

_DPI = 100
# Inches.
_WIDTH = 14.0
_TITLE, _HEADING, _LEGEND, _GAP = 0.6, 0.4, 0.5, 0.2
_MAP_SHAPE = 1.92


def lay_out(
    count: int,
    as_map: bool,
    title: str | None,
    columns: int | None = None,
    heading: float = _HEADING,
) -> tuple[Figure, list[Axes]]:
    """A figure 1400 pixels wide with ``count`` boxes: rows of squares, or a column of maps.

    ``columns`` sets how many stand beside each other, ``heading`` the inches above each.
    """
    columns = columns or (1 if as_map else min(count, 3))
    rows = -(-count // columns)
    width = (_WIDTH - _GAP) / (columns if as_map else max(columns, 2)) - _GAP
    height = width / _MAP_SHAPE if as_map else width
    head = _TITLE if title else 0.0
    figure = _blank(head + rows * (height + heading) + _LEGEND, title)
    boxes = []
    for i in range(count):
        row, column = divmod(i, columns)
        left = (_WIDTH - columns * (width + _GAP) + _GAP) / 2 + column * (width + _GAP)
        top = head + heading + row * (height + heading)
        boxes.append(_box(figure, left, top, width, height))
    return figure, boxes


def lay_out_atlas(title: str) -> tuple[Figure, Axes, list[Axes]]:
    """A figure 1400 pixels wide: a box for a map of the world, and two squares below it."""
    width = _WIDTH - 2 * _GAP
    height = width / _MAP_SHAPE
    side = (width - _GAP) / 2
    figure = _blank(_TITLE + height + _GAP + side + _LEGEND, title)
    below = _TITLE + height + _GAP
    squares = [_box(figure, _GAP + i * (side + _GAP), below, side, side) for i in range(2)]
    return figure, _box(figure, _GAP, _TITLE, width, height), squares


def _blank(height: float, title: str | None) -> Figure:
    """An empty figure, ``height`` inches tall, with its title at the top."""
    figure = blank((_WIDTH, height), dpi=_DPI, fitted=False)
    if title:
        y = 1 - _TITLE / 2 / height
        figure.text(0.5, y, title, ha="center", va="center", size=18, color=INK)
    return figure


def _box(figure: Figure, left: float, top: float, width: float, height: float) -> Axes:
    """Axes at so many inches from the left and from the top."""
    tall = figure.get_figheight()
    low = tall - top - height
    return figure.add_axes((left / _WIDTH, low / tall, width / _WIDTH, height / tall))


def pixel(axes: Axes) -> float:
    """One pixel of the saved picture in data units of ``axes``."""
    low, high = axes.get_xlim()
    width = axes.get_position(original=True).width * _WIDTH * _DPI
    return (high - low) / width


def add_legend(figure: Figure, *, tour: bool, wrong: bool, ghosts: bool) -> None:
    """One line at the bottom that names the colours and markers in use."""
    entries = []
    if wrong:
        entries.append(Line2D([], [], color=TOUR, lw=2.6, label="correct edge"))
        entries.append(Line2D([], [], color=WRONG, lw=2.6, label="wrong edge"))
    elif tour:
        entries.append(Line2D([], [], color=TOUR, lw=2.6, label="tour"))
    if ghosts:
        ring: dict[str, Any] = {
            "marker": "o",
            "markevery": [0],
            "mfc": "white",
            "mec": INK,
            "ms": 6,
            "mew": 1.3,
        }
        label = "true place, joined to the learned one"
        entries.append(Line2D([], [], color=INK, lw=1, label=label, **ring))
    figure.legend(handles=entries, loc="lower center", ncols=4, frameon=False, labelcolor=INK)
