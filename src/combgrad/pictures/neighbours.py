"""Images that were asked for, each with the images found nearest."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from combgrad.pictures.blank import blank
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
    figure = blank(size)
    boxes = figure.subplots(count, images.shape[1], squeeze=False)
    for query, row in enumerate(boxes):
        for place, axes in enumerate(row):
            told = place == 0 or bool(right[query, place - 1])
            colour = INK if place == 0 else RIGHT if told else WRONG
            frame(axes, images[query, place], colour, dashed=not told, width=3 if place else 1)
        row[0].set_title(names[query], color=INK, size=7, loc="left", parse_math=False)
    handles = [
        frame_line(INK, "query", width=1),
        frame_line(RIGHT, "of its class"),
        frame_line(WRONG, "of another", dashed=True),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False, fontsize=8)
    return figure


def frame(
    axes: Axes, image: np.ndarray, colour: str, dashed: bool = False, width: float = 3
) -> None:
    """Draw an image (H, W, 3) uint8 with a frame."""
    axes.imshow(image, interpolation="nearest")
    axes.set(xticks=[], yticks=[])
    for line in axes.spines.values():
        line.set(color=colour, linewidth=width)
        line.set_linestyle("--" if dashed else "-")


def frame_line(colour: str, label: str, dashed: bool = False, width: float = 3) -> Line2D:
    """What stands for a frame in a legend."""
    line = Line2D([], [], color=colour, linewidth=width, label=label)
    line.set_linestyle("--" if dashed else "-")
    return line
