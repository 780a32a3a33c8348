"""Images, the binary codes they are sent through, and what comes out."""

import math

import numpy as np
from matplotlib.figure import Figure

LABELS = ("image", "code", "reconstruction")


def draw_codes(images: np.ndarray, codes: np.ndarray, reconstructions: np.ndarray) -> Figure:
    """One picture of N columns: image, code and reconstruction below each other.

    images, reconstructions (N, P) in [0, 1] with P a square number; codes (N, rows, entries) 0/1.
    """
    side = math.isqrt(images.shape[1])
    square = (-1, side, side)
    columns = len(images)
    figure = Figure(figsize=(1.2 * columns, 4.0), dpi=100)
    axes = figure.subplots(len(LABELS), columns, squeeze=False)
    shown = (images.reshape(square), codes, reconstructions.reshape(square))
    for row, label, pictures in zip(axes, LABELS, shown, strict=True):
        for axis, picture in zip(row, pictures, strict=True):
            axis.imshow(picture, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
            axis.set(xticks=[], yticks=[])
        row[0].set_ylabel(label)
    figure.tight_layout(pad=0.4)
    return figure
