"""Linear assignment by shortest augmenting paths (Jonker & Volgenant 1987).

A matrix has n <= m rows and every row is matched. Prices v of the columns keep every matched entry
of w_ij - v_j the least of its row, and unmatched columns keep the price they began with.
"""

import numpy as np
from numba import prange
from numpy.typing import NDArray

from combgrad.solvers.kernels import kernel
from combgrad.solvers.kernels.scaling import DOWN, has_huge
from combgrad.solvers.kernels.tsp_costs import inner


@inner
def _load(costs: NDArray[np.float64], matrix: NDArray[np.float64]) -> None:
    """Copy costs (n, m) to matrix, exactly scaled if huge, and transposed if n > m."""
    n, m = costs.shape
    scale = DOWN if has_huge(costs.reshape(-1)) else 1.0
    for i in range(n):
        for j in range(m):
            cost = costs[i, j] * scale
            if n <= m:
                matrix[i, j] = cost
            else:
                matrix[j, i] = cost


@inner
def _reduce_columns(
    matrix: NDArray[np.float64],
    prices: NDArray[np.float64],
    row_of: NDArray[np.int64],
    column_of: NDArray[np.int64],
) -> None:
    """Price the columns of a square matrix (n, n) at their least entries, and match those."""
    n = matrix.shape[0]
    for j in range(n):
        prices[j] = matrix[0, j]
    for i in range(1, n):
        row = matrix[i]
        for j in range(n):
            prices[j] = row[j] if row[j] < prices[j] else prices[j]
    for j in range(n):
        for i in range(n):
            if matrix[i, j] == prices[j]:
                if column_of[i] < 0:
                    column_of[i] = j
                    row_of[j] = i
                break


@inner
def _nearest(distances: NDArray[np.float64], row_of: NDArray[np.int64]) -> int:
    """The first column at the least distance, an unmatched one if there is any."""
    least = np.inf
    for j in range(distances.shape[0]):
        least = distances[j] if distances[j] < least else least
    nearest = -1
    for j in range(distances.shape[0]):
        if distances[j] == least:
            if row_of[j] < 0:
                return j
            if nearest < 0:
                nearest = j
    return nearest


@inner
def _augment(
    matrix: NDArray[np.float64],
    start: int,
    prices: NDArray[np.float64],
    row_of: NDArray[np.int64],
    column_of: NDArray[np.int64],
    work: NDArray[np.float64],
    before: NDArray[np.int64],
    settled: NDArray[np.int64],
) -> None:
    """Match row start by changing the matching along the cheapest path to an unmatched column.

    work is (3, m) scratch, before and settled (m,) too.
    """
    m = matrix.shape[1]
    distances, open_prices, settled_distances = work[0], work[1], work[2]
    row = matrix[start]
    for j in range(m):
        open_prices[j] = prices[j]
        distances[j] = row[j] - prices[j]
        before[j] = start
    count = 0
    nearest = _nearest(distances, row_of)
    while row_of[nearest] >= 0:
        i = row_of[nearest]
        settled[count], settled_distances[count] = nearest, distances[nearest]
        count += 1
        row = matrix[i]
        offset = distances[nearest] - (row[nearest] - prices[nearest])
        # An infinite distance and price take the column out without a branch in the loop below.
        distances[nearest], open_prices[nearest] = np.inf, -np.inf
        for j in range(m):
            distance = offset + (row[j] - open_prices[j])
            if distance < distances[j]:
                distances[j], before[j] = distance, i
        nearest = _nearest(distances, row_of)
    for step in range(count):
        prices[settled[step]] += settled_distances[step] - distances[nearest]
    i = -1
    while i != start:
        i = before[nearest]
        row_of[nearest] = i
        column_of[i], nearest = nearest, column_of[i]


@inner
def _solve_range(
    costs: NDArray[np.float64], start: int, stop: int, solutions: NDArray[np.uint8]
) -> None:
    """Solve the instances start <= b < stop of costs (B, n, m) into solutions (B, n, m)."""
    n, m = min(costs.shape[1:]), max(costs.shape[1:])
    transposed = costs.shape[1] > costs.shape[2]
    matrix, work = np.empty((n, m)), np.empty((3, m))
    prices, before = np.empty(m), np.empty(m, dtype=np.int64)
    settled, row_of = np.empty(m, dtype=np.int64), np.empty(m, dtype=np.int64)
    column_of = np.empty(n, dtype=np.int64)
    # Costs that need no preparation are read where they are.
    ready = not transposed and not has_huge(costs[start:stop].reshape(-1))
    for b in range(start, stop):
        if ready:
            matrix = costs[b]
        else:
            _load(costs[b], matrix)
        for j in range(m):
            prices[j], row_of[j] = 0.0, -1
        for i in range(n):
            column_of[i] = -1
        if n == m:
            _reduce_columns(matrix, prices, row_of, column_of)
        for i in range(n):
            if column_of[i] < 0:
                _augment(matrix, i, prices, row_of, column_of, work, before, settled)
        for i in range(n):
            if transposed:
                solutions[b, column_of[i], i] = 1
            else:
                solutions[b, i, column_of[i]] = 1


@kernel()
def assign(costs: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Cheapest matchings (B, n, m) of min(n, m) >= 1 pairs for costs (B, n, m)."""
    solutions = np.zeros(costs.shape, dtype=np.uint8)
    _solve_range(costs, 0, costs.shape[0], solutions)
    return solutions


@kernel(parallel=True)
def assign_parallel(costs: NDArray[np.float64], threads: int) -> NDArray[np.uint8]:
    """The same as assign with the batch cut into as many parts as threads."""
    batch = costs.shape[0]
    solutions = np.zeros(costs.shape, dtype=np.uint8)
    for part in prange(threads):
        _solve_range(costs, batch * part // threads, batch * (part + 1) // threads, solutions)
    return solutions
