"""Pairs of pictures side by side, with lines between the points that a model matched."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from combgrad.pictures.blank import blank
from combgrad.pictures.labels import INK
from combgrad.pictures.tour_lines import TOUR as RIGHT
from combgrad.pictures.tour_lines import WRONG

#: Pixels of a picture's side, as key points have it, and between the two of a pair.
SIDE, GAP = 256, 24

#: Pairs beside each other.
COLUMNS = 2

#: Inches of a pair, and of the legend.
_WIDTH, _HEIGHT, _FOOT = 6.4, 3.3, 0.35

_PAPER = "#eef1f3"


def draw_matches(
    points: np.ndarray,
    target: np.ndarray,
    found: np.ndarray,
    names: Sequence[str],
    photographs: np.ndarray | None = None,
) -> Figure:
    """A panel for each of N pairs; wrong matches are dashed, and points left unmatched are hollow.

    points (N, 2, n, 2), (x, y) in pixels from 0 to 256; target and found (N, n, n), 1 where a point
    of the first picture (rows) and one of the second match, 0 elsewhere; a point that neither has
    is padding, and not drawn. `photographs` (N, 2, 256, 256, 3) uint8, or None where there are
    none; `names` of the pairs.

    Raises ValueError where the arrays are not of the same N >= 1 pairs.
    """
    _check(points, target, found, names, photographs)
    rows = -(-len(points) // COLUMNS)
    columns = min(COLUMNS, len(points))
    size = (_WIDTH * columns, _HEIGHT * rows + _FOOT)
    figure = blank(size)
    boxes = figure.subplots(rows, columns, squeeze=False).flat
    for number, axes in enumerate(boxes):
        axes.set_axis_off()
        if number < len(points):
            _draw_ground(axes, None if photographs is None else photographs[number])
            _draw_pair(axes, points[number], target[number] > 0.5, found[number] > 0.5)
            right = int((target[number] * found[number]).sum())
            told = f"{names[number]}: {right} of {int(target[number].sum())} matches found"
            axes.set_title(told, color=INK, size=10, parse_math=False)
    _add_legend(figure)
    return figure


def _check(
    points: np.ndarray,
    target: np.ndarray,
    found: np.ndarray,
    names: Sequence[str],
    photographs: np.ndarray | None,
) -> None:
    count = len(points)
    nodes = points.shape[2] if points.ndim == 4 else -1
    right = count > 0 and points.shape == (count, 2, nodes, 2) and len(names) == count
    right = right and target.shape == found.shape == (count, nodes, nodes)
    if photographs is not None:
        right = right and photographs.shape == (count, 2, SIDE, SIDE, 3)
    if not right:
        shown = None if photographs is None else photographs.shape
        raise ValueError(
            f"points {points.shape}, target {target.shape}, found {found.shape}, {len(names)} "
            f"names, photographs {shown}: pass (N, 2, n, 2), (N, n, n), (N, n, n), N names, and "
            f"(N, 2, {SIDE}, {SIDE}, 3) or None, with N at least 1."
        )


def _draw_ground(axes: Axes, photographs: np.ndarray | None) -> None:
    for side in range(2):
        left = side * (SIDE + GAP)
        ends = (left, left + SIDE, SIDE, 0)
        if photographs is not None:
            axes.imshow(photographs[side], extent=ends, interpolation="bilinear")
        else:
            corners = (left, left, left + SIDE, left + SIDE), (0, SIDE, SIDE, 0)
            axes.fill(*corners, color=_PAPER, zorder=0)
    axes.set(xlim=(0, 2 * SIDE + GAP), ylim=(SIDE, 0), aspect="equal")


def _draw_pair(axes: Axes, points: np.ndarray, target: np.ndarray, found: np.ndarray) -> None:
    placed = points + np.array([[[0, 0]], [[SIDE + GAP, 0]]])
    one, other = np.nonzero(found)
    right = target[one, other]
    links = np.stack([placed[0, one], placed[1, other]], axis=1)
    for kind, colour, style in ((right, RIGHT, "-"), (~right, WRONG, "--")):
        lines = LineCollection(list(links[kind]), colors=colour, linestyles=style, linewidths=1.4)
        axes.add_collection(lines)
    for side, axis in ((0, 1), (1, 0)):
        matched = found.any(axis)
        for shown, fill in ((matched, INK), (target.any(axis) & ~matched, "none")):
            x, y = placed[side, shown].T
            edge = INK if fill == "none" else "white"
            axes.scatter(x, y, s=16, facecolors=fill, edgecolors=edge, zorder=3)


def _add_legend(figure: Figure) -> None:
    ring: dict[str, Any] = {"marker": "o", "linestyle": "none", "markeredgecolor": INK}
    handles = [
        Line2D([], [], color=RIGHT, label="right match"),
        Line2D([], [], color=WRONG, linestyle="--", label="wrong match"),
        Line2D([], [], markerfacecolor="none", label="point left unmatched", **ring),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False, fontsize=9)
