"""A tour at a few moments of the training: where the network believes its cities lie by then."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from numpy.typing import NDArray

from combgrad.pictures.globe import GlobePanel, draw_panel
from combgrad.pictures.labels import INK
from combgrad.pictures.layout import add_legend
from combgrad.pictures.projection import WorldMap
from combgrad.pictures.sphere import Floats, great_circle

_COLUMNS = 2
_DPI = 100
# Inches; the width is the one that all pictures have.
_WIDTH, _GAP = 14.0, 0.2
_TITLE, _HEADING, _LEGEND = 0.55, 0.6, 0.45
_MAP_SHAPE = 1.92


def draw_training(
    panels: Sequence[GlobePanel], true_tour: NDArray[np.integer], title: str
) -> Figure:
    """One picture of a tour at several moments, a map for each, the true tour (m, 2) dashed.

    Every panel needs ``ghosts``, the true places. ValueError where one has none.
    """
    if not panels or any(panel.ghosts is None for panel in panels):
        raise ValueError("a picture of the training needs panels, each with ghosts")
    figure, boxes = _lay_out(len(panels), title)
    for panel, axes in zip(panels, boxes, strict=True):
        draw_panel(axes, panel, WorldMap(), None)
        _draw_true_tour(axes, np.asarray(panel.ghosts, np.float64), true_tour)
    wrong = any(any(panel.edges().values()) for panel in panels)
    add_legend(figure, tour=True, wrong=wrong, ghosts=True)
    return figure


def _draw_true_tour(axes: Axes, places: Floats, tour: NDArray[np.integer]) -> None:
    """Thin dashes along the edges (m, 2) between the places (k, 3)."""
    arcs = [great_circle(places[i], places[j]) for i, j in tour]
    strokes = [stroke.points for arc in arcs for stroke in WorldMap().strokes(arc)]
    style: dict[str, Any] = {
        "colors": INK,
        "linewidths": 1.2,
        "linestyles": [(0, (4, 3))],
        "zorder": 4.5,
    }
    axes.add_collection(LineCollection(strokes, **style), autolim=False)


def _lay_out(count: int, title: str) -> tuple[Figure, list[Axes]]:
    """A figure 1400 pixels wide with ``count`` boxes for maps, two beside each other."""
    width = (_WIDTH - _GAP) / _COLUMNS - _GAP
    height = width / _MAP_SHAPE
    rows = -(-count // _COLUMNS)
    tall = _TITLE + rows * (_HEADING + height) + _LEGEND
    figure = Figure(figsize=(_WIDTH, tall), dpi=_DPI, facecolor="white")
    FigureCanvasAgg(figure)
    middle = 1 - _TITLE / 2 / tall
    figure.text(0.5, middle, title, ha="center", va="center", size=18, color=INK)
    boxes = []
    for i in range(count):
        row, column = divmod(i, _COLUMNS)
        left = _GAP + column * (width + _GAP)
        low = tall - _TITLE - (row + 1) * (_HEADING + height)
        box = (left / _WIDTH, low / tall, width / _WIDTH, height / tall)
        boxes.append(figure.add_axes(box))
    return figure, boxes
