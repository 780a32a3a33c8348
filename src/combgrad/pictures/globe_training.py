"""A tour at a few moments of the training: where the network believes its cities lie by then."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from numpy.typing import NDArray

from combgrad.pictures.globe import GlobePanel, draw_panel
from combgrad.pictures.labels import INK
from combgrad.pictures.layout import add_legend, lay_out
from combgrad.pictures.projection import WorldMap
from combgrad.pictures.sphere import Floats, great_circle

#: Inches above each map: its title has two lines.
_HEADING = 0.6


def draw_training(
    panels: Sequence[GlobePanel], true_tour: NDArray[np.integer], title: str
) -> Figure:
    """One picture of a tour at several moments, a map for each, the true tour (m, 2) dashed.

    Every panel needs ``ghosts``, the true places. ValueError where one has none.
    """
    if not panels or any(panel.ghosts is None for panel in panels):
        raise ValueError("a picture of the training needs panels, each with ghosts")
    figure, boxes = lay_out(len(panels), True, title, columns=2, heading=_HEADING)
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
