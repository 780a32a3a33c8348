"""Maps of terrain with their cheapest paths, the predicted ones, and the costs behind both."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from scipy.ndimage import label

from combgrad.pictures.blank import blank
from combgrad.pictures.labels import INK
from combgrad.pictures.tour_lines import TOUR as RIGHT
from combgrad.pictures.tour_lines import WRONG

TITLES = ("map", "cheapest path", "predicted path")

#: Inches of a panel, of the titles and of the legend.
_SIDE, _HEAD, _FOOT = 2.7, 0.3, 0.45

_DASHES = (0, (2.0, 1.2))

#: The 4 of 8 neighbours that come later, row by row: each pair of neighbours once.
_STEPS = np.array([(0, 1), (1, -1), (1, 0), (1, 1)])


def draw_maps(
    maps: np.ndarray,
    targets: np.ndarray,
    found: np.ndarray,
    costs: np.ndarray,
    true_costs: np.ndarray,
    predicted: str = "predicted costs",
) -> Figure:
    """A row for each map: alone, with its cheapest path, with the predicted path, and both costs.

    maps (N, p k, p k, 3) uint8 with p pixels a cell; targets and found (N, k, k), 1 on the cells of
    a path and 0 elsewhere; costs, what is `predicted`, and true_costs (N, k, k), each in a unit of
    its own. Cells of a predicted path that are not on the cheapest one are crossed out; where the
    cells do not lead from corner to corner, no price is told.

    Raises ValueError where the arrays are not of the same N >= 1 maps.
    """
    _check(maps, targets, found, costs, true_costs)
    count = len(maps)
    titles = (*TITLES, predicted, "true costs")
    size = (_SIDE * len(titles), _SIDE * count + _HEAD + _FOOT)
    figure = blank(size)
    boxes = figure.subplots(count, len(titles), squeeze=False)
    for axes, title in zip(boxes[0], titles, strict=True):
        axes.set_title(title, color=INK)
    for number, row in enumerate(boxes):
        for axes in row[:3]:
            _draw_map(axes, maps[number], targets.shape[-1])
        target, path = targets[number] == 1, found[number] == 1
        draw_path(row[1], target, target)
        draw_path(row[2], path, target)
        row[2].set_xlabel(_price(path, target, true_costs[number]), color=INK)
        for axes, values in ((row[3], costs[number]), (row[4], true_costs[number])):
            image = axes.imshow(values, cmap="viridis", interpolation="nearest")
            figure.colorbar(image, ax=axes, fraction=0.046, pad=0.02).ax.tick_params(labelsize=7)
        for axes in row:
            axes.set(xticks=[], yticks=[])
    _add_legend(figure)
    return figure


def _price(path: np.ndarray, cheapest: np.ndarray, costs: np.ndarray) -> str:
    """What is said of a predicted path (k, k) bool."""
    piece, _ = label(path, structure=np.ones((3, 3)))
    if not piece[0, 0] == piece[-1, -1] > 0:
        return "no path from corner to corner"
    return f"{costs[path].sum() / costs[cheapest].sum():.3f} times the cheapest"


def _check(maps: np.ndarray, *grids: np.ndarray) -> None:
    count, *cells = grids[0].shape
    pixels = maps.shape[1] if maps.ndim == 4 else 0
    right = count > 0 and len(cells) == 2 and 0 < cells[0] == cells[1] and pixels % cells[0] == 0
    right = right and maps.shape == (count, pixels, pixels, 3) and pixels > 0
    if not right or any(grid.shape != grids[0].shape for grid in grids):
        names = ("maps", "targets", "found", "costs", "true_costs")
        told = ", ".join(
            f"{name} {array.shape}" for name, array in zip(names, (maps, *grids), strict=True)
        )
        raise ValueError(
            f"{told}: pass maps (N, p k, p k, 3), and the others as (N, k, k), with N at least 1."
        )


def _draw_map(axes: Axes, picture: np.ndarray, cells: int) -> None:
    """A picture in the coordinates of its cells, whose centres are at whole numbers."""
    ends = (-0.5, cells - 0.5)
    axes.imshow(picture, extent=(*ends, *ends[::-1]), interpolation="nearest")


def draw_path(axes: Axes, path: np.ndarray, cheapest: np.ndarray) -> None:
    """A path (k, k) bool as dots and lines over its cells, crosses beside the cheapest one."""
    wrong = path & ~cheapest
    dashed = LineCollection(list(_links(cheapest)), colors="white", linewidths=2, zorder=3)
    dashed.set_linestyle(_DASHES)
    links = _links(path)
    astray = wrong[links[:, :, 1], links[:, :, 0]].any(1)
    colours = np.where(astray, WRONG, RIGHT)
    axes.add_collection(dashed)
    axes.add_collection(LineCollection(list(links), colors="white", linewidths=4.5, zorder=4))
    axes.add_collection(LineCollection(list(links), colors=colours, linewidths=2.5, zorder=5))
    style: dict[str, Any] = {"mec": "white", "mew": 0.8, "zorder": 6, "ls": ""}
    rows, columns = np.nonzero(path & cheapest)
    axes.plot(columns, rows, marker="o", color=RIGHT, ms=6, **style)
    rows, columns = np.nonzero(wrong)
    axes.plot(columns, rows, marker="X", color=WRONG, ms=9, **style)


def _links(path: np.ndarray) -> np.ndarray:
    """The lines (L, 2, 2) between neighbouring cells of a path (k, k) bool, each end as x, y.

    Of a cheapest path these are its steps: were other cells neighbours too, there would be a
    shorter way.
    """
    around = np.pad(path, 1)
    cells = np.argwhere(path)
    links = []
    for step in _STEPS:
        joined = around[tuple((cells + step + 1).T)]
        links.append(np.stack([cells[joined], cells[joined] + step], axis=1))
    return np.concatenate(links)[:, :, ::-1]


def _add_legend(figure: Figure) -> None:
    entries = [
        Line2D([], [], color=RIGHT, marker="o", lw=2.5, label="cell of the cheapest path"),
        Line2D([], [], color=WRONG, marker="X", lw=2.5, label="cell beside it"),
        Line2D([], [], color=INK, ls=_DASHES, lw=1.5, label="white: the cheapest path"),
    ]
    figure.legend(
        handles=entries, loc="outside lower center", ncols=3, frameon=False, labelcolor=INK
    )
