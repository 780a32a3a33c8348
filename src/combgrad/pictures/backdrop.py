"""The Earth behind the cities: ocean, graticule, land and the rim, on matplotlib axes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PathCollection
from matplotlib.patches import Circle, PathPatch
from matplotlib.path import Path

from combgrad.pictures.land import load_coastline
from combgrad.pictures.projection import Orthographic, Projection
from combgrad.pictures.sphere import Floats, unit_vectors

OCEAN = "#cfe3ef"
LAND = "#f6efdc"
COAST = "#a89c7c"
GRID = "#ffffff"
RIM = "#5f7f93"
SHADE = (0.05, 0.16, 0.28)


def draw_earth(axes: Axes, projection: Projection, reach: float | None = None) -> Path:
    """Paint the Earth; return the frame to clip by: a disc of radius ``reach``, or the outline."""
    outline = projection.outline()
    border = _closed(outline * reach) if reach is not None else _closed(outline)
    frame = PathPatch(border, facecolor=OCEAN, edgecolor="none", zorder=0)
    axes.add_patch(frame)
    _draw_lines(axes, projection, border, _graticule(), color=GRID, linewidth=0.6, alpha=0.8)
    coast = load_coastline()
    for rings, colour, order in ((coast.land, LAND, 2.0), (coast.lakes, OCEAN, 2.1)):
        seen = [loops for ring in rings if (loops := projection.areas(ring))]
        paths = [Path.make_compound_path(*map(_closed, loops)) for loops in seen]
        areas = PathCollection(paths, facecolors=colour, edgecolors="none", zorder=order)
        # A patch of its own for each would have the limits of the axes found by its curves.
        axes.add_collection(areas, autolim=False)
        areas.set_clip_path(border, axes.transData)
    shores = [np.concatenate([ring, ring[:1]]) for ring in (*coast.land, *coast.lakes)]
    _draw_lines(axes, projection, border, iter(shores), color=COAST, linewidth=0.6, zorder=2.2)
    if isinstance(projection, Orthographic):
        _shade(axes, border)
    axes.add_patch(PathPatch(border, facecolor="none", edgecolor=RIM, linewidth=1.2, zorder=9))
    _fit(axes, border)
    return border


def draw_locator(axes: Axes, projection: Orthographic, reach: float) -> None:
    """A small whole globe in the corner of ``axes``, with the zoomed disc marked on it."""
    corner = axes.inset_axes((0.0, 0.0, 0.165, 0.165), zorder=20)
    draw_earth(corner, projection)
    lens = Circle((0, 0), reach, facecolor="#0072b233", edgecolor="#0072b2", zorder=10)
    corner.add_patch(lens)


def _graticule() -> Iterator[Floats]:
    """Meridians and parallels (p, 3) every 15 degrees."""
    for longitude in np.arange(-180.0, 180.0, 15.0):
        latitude = np.linspace(-75.0, 75.0, 151)
        yield unit_vectors(np.full_like(latitude, longitude), latitude)
    for parallel in np.arange(-75.0, 76.0, 15.0):
        longitude = np.linspace(-180.0, 180.0, 361)
        yield unit_vectors(longitude, np.full_like(longitude, parallel))


def _draw_lines(
    axes: Axes, projection: Projection, border: Path, curves: Iterator[Floats], **style: Any
) -> None:
    """The seen pieces of curves (p, 3), clipped by the border."""
    strokes = [s.points for curve in curves for s in projection.strokes(curve) if not s.hidden]
    lines = LineCollection(strokes, **{"zorder": 1, **style})
    axes.add_collection(lines, autolim=False)
    lines.set_clip_path(border, axes.transData)


def _shade(axes: Axes, border: Path, pixels: int = 400) -> None:
    """Darken a globe away from a light at the upper left, so that it looks round."""
    x, y = np.meshgrid(*[np.linspace(-1.0, 1.0, pixels)] * 2)
    depth = np.sqrt(np.clip(1.0 - x**2 - y**2, 0.0, 1.0))
    light = np.clip(-0.42 * x + 0.42 * y + 0.8 * depth, 0.0, 1.0)
    image = np.empty((pixels, pixels, 4))
    image[..., :3] = SHADE
    image[..., 3] = 0.32 * (1.0 - light) ** 1.6
    shown = axes.imshow(image, extent=(-1, 1, -1, 1), origin="lower", zorder=3)
    shown.set_clip_path(border, axes.transData)


def _fit(axes: Axes, border: Path) -> None:
    """Limits just around the border, equal scales, no frame."""
    corners = np.asarray(border.vertices)
    low, high = corners.min(axis=0), corners.max(axis=0)
    margin = 0.015 * (high - low).max()
    axes.set_xlim(low[0] - margin, high[0] + margin)
    axes.set_ylim(low[1] - margin, high[1] + margin)
    axes.set_aspect("equal")
    axes.set_axis_off()


def _closed(points: Floats) -> Path:
    """Closed path over points (q, 2)."""
    return Path(np.concatenate([points, points[:1]]), closed=True)
