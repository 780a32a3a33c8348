"""Linear assignment by shortest augmenting paths (Jonker & Volgenant 1987).

A matrix has n <= m rows and every row is matched. Prices v of the columns keep every matched entry
of w_ij - v_j the least of its row, and unmatched columns keep the price they began with.
"""

import math

import numpy as np
from numpy.typing import NDArray

from combgrad.solvers.kernels import inner, kernel, prange
from combgrad.solvers.kernels.exact_sums import ROUNDING, sums_are_exact

# Sums of larger costs could overflow; scaled by a power of two they keep all their digits.
_LARGEST, _DOWN = 2.0**900, 2.0**-200


@inner
def _load(costs: NDArray[np.float64], matrix: NDArray[np.float64]) -> tuple[float, bool]:
    """Copy costs (n, m) to matrix, scaled by a power of two if huge, and transposed if n > m.

    In place of inf stands a number so large that a matching with one of them less is cheaper.
    Returns the largest size in the matrix, and whether no cost was too small to be scaled.
    """
    n, m = costs.shape
    largest = 0.0
    for i in range(n):
        for j in range(m):
            size = abs(costs[i, j])
            largest = size if largest < size < np.inf else largest
    scale = _DOWN if largest > _LARGEST else 1.0
    beyond = 4.0 * (min(n, m) + 1) * max(largest * scale, 1e-300)
    forbidden = math.ldexp(1.0, math.frexp(beyond)[1])
    largest *= scale
    lossless = True
    for i in range(n):
        for j in range(m):
            cost = costs[i, j] * scale
            lossless = lossless and cost / scale == costs[i, j]
            if cost == np.inf:
                cost, largest = forbidden, forbidden
            if n <= m:
                matrix[i, j] = cost
            else:
                matrix[j, i] = cost
    return largest, lossless


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
def _near(
    matrix: NDArray[np.float64],
    prices: NDArray[np.float64],
    row_of: NDArray[np.int64],
    column_of: NDArray[np.int64],
    tight: NDArray[np.uint8],
) -> None:
    """tight[i, k] becomes 1 where row i gains or loses next to nothing in row k's column.

    Row and column n stand for all columns that are not matched. The reduced costs of all entries
    are at least -low, so matchings that differ in a cycle of rows can cost the same only if all its
    entries are as little above it.
    """
    n, m = matrix.shape
    largest, low = 0.0, 0.0
    for j in range(m):
        largest = max(largest, abs(prices[j]))
    for i in range(n):
        base = matrix[i, column_of[i]] - prices[column_of[i]]
        for j in range(m):
            largest = max(largest, abs(matrix[i, j]))
            low = max(low, base - (matrix[i, j] - prices[j]))
    for j in range(m):
        low = max(low, prices[j])
    rounding = 16.0 * ROUNDING * largest
    limit = (n + 2) * (low + rounding) + rounding
    tight[:] = 0
    for i in range(n):
        base = matrix[i, column_of[i]] - prices[column_of[i]]
        for j in range(m):
            other = row_of[j] if row_of[j] >= 0 else n
            if other != i and matrix[i, j] - prices[j] - base <= limit:
                tight[i, other] = 1
        if n < m and -prices[column_of[i]] <= limit:
            tight[n, i] = 1


@inner
def _has_cycle(tight: NDArray[np.uint8]) -> bool:
    """Whether the arcs i -> k with tight[i, k] go round in a circle (Kahn 1962)."""
    size = tight.shape[0]
    entering = np.zeros(size, dtype=np.int64)
    for i in range(size):
        for k in range(size):
            entering[k] += tight[i, k]
    free, count = np.empty(size, dtype=np.int64), 0
    for k in range(size):
        if entering[k] == 0:
            free[count] = k
            count += 1
    done = 0
    while done < count:
        i = free[done]
        done += 1
        for k in range(size):
            if tight[i, k]:
                entering[k] -= 1
                if entering[k] == 0:
                    free[count] = k
                    count += 1
    return count < size


@inner
def _solve_range(
    costs: NDArray[np.float64],
    start: int,
    stop: int,
    solutions: NDArray[np.uint8],
    certain: NDArray[np.bool_],
) -> None:
    """Solve the instances start <= b < stop of costs (B, n, m) into solutions (B, n, m)."""
    n, m = min(costs.shape[1:]), max(costs.shape[1:])
    transposed = costs.shape[1] > costs.shape[2]
    matrix, work = np.empty((n, m)), np.empty((3, m))
    prices, before = np.empty(m), np.empty(m, dtype=np.int64)
    settled, row_of = np.empty(m, dtype=np.int64), np.empty(m, dtype=np.int64)
    column_of = np.empty(n, dtype=np.int64)
    tight = np.empty((n + 1, n + 1), dtype=np.uint8)
    for b in range(start, stop):
        largest, lossless = _load(costs[b], matrix)
        for j in range(m):
            prices[j], row_of[j] = 0.0, -1
        for i in range(n):
            column_of[i] = -1
        if n == m:
            _reduce_columns(matrix, prices, row_of, column_of)
        for i in range(n):
            if column_of[i] < 0:
                _augment(matrix, i, prices, row_of, column_of, work, before, settled)
        certain[b] = lossless and sums_are_exact(matrix.reshape(-1), (2 * n + 4) * largest)
        if lossless and not certain[b]:
            _near(matrix, prices, row_of, column_of, tight)
            certain[b] = not _has_cycle(tight)
        for i in range(n):
            if transposed:
                solutions[b, column_of[i], i] = 1
            else:
                solutions[b, i, column_of[i]] = 1


@kernel()
def assign(costs: NDArray[np.float64]) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Cheapest matchings (B, n, m) of min(n, m) >= 1 pairs for costs (B, n, m).

    The second answer (B,) says which of them are optimal beyond doubt, whatever was rounded.
    """
    solutions = np.zeros(costs.shape, dtype=np.uint8)
    certain = np.zeros(costs.shape[0], dtype=np.bool_)
    _solve_range(costs, 0, costs.shape[0], solutions, certain)
    return solutions, certain


@kernel(parallel=True)
def assign_parallel(
    costs: NDArray[np.float64], threads: int
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """The same as assign with the batch cut into as many parts as threads."""
    batch = costs.shape[0]
    solutions = np.zeros(costs.shape, dtype=np.uint8)
    certain = np.zeros(batch, dtype=np.bool_)
    for part in prange(threads):
        start, stop = batch * part // threads, batch * (part + 1) // threads
        _solve_range(costs, start, stop, solutions, certain)
    return solutions, certain
