"""The scores of one query and what two gradient methods say of them (Figure 8a)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from combgrad.pictures.blank import blank
from combgrad.pictures.labels import INK
from combgrad.pictures.tour_lines import TOUR as RELEVANT

OTHER = "#9aa7b0"

#: Inches of the picture's width, of a panel's height and of what stands above and below.
_WIDTH, _PANEL, _REST = 7.0, 1.5, 1.1


def draw_score_gradients(
    scores: np.ndarray, relevant: np.ndarray, steps: Mapping[str, np.ndarray]
) -> Figure:
    """Scores (n,) in their order, those of relevant candidates (n,) bool marked, and steps below.

    A panel for each method has the step -dL/dw (n,) that it takes from each score: upwards where
    the score is to rise; a dot where it is exactly 0. Raises ValueError where arrays do not fit.
    """
    shapes = {np.shape(part) for part in (scores, relevant, *steps.values())}
    if len(shapes) > 1 or np.ndim(scores) != 1 or not steps:
        raise ValueError(
            f"scores {np.shape(scores)}, relevant {np.shape(relevant)} and steps "
            f"{ {name: np.shape(step) for name, step in steps.items()} }: pass (n,) for each."
        )
    order = np.argsort(-np.asarray(scores), kind="stable")
    marked = np.asarray(relevant)[order]
    height = _PANEL * (1 + len(steps)) + _REST
    figure = blank((_WIDTH, height), dpi=150)
    panels = figure.subplots(1 + len(steps), 1, sharex=True)
    _bars(panels[0], np.asarray(scores)[order], marked)
    panels[0].set_ylabel("score")
    for axes, (name, step) in zip(panels[1:], steps.items(), strict=True):
        _bars(axes, np.asarray(step)[order], marked)
        axes.set_ylabel("step")
        axes.set_title(name, size=10, color=INK, loc="left", parse_math=False)
    panels[-1].set_xlabel("candidates, the highest score first")
    panels[-1].set_xticks(range(len(order)), [str(place + 1) for place in range(len(order))])
    _legend(figure)
    return figure


def _bars(axes: Axes, values: np.ndarray, marked: np.ndarray) -> None:
    places = np.arange(len(values))
    axes.bar(
        places,
        values,
        color=[RELEVANT if mark else OTHER for mark in marked],
        edgecolor=INK,
        linewidth=[1.2 if mark else 0 for mark in marked],
    )
    nothing = values == 0
    axes.plot(places[nothing], values[nothing], ".", color=INK, markersize=4)
    axes.margins(y=0.1)
    axes.axhline(0, color=INK, linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)


def _legend(figure: Figure) -> None:
    handles = [
        Patch(facecolor=RELEVANT, edgecolor=INK, linewidth=1.2, label="relevant"),
        Patch(facecolor=OTHER, label="not relevant"),
        Line2D([], [], color=INK, marker=".", linestyle="", label="exactly 0"),
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=3, frameon=False, fontsize=8)
