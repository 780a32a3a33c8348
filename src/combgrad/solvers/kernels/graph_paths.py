"""Cheapest paths through graphs without cycles in floats, and which of them are beyond doubt.

Graphs are as in `exact_paths`, which solves the rest.
"""

import numpy as np
from numpy.typing import NDArray

from combgrad.solvers.kernels import inner, kernel
from combgrad.solvers.kernels.exact_sums import doubt_of_sums


@inner
def _walk_in_order(
    costs: NDArray[np.floating],
    offsets: NDArray[np.int64],
    heads: NDArray[np.int64],
    entries: NDArray[np.int64],
    ends: tuple[int, int],
    labels: NDArray[np.float64],
    best: NDArray[np.int64],
    doubt: float,
    solution: NDArray[np.uint8],
) -> bool:
    """Mark the entries (E,) of the path of `acyclic_paths`; False where it is none or in doubt.

    labels and best (V,) are scratch; a second way that costs within `doubt` of the best is one.
    """
    start, end = ends
    labels[end] = 0.0
    for node in range(end - 1, start - 1, -1):
        label, choice = np.inf, -1
        for arc in range(offsets[node], offsets[node + 1]):
            if heads[arc] <= end:
                trial = costs[entries[arc]] + labels[heads[arc]]
                if trial < label:
                    label, choice = trial, arc
        labels[node], best[node] = label, choice
    node, certain = start, labels[start] < np.inf
    while certain and node != end:
        for arc in range(offsets[node], offsets[node + 1]):
            if heads[arc] <= end and arc != best[node]:
                trial = costs[entries[arc]] + labels[heads[arc]]
                certain = certain and not trial - labels[node] < doubt
        solution[entries[best[node]]] = 1
        node = heads[best[node]]
    return certain


@kernel()
def acyclic_paths(
    costs: NDArray[np.floating],
    offsets: NDArray[np.int64],
    heads: NDArray[np.int64],
    entries: NDArray[np.int64],
    start: int,
    end: int,
    solutions: NDArray[np.uint8],
) -> NDArray[np.bool_]:
    """Mark cheapest paths from start to end in solutions (B, E), zeros before, for costs (B, E).

    Every arc leads to a later node; at ties the arc that comes first is taken, seen from the start.
    Returns which of them are there and optimal beyond doubt, (B,); the marks of others are no path.
    """
    labels = np.empty(offsets.shape[0])
    best = np.empty(offsets.shape[0], dtype=np.int64)
    certain = np.zeros(costs.shape[0], dtype=np.bool_)
    for b in range(costs.shape[0]):
        doubt = doubt_of_sums(costs[b], offsets.shape[0])
        if doubt < np.inf:
            certain[b] = _walk_in_order(
                costs[b], offsets, heads, entries, (start, end), labels, best, doubt, solutions[b]
            )
    return certain
