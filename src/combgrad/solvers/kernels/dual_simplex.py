"""The dual simplex method on the tour problem's linear relaxation, as a dense tableau.

The rows say value[basic] + entries @ value[nonbasic] = constant. Variables are numbered: edges
first, then one slack per city's degree equation (fixed at 0), then slacks of subtour cuts. All
have two finite bounds, so any basis is dual feasible once each nonbasic variable sits at the
bound its reduced cost asks for: after bounds change, or a row is added, the method just goes on.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from combgrad.solvers.kernels import inner
from combgrad.solvers.kernels.tsp_costs import copy_vector
from combgrad.solvers.kernels.tsp_pace import Pace, must_stop
from combgrad.solvers.kernels.zeros import flags, float_matrix, floats, integers

OPTIMAL, INFEASIBLE, CUT_OFF, GAVE_UP = 0, 1, 2, 3

# Entries are sums and quotients of small integers: anything below is rounding.
_TOLERANCE = 1e-9
# Reduced costs this close count as ties, and the larger pivot wins.
_TIE = 1e-14


class Tableau(NamedTuple):
    """R rows at most, C columns; used holds the numbers of rows and columns in use."""

    used: NDArray[np.int64]  # (2,)
    entries: NDArray[np.float64]  # (R, C)
    constant: NDArray[np.float64]  # (R,)
    value: NDArray[np.float64]  # (R,) of the basic variables
    reduced: NDArray[np.float64]  # (C,)
    objective: NDArray[np.float64]  # (1,) with all nonbasic variables at zero
    basic: NDArray[np.int64]  # (R,) variable of each row
    nonbasic: NDArray[np.int64]  # (C,) variable of each column
    lower: NDArray[np.float64]  # per variable, as are the next three
    upper: NDArray[np.float64]
    at_upper: NDArray[np.bool_]
    pinned: NDArray[np.bool_]  # slacks of rows that must stay
    ray: NDArray[np.float64]  # (2,) row that proved infeasibility and its direction


@inner
def new_tableau(rows: int, columns: int, variables: int) -> Tableau:
    """Allocate an empty tableau."""
    return Tableau(
        integers(2),
        float_matrix(rows, columns),
        floats(rows),
        floats(rows),
        floats(columns),
        floats(1),
        integers(rows),
        integers(columns),
        floats(variables),
        floats(variables),
        flags(variables),
        flags(variables),
        floats(2),
    )


@inner
def _place_nonbasic(lp: Tableau) -> float:
    """Put nonbasic variables at their dual feasible bounds, recompute the others, and return the
    objective."""
    rows, columns = lp.used
    copy_vector(lp.constant, lp.value, rows)
    objective = lp.objective[0]
    for j in range(columns):
        v = lp.nonbasic[j]
        if lp.reduced[j] != 0.0:
            lp.at_upper[v] = lp.reduced[j] < 0.0
        x = lp.upper[v] if lp.at_upper[v] else lp.lower[v]
        if x != 0.0:
            objective += lp.reduced[j] * x
            for i in range(rows):
                lp.value[i] -= lp.entries[i, j] * x
    return objective


@inner
def _pick_row(lp: Tableau) -> tuple[int, float, bool]:
    """The row furthest outside its bounds, by how much, and whether below; row -1 if none."""
    row, worst, below = -1, _TOLERANCE, True
    for i in range(lp.used[0]):
        v = lp.basic[i]
        if lp.lower[v] - lp.value[i] > worst:
            row, worst, below = i, lp.lower[v] - lp.value[i], True
        elif lp.value[i] - lp.upper[v] > worst:
            row, worst, below = i, lp.value[i] - lp.upper[v], False
    return row, worst, below


@inner
def _pick_column(lp: Tableau, row: int, below: bool) -> tuple[int, float, float]:
    """The column whose reduced cost reaches zero first, after what dual step, and the size of its
    entry; column -1 if none does."""
    entries, reduced, nonbasic = lp.entries[row], lp.reduced, lp.nonbasic
    sign = -1.0 if below else 1.0
    column, least, size = -1, np.inf, 0.0
    for j in range(lp.used[1]):
        v = nonbasic[j]
        entry = -entries[j] * sign if lp.at_upper[v] else entries[j] * sign
        if entry <= _TOLERANCE or lp.lower[v] == lp.upper[v]:
            continue
        step = abs(reduced[j]) / entry
        if step < least - _TIE or (step < least + _TIE and entry > size):
            column, least, size = j, step, entry
    return column, least, size


@inner
def _pivot(lp: Tableau, row: int, column: int) -> None:
    """Exchange the basic variable of row with the nonbasic variable of column."""
    rows, columns = lp.used
    source = lp.entries[row, :columns]
    inverse = 1.0 / source[column]
    for j in range(columns):
        source[j] *= inverse
    source[column] = inverse
    lp.constant[row] *= inverse
    for i in range(rows):
        factor = lp.entries[i, column]
        if i != row and factor != 0.0:
            target = lp.entries[i, :columns]
            for j in range(columns):
                target[j] -= factor * source[j]
            target[column] = -factor * inverse
            lp.constant[i] -= factor * lp.constant[row]
    factor = lp.reduced[column]
    for j in range(columns):
        lp.reduced[j] -= factor * source[j]
    lp.reduced[column] = -factor * inverse
    lp.objective[0] += factor * lp.constant[row]
    lp.basic[row], lp.nonbasic[column] = lp.nonbasic[column], lp.basic[row]


@inner
def _move(lp: Tableau, column: int, change: float) -> None:
    """Follow a change of a nonbasic variable in the basic ones."""
    for i in range(lp.used[0]):
        lp.value[i] -= lp.entries[i, column] * change


@inner
def minimise(lp: Tableau, cutoff: float, most_pivots: int, pace: Pace) -> int:
    """Run the dual simplex with bound flips (Lemke 1954; Wagner 1958) until OPTIMAL, INFEASIBLE,
    CUT_OFF at an objective of cutoff, or GAVE_UP after most_pivots or where the pace says so."""
    objective = _place_nonbasic(lp)
    for _ in range(most_pivots):
        if must_stop(pace, lp.used[0] * lp.used[1]):
            return GAVE_UP
        row, outside, below = _pick_row(lp)
        if row < 0:
            return OPTIMAL
        if objective >= cutoff:
            return CUT_OFF
        passed = 0.0
        while True:
            column, step, size = _pick_column(lp, row, below)
            if column < 0:
                lp.ray[0], lp.ray[1] = row, 1.0 if below else -1.0
                return INFEASIBLE
            objective += outside * (step - passed)
            passed = step
            entering = lp.nonbasic[column]
            width = lp.upper[entering] - lp.lower[entering]
            if outside - size * width <= _TOLERANCE:
                break
            # The row stays outside even with this variable at its other bound.
            outside -= size * width
            _move(lp, column, -width if lp.at_upper[entering] else width)
            lp.at_upper[entering] = not lp.at_upper[entering]
        leaving = lp.basic[row]
        bound = lp.lower[leaving] if below else lp.upper[leaving]
        change = (lp.value[row] - bound) / lp.entries[row, column]
        start = lp.upper[entering] if lp.at_upper[entering] else lp.lower[entering]
        _move(lp, column, change)
        lp.value[row] = start + change
        lp.at_upper[leaving] = not below
        _pivot(lp, row, column)
    return GAVE_UP


@inner
def read_duals(lp: Tableau, status: int, duals: NDArray[np.float64], ray_step: float) -> None:
    """Set duals, one per variable, to the reduced costs; those of slacks price their rows.

    After INFEASIBLE, a long enough step along the ray makes the bounds from them prove it.
    """
    rows, columns = lp.used
    row, direction = int(lp.ray[0]), ray_step * lp.ray[1]
    for i in range(rows):
        duals[lp.basic[i]] = 0.0
    for j in range(columns):
        duals[lp.nonbasic[j]] = lp.reduced[j]
        if status == INFEASIBLE:
            duals[lp.nonbasic[j]] += direction * lp.entries[row, j]
    if status == INFEASIBLE:
        duals[lp.basic[row]] = direction


@inner
def drop_row(lp: Tableau, row: int) -> None:
    """Forget a row whose basic variable is a cut's slack."""
    last = lp.used[0] - 1
    copy_vector(lp.entries[last], lp.entries[row], lp.used[1])
    lp.constant[row] = lp.constant[last]
    lp.value[row] = lp.value[last]
    lp.basic[row] = lp.basic[last]
    lp.used[0] = last
