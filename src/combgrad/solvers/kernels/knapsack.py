"""The 0-1 knapsack by dynamic programming over the capacity (Bellman 1957)."""

import numpy as np
from numpy.typing import NDArray

from combgrad.solvers.kernels import inner, kernel, prange
from combgrad.solvers.kernels.exact_sums import (
    ROUNDING,
    add_limbs,
    assign_limbs,
    less_limbs,
    sums_are_exact,
    to_limbs,
    total_size,
)

# What a mark says: the item is worth taking, and rounding may have decided so.
_TAKE, _DOUBT = 1, 2


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
def _mark_doubts(
    before: NDArray[np.float64], cost: float, weight: int, doubt: float, taken: NDArray[np.uint8]
) -> None:
    """Add to the marks of an item where taking it or not costs the same but for `doubt`."""
    for c in range(weight, before.shape[0]):
        if abs(before[c - weight] + cost - before[c]) < doubt:
            taken[c] |= _DOUBT


@inner
def _pack(
    costs: NDArray[np.float64],
    weights: NDArray[np.int64],
    capacity: int,
    before: NDArray[np.float64],
    after: NDArray[np.float64],
    taken: NDArray[np.uint8],
    solution: NDArray[np.uint8],
) -> bool:
    """Pack items of costs (n,) into solution (n,); False if rounding may have decided."""
    total = total_size(np.minimum(costs, 0.0))
    if not total < 2.0**1000:
        return False
    doubt = 0.0
    if not sums_are_exact(costs, total):
        doubt = 8.0 * costs.shape[0] * ROUNDING * total
    before[:] = 0.0
    for i in range(costs.shape[0]):
        if costs[i] < 0 and 0 < weights[i] <= capacity:
            _offer(before, after, costs[i], weights[i], taken[i])
            if doubt > 0.0:
                _mark_doubts(before, costs[i], weights[i], doubt, taken[i])
            before, after = after, before
    room = capacity
    for i in range(costs.shape[0] - 1, -1, -1):
        if costs[i] < 0 and weights[i] == 0:
            solution[i] = 1
        elif costs[i] < 0 and weights[i] <= room:
            if taken[i, room] & _DOUBT:
                return False
            if taken[i, room] & _TAKE:
                solution[i] = 1
                room -= weights[i]
    return True


@inner
def _solve_range(
    costs: NDArray[np.float64],
    weights: NDArray[np.int64],
    capacity: int,
    start: int,
    stop: int,
    solutions: NDArray[np.uint8],
    certain: NDArray[np.bool_],
) -> None:
    """Solve the instances start <= b < stop of costs (B, n) into solutions (B, n)."""
    before, after = np.empty(capacity + 1), np.empty(capacity + 1)
    taken = np.empty((costs.shape[1], capacity + 1), dtype=np.uint8)
    for b in range(start, stop):
        certain[b] = _pack(costs[b], weights, capacity, before, after, taken, solutions[b])


@kernel()
def pack(
    costs: NDArray[np.float64], weights: NDArray[np.int64], capacity: int
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """The cheapest selections (B, n) of items with costs (B, n) that weigh at most capacity.

    The second answer (B,) says which of them are optimal beyond doubt, whatever was rounded.
    """
    solutions = np.zeros(costs.shape, dtype=np.uint8)
    certain = np.zeros(costs.shape[0], dtype=np.bool_)
    _solve_range(costs, weights, capacity, 0, costs.shape[0], solutions, certain)
    return solutions, certain


@kernel(parallel=True)
def pack_parallel(
    costs: NDArray[np.float64], weights: NDArray[np.int64], capacity: int, threads: int
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """The same as pack with the batch cut into as many parts as threads."""
    batch = costs.shape[0]
    solutions = np.zeros(costs.shape, dtype=np.uint8)
    certain = np.zeros(batch, dtype=np.bool_)
    for part in prange(threads):
        start, stop = batch * part // threads, batch * (part + 1) // threads
        _solve_range(costs, weights, capacity, start, stop, solutions, certain)
    return solutions, certain


@kernel()
def pack_exactly(
    costs: NDArray[np.float64], weights: NDArray[np.int64], capacity: int
) -> NDArray[np.uint8]:
    """The same for one instance (n,), in exact integers."""
    n = costs.shape[0]
    limbs = to_limbs(costs, n)
    least = np.zeros((capacity + 1, limbs.shape[1]), dtype=np.int64)
    trial = np.empty(limbs.shape[1], dtype=np.int64)
    taken = np.zeros((n, capacity + 1), dtype=np.bool_)
    for i in range(n):
        if costs[i] < 0:
            for c in range(capacity, weights[i] - 1, -1):
                add_limbs(trial, least[c - weights[i]], limbs[i], 1)
                if less_limbs(trial, least[c]):
                    assign_limbs(least[c], trial)
                    taken[i, c] = True
    solution, room = np.zeros(n, dtype=np.uint8), capacity
    for i in range(n - 1, -1, -1):
        if room >= weights[i] and taken[i, room]:
            solution[i] = 1
            room -= weights[i]
    return solution
