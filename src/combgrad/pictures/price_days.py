"""Days by the half hour: what was predicted, what came, and what was decided."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from combgrad.pictures.blank import blank
from combgrad.pictures.labels import INK
from combgrad.pictures.tour_lines import TOUR as PREDICTED
from combgrad.pictures.tour_lines import WRONG

#: Inches of a day.
_WIDTH, _HEIGHT = 4.6, 4.0


def draw_days(
    costs: np.ndarray, true_costs: np.ndarray, targets: np.ndarray, found: np.ndarray
) -> Figure:
    """A column for each day: predicted and true costs above, the decisions by either below.

    All arrays are (N, H) for H equal slots of a day. Costs that are never above 0 are shown as the
    values that they stand for. Predicted ones are drawn on an axis of their own, for what counts of
    them is which is higher. Raises ValueError where the arrays are not of the same N >= 1 days.
    """
    arrays = (costs, true_costs, targets, found)
    if targets.ndim != 2 or not targets.size or any(a.shape != targets.shape for a in arrays):
        told = ", ".join(str(array.shape) for array in arrays)
        raise ValueError(f"arrays have shapes {told}; pass each as (N, H), with N at least 1.")
    count, slots = targets.shape
    as_values = bool((true_costs <= 0).all())
    sign, name = (-1.0, "value") if as_values else (1.0, "price")
    figure = blank((_WIDTH * count, _HEIGHT))
    boxes = figure.subplots(2, count, squeeze=False, sharex=True)
    hours = np.arange(slots) * 24 / slots
    for day in range(count):
        top, bottom = boxes[:, day]
        _draw_costs(top, hours, sign * costs[day], sign * true_costs[day], name)
        _draw_decisions(bottom, hours, targets[day], found[day])
        best, paid = (sign * true_costs[day] @ chosen[day] for chosen in (targets, found))
        bottom.set_xlabel(
            f"hour; {'value' if as_values else 'cost'} {paid:.4g}, best {best:.4g}", color=INK
        )
    return figure


def _draw_costs(
    axes: Axes, hours: np.ndarray, costs: np.ndarray, true_costs: np.ndarray, name: str
) -> None:
    other = axes.twinx()
    lines = _draw_steps(axes, hours, true_costs, INK, f"true {name}")
    lines += _draw_steps(other, hours, costs, PREDICTED, f"predicted {name}")
    other.tick_params(axis="y", colors=PREDICTED)
    _add_legend(axes, lines)


def _draw_decisions(axes: Axes, hours: np.ndarray, target: np.ndarray, found: np.ndarray) -> None:
    best = axes.bar(hours, target, 24 / len(hours), align="edge", color="0.8", label="best")
    lines = _draw_steps(axes, hours, found, WRONG, "decided on")
    axes.set(xlim=(0, 24), xticks=range(0, 25, 6))
    _add_legend(axes, [best, *lines])


def _draw_steps(
    axes: Axes, hours: np.ndarray, values: np.ndarray, colour: str, label: str
) -> list[Line2D]:
    """Each value from its hour to the next, the last one to the end of the day."""
    ends, held = [*hours, 24.0], [*values, values[-1]]
    return axes.step(ends, held, where="post", color=colour, lw=1.2, label=label)


def _add_legend(axes: Axes, shown: list[Any]) -> None:
    """The names of what is shown, above the axes: within them the steps leave no room."""
    place: dict[str, Any] = {"loc": "lower left", "bbox_to_anchor": (0, 1), "borderaxespad": 0}
    axes.legend(handles=shown, frameon=False, fontsize=8, labelcolor=INK, ncols=2, **place)
