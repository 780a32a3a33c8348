"""Maps with obstacles: the shortest way, the one that was found, and the costs behind it."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from combgrad.pictures.blank import blank
from combgrad.pictures.labels import INK
from combgrad.pictures.terrain import draw_path

TITLES = ("what is seen", "a shortest way", "the way found", "predicted costs")

#: Inches of a panel, and of the titles.
_SIDE, _HEAD = 2.9, 0.3


def draw_mazes(
    seen: np.ndarray,
    costs: np.ndarray,
    true_costs: np.ndarray,
    targets: np.ndarray,
    found: np.ndarray,
) -> Figure:
    """A row for each map: as the network sees it, with both ways over the true one, and the costs.

    All arrays are (N, H, W); targets and found are 1 on the cells of a way and 0 elsewhere. Cells
    of the found way that are not on the shortest one are crossed out, though they may be on another
    as short: what it costs is written below it.

    Raises ValueError where the arrays are not of the same N >= 1 maps.
    """
    arrays = (seen, costs, true_costs, targets, found)
    if targets.ndim != 3 or not targets.size or any(a.shape != targets.shape for a in arrays):
        told = ", ".join(str(array.shape) for array in arrays)
        raise ValueError(f"arrays have shapes {told}; pass each as (N, H, W), with N at least 1.")
    count = len(targets)
    size = (_SIDE * len(TITLES), _SIDE * count + _HEAD)
    figure = blank(size)
    boxes = figure.subplots(count, len(TITLES), squeeze=False)
    for axes, title in zip(boxes[0], TITLES, strict=True):
        axes.set_title(title, color=INK)
    for number, row in enumerate(boxes):
        target, way = targets[number] == 1, found[number] == 1
        best, paid = (true_costs[number][marks].sum() for marks in (target, way))
        row[0].imshow(seen[number], cmap="gray", interpolation="nearest")
        for axes, marks in ((row[1], target), (row[2], way)):
            _draw_obstacles(axes, true_costs[number])
            draw_path(axes, marks, target)
        row[2].set_xlabel(f"cost {paid:.4g}, best {best:.4g}", color=INK)
        image = row[3].imshow(costs[number], cmap="viridis", interpolation="nearest")
        figure.colorbar(image, ax=row[3], fraction=0.046, pad=0.02).ax.tick_params(labelsize=7)
        for axes in row:
            axes.set(xticks=[], yticks=[])
    return figure


def _draw_obstacles(axes: Axes, true_costs: np.ndarray) -> None:
    axes.imshow(-true_costs, cmap="gray", interpolation="nearest")
