"""Decisions by predicted costs: ways in a graph beside the best, and costs beside the true ones."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from combgrad.pictures.blank import blank
from combgrad.pictures.labels import INK
from combgrad.pictures.tour_lines import TOUR as RIGHT
from combgrad.pictures.tour_lines import WRONG

#: Inches of a panel, and of the titles and the legend together.
_SIDE, _FRAME = 2.7, 0.8

#: More points would hide one another.
_MOST_POINTS = 4000


def draw_ways(
    nodes: np.ndarray,
    edges: np.ndarray,
    true_costs: np.ndarray,
    targets: np.ndarray,
    found: np.ndarray,
) -> Figure:
    """A panel for each instance: its graph by true costs, the best edges, and those decided on.

    nodes (V, 2) are x and y, y downwards; edges (E, 2) their ends; true_costs, targets and found
    (N, E), the latter two 1 on the edges of a solution and 0 elsewhere. The wider an edge is, the
    dearer. Raises ValueError where the arrays are not of the same N >= 1 instances and E edges.
    """
    _check(nodes, edges, true_costs, targets, found)
    count = len(targets)
    size = (_SIDE * count, _SIDE + _FRAME)
    figure = blank(size)
    boxes = figure.subplots(1, count, squeeze=False)[0]
    lines = nodes[edges]
    for axes, costs, target, way in zip(boxes, true_costs, targets == 1, found == 1, strict=True):
        least, most = costs.min(), costs.max()
        widths = 0.5 + 3.5 * (costs - least) / ((most - least) or 1.0)
        axes.add_collection(LineCollection([*lines], colors="0.8", linewidths=widths, zorder=1))
        _draw(axes, lines[target], INK, 6.5, 2)
        _draw(axes, lines[target], "white", 4.5, 3)
        _draw(axes, lines[way & target], RIGHT, 2.5, 5)
        _draw(axes, lines[way & ~target], WRONG, 2.5, 4)
        axes.plot(*nodes.T, "o", color=INK, ms=3, zorder=6)
        axes.set(xticks=[], yticks=[], aspect="equal")
        axes.invert_yaxis()
        axes.margins(0.08)
        axes.set_xlabel(_price(costs, target, way), color=INK)
    _add_legend(figure)
    return figure


def _check(nodes: np.ndarray, edges: np.ndarray, *rows: np.ndarray) -> None:
    shape = rows[0].shape
    right = nodes.ndim == 2 and nodes.shape[1] == 2 and edges.ndim == 2 and edges.shape[1] == 2
    right = right and len(shape) == 2 and shape[0] > 0 and shape[1] == len(edges)
    if not right or any(row.shape != shape for row in rows):
        told = ", ".join(str(array.shape) for array in (nodes, edges, *rows))
        raise ValueError(
            f"arrays have shapes {told}; pass nodes (V, 2), edges (E, 2), and true costs, targets "
            f"and found as (N, E), with N at least 1."
        )


def _draw(axes: Axes, lines: np.ndarray, colour: str, width: float, order: float) -> None:
    axes.add_collection(
        LineCollection([*lines], colors=colour, linewidths=width, capstyle="round", zorder=order)
    )


def _price(costs: np.ndarray, target: np.ndarray, way: np.ndarray) -> str:
    best, paid = costs[target].sum(), costs[way].sum()
    return f"cost {paid:.4g}, best {best:.4g}"


def _add_legend(figure: Figure) -> None:
    entries = [
        Line2D([], [], color=RIGHT, lw=2.5, label="decided on, and best"),
        Line2D([], [], color=WRONG, lw=2.5, label="decided on"),
        Line2D([], [], color=INK, lw=1.0, label="outlined: best"),
    ]
    figure.legend(
        handles=entries, loc="outside lower center", ncols=3, frameon=False, labelcolor=INK
    )


def draw_costs(costs: np.ndarray, true_costs: np.ndarray) -> Figure:
    """Predicted against true costs, both (N, *S), and the line where they are equal.

    A loss of decisions need not bring them there: where it is scale-invariant, the points lie along
    any line. At most 4000 points are drawn, evenly chosen. Raises ValueError for different shapes.
    """
    if costs.shape != true_costs.shape or not costs.size:
        raise ValueError(
            f"costs have shape {costs.shape} and true costs {true_costs.shape}; pass the same "
            f"entries of both, at least one."
        )
    chosen = np.linspace(0, costs.size - 1, min(costs.size, _MOST_POINTS)).astype(int)
    predicted, true = costs.ravel()[chosen], true_costs.ravel()[chosen]
    figure = blank((4.5, 4.5))
    axes = figure.subplots()
    axes.plot(true, predicted, ".", color=RIGHT, ms=4, alpha=0.35, mew=0)
    axes.axline((0.0, 0.0), slope=1.0, color=INK, lw=1.0, zorder=0)
    axes.set_xlabel("true costs", color=INK)
    axes.set_ylabel("predicted costs", color=INK)
    return figure
