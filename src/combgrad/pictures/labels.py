"""Flags and names beside the cities, moved apart so that none covers another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from combgrad.pictures.sphere import Floats

INK = "#20303c"
HALO = patheffects.withStroke(linewidth=2.5, foreground="white")
_NAME_POINTS = 9.0
_NAME_PIXELS = 17.0
_SMALL_POINTS = 7.0
_STEPS = 250


@dataclass(frozen=True, eq=False)
class Cards:
    """What stands beside each of k cities: flags (k, 20, 40, 3) uint8, names, or both."""

    flags: NDArray[np.uint8] | None
    names: Sequence[str] | None
    flag_width: float

    def size(self) -> Floats:
        """Width and height (k, 2) of every card in pixels."""
        k = len(self.flags) if self.flags is not None else len(self.names or ())
        size = np.zeros((k, 2))
        if self.flags is not None:
            size += [self.flag_width, self.flag_width / 2]
        if self.names is not None:
            widths = [0.72 * _NAME_POINTS * len(name) for name in self.names]
            size[:, 0] = np.maximum(size[:, 0], widths)
            size[:, 1] += _NAME_PIXELS
        return size


def draw_cards(axes: Axes, anchors: Floats, cards: Cards, pixel: float, lines: Floats) -> None:
    """Cards near their anchors (k, 2), off points (m, 2) of lines where they can be.

    Everything is in data units of the axes, of which one pixel has ``pixel``.
    """
    size = cards.size() * pixel
    bounds = np.array([axes.get_xlim(), axes.get_ylim()]).T
    centres = spread(anchors, size + 4 * pixel, 7 * pixel, bounds, lines)
    pairs = list(np.stack([anchors, centres], axis=1))
    leaders = LineCollection(pairs, colors=INK, linewidths=0.7, zorder=10)
    axes.add_collection(leaders, autolim=False)
    flag_size = np.array([cards.flag_width, cards.flag_width / 2]) * pixel
    for i, (x, y) in enumerate(centres):
        top = y + size[i, 1] / 2
        if cards.flags is not None:
            draw_flag(axes, cards.flags[i], np.array([x, top - flag_size[1] / 2]), flag_size)
            top -= flag_size[1]
        if cards.names is not None:
            style: dict[str, Any] = {
                "size": _NAME_POINTS,
                "color": INK,
                "path_effects": [HALO],
                "zorder": 14,
            }
            axes.text(x, top - 2 * pixel, cards.names[i], ha="center", va="top", **style)


def draw_flag(axes: Axes, flag: NDArray[np.uint8], centre: Floats, size: Floats) -> None:
    """A flag (20, 40, 3) of width and height ``size`` around ``centre``, both in data units."""
    (left, low), (right, top) = centre - size / 2, centre + size / 2
    axes.imshow(flag, extent=(left, right, low, top), zorder=12)
    border: dict[str, Any] = {"fill": False, "edgecolor": INK, "linewidth": 0.8, "zorder": 12}
    axes.add_patch(Rectangle((left, low), right - left, top - low, **border))


def draw_names(axes: Axes, at: Floats, markers: Floats, names: Sequence[str], pixel: float) -> None:
    """Names, the first ones first, under flags at (n, 2); none that would hide something else.

    Something else is a name, a flag or one of the markers (m, 2).
    """
    taken = [np.concatenate([place, np.array([11.0, 6.0]) * pixel]) for place in at]
    taken += [np.concatenate([place, np.array([3.0, 3.0]) * pixel]) for place in markers]
    for place, name in zip(at, names, strict=True):
        half = np.array([0.43 * _SMALL_POINTS * len(name), 5.0]) * pixel
        centre = place - [0.0, 12.0 * pixel]
        others = np.array(taken)
        free = (np.abs(others[:, :2] - centre) >= others[:, 2:] + half).any(axis=1)
        if free.all():
            style: dict[str, Any] = {
                "size": _SMALL_POINTS,
                "color": INK,
                "path_effects": [HALO],
                "zorder": 14,
            }
            axes.text(float(centre[0]), float(centre[1]), name, ha="center", va="center", **style)
            taken.append(np.concatenate([centre, half]))


def spread(anchors: Floats, size: Floats, clear: float, bounds: Floats, lines: Floats) -> Floats:
    """Centres (k, 2) of boxes of ``size`` (k, 2), near their anchors but apart from each other.

    Boxes also keep ``clear`` from every anchor, stay inside ``bounds`` ((left, low), (right, top))
    and shun points (m, 2) of lines.
    """
    k = len(anchors)
    middle = anchors.mean(axis=0)
    # Outwards from the middle of all cities, edges of a tour are rare; the turn parts equals.
    turn = 2 * np.pi * np.arange(k) / max(k, 1)
    outward = anchors - middle + 1e-6 * np.stack([np.cos(turn), np.sin(turn)], axis=1)
    outward /= np.linalg.norm(outward, axis=1, keepdims=True)
    home = anchors + outward * (size / 2 + clear)
    centres = home.copy()
    keep_apart = (size[:, None] + size[None]) / 2
    keep_clear = np.broadcast_to(size[:, None] / 2 + clear, (k, k, 2))
    keep_off = np.broadcast_to(size[:, None] / 2, (k, len(lines), 2))
    for step in range(_STEPS):
        push = _repulsion(centres, centres, keep_apart) + _repulsion(centres, anchors, keep_clear)
        # Lines yield in the end: covering a line is better than covering a flag.
        shun = np.clip(_repulsion(centres, lines, keep_off), -size / 4, size / 4)
        weight = 0.4 * (1 - step / _STEPS)
        centres = centres + 0.4 * push + weight * shun + 0.03 * (home - centres)
        centres = np.clip(centres, bounds[0] + size / 2, bounds[1] - size / 2)
    return centres


def _repulsion(centres: Floats, others: Floats, reach: Floats) -> Floats:
    """Push (k, 2) out of overlaps |centre - other| < reach (k, m, 2), along the thinner side."""
    gap = centres[:, None] - others[None]
    overlap = reach - np.abs(gap)
    colliding = np.asarray((overlap > 0).all(axis=2))
    if centres is others:
        np.fill_diagonal(colliding, False)
    thin = overlap[..., 0] < overlap[..., 1]
    along = np.stack([thin, ~thin], axis=2) * colliding[..., None]
    return np.sum(np.where(gap < 0, -1.0, 1.0) * overlap * along, axis=1)
