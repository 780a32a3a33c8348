"""One node of the search for a tour: what it has decided, and the bound on its tours."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from combgrad.solvers.kernels import inner
from combgrad.solvers.kernels.dual_simplex import (
    CUT_OFF,
    OPTIMAL,
    Tableau,
    minimise,
    new_tableau,
    read_duals,
)
from combgrad.solvers.kernels.tsp_costs import ROUNDING, copy_square, copy_vector
from combgrad.solvers.kernels.tsp_cuts import CutSearch, find_cuts, new_cut_search
from combgrad.solvers.kernels.tsp_heuristic import improve_tour, nearest_neighbour, tour_length
from combgrad.solvers.kernels.tsp_one_tree import (
    OneTree,
    fix_edges,
    lost_to_potentials,
    new_one_tree,
    one_tree_bound,
    tree_edge,
)
from combgrad.solvers.kernels.tsp_pace import Pace, must_stop
from combgrad.solvers.kernels.tsp_relaxation import add_cuts, bound_edges, read_usage
from combgrad.solvers.kernels.zeros import (
    flag_matrix,
    float_matrix,
    floats,
    integer_matrix,
    integers,
)

_PIVOTS_PER_CITY = 50
# A violated row becomes a step along its ray that raises the bound by far more than a tour costs.
_RAY_STEP = 1024.0
_MOST_LEVELS = 4
# How many times the largest cost an edge value of 1 outweighs when rounding.
_PULL = 8.0


class Search(NamedTuple):
    """Memory of the search over tours of k cities, reused from instance to instance."""

    matrix: NDArray[np.float64]  # (k, k) scaled costs
    usable: NDArray[np.float64]  # (k, k) edge states that hold for every shortest tour
    required: NDArray[np.int64]  # (1,) how many edges are required in usable
    allowed: NDArray[np.float64]  # (k, k) edge states at the root, for tours shorter than the best
    priced: NDArray[np.float64]  # (k, k) costs with the prices of branching sets
    priced_allowed: NDArray[np.float64]  # (k, k)
    potential: NDArray[np.float64]  # (k,)
    base: NDArray[np.float64]  # (k,) potential that the relaxation's costs contain
    usage: NDArray[np.float64]  # (k, k) edge values of the relaxation
    duals: NDArray[np.float64]  # per variable of the relaxation
    tour: NDArray[np.int64]  # (k + 1,) best so far
    trial: NDArray[np.int64]  # (k + 1,)
    scratch: NDArray[np.int64]  # (2, k)
    ends: NDArray[np.int64]  # (E, 2)
    free_cuts: NDArray[np.int64]
    sets: NDArray[np.bool_]  # (S, k) sets branched on, outermost first
    set_variable: NDArray[np.int64]  # (S,) their slacks
    levels: NDArray[np.int64]  # (1,) number of levels of clusters
    labels: NDArray[np.int64]  # (levels + 1, k) coarsest first; at last every city for itself
    tree: OneTree
    lp: Tableau
    cuts: CutSearch
    pace: Pace


@inner
def new_search(k: int, pace: Pace) -> Search:
    """Allocate the search for k cities."""
    edges, cuts = k * (k - 1) // 2, 4 * k
    return Search(
        float_matrix(k, k),
        float_matrix(k, k),
        integers(1),
        float_matrix(k, k),
        float_matrix(k, k),
        float_matrix(k, k),
        floats(k),
        floats(k),
        float_matrix(k, k),
        floats(edges + k + cuts),
        integers(k + 1),
        integers(k + 1),
        integer_matrix(2, k),
        integer_matrix(edges, 2),
        integers(1 + cuts),
        flag_matrix(2 * k, k),
        integers(2 * k),
        integers(1),
        integer_matrix(_MOST_LEVELS + 1, k),
        new_one_tree(k),
        new_tableau(k + cuts, edges, edges + k + cuts),
        new_cut_search(k),
        pace,
    )


@inner
def usable_length(s: Search, tour: NDArray[np.int64], k: int) -> float:
    """The length of a tour (k + 1,), or more than any can have if it has not all required edges or
    has excluded ones."""
    missing = s.required[0]
    for i in range(k):
        state = s.usable[tour[i], tour[i + 1]]
        if state == np.inf:
            return k + 1.0
        missing -= state == -np.inf
    return tour_length(s.matrix, tour, k) if missing == 0 else k + 1.0


@inner
def keep_better(s: Search, k: int, length: float) -> float:
    """Adopt the trial tour if shorter than length, the best tour's; returns the new length."""
    trial = usable_length(s, s.trial, k)
    if trial < length:
        copy_vector(s.trial, s.tour, k + 1)
        return trial
    return length


