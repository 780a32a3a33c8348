"""The contact sheet of the countries' flags."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure


def draw_flag_sheet(flags: np.ndarray, captions: Sequence[str], columns: int = 10) -> Figure:
    """Every flag of (C, 20, 40, 3) uint8 with its caption under it."""
    rows = -(-len(flags) // columns)
    figure = Figure(figsize=(1.5 * columns, 1.2 * rows), dpi=90)
    axes = figure.subplots(rows, columns, squeeze=False).flat
    for axis, flag, caption in zip(axes, flags, captions, strict=False):
        axis.imshow(flag, interpolation="nearest")
        axis.set_xlabel(caption, fontsize=6.5, labelpad=2)
    for axis in figure.axes:
        axis.set(xticks=[], yticks=[])
    for axis in figure.axes[len(flags) :]:
        axis.set_axis_off()
    figure.tight_layout(pad=0.4)
    return figure
