"""Bags of images, each image with the label that was found for it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from combgrad.pictures.blank import blank
from combgrad.pictures.labels import INK
from combgrad.pictures.neighbours import RIGHT, WRONG, frame, frame_line

#: Inches of an image and of the legend; letters of a label.
_SIDE, _FOOT, _LETTERS = 1.2, 0.35, 18


def draw_bags(images: np.ndarray, right: np.ndarray, names: Sequence[Sequence[str]]) -> Figure:
    """A row for each of N bags, with the label found for each image above it.

    images (N, b, H, W, 3) uint8; right (N, b) bool, whether a label found is the image's own;
    names, N times b. Right ones have a solid frame, wrong ones a dashed frame of another colour.
    Raises ValueError where the arrays do not fit.
    """
    fits = images.ndim == 5 and images.shape[4] == 3 and images.size > 0
    if not fits or right.shape != images.shape[:2] or np.shape(names) != images.shape[:2]:
        raise ValueError(
            f"images {images.shape}, right {right.shape}, names {np.shape(names)}: pass "
            f"(N, b, H, W, 3), (N, b) and (N, b), with N and b at least 1."
        )
    count, size = right.shape
    figure = blank((max(_SIDE * size, 4.0), (_SIDE + 0.2) * count + _FOOT))
    boxes = figure.subplots(count, size, squeeze=False)
    for bag, row in enumerate(boxes):
        for place, axes in enumerate(row):
            good = bool(right[bag, place])
            frame(axes, images[bag, place], RIGHT if good else WRONG, dashed=not good)
            told = shortened(names[bag][place])
            axes.set_title(told, color=INK, size=7, parse_math=False)
    handles = [
        frame_line(RIGHT, "label found is its own"),
        frame_line(WRONG, "another's of the bag", dashed=True),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=2, frameon=False, fontsize=8)
    return figure


def shortened(name: str) -> str:
    """A name of at most so many letters as stand above an image."""
    return name if len(name) <= _LETTERS else f"{name[: _LETTERS - 1]}…"