@inner
def follow_usage(s: Search, k: int) -> bool:
    """Read a tour off the edges with values above one half into trial; False if they are none."""
    seen = s.scratch[0]
    seen[:] = 0
    previous, city = -1, 0
    for i in range(k):
        # Fractional values can leave three such edges at a city, hence a walk that comes back.
        if seen[city]:
            return False
        seen[city] = 1
        s.trial[i] = city
        following = -1
        for v in range(k):
            if v != previous and s.usage[city, v] > 0.5:
                following = v
                break
        if following < 0:
            return False
        previous, city = city, following
    s.trial[k] = 0
    return city == 0


@inner
def round_usage(s: Search, k: int) -> None:
    """Make trial a tour that prefers edges of high value, then those of low reduced cost."""
    for i in range(k):
        for j in range(k):
            s.priced[i, j] = s.matrix[i, j] - _PULL * s.usage[i, j]
    nearest_neighbour(s.priced, s.potential, s.trial, k)
    improve_tour(s.matrix, s.trial, k)


@inner
def follow_tree(s: Search, k: int) -> bool:
    """Read the 1-tree into trial; False if it is no tour."""
    for v in range(k):
        if s.tree.degree[v] != 2:
            return False
    s.usage[:] = 0.0
    for v in range(k):
        i, j = tree_edge(s.tree, v)
        s.usage[i, j] = s.usage[j, i] = 1.0
    return follow_usage(s, k)


@inner
def _price_sets(s: Search, allowed: NDArray[np.float64], sets: int, k: int) -> float:
    """Add the prices of the sets branched on to the costs; returns the bound's constant part.

    Any price gives a bound: it is what the rows x(edges within) + slack = size - 1 add to the
    costs of 1-trees, less the most that the slack's range can give back and that rounding loses.
    """
    copy_square(s.matrix, s.priced, k)
    copy_square(allowed, s.priced_allowed, k)
    constant, weight = 0.0, 0.0
    for index in range(sets):
        inside, variable = s.sets[index], s.set_variable[index]
        price, size = s.duals[variable], 0
        for i in range(k):
            if not inside[i]:
                continue
            size += 1
            for j in range(k):
                if inside[j]:
                    s.priced[i, j] += price
                    s.priced_allowed[i, j] += price
        slack = s.lp.lower[variable] if price > 0.0 else s.lp.upper[variable]
        constant += price * (slack - (size - 1.0))
        weight += abs(price)
    return constant - k * ROUNDING * weight


@inner
def _certify(s: Search, allowed: NDArray[np.float64], sets: int, status: int, k: int) -> float:
    """Turn the relaxation's dual solution into a 1-tree bound on the node's tours."""
    read_duals(s.lp, status, s.duals, _RAY_STEP)
    edges = s.lp.used[1]
    for v in range(k):
        s.potential[v] = s.base[v] + s.duals[edges + v]
    constant = _price_sets(s, allowed, sets, k)
    constant -= lost_to_potentials(s.potential, k)
    return constant + one_tree_bound(s.priced, s.priced_allowed, s.potential, s.tree, k)


@inner
def bound_node(
    s: Search, allowed: NDArray[np.float64], sets: int, k: int, length: float, saving: float
) -> float:
    """Solve the relaxation under allowed (k, k) and the first sets of s.sets, adding cuts; leaves
    edge values in usage and returns the last 1-tree bound."""
    bound_edges(s.lp, allowed, s.ends, s.lp.used[1])
    cutoff = length - saving
    while True:
        status = minimise(s.lp, cutoff, _PIVOTS_PER_CITY * k, s.pace)
        bound = _certify(s, allowed, sets, status, k)
        if bound >= length - saving:
            return bound
        if status == CUT_OFF:
            cutoff = np.inf
            continue
        read_usage(s.lp, s.ends, s.usage)
        # Looking for cuts takes the time of a few pivots.
        if status != OPTIMAL or must_stop(s.pace, k * k * k):
            return bound
        found = find_cuts(s.usage, s.cuts, k)
        if found == 0:
            return bound
        if add_cuts(s.lp, s.cuts.sets, s.cuts.sizes, found, s.ends, s.free_cuts, k) < 0:
            return bound


@inner
def fix_node_edges(s: Search, allowed: NDArray[np.float64], k: int, slack: float) -> None:
    """Decide edges of allowed (k, k) by the bound just found, slack below the best tour's."""
    fix_edges(s.priced_allowed, s.potential, s.tree, k, slack)
    for i in range(k):
        for j in range(k):
            if abs(s.priced_allowed[i, j]) == np.inf:
                allowed[i, j] = s.priced_allowed[i, j]
