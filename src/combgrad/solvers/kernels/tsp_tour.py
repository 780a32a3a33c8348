"""Exact travelling salesman tours: heuristic, 1-tree ascent, then branch and cut.

The ascent proves most tours optimal; `tsp_branch` does the rest. Both are right up to rounding in
the largest cost that is still undecided. Where a tour shows that the largest ones are of no use,
or decisions at the root leave small differences only, all begins anew with what is left.
"""

import numpy as np
from numpy.typing import NDArray

from combgrad.solvers.kernels import inner, kernel
from combgrad.solvers.kernels.tsp_branch import HALTED, SHORT, SOLVED, branch_and_cut
from combgrad.solvers.kernels.tsp_costs import copy_square, copy_vector, mark_edge
from combgrad.solvers.kernels.tsp_heuristic import improve_tour, nearest_neighbour
from combgrad.solvers.kernels.tsp_node import (
    Search,
    follow_tree,
    keep_better,
    new_search,
    usable_length,
)
from combgrad.solvers.kernels.tsp_one_tree import (
    ascend,
    fix_edges,
    lost_to_potentials,
    one_tree_bound,
)
from combgrad.solvers.kernels.tsp_pace import Pace, must_stop
from combgrad.solvers.kernels.tsp_propagate import propagate
from combgrad.solvers.kernels.tsp_scale import (
    SHORT_TOUR,
    exclude_dear,
    fill_undecided,
    forbid_infinite,
    is_narrow,
    least_saving,
)

_ASCENT_STEPS = 60
# A solve without branching takes about this many operations for each pair of cities.
_OPERATIONS = 200


@inner
def _decide_by_root(s: Search, k: int, bound: float, length: float, saving: float) -> bool:
    """Decide edges at the root in s.allowed; whether all but small differences are decided for
    every shortest tour, then in s.usable."""
    fix_edges(s.allowed, s.potential, s.tree, k, length - saving - bound)
    if not is_narrow(s.matrix, s.allowed, k):
        return False
    # Those decisions are for better tours only; these hold for the one at hand as well.
    copy_square(s.usable, s.allowed, k)
    fix_edges(s.allowed, s.potential, s.tree, k, length + saving - bound)
    if propagate(s.allowed, s.scratch[0], s.scratch[1], k) and is_narrow(s.matrix, s.allowed, k):
        copy_square(s.allowed, s.usable, k)
        return True
    copy_square(s.usable, s.allowed, k)
    fix_edges(s.allowed, s.potential, s.tree, k, length - saving - bound)
    return False


@inner
def _improve(s: Search, k: int, length: float) -> int:
    """Look for the best tour among the edges s.usable, with s.tour of this length at hand."""
    saving = least_saving(s.matrix, s.usable, k)
    if saving == np.inf:
        if length <= k:
            return SOLVED
        saving = 0.5
    enough = length - saving
    copy_square(s.usable, s.allowed, k)
    bound = ascend(s.matrix, s.allowed, s.potential, s.tree, k, length, enough, _ASCENT_STEPS)
    if bound >= enough:
        return SOLVED
    # Seen through good potentials, the nearest neighbour is mostly the right one.
    nearest_neighbour(s.matrix, s.potential, s.trial, k)
    improve_tour(s.matrix, s.trial, k)
    length = keep_better(s, k, length)
    bound = one_tree_bound(s.matrix, s.allowed, s.potential, s.tree, k)
    if follow_tree(s, k):
        keep_better(s, k, length)
        return SOLVED
    bound -= lost_to_potentials(s.potential, k)
    if bound >= length - saving:
        return SOLVED
    if length < SHORT_TOUR or _decide_by_root(s, k, bound, length, saving):
        return SHORT
    return branch_and_cut(s, k, length, saving, SHORT_TOUR)


@inner
def _solve(s: Search, costs: NDArray[np.float64], warm: NDArray[np.int64], k: int) -> int:
    """Leave the shortest tour for costs (E,) in s.tour; one through an edge of infinite cost where
    there is no other."""
    for v in range(k):
        s.tour[v] = v if warm[0] < 0 else warm[v]
    s.tour[k] = s.tour[0]
    some = forbid_infinite(costs, s.usable, k)
    if some and not propagate(s.usable, s.scratch[0], s.scratch[1], k):
        return SOLVED
    fresh = warm[0] < 0
    while not must_stop(s.pace, _OPERATIONS * k * k):
        s.required[0] = fill_undecided(costs, s.usable, s.matrix, k)
        s.potential[:] = 0.0
        copy_vector(s.tour, s.trial, k + 1)
        if fresh:
            nearest_neighbour(s.matrix, s.potential, s.trial, k)
            fresh = False
        improve_tour(s.matrix, s.trial, k)
        length = keep_better(s, k, usable_length(s, s.tour, k))
        if not exclude_dear(s.matrix, s.usable, length, k):
            outcome = _improve(s, k, length)
            if outcome == HALTED:
                return HALTED
            length = usable_length(s, s.tour, k)
            if outcome == SOLVED and not exclude_dear(s.matrix, s.usable, length, k):
                return SOLVED
        # The tour at hand is left, whatever else is excluded.
        propagate(s.usable, s.scratch[0], s.scratch[1], k)
    return HALTED


@kernel(nogil=True, error_model="numpy")
def solve_range(
    costs: NDArray[np.float64],
    k: int,
    warm: NDArray[np.int64],
    solutions: NDArray[np.uint8],
    at: NDArray[np.int64],
    stop: int,
    left: NDArray[np.int64],
    halt: NDArray[np.int64],
) -> None:
    """Solve the instances at[0] <= b < stop of costs (B, E) into solutions (B, E), -inf and NaN
    left out, with at (1,) on the way from one to the next.

    Ends before at[0] is stop where left (1,), a number of operations, is used up, or halt (1,) is
    set by another thread.
    """
    s = new_search(k, Pace(left, halt))
    while at[0] < stop:
        b = at[0]
        if _solve(s, costs[b], warm[b], k) == HALTED:
            return
        for i in range(k):
            mark_edge(solutions[b], s.tour[i], s.tour[i + 1], k)
        at[0] = b + 1
