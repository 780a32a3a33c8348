"""An alignment of two sequences of words, as a path through what each match costs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from combgrad.pictures.blank import blank
from combgrad.pictures.labels import HALO, INK
from combgrad.pictures.tour_lines import TOUR as MATCH
from combgrad.pictures.tour_lines import WRONG as GAP

#: Inches of a word's row, of the words beside the map, and of all below it.
_CELL, _MARGIN = 0.5, 2.4

#: What each of the three moves adds to the node (i, j), and whether it is a gap.
_MOVES = (((1, 1), False), ((0, 1), True), ((1, 0), True))


def draw_alignment(
    costs: np.ndarray, path: np.ndarray, found: Sequence[str], true: Sequence[str]
) -> Figure:
    """A map of the costs of matching, with the path: solid through a match, dashed along a gap.

    costs (n, m) of matching position i (rows), at which the word `found` is the likeliest, with the
    word `true` k (columns); path (n+1, m+1, 3), 1 on its moves. Raises ValueError where they do not
    fit.
    """
    n, m = len(found), len(true)
    if not n or not m or costs.shape != (n, m) or path.shape != (n + 1, m + 1, 3):
        raise ValueError(
            f"costs {costs.shape}, path {path.shape}, {n} words found, {m} true ones: pass (n, m), "
            f"(n+1, m+1, 3), n and m words, each at least 1."
        )
    size = (_CELL * m + _MARGIN, _CELL * n + _MARGIN)
    figure = blank(size)
    axes = figure.subplots()
    image = axes.imshow(costs, cmap="Greys_r", interpolation="nearest", aspect="auto", vmin=0)
    figure.colorbar(image, ax=axes, label="cost of a match", shrink=0.8)
    for place, word in (("x", true), ("y", found)):
        ticks = range(len(word))
        getattr(axes, f"set_{place}ticks")(ticks, word, parse_math=False)
    axes.tick_params(axis="x", rotation=60, colors=INK)
    axes.tick_params(axis="y", colors=INK)
    axes.set_xlabel("words of the true headline", color=INK)
    axes.set_ylabel("likeliest word at each position", color=INK)
    _draw_path(axes, path)
    handles = [
        Line2D([], [], color=MATCH, linewidth=3, label="match"),
        Line2D([], [], color=GAP, linewidth=3, linestyle=":", label="gap"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=2, frameon=False, fontsize=8)
    return figure


def _draw_path(axes: Axes, path: np.ndarray) -> None:
    """The moves between the corners of cells, node (i, j) being the upper left of cell (i, j)."""
    n, m = path.shape[0] - 1, path.shape[1] - 1
    for move, (step, gap) in enumerate(_MOVES):
        for i, j in np.argwhere(path[:, :, move] > 0.5):
            rows, columns = [i - 0.5, i + step[0] - 0.5], [j - 0.5, j + step[1] - 0.5]
            colour, style = (GAP, ":") if gap else (MATCH, "-")
            axes.plot(columns, rows, style, color=colour, linewidth=3, path_effects=[HALO])
    # Gaps at the ends of a sequence lie on the frame.
    axes.set(xlim=(-0.7, m - 0.3), ylim=(n - 0.3, -0.7))
