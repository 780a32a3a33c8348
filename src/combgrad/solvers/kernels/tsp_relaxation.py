"""The subtour relaxation of a tour problem as a tableau: rows, cuts, potentials, edge values."""

import numpy as np
from numpy.typing import NDArray

from combgrad.solvers.kernels import inner
from combgrad.solvers.kernels.dual_simplex import Tableau, drop_row

_TOLERANCE = 1e-9


@inner
def load_relaxation(
    lp: Tableau,
    allowed: NDArray[np.float64],
    potential: NDArray[np.float64],
    ends: NDArray[np.int64],
    free_cuts: NDArray[np.int64],
    k: int,
) -> None:
    """Write the degree equations over the edges not excluded; fills ends (E, 2) and the stack
    free_cuts (1 + cuts,) of unused cut numbers, counted in its first entry.

    Costs are shifted by potential, so an optimal potential makes the first basis optimal.
    """
    columns = 0
    lp.entries[:k] = 0.0
    for i in range(k):
        for j in range(i + 1, k):
            if allowed[i, j] == np.inf:
                continue
            ends[columns, 0], ends[columns, 1] = i, j
            lp.entries[i, columns] = lp.entries[j, columns] = 1.0
            lp.reduced[columns] = allowed[i, j] + potential[i] + potential[j]
            lp.nonbasic[columns] = columns
            columns += 1
    lp.used[0], lp.used[1] = k, columns
    lp.objective[0] = 0.0
    lp.at_upper[:] = False
    lp.pinned[:] = False
    for v in range(k):
        lp.constant[v] = 2.0
        lp.basic[v] = columns + v
        lp.lower[columns + v] = lp.upper[columns + v] = 0.0
        lp.objective[0] -= 2.0 * potential[v]
    free_cuts[0] = free_cuts.shape[0] - 1
    for cut in range(free_cuts[0]):
        free_cuts[1 + cut] = cut


@inner
def bound_edges(
    lp: Tableau, allowed: NDArray[np.float64], ends: NDArray[np.int64], edges: int
) -> None:
    """Fix required edges at 1, excluded ones at 0, and free the others."""
    for e in range(edges):
        state = allowed[ends[e, 0], ends[e, 1]]
        lp.lower[e] = 1.0 if state == -np.inf else 0.0
        lp.upper[e] = 0.0 if state == np.inf else 1.0


@inner
def _drop_loose_cuts(lp: Tableau, free_cuts: NDArray[np.int64], edges: int, k: int) -> None:
    """Give up the cuts that do not bind."""
    row = 0
    while row < lp.used[0]:
        cut = lp.basic[row] - edges - k
        if cut >= 0 and lp.value[row] > _TOLERANCE and not lp.pinned[lp.basic[row]]:
            free_cuts[0] += 1
            free_cuts[free_cuts[0]] = cut
            drop_row(lp, row)
        else:
            row += 1


@inner
def _add_cut(
    lp: Tableau, inside: NDArray[np.bool_], size: int, variable: int, ends: NDArray[np.int64]
) -> None:
    """Append x(edges within the set) + slack = size - 1, in terms of the nonbasic variables.

    This form, with city 0 outside, is one that every 1-tree satisfies too: hence the potentials
    of the relaxation give a 1-tree bound no worse than the relaxation's value.
    """
    rows, columns = lp.used
    edges = columns
    target = lp.entries[rows, :columns]
    constant = size - 1.0
    for j in range(columns):
        v = lp.nonbasic[j]
        target[j] = 1.0 if v < edges and inside[ends[v, 0]] and inside[ends[v, 1]] else 0.0
    for i in range(rows):
        v = lp.basic[i]
        if v < edges and inside[ends[v, 0]] and inside[ends[v, 1]]:
            source = lp.entries[i, :columns]
            for j in range(columns):
                target[j] -= source[j]
            constant -= lp.constant[i]
    lp.constant[rows] = constant
    lp.basic[rows] = variable
    lp.lower[variable], lp.upper[variable] = 0.0, size - 1.0
    lp.used[0] = rows + 1


@inner
def add_cuts(
    lp: Tableau,
    sets: NDArray[np.bool_],
    sizes: NDArray[np.int64],
    found: int,
    ends: NDArray[np.int64],
    free_cuts: NDArray[np.int64],
    k: int,
) -> int:
    """Add a row per set, as far as there is room; returns the last one's variable, -1 if none."""
    edges = lp.used[1]
    if free_cuts[0] < found:
        _drop_loose_cuts(lp, free_cuts, edges, k)
    variable = -1
    for s in range(min(found, free_cuts[0])):
        variable = edges + k + free_cuts[free_cuts[0]]
        free_cuts[0] -= 1
        _add_cut(lp, sets[s], sizes[s], variable, ends)
    return variable


@inner
def read_usage(lp: Tableau, ends: NDArray[np.int64], usage: NDArray[np.float64]) -> None:
    """Spread the edge values over usage (k, k)."""
    rows, columns = lp.used
    usage[:] = 0.0
    for j in range(columns):
        v = lp.nonbasic[j]
        if v < columns:
            i, k = ends[v]
            usage[i, k] = usage[k, i] = lp.upper[v] if lp.at_upper[v] else lp.lower[v]
    for row in range(rows):
        v = lp.basic[row]
        if v < columns:
            i, k = ends[v]
            usage[i, k] = usage[k, i] = lp.value[row]
