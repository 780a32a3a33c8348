"""The k smallest entries of a row, without sorting it."""

import numpy as np
from numpy.typing import NDArray

from combgrad.solvers.kernels import inner, kernel, prange

# Rows up to this length are cheapest to solve by comparing all pairs, without a branch.
_COUNTED = 24


@inner
def _by_counting(values: NDArray[np.floating], size: int, k: int) -> float:
    """The k-th smallest of the first `size` values: the largest that exceeds fewer than k."""
    found = -np.inf
    for i in range(size):
        value = values[i]
        below = np.int64(0)
        for j in range(size):
            below += values[j] < value
        candidate = value if below < k else -np.inf
        found = candidate if candidate > found else found
    return found


@inner
def _by_pivots(values: NDArray[np.floating], size: int, k: int) -> float:
    """The k-th smallest of the first `size` values (destroyed), by Hoare's selection (1961)."""
    while size > _COUNTED:
        low, middle, high = values[0], values[size >> 1], values[size - 1]
        pivot = max(min(low, middle), min(max(low, middle), high))
        below = np.int64(0)
        for i in range(size):
            below += values[i] < pivot
        upto = np.int64(0)
        for i in range(size):
            upto += values[i] <= pivot
        if below < k <= upto:
            return pivot
        kept = 0
        if k <= below:
            for i in range(size):
                value = values[i]
                values[kept] = value
                kept += value < pivot
        else:
            k -= int(upto)
            for i in range(size):
                value = values[i]
                values[kept] = value
                kept += value > pivot
        size = kept
    return _by_counting(values, size, k)


@inner
def _mark(
    row: NDArray[np.floating], largest: float, k: int, solution: NDArray[np.floating]
) -> None:
    """Set the entries of row (n,) below its k-th smallest, and the first ones equal to it."""
    for i in range(row.shape[0]):
        solution[i] = 1.0 if row[i] < largest else 0.0
    marked = np.int64(0)
    for i in range(row.shape[0]):
        marked += row[i] < largest
    i = 0
    while marked < k:
        if row[i] == largest:
            solution[i] = 1.0
            marked += 1
        i += 1


@inner
def _solve_range(
    costs: NDArray[np.floating], k: int, start: int, stop: int, solutions: NDArray[np.floating]
) -> None:
    """Solve the rows start <= b < stop of costs (B, n), 1 <= k <= n, into solutions (B, n)."""
    n = costs.shape[1]
    # A branch-free copy writes one entry past those it keeps.
    values = np.empty(n + 1, dtype=costs.dtype)
    for b in range(start, stop):
        row = costs[b]
        if n <= _COUNTED:
            largest = _by_counting(row, n, k)
        else:
            for i in range(n):
                values[i] = row[i]
            largest = _by_pivots(values, n, k)
        _mark(row, largest, k, solutions[b])


@kernel()
def select_smallest(costs: NDArray[np.floating], k: int) -> NDArray[np.floating]:
    """0/1 marks (B, n) of the k smallest entries a row, 1 <= k <= n, first come first served."""
    solutions = np.empty_like(costs)
    _solve_range(costs, k, 0, costs.shape[0], solutions)
    return solutions


@kernel(parallel=True)
def select_smallest_parallel(
    costs: NDArray[np.floating], k: int, threads: int
) -> NDArray[np.floating]:
    """The same as select_smallest with the batch cut into as many parts as threads."""
    batch = costs.shape[0]
    solutions = np.empty_like(costs)
    for part in prange(threads):
        _solve_range(costs, k, batch * part // threads, batch * (part + 1) // threads, solutions)
    return solutions
