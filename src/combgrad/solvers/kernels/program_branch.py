"""Branch and bound for small integer programs with finite bounds, on the dual simplex method.

The simplex method only proposes: a branch is dropped for a bound that any row multipliers prove
from the program's own numbers, rounding included (Neumaier and Shcherbina 2004), and a point counts
once its rows were added up. So whatever the tableau lost to rounding, an answer is an optimum.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from combgrad.solvers.kernels import inner, kernel
from combgrad.solvers.kernels.dual_simplex import (
    GAVE_UP,
    OPTIMAL,
    Tableau,
    minimise,
    new_tableau,
    read_duals,
)
from combgrad.solvers.kernels.program_path import (
    WHOLE,
    Path,
    decide,
    enter,
    new_path,
    next_branch,
    set_bounds,
)
from combgrad.solvers.kernels.tsp_costs import copy_vector
from combgrad.solvers.kernels.tsp_pace import Pace, must_stop
from combgrad.solvers.kernels.zeros import flags, floats, integers

# Costs of at most 1 in size that differ by less are alike.
_ALIKE = 1e-10
# What one operation may lose, as a share of the sizes of its terms.
_ROUNDING = 1.2e-16
_MOST_PIVOTS = 5000
# What a node takes beside the operations on the tableau, in such operations.
_NODE_WORK = 2000
# Branches are not alike: how many times dearer than by its share the rest may seem.
_DOUBT = 10.0
_CLOSED, _OPEN = 1, 0


class Rows(NamedTuple):
    """The rows lower <= A x <= upper of a program, A in compressed rows, all bounds finite."""

    starts: NDArray[np.int32]  # (m + 1,)
    columns: NDArray[np.int32]
    values: NDArray[np.float64]
    lower: NDArray[np.float64]  # (m,)
    upper: NDArray[np.float64]  # (m,)


class Best(NamedTuple):
    """The best point so far, and what it costs."""

    point: NDArray[np.float64]  # (n,)
    cost: NDArray[np.float64]  # (1,), more than any point's where there is none yet
    found: NDArray[np.bool_]  # (1,)
    trial: NDArray[np.float64]  # (n,) a point on probation


class Search(NamedTuple):
    """All that a search works with."""

    lp: Tableau
    rows: Rows
    costs: NDArray[np.float64]  # (n,) of at most 1 in size
    best: Best
    path: Path
    duals: NDArray[np.float64]  # (n + m,) reduced costs of the variables, multipliers of the rows
    rest: NDArray[np.float64]  # (n,) costs less the multiplied rows
    sizes: NDArray[np.float64]  # (n,) of the terms that rest is the sum of
    longest: int  # entries of a column at most
    slack: float  # what a row may be off, relative to the sizes of its terms
    ray_step: float
    pace: Pace
    work: NDArray[np.int64]  # (2,) operations that are worth a try, and all that may be spent


@inner
def _load(lp: Tableau, rows: Rows, costs: NDArray[np.float64]) -> None:
    """The tableau of the basis of all slacks s = A x, bounds of variables aside."""
    m, n = rows.lower.shape[0], costs.shape[0]
    lp.used[0], lp.used[1] = m, n
    for j in range(n):
        lp.nonbasic[j] = j
        lp.reduced[j] = costs[j]
    lp.entries[:] = 0.0
    lp.constant[:] = 0.0
    lp.objective[0] = 0.0
    for i in range(m):
        lp.basic[i] = n + i
        lp.lower[n + i], lp.upper[n + i] = rows.lower[i], rows.upper[i]
        for k in range(rows.starts[i], rows.starts[i + 1]):
            lp.entries[i, rows.columns[k]] = -rows.values[k]


@inner
def _add(total: float, lost: float, term: float) -> tuple[float, float]:
    """A sum with one more term, and what rounding took from it so far (Neumaier 1974)."""
    after = total + term
    if abs(total) >= abs(term):
        return after, lost + ((total - after) + term)
    return after, lost + ((term - after) + total)


@inner
def _prove(s: Search) -> float:
    """What every point within the present bounds costs at least, by the multipliers y of the rows
    in the duals; leaves the reduced costs c - A'y in rest."""
    total, lost, size = 0.0, 0.0, 0.0
    for j in range(s.costs.shape[0]):
        s.rest[j] = s.costs[j]
        s.sizes[j] = abs(s.costs[j])
    for i in range(s.rows.lower.shape[0]):
        y = s.duals[s.costs.shape[0] + i]
        if y == 0.0:
            continue
        term = y * (s.rows.lower[i] if y > 0.0 else s.rows.upper[i])
        total, lost = _add(total, lost, term)
        size += abs(term)
        for k in range(s.rows.starts[i], s.rows.starts[i + 1]):
            change = y * s.rows.values[k]
            s.rest[s.rows.columns[k]] -= change
            s.sizes[s.rows.columns[k]] += abs(change)
    for j in range(s.costs.shape[0]):
        doubt = _ROUNDING * (s.longest + 8) * s.sizes[j]
        low, high = s.rest[j] - doubt, s.rest[j] + doubt
        lower, upper = s.lp.lower[j], s.lp.upper[j]
        term = min(min(low * lower, high * lower), min(low * upper, high * upper))
        total, lost = _add(total, lost, term)
    return total + lost - 8.0 * _ROUNDING * (size + abs(total))


@inner
def _tighten(s: Search, room: float) -> None:
    """Leave out what the reduced costs make dearer than the best point, which stays in."""
    for column in range(s.lp.used[1]):
        j = s.lp.nonbasic[column]
        if j >= s.rest.shape[0]:
            continue
        lower, upper, size = s.lp.lower[j], s.lp.upper[j], abs(s.rest[j])
        if lower == upper or room >= size * (upper - lower):
            continue
        steps = math.floor(room / size + 1e-6)
        if steps < upper - lower:
            if s.rest[j] > 0.0:
                set_bounds(s.lp, s.path, j, lower, lower + steps)
            else:
                set_bounds(s.lp, s.path, j, upper - steps, upper)


