"""The shortest tour in whole numbers of any length, where floating-point sums leave it in doubt."""

import numpy as np
from numpy.typing import NDArray

from combgrad.solvers.kernels import inner, kernel
from combgrad.solvers.kernels.exact_sums import (
    add_limbs,
    assign_limbs,
    less_limbs,
    to_limbs_or_beyond,
)


@kernel()
def exact_held_karp(costs: NDArray[np.float64], k: int) -> NDArray[np.int64]:
    """The cities (k,) of a shortest tour in order, for costs (E,) of which some may be inf.

    table[subset, city] is the shortest path from city k - 1 through the subset that ends in city.
    """
    limbs = to_limbs_or_beyond(costs, k)
    n, length = k - 1, limbs.shape[1]
    edge = np.zeros((k, k), dtype=np.int64)
    for i in range(k):
        for j in range(i + 1, k):
            edge[i, j] = edge[j, i] = i * (2 * k - i - 1) // 2 + j - i - 1
    table = np.zeros((1 << n, n, length), dtype=np.int64)
    before = np.zeros((1 << n, n), dtype=np.int64)
    trial = np.zeros(length, dtype=np.int64)
    everything = (1 << n) - 1
    for subset in range(1, everything + 1):
        for city in range(n):
            rest = subset ^ (1 << city)
            if rest > subset:
                continue
            if rest == 0:
                assign_limbs(table[subset, city], limbs[edge[n, city]])
                continue
            before[subset, city] = -1
            for previous in range(n):
                if rest >> previous & 1:
                    add_limbs(trial, table[rest, previous], limbs[edge[previous, city]], 1)
                    if before[subset, city] < 0 or less_limbs(trial, table[subset, city]):
                        assign_limbs(table[subset, city], trial)
                        before[subset, city] = previous
    return _walk_back(table, before, limbs, edge, k)


@inner
def _walk_back(
    table: NDArray[np.int64],
    before: NDArray[np.int64],
    limbs: NDArray[np.int64],
    edge: NDArray[np.int64],
    k: int,
) -> NDArray[np.int64]:
    """Close the best path and follow it from its end to its start."""
    n = k - 1
    subset = (1 << n) - 1
    order = np.zeros(k, dtype=np.int64)
    best, trial = (
        np.zeros(limbs.shape[1], dtype=np.int64),
        np.zeros(limbs.shape[1], dtype=np.int64),
    )
    last = -1
    for city in range(n):
        add_limbs(trial, table[subset, city], limbs[edge[city, n]], 1)
        if last < 0 or less_limbs(trial, best):
            assign_limbs(best, trial)
            last = city
    order[0] = n
    for position in range(1, k):
        order[position] = last
        subset, last = subset ^ (1 << last), before[subset, last]
    return order
