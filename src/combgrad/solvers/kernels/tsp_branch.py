"""Exact travelling salesman tours: heuristic, 1-tree ascent, then branch and cut.

The ascent proves most tours optimal. What is left goes to the subtour relaxation (Dantzig,
Fulkerson & Johnson 1954), whose dual solution is handed back to the 1-tree bound: a branch is cut
off by that bound alone, so rounding in the tableau costs time, never the optimum. Every branch
decides an edge, or for a limited number of times a set, so the search ends without a cap.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from combgrad.solvers.kernels import inner
from combgrad.solvers.kernels.tsp_clusters import find_clusters
from combgrad.solvers.kernels.tsp_costs import copy_square, copy_vector
from combgrad.solvers.kernels.tsp_cuts import find_uneven_set
from combgrad.solvers.kernels.tsp_node import (
    Search,
    bound_node,
    fix_node_edges,
    follow_usage,
    keep_better,
    round_usage,
)
from combgrad.solvers.kernels.tsp_pace import must_stop
from combgrad.solvers.kernels.tsp_propagate import propagate
from combgrad.solvers.kernels.tsp_relaxation import add_cuts, load_relaxation
from combgrad.solvers.kernels.zeros import integer_matrix

# How a search ends: with the best tour, with a tour so short that other costs matter now, halted.
SOLVED, SHORT, HALTED = 0, 1, 2

# An edge with this share of the weight between two groups decides as much as the groups do.
_DOMINANT = 0.999


class Stack(NamedTuple):
    """The path from the root of the search; grows with its depth."""

    states: NDArray[np.float64]  # (depth, k, k) edge states
    branch: NDArray[np.int64]  # (depth, 3) edge branched on, or (-1, -1), and sets open before


@inner
def _new_stack(depth: int, k: int) -> Stack:
    return Stack(np.empty((depth, k, k)), integer_matrix(depth, 3))


@inner
def _grown(stack: Stack, k: int) -> Stack:
    """A copy of stack with twice the depth."""
    depth = stack.states.shape[0]
    more = _new_stack(2 * depth, k)
    for d in range(depth):
        copy_square(stack.states[d], more.states[d], k)
        copy_vector(stack.branch[d], more.branch[d], 3)
    return more


@inner
def _pick_edge(s: Search, allowed: NDArray[np.float64], k: int) -> tuple[int, int]:
    """The undecided edge whose value is nearest to one half; (-1, -1) if all are decided."""
    best, first, second = -np.inf, -1, -1
    for i in range(k):
        for j in range(i + 1, k):
            share = min(s.usage[i, j], 1.0 - s.usage[i, j])
            if share > best and abs(allowed[i, j]) != np.inf:
                best, first, second = share, i, j
    return first, second


@inner
def _open_set(s: Search, sets: int, leaving: float, k: int) -> bool:
    """Add the set just found, left by so many edges, to those branched on, as left by at most the
    next lower even number; False without room."""
    if sets == s.sets.shape[0]:
        return False
    variable = add_cuts(s.lp, s.cuts.sets, s.cuts.sizes, 1, s.ends, s.free_cuts, k)
    if variable < 0:
        return False
    for v in range(k):
        s.sets[sets, v] = s.cuts.sets[0, v]
    s.set_variable[sets] = variable
    s.lp.pinned[variable] = True
    # The slack counts the visits to the set beyond the first.
    s.lp.upper[variable] = math.floor(0.5 * leaving) - 1.0
    return True


@inner
def _close_sets(s: Search, first: int, sets: int, k: int) -> None:
    """Turn sets first..sets-1 back into plain cuts."""
    for index in range(first, sets):
        size = 0
        for v in range(k):
            size += s.sets[index, v]
        s.lp.pinned[s.set_variable[index]] = False
        s.lp.lower[s.set_variable[index]] = 0.0
        s.lp.upper[s.set_variable[index]] = size - 1.0


@inner
def _branch(
    s: Search, allowed: NDArray[np.float64], branch: NDArray[np.int64], sets: int, k: int
) -> bool:
    """Choose what to decide next and write it to branch (3,); False if nothing is left to."""
    branch[0], branch[1], branch[2] = -1, -1, sets
    for level in range(s.levels[0] + 1):
        found, leaving, share = find_uneven_set(s.usage, s.labels[level], s.cuts, k)
        # Cities on their own joined by one edge: deciding that edge implies more.
        if found and level == s.levels[0] and share > _DOMINANT:
            break
        if found and _open_set(s, sets, leaving, k):
            return True
    i, j = _pick_edge(s, allowed, k)
    branch[0], branch[1] = i, j
    return i >= 0


@inner
def _enter_second(
    s: Search, allowed: NDArray[np.float64], branch: NDArray[np.int64], sets: int, k: int
) -> int:
    """Turn from the first half of a branch to the second; returns the number of sets open."""
    first = branch[2]
    if branch[0] >= 0:
        _close_sets(s, first, sets, k)
        allowed[branch[0], branch[1]] = allowed[branch[1], branch[0]] = -np.inf
        return first
    variable = s.set_variable[first]
    visits = s.lp.upper[variable]
    _close_sets(s, first, sets, k)
    s.lp.pinned[variable] = True
    s.lp.lower[variable] = visits + 1.0
    return first + 1


@inner
def _close_leaf(s: Search, allowed: NDArray[np.float64], k: int, length: float) -> float:
    """Compare the one tour that a fully decided node allows."""
    for i in range(k):
        for j in range(k):
            s.usage[i, j] = 1.0 if allowed[i, j] == -np.inf else 0.0
    return keep_better(s, k, length) if follow_usage(s, k) else length


@inner
def branch_and_cut(s: Search, k: int, length: float, saving: float, short: float) -> int:
    """Search depth first below the edge states s.allowed for tours that save at least saving on
    length; the best is left in s.tour. Ends early at a tour shorter than short."""
    copy_vector(s.potential, s.base, k)
    load_relaxation(s.lp, s.allowed, s.base, s.ends, s.free_cuts, k)
    s.levels[0] = find_clusters(s.matrix, s.labels[:-1], s.duals, s.tree, k)
    for v in range(k):
        s.labels[s.levels[0], v] = v
    stack = _new_stack(8, k)
    copy_square(s.allowed, stack.states[0], k)
    depth, sets, fresh = 0, 0, True
    while depth >= 0:
        allowed, branch = stack.states[depth], stack.branch[depth]
        if not fresh:
            sets = _enter_second(s, allowed, branch, sets, k)
        fresh = False
        if not propagate(allowed, s.scratch[0], s.scratch[1], k):
            depth -= 1
            continue
        bound = bound_node(s, allowed, sets, k, length, saving)
        if must_stop(s.pace, 0):
            return HALTED
        if bound < length - saving:
            if not follow_usage(s, k):
                round_usage(s, k)
            length = keep_better(s, k, length)
            if length < short:
                return SHORT
        if bound >= length - saving:
            depth -= 1
            continue
        fix_node_edges(s, allowed, k, length - saving - bound)
        if not _branch(s, allowed, branch, sets, k):
            length = _close_leaf(s, allowed, k, length)
            depth -= 1
            continue
        depth += 1
        if depth == stack.states.shape[0]:
            stack = _grown(stack, k)
        states, i, j = stack.states[depth], branch[0], branch[1]
        copy_square(allowed, states, k)
        if i >= 0:
            states[i, j] = states[j, i] = np.inf
        else:
            sets += 1
        fresh = True
    return SOLVED
