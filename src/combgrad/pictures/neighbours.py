"""Images that were asked for, each with the images found nearest."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from combgrad.pictures.labels import INK
from combgrad.pictures.tour_lines import TOUR as RIGHT
from combgrad.pictures.tour_lines import WRONG

#: Inches of an image and of the legend.
_SIDE, _FOOT = 1.2, 0.35


def draw_neighbours(images: np.ndarray, right: np.ndarray, names: Sequence[str]) -> Figure:
    """A row for each of Q queries: the query, and the images found, the nearest first.

    images (Q, 1 + K, H, W, 3) uint8, the query first; right (Q, K) bool, whether an image found is
    of the query's class, whose name (Q of them) stands above. Right ones have a solid frame, wrong
    ones a dashed frame of another colour. Raises ValueError where the arrays do not fit.
    """
    count = len(images)
    fits = images.ndim == 5 and images.shape[4] == 3 and count > 0
    if not fits or right.shape != (count, images.shape[1] - 1) or len(names) != count:
        raise ValueError(
            f"images {images.shape}, right {right.shape}, {len(names)} names: pass "
            f"(Q, 1 + K, H, W, 3), (Q, K) and Q names, with Q at least 1."
        )
    size = (_SIDE * images.shape[1], (_SIDE + 0.2) * count + _FOOT)
    figure = Figure(figsize=size, dpi=100, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    boxes = figure.subplots(count, images.shape[1], squeeze=False)
    for query, row in enumerate(boxes):
        for place, axes in enumerate(row):
            axes.imshow(images[query, place], interpolation="nearest")
            axes.set(xticks=[], yticks=[])
            told = place == 0 or right[query, place - 1]
            for line in axes.spines.values():
                colour = INK if place == 0 else RIGHT if told else WRONG
                line.set(color=colour, linewidth=1 if place == 0 else 3)
                line.set_linestyle("-" if told else "--")
        row[0].set_title(names[query], color=INK, size=7, loc="left", parse_math=False)
    handles = [
        Line2D([], [], color=INK, linewidth=1, label="query"),
        Line2D([], [], color=RIGHT, linewidth=3, label="of its class"),
        Line2D([], [], color=WRONG, linewidth=3, linestyle="--", label="of another"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False, fontsize=8)
    return figure
