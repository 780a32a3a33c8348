"""Cities, edges of tours, and lines from learned places to the true ones."""

from __future__ import annotations

from typing import Any

from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.path import Path

from combgrad.pictures.labels import INK
from combgrad.pictures.projection import Projection
from combgrad.pictures.sphere import Floats, great_circle

# Okabe and Ito's blue and vermilion stay apart for colour-blind readers.
TOUR = "#0072b2"
WRONG = "#d55e00"


def draw_cities(axes: Axes, projection: Projection, positions: Floats) -> None:
    """Dots at unit vectors (k, 3), pale where they lie behind the horizon."""
    at, hidden = projection.flatten(positions)
    style: dict[str, Any] = {"ms": 6, "mfc": INK, "mec": "white", "mew": 1.0, "zorder": 11}
    axes.plot(*at[~hidden].T, "o", **style)
    axes.plot(*at[hidden].T, "o", **style, alpha=0.35)


def draw_edge(axes: Axes, frame: Path, projection: Projection, ends: Floats, wrong: bool) -> None:
    """The great-circle arc between two ends (2, 3), faint and dashed behind the horizon."""
    colour, order = (WRONG, 7) if wrong else (TOUR, 6)
    for stroke in projection.strokes(great_circle(*ends)):
        x, y = stroke.points.T
        if stroke.hidden:
            drawn = axes.plot(x, y, color=colour, lw=1.4, ls=(0, (3, 3)), alpha=0.55, zorder=4)
        else:
            drawn = axes.plot(x, y, color="white", lw=5, alpha=0.9, zorder=5)
            drawn += axes.plot(x, y, color=colour, lw=2.6, zorder=order)
        for line in drawn:
            line.set_clip_path(frame, axes.transData)


def draw_ghosts(
    axes: Axes,
    frame: Path,
    projection: Projection,
    learned: Floats,
    true: Floats,
    marker: float = 6.0,
) -> None:
    """Hollow markers at the true places (k, 3), thin arcs from there to the learned ones (k, 3)."""
    arcs = [great_circle(a, b) for a, b in zip(true, learned, strict=True)]
    strokes = [s.points for arc in arcs for s in projection.strokes(arc) if not s.hidden]
    lines = LineCollection(strokes, colors=INK, linewidths=1.0, alpha=0.75, zorder=8)
    axes.add_collection(lines, autolim=False)
    lines.set_clip_path(frame, axes.transData)
    at, hidden = projection.flatten(true)
    at = at[~hidden & frame.contains_points(at, radius=1e-9)]
    axes.plot(*at.T, "o", ms=marker, mfc="white", mec=INK, mew=marker / 5, zorder=8.5)