@inner
def _read_point(lp: Tableau, n: int, point: NDArray[np.float64]) -> None:
    """Round the variables' values to integers, into point (n,)."""
    for j in range(lp.used[1]):
        v = lp.nonbasic[j]
        if v < n:
            point[v] = np.rint(lp.upper[v] if lp.at_upper[v] else lp.lower[v])
    for i in range(lp.used[0]):
        if lp.basic[i] < n:
            point[lp.basic[i]] = np.rint(lp.value[i])


@inner
def _offer(s: Search) -> None:
    """Keep the trial point where it satisfies all rows and bounds and is better than the best."""
    trial, rows, cost, lost = s.best.trial, s.rows, 0.0, 0.0
    for j in range(s.costs.shape[0]):
        if not s.lp.lower[j] <= trial[j] <= s.lp.upper[j]:
            return
        cost, lost = _add(cost, lost, s.costs[j] * trial[j])
    cost += lost
    if not cost < s.best.cost[0]:
        return
    for i in range(rows.lower.shape[0]):
        activity, terms = 0.0, 0.0
        for k in range(rows.starts[i], rows.starts[i + 1]):
            term = rows.values[k] * trial[rows.columns[k]]
            activity += term
            terms += abs(term)
        doubt = s.slack * terms
        if activity < rows.lower[i] - doubt or activity > rows.upper[i] + doubt:
            return
    s.best.cost[0], s.best.found[0] = cost, True
    copy_vector(trial, s.best.point, s.costs.shape[0])


@inner
def _solve_node(s: Search) -> int:
    """Solve the relaxation: _CLOSED where no better point is left here, _OPEN with a level begun
    where there may be, else GAVE_UP."""
    n = s.costs.shape[0]
    status = minimise(s.lp, s.best.cost[0] + 10.0 * _ALIKE, _MOST_PIVOTS, s.pace)
    if status == GAVE_UP:
        return GAVE_UP
    read_duals(s.lp, status, s.duals, s.ray_step)
    bound = _prove(s)
    if status == OPTIMAL and bound < s.best.cost[0] - _ALIKE:
        _read_point(s.lp, n, s.best.trial)
        _offer(s)
    if bound >= s.best.cost[0] - _ALIKE:
        return _CLOSED
    if status != OPTIMAL:
        return GAVE_UP
    if s.best.found[0]:
        _tighten(s, s.best.cost[0] + _ALIKE - bound)
    return _OPEN if decide(s.lp, s.path, n, bound) else GAVE_UP


@inner
def _is_hopeless(s: Search) -> bool:
    """Count the work of a node, and say whether the whole search seems to be too much: after a try
    without a point, or by the share that is done, if all branches are alike (Knuth 1975)."""
    m, n = s.lp.used
    if must_stop(s.pace, 4 * (m + 10) * (n + 10) + _NODE_WORK):
        return True
    spent = s.work[1] - s.pace.left[0]
    if spent < s.work[0]:
        return False
    if not s.best.found[0]:
        return True
    share, done = 1.0, 0.0
    for level in range(s.path.used[0]):
        share *= 0.5
        done += share if s.path.second[level] else 0.0
    return spent > _DOUBT * done * s.work[1]


@inner
def _search(s: Search) -> bool:
    """Search all branches; False where the work was too much, or rounding in the way."""
    while not _is_hopeless(s):
        status = _solve_node(s)
        if status == GAVE_UP:
            # Once more without what the tableau lost to rounding.
            _load(s.lp, s.rows, s.costs)
            status = _solve_node(s)
        if status == GAVE_UP:
            return False
        if status == _CLOSED and not next_branch(s.lp, s.path, s.best.cost[0] - _ALIKE):
            return True
        if not enter(s.lp, s.path):
            return False
    return False


@kernel(error_model="numpy")
def search_program(
    costs: NDArray[np.float64],
    starts: NDArray[np.int32],
    columns: NDArray[np.int32],
    values: NDArray[np.float64],
    lower: NDArray[np.float64],
    upper: NDArray[np.float64],
    least: NDArray[np.float64],
    most: NDArray[np.float64],
    slack: float,
    work: NDArray[np.int64],
    point: NDArray[np.float64],
) -> tuple[bool, bool]:
    """Write the cheapest integer point within rows and bounds into point (n,): whether the search
    came to its end, and whether there is a point.

    costs, least, most are (n,), the rows those of `Rows`, slack and work those of `Search`.
    """
    m, n = lower.shape[0], costs.shape[0]
    lp = new_tableau(m, n, n + m)
    counts = integers(n)
    for j in columns:
        counts[j] += 1
    dearest, cheapest, longest = 1.0, 0.0, 0
    for j in range(n):
        lp.lower[j], lp.upper[j] = least[j], most[j]
        dearest += max(costs[j] * least[j], costs[j] * most[j])
        cheapest += min(costs[j] * least[j], costs[j] * most[j])
        longest = max(longest, counts[j])
    s = Search(
        lp,
        Rows(starts, columns, values, lower, upper),
        costs,
        Best(point, floats(1), flags(1), floats(n)),
        new_path(n),
        floats(n + m),
        floats(n),
        floats(n),
        longest,
        slack,
        4.0 * (dearest - cheapest) / WHOLE,
        Pace(integers(1), integers(1)),
        work,
    )
    s.best.cost[0], s.pace.left[0] = dearest, work[1]
    _load(lp, s.rows, costs)
    complete = _search(s)
    return complete, s.best.found[0]
