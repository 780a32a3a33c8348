"""The way of a branch and bound through an integer program: decisions, and bounds to be undone."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from combgrad.solvers.kernels import inner
from combgrad.solvers.kernels.dual_simplex import Tableau
from combgrad.solvers.kernels.zeros import flags, floats, integers

#: Values as near to an integer are whole, and entries of a tableau as near to 0 are none.
WHOLE = 1e-9


class Path(NamedTuple):
    """The way from the root: a decision a level, and the bounds that were tightened since."""

    used: NDArray[np.int64]  # (2,) levels, changes
    variable: NDArray[np.int64]  # (levels,)
    floor: NDArray[np.float64]  # (levels,) of the variable's value when it was decided on
    up_first: NDArray[np.bool_]  # (levels,)
    second: NDArray[np.bool_]  # (levels,) whether the other branch is being searched
    bound: NDArray[np.float64]  # (levels,) what all solutions here cost at least
    start: NDArray[np.int64]  # (levels,) changes made before the decision
    changed: NDArray[np.int64]  # (changes,) variables
    lower: NDArray[np.float64]  # (changes,) their bounds before
    upper: NDArray[np.float64]


@inner
def new_path(n: int) -> Path:
    """A path at the root, for n variables."""
    levels, changes = 2 * n + 64, 8 * n + 256
    return Path(
        integers(2),
        integers(levels),
        floats(levels),
        flags(levels),
        flags(levels),
        floats(levels),
        integers(levels),
        integers(changes),
        floats(changes),
        floats(changes),
    )


@inner
def set_bounds(lp: Tableau, path: Path, j: int, lower: float, upper: float) -> bool:
    """Tighten the bounds of a variable so that it can be undone; False where the path is full."""
    used = path.used[1]
    if used == path.changed.shape[0]:
        return False
    path.changed[used] = j
    path.lower[used], path.upper[used] = lp.lower[j], lp.upper[j]
    path.used[1] = used + 1
    lp.lower[j], lp.upper[j] = lower, upper
    return True


@inner
def undo(lp: Tableau, path: Path, start: int) -> None:
    """Take back all changes of bounds but the first `start`."""
    while path.used[1] > start:
        path.used[1] -= 1
        used = path.used[1]
        j = path.changed[used]
        lp.lower[j], lp.upper[j] = path.lower[used], path.upper[used]


@inner
def _penalty(lp: Tableau, row: int, below: bool) -> float:
    """How fast the objective rises at first as the basic variable of a row is raised or lowered."""
    entries = lp.entries[row]
    sign = -1.0 if below else 1.0
    least = np.inf
    for j in range(lp.used[1]):
        v = lp.nonbasic[j]
        entry = -entries[j] * sign if lp.at_upper[v] else entries[j] * sign
        if entry > WHOLE and lp.lower[v] < lp.upper[v]:
            least = min(least, abs(lp.reduced[j]) / entry)
    return least


@inner
def decide(lp: Tableau, path: Path, n: int, bound: float) -> bool:
    """Begin a level with the variable whose branches promise the greatest rise of the bound
    (Driebeek 1966), the cheaper one first; False where all are whole or the path is full."""
    most, level = -1.0, path.used[0]
    if level == path.variable.shape[0]:
        return False
    for i in range(lp.used[0]):
        v = lp.basic[i]
        if v >= n:
            continue
        floor = math.floor(lp.value[i])
        share = lp.value[i] - floor
        if min(share, 1.0 - share) <= WHOLE:
            continue
        down = min(share * _penalty(lp, i, False), 1e9)
        up = min((1.0 - share) * _penalty(lp, i, True), 1e9)
        score = max(down, 1e-6) * max(up, 1e-6)
        if score > most:
            most = score
            path.variable[level], path.floor[level] = v, floor
            path.up_first[level] = up < down
    if most < 0.0:
        return False
    path.second[level] = False
    path.bound[level] = bound
    path.start[level] = path.used[1]
    path.used[0] = level + 1
    return True


@inner
def enter(lp: Tableau, path: Path) -> bool:
    """Go into the branch of the last level that is due; False where the path is full."""
    level = path.used[0] - 1
    v, floor = path.variable[level], path.floor[level]
    if path.up_first[level] != path.second[level]:
        return set_bounds(lp, path, v, floor + 1.0, lp.upper[v])
    return set_bounds(lp, path, v, lp.lower[v], floor)


@inner
def next_branch(lp: Tableau, path: Path, limit: float) -> bool:
    """Go to the next branch that may hold a point cheaper than limit; False at the end."""
    while path.used[0] > 0:
        level = path.used[0] - 1
        undo(lp, path, path.start[level])
        if not path.second[level] and path.bound[level] < limit:
            path.second[level] = True
            return True
        path.used[0] = level
    return False
