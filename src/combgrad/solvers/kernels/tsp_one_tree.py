"""The 1-tree bound on travelling salesman tours, and what it proves about single edges.

A 1-tree is a spanning tree of cities 1..k-1 and two edges at city 0. With a potential added to
both ends of every edge all tours shift alike, so a least 1-tree bounds them from below (Held &
Karp 1970). Each edge has a state in the matrix `allowed` (k, k): its cost while undecided, -inf
when every tour has it, +inf when none has.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from combgrad.solvers.kernels import inner
from combgrad.solvers.kernels.tsp_costs import ROUNDING, copy_vector
from combgrad.solvers.kernels.zeros import float_matrix, floats, integers

# Steps without a better bound before the ascent's step shrinks, and by how much.
_PATIENCE = 8
_COOLING = 0.7
_FIRST_STEP = 1.5
_MOMENTUM = 0.5


class OneTree(NamedTuple):
    """A 1-tree and scratch space for k cities.

    Edge 0 and 1 are (0, parent[0]) and (0, parent[1]); edge v >= 2 is (v, parent[v]).
    """

    parent: NDArray[np.int64]
    order: NDArray[np.int64]  # cities 1..k-1 in the order they joined
    degree: NDArray[np.int64]
    rest: NDArray[np.int64]
    link: NDArray[np.int64]
    near: NDArray[np.float64]
    swap: NDArray[np.float64]  # per edge, what the next best 1-tree without it costs more
    bottleneck: NDArray[np.float64]  # (k, k) dearest edge on the tree path


@inner
def new_one_tree(k: int) -> OneTree:
    """Allocate a 1-tree of k cities."""
    return OneTree(
        integers(k),
        integers(k),
        integers(k),
        integers(k),
        integers(k),
        floats(k),
        floats(k),
        float_matrix(k, k),
    )


@inner
def tree_edge(tree: OneTree, v: int) -> tuple[int, int]:
    """The two cities of edge v of the 1-tree."""
    return (0 if v < 2 else v), tree.parent[v]


@inner
def _join_root(
    allowed: NDArray[np.float64], potential: NDArray[np.float64], tree: OneTree, k: int
) -> bool:
    """Give city 0 its two cheapest edges; False when it has not as many."""
    least, second, first, other = np.inf, np.inf, -1, -1
    for v in range(1, k):
        cost = allowed[0, v] + potential[v]
        if cost < least:
            second, other = least, first
            least, first = cost, v
        elif cost < second:
            second, other = cost, v
    if other < 0:
        return False
    tree.parent[0], tree.parent[1] = first, other
    tree.degree[0] = 2
    tree.degree[first] += 1
    tree.degree[other] += 1
    return True


@inner
def one_tree_bound(
    matrix: NDArray[np.float64],
    allowed: NDArray[np.float64],
    potential: NDArray[np.float64],
    tree: OneTree,
    k: int,
) -> float:
    """Build the least 1-tree and return its bound on every allowed tour, or inf without one."""
    rest, near, link, degree = tree.rest, tree.near, tree.link, tree.degree
    for v in range(k):
        degree[v] = 0
    left = k - 2
    for q in range(left):
        rest[q], near[q], link[q] = q + 2, np.inf, 1
    city = 1
    tree.order[0] = 1
    bound = 0.0
    for joined in range(1, k - 1):
        row, shift = allowed[city], potential[city]
        best, pick = np.inf, -1
        for q in range(left):
            v = rest[q]
            cost = row[v] + shift
            if cost < near[q]:
                near[q], link[q] = cost, city
            cost = near[q] + potential[v]
            if cost < best:
                best, pick = cost, q
        if pick < 0:
            return np.inf
        city, parent = rest[pick], link[pick]
        tree.parent[city] = parent
        tree.order[joined] = city
        degree[city] += 1
        degree[parent] += 1
        bound += matrix[city, parent]
        left -= 1
        rest[pick], near[pick], link[pick] = rest[left], near[left], link[left]
    if not _join_root(allowed, potential, tree, k):
        return np.inf
    bound += matrix[0, tree.parent[0]] + matrix[0, tree.parent[1]]
    for v in range(k):
        bound += (degree[v] - 2) * potential[v]
    return bound


@inner
def lost_to_potentials(potential: NDArray[np.float64], k: int) -> float:
    """What potentials beyond 1, the most that costs are, may add to a bound by rounding."""
    largest = 1.0
    for v in range(k):
        largest = max(largest, abs(potential[v]))
    return k * ROUNDING * (largest - 1.0)


@inner
def ascend(
    matrix: NDArray[np.float64],
    allowed: NDArray[np.float64],
    potential: NDArray[np.float64],
    tree: OneTree,
    k: int,
    target: float,
    enough: float,
    steps: int,
) -> float:
    """Raise the bound towards target by subgradient steps; potential (k,) becomes the best one.

    Stops early at a bound of enough, or at a 1-tree that is a tour (Held, Wolfe & Crowder 1974).
    """
    direction = floats(k)
    best_potential = floats(k)
    best, stalled, factor = -np.inf, 0, _FIRST_STEP
    for step in range(steps):
        bound = one_tree_bound(matrix, allowed, potential, tree, k)
        if bound > best:
            best, stalled = bound, 0
            copy_vector(potential, best_potential, k)
        else:
            stalled += 1
            if stalled == _PATIENCE:
                factor *= _COOLING
                stalled = 0
        norm = 0
        for v in range(k):
            excess = tree.degree[v] - 2
            norm += excess * excess
            keep = _MOMENTUM if step > 0 else 0.0
            direction[v] = keep * direction[v] + (1.0 - keep) * excess
        if norm == 0 or bound >= enough:
            break
        length = factor * (target - bound) / norm
        for v in range(k):
            potential[v] += length * direction[v]
    copy_vector(best_potential, potential, k)
    return best - lost_to_potentials(potential, k)


@inner
def _drop_dear_edges(
    allowed: NDArray[np.float64],
    potential: NDArray[np.float64],
    tree: OneTree,
    k: int,
    slack: float,
) -> None:
    """Exclude each edge outside the 1-tree whose exchange into it costs slack or more."""
    path, parent, order = tree.bottleneck, tree.parent, tree.order
    for a in range(1, k - 1):
        v, p = order[a], parent[order[a]]
        own = allowed[v, p] + potential[v] + potential[p]
        for b in range(a):
            u = order[b]
            dearest = max(own, path[p, u]) if u != p else own
            path[v, u] = path[u, v] = dearest
            if u != p and allowed[v, u] + potential[v] + potential[u] - dearest >= slack:
                allowed[v, u] = allowed[u, v] = np.inf
    dearest = -np.inf
    for v in parent[:2]:
        dearest = max(dearest, allowed[0, v] + potential[v])
    for v in range(1, k):
        if v != parent[0] and v != parent[1] and allowed[0, v] + potential[v] - dearest >= slack:
            allowed[0, v] = allowed[v, 0] = np.inf


@inner
def _price_swaps(
    allowed: NDArray[np.float64], potential: NDArray[np.float64], tree: OneTree, k: int
) -> None:
    """Fill tree.swap (k,) with the rise of the 1-tree's cost when each of its edges goes."""
    parent, order, depth, swap = tree.parent, tree.order, tree.rest, tree.swap
    swap[:] = np.inf
    depth[1] = 0
    for a in range(1, k - 1):
        depth[order[a]] = depth[parent[order[a]]] + 1
    for x in range(1, k):
        for y in range(x + 1, k):
            cost = allowed[x, y] + potential[x] + potential[y]
            in_tree = (x > 1 and parent[x] == y) or (y > 1 and parent[y] == x)
            if in_tree or cost == np.inf:
                continue
            low, high = x, y
            while low != high:
                if depth[low] < depth[high]:
                    low, high = high, low
                swap[low] = min(swap[low], cost)
                low = parent[low]
    for v in range(1, k):
        if v != parent[0] and v != parent[1]:
            swap[0] = min(swap[0], allowed[0, v] + potential[v])
    swap[1] = swap[0]
    for v in range(k):
        i, j = tree_edge(tree, v)
        swap[v] -= allowed[i, j] + (potential[j] if v < 2 else potential[i] + potential[j])


@inner
def fix_edges(
    allowed: NDArray[np.float64],
    potential: NDArray[np.float64],
    tree: OneTree,
    k: int,
    slack: float,
) -> None:
    """Exclude and require edges that alone would raise the current 1-tree's bound by slack
    (Volgenant & Jonker 1982)."""
    _drop_dear_edges(allowed, potential, tree, k, slack)
    _price_swaps(allowed, potential, tree, k)
    for v in range(k):
        if tree.swap[v] >= slack:
            i, j = tree_edge(tree, v)
            allowed[i, j] = allowed[j, i] = -np.inf
