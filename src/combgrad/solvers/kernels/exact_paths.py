"""Cheapest paths through graphs, in exact integers.

Arc a leads to node heads[a] and costs costs[entries[a]]; those that leave node v are offsets[v] to
offsets[v + 1] - 1. A cost of inf forbids its arcs.
"""

import numpy as np
from numpy.typing import NDArray

from combgrad.solvers.kernels import inner, kernel
from combgrad.solvers.kernels.exact_sums import (
    add_limbs,
    assign_limbs,
    less_limbs,
    to_limbs,
    to_limbs_and_multiples,
)


@inner
def _ordered_path(
    limbs: NDArray[np.int64],
    forbidden: NDArray[np.bool_],
    offsets: NDArray[np.int64],
    heads: NDArray[np.int64],
    entries: NDArray[np.int64],
    start: int,
    end: int,
    solution: NDArray[np.uint8],
) -> bool:
    """Count in solution (E,) how often the path of `ordered_paths` takes each entry.

    Entries cost limbs (E, L). False where there is no path.
    """
    labels = np.zeros((end + 1, limbs.shape[1]), dtype=np.int64)
    trial = np.empty(limbs.shape[1], dtype=np.int64)
    best = np.full(end + 1, -1, dtype=np.int64)
    for node in range(end - 1, start - 1, -1):
        for arc in range(offsets[node], offsets[node + 1]):
            head = heads[arc]
            if head > end or forbidden[entries[arc]] or (head != end and best[head] < 0):
                continue
            add_limbs(trial, limbs[entries[arc]], labels[head], 1)
            if best[node] < 0 or less_limbs(trial, labels[node]):
                assign_limbs(labels[node], trial)
                best[node] = arc
    node = start
    while node != end and best[node] >= 0:
        solution[entries[best[node]]] += 1
        node = heads[best[node]]
    return node == end


@inner
def _any_path(
    costs: NDArray[np.float64],
    offsets: NDArray[np.int64],
    heads: NDArray[np.int64],
    entries: NDArray[np.int64],
    start: int,
    end: int,
    solution: NDArray[np.uint8],
) -> bool:
    """Mark the entries (E,) of the path of `any_paths`; False where there is none."""
    nodes = offsets.shape[0] - 1
    limbs = to_limbs(costs, nodes)
    labels = np.zeros((nodes, limbs.shape[1]), dtype=np.int64)
    trial = np.empty(limbs.shape[1], dtype=np.int64)
    before, arc_to = np.full(nodes, -1, dtype=np.int64), np.full(nodes, -1, dtype=np.int64)
    queue, waiting = np.empty(nodes, dtype=np.int64), np.zeros(nodes, dtype=np.bool_)
    queue[0] = start
    first, size = 0, 1
    while size > 0:
        node = queue[first]
        first, size = (first + 1) % nodes, size - 1
        waiting[node] = False
        for arc in range(offsets[node], offsets[node + 1]):
            head = heads[arc]
            if head == start or costs[entries[arc]] == np.inf:
                continue
            add_limbs(trial, limbs[entries[arc]], labels[node], 1)
            if before[head] >= 0 and not less_limbs(trial, labels[head]):
                continue
            assign_limbs(labels[head], trial)
            before[head], arc_to[head] = node, arc
            if not waiting[head]:
                queue[(first + size) % nodes] = head
                size += 1
                waiting[head] = True
    node = end
    while node != start and before[node] >= 0:
        solution[entries[arc_to[node]]] = 1
        node = before[node]
    return node == start


@kernel()
def ordered_paths(
    costs: NDArray[np.float64],
    offsets: NDArray[np.int64],
    heads: NDArray[np.int64],
    entries: NDArray[np.int64],
    start: int,
    end: int,
    solutions: NDArray[np.uint8],
) -> NDArray[np.bool_]:
    """Mark cheapest paths from start to end in solutions (B, E), zeros before, for costs (B, E).

    Every arc leads to a later node, so costs may have any sign; at ties the arc that comes first
    is taken, seen from the start. Returns which instances have a path, (B,).
    """
    found = np.empty(costs.shape[0], dtype=np.bool_)
    for b in range(costs.shape[0]):
        limbs, forbidden = to_limbs(costs[b], offsets.shape[0]), costs[b] == np.inf
        found[b] = _ordered_path(
            limbs, forbidden, offsets, heads, entries, start, end, solutions[b]
        )
    return found


@kernel()
def ordered_path_of_multiples(
    costs: NDArray[np.float64],
    factor: float,
    offsets: NDArray[np.int64],
    heads: NDArray[np.int64],
    entries: NDArray[np.int64],
    end: int,
) -> NDArray[np.uint8]:
    """How often (2, E) a path such as those of `ordered_paths`, from node 0, takes each entry.

    There are 2E entries: the finite costs (E,), and factor > 0 times each of them, which as a
    double may be rounded.
    """
    size = costs.shape[0]
    limbs = to_limbs_and_multiples(costs, factor, offsets.shape[0])
    forbidden = np.zeros(2 * size, dtype=np.bool_)
    taken = np.zeros(2 * size, dtype=np.uint8)
    _ordered_path(limbs, forbidden, offsets, heads, entries, 0, end, taken)
    return taken.reshape(2, size)


@kernel()
def any_paths(
    costs: NDArray[np.float64],
    offsets: NDArray[np.int64],
    heads: NDArray[np.int64],
    entries: NDArray[np.int64],
    start: int,
    end: int,
    solutions: NDArray[np.uint8],
) -> NDArray[np.bool_]:
    """The same for any graph and costs >= 0, by a queue of nodes whose label fell (Moore 1959)."""
    found = np.empty(costs.shape[0], dtype=np.bool_)
    for b in range(costs.shape[0]):
        found[b] = _any_path(costs[b], offsets, heads, entries, start, end, solutions[b])
    return found
