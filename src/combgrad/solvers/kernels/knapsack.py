"""The 0-1 knapsack by dynamic programming over the capacity (Bellman 1957)."""

import numpy as np
from numba import prange
from numpy.typing import NDArray

from combgrad.solvers.kernels import kernel
from combgrad.solvers.kernels.scaling import DOWN, has_huge
from combgrad.solvers.kernels.tsp_costs import inner


@inner
def _offer(
    before: NDArray[np.float64],
    after: NDArray[np.float64],
    cost: float,
    weight: int,
    taken: NDArray[np.uint8],
) -> None:
    """after[c] becomes the least cost within capacity c once an item is offered to before; taken
    says where it is worth taking. All are (capacity + 1,)."""
    for c in range(weight):
        after[c] = before[c]
        taken[c] = 0
    rest = before.shape[0] - weight
    lower, upper, best, marks = before[:rest], before[weight:], after[weight:], taken[weight:]
    for c in range(rest):
        with_item = lower[c] + cost
        better = with_item < upper[c]
        best[c] = with_item if better else upper[c]
        marks[c] = 1 if better else 0


@inner
def _solve_range(
    costs: NDArray[np.float64],
    weights: NDArray[np.int64],
    capacity: int,
    start: int,
    stop: int,
    solutions: NDArray[np.uint8],
) -> None:
    """Solve the instances start <= b < stop of costs (B, n) into solutions (B, n)."""
    n = costs.shape[1]
    before, after = np.empty(capacity + 1), np.empty(capacity + 1)
    taken = np.empty((n, capacity + 1), dtype=np.uint8)
    for b in range(start, stop):
        scale = DOWN if has_huge(costs[b]) else 1.0
        for c in range(capacity + 1):
            before[c] = 0.0
        for i in range(n):
            if costs[b, i] < 0 and weights[i] <= capacity:
                _offer(before, after, costs[b, i] * scale, weights[i], taken[i])
                before, after = after, before
        room = capacity
        for i in range(n - 1, -1, -1):
            if costs[b, i] < 0 and weights[i] <= room and taken[i, room]:
                solutions[b, i] = 1
                room -= weights[i]


@kernel()
def pack(
    costs: NDArray[np.float64], weights: NDArray[np.int64], capacity: int
) -> NDArray[np.uint8]:
    """The cheapest selections (B, n) of items with costs (B, n) that weigh at most capacity."""
    solutions = np.zeros(costs.shape, dtype=np.uint8)
    _solve_range(costs, weights, capacity, 0, costs.shape[0], solutions)
    return solutions


@kernel(parallel=True)
def pack_parallel(
    costs: NDArray[np.float64], weights: NDArray[np.int64], capacity: int, threads: int
) -> NDArray[np.uint8]:
    """The same as pack with the batch cut into as many parts as threads."""
    batch = costs.shape[0]
    solutions = np.zeros(costs.shape, dtype=np.uint8)
    for part in prange(threads):
        start, stop = batch * part // threads, batch * (part + 1) // threads
        _solve_range(costs, weights, capacity, start, stop, solutions)
    return solutions
