"""A globe that has come together in a spot, and the flat map that is left of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from combgrad.pictures.blank import blank
from combgrad.pictures.embedding_map import principal
from combgrad.pictures.labels import HALO, INK
from combgrad.pictures.sphere import Floats, longitude_latitude

#: Places that are all nearer to their middle than this, in radii of the sphere, are a spot.
REACH = 0.05

#: As on a clock, so that the two sides of the date line have one colour.
_COLOURS = "hsv"


def is_spot(places: Floats) -> bool:
    """Whether the unit vectors (n, 3) lie so close together that the sphere is flat there."""
    return bool(np.linalg.norm(places - places.mean(axis=0), axis=1).max() < REACH)


def flat_map(places: Floats, true: Floats) -> Floats:
    """Coordinates (n, 2) of places (n, 3) in the plane they lie in, in radii of the sphere.

    The plane is that of their first two principal components, turned and, if need be, mirrored so
    that east of the true places (n, 3) points to the right and north up as well as they can.
    """
    points, _ = principal(places)
    earth = np.stack(longitude_latitude(true), axis=1)
    left, _, right = np.linalg.svd(points.T @ (earth - earth.mean(axis=0)))
    return np.asarray(points @ left @ right)


def readable(points: Floats, names: Sequence[str]) -> list[int]:
    """Those names, each right of its point (n, 2), that hide no other one, the loneliest first."""
    apart = np.linalg.norm(points[:, None] - points[None], axis=2) + np.diag([np.inf] * len(points))
    height, width = np.array([0.02, 0.0095]) * np.ptp(points, axis=0).max()
    taken: list[int] = []
    for i in np.argsort(-apart.min(axis=1)):
        across, up = np.abs(points[taken] - points[i]).T if taken else np.empty((2, 0))
        # The name of a point reaches from it to the right, so that the left one's length counts.
        reach = [width * len(names[j if points[j, 0] < points[i, 0] else i]) for j in taken]
        if not ((up < height) & (across < np.array(reach))).any():
            taken.append(int(i))
    return taken


def draw_spot(places: Floats, true: Floats, names: Sequence[str]) -> Figure:
    """Learned places (n, 3) within a spot as the map they are, each in the colour of its longitude.

    true (n, 3) are unit vectors.
    """
    points = flat_map(places, true)
    longitude, _ = longitude_latitude(true)
    width = np.linalg.norm(points, axis=1).max() * 2
    figure = blank((10, 7.5))
    axes = figure.subplots()
    dots = axes.scatter(
        points[:, 0], points[:, 1], c=longitude, cmap=_COLOURS, vmin=-180, vmax=180, s=40, zorder=2
    )
    style: dict[str, Any] = {"xytext": (4, 3), "textcoords": "offset points", "size": 6.5}
    for i in readable(points, names):
        axes.annotate(names[i], tuple(points[i]), color=INK, path_effects=[HALO], zorder=3, **style)
    figure.colorbar(dots, label="true longitude in degrees", ticks=range(-180, 181, 60))
    axes.set_title(f"The globe has become a flat map, {width:.1e} radii wide", color=INK)
    axes.set_xlabel("radii of the sphere")
    axes.set_ylabel("radii of the sphere")
    axes.set_aspect("equal", adjustable="datalim")
    axes.grid(color="#e5ebef")
    axes.set_axisbelow(True)
    return figure
