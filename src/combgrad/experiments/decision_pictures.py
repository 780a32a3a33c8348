"""What people would look at of a set of decision problems: some decisions beside the best."""

from collections.abc import Mapping
from functools import singledispatch
from typing import Any

import numpy as np

from combgrad.data.decisions.problems import DecisionSet
from combgrad.data.energy.sets import EnergyKnapsack, EnergySchedules
from combgrad.data.mazes.sets import MazePaths
from combgrad.pictures.decisions import draw_ways
from combgrad.pictures.mazes import draw_mazes
from combgrad.pictures.price_days import draw_days

#: Columns of a few instances by name, with `costs`, which are predicted, and `found`, y(w).
Rows = Mapping[str, np.ndarray]


@singledispatch
def draw_decisions(collection: DecisionSet, rows: Rows) -> Any:
    """The figure of some instances of a set: ways where it has a graph, or None."""
    if collection.graph is None:
        return None
    return draw_ways(*collection.graph, *(rows[name] for name in ("true_costs", "target", "found")))


@draw_decisions.register(EnergyKnapsack)
@draw_decisions.register(EnergySchedules)
def _(collection: DecisionSet, rows: Rows) -> Any:
    del collection
    return draw_days(*(rows[name] for name in ("costs", "true_costs", "target", "found")))


@draw_decisions.register(MazePaths)
def _(collection: DecisionSet, rows: Rows) -> Any:
    del collection
    shown = ("costs", "true_costs", "target", "found")
    return draw_mazes(rows["features"][:, 0], *(rows[name] for name in shown))
