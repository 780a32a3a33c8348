"""Cheapest alignments whose gaps cost a multiple of the match that leaves the same node.

Nodes (i, j) and moves are those of `needleman_wunsch`: node (i, j) is left at the price of cell
(i, j) of the match costs, times `gap` for a gap, and a node after the end of a sequence at that of
the last cell.
"""

import numpy as np
from numpy.typing import NDArray

from combgrad.solvers.kernels import inner, kernel, prange
from combgrad.solvers.kernels.exact_sums import ROUNDING, sums_are_exact

# Paths that may cost more than this could overflow.
_LARGEST = 2.0**900


@inner
def _fill_table(
    costs: NDArray[np.floating], rows: int, columns: int, gap: float, table: NDArray[np.float64]
) -> float:
    """table[i, j] becomes the cheapest way from node (i, j) to the end; the largest |cost|.

    Two rows are filled at once, the upper one a column behind, as each waits for its own minima.
    """
    last, final = table[rows], columns - 1
    largest = 0.0
    last[columns] = 0.0
    for j in range(final, -1, -1):
        last[j] = gap * np.float64(costs[rows - 1, j]) + last[j + 1]
    i = rows - 1
    while i >= 1:
        low, high, below = costs[i], costs[i - 1], table[i + 1]
        first, second = table[i], table[i - 1]
        before = gap * np.float64(low[final]) + below[columns]
        first[columns] = before
        upper = gap * np.float64(high[final]) + before
        second[columns] = upper
        price = np.float64(low[final])
        largest = max(largest, abs(price))
        value = min(price + below[columns], gap * price + below[final], gap * price + before)
        first[final] = value
        for j in range(final - 1, -1, -1):
            price = np.float64(low[j])
            largest = max(largest, abs(price))
            new = min(price + below[j + 1], gap * price + below[j])
            new = min(new, gap * price + value)
            first[j] = new
            price = np.float64(high[j + 1])
            largest = max(largest, abs(price))
            upper = min(min(price + before, gap * price + value), gap * price + upper)
            second[j + 1] = upper
            before, value = value, new
        price = np.float64(high[0])
        largest = max(largest, abs(price))
        second[0] = min(min(price + before, gap * price + value), gap * price + upper)
        i -= 2
    if i == 0:
        below, first = table[1], table[0]
        value = gap * np.float64(costs[0, final]) + below[columns]
        first[columns] = value
        for j in range(final, -1, -1):
            price = np.float64(costs[0, j])
            largest = max(largest, abs(price))
            value = min(min(price + below[j + 1], gap * price + below[j]), gap * price + value)
            first[j] = value
    return largest


@inner
def ways_on(
    costs: NDArray[np.floating],
    rows: int,
    columns: int,
    gap: float,
    table: NDArray[np.float64],
    i: int,
    j: int,
) -> tuple[float, float, float]:
    """What it costs from node (i, j) to the end by each first move; inf for those there are not."""
    price = np.float64(costs[min(i, rows - 1), min(j, columns - 1)])
    diagonal = right = downward = np.inf
    if i < rows and j < columns:
        diagonal = price + table[i + 1, j + 1]
    if j < columns:
        right = gap * price + table[i, j + 1]
    if i < rows:
        downward = gap * price + table[i + 1, j]
    return diagonal, right, downward


@inner
def _mark_path(
    costs: NDArray[np.floating],
    rows: int,
    columns: int,
    gap: float,
    table: NDArray[np.float64],
    solution: NDArray[np.floating],
) -> float:
    """Walk from the start to the end, the first move in the order at ties.

    Adds what each move pays for to the solution, 1 or `gap`; the least advantage over another move.
    """
    i, j, closest = 0, 0, np.inf
    while i < rows or j < columns:
        row, column = min(i, rows - 1), min(j, columns - 1)
        diagonal, right, downward = ways_on(costs, rows, columns, gap, table, i, j)
        if diagonal <= min(right, downward):
            closest = min(closest, min(right, downward) - diagonal)
            solution[row, column] += 1.0
            i += 1
            j += 1
        elif right <= downward:
            closest = min(closest, min(diagonal, downward) - right)
            solution[row, column] += gap
            j += 1
        else:
            closest = min(closest, min(diagonal, right) - downward)
            solution[row, column] += gap
            i += 1
    return closest


@inner
def _is_certain(
    costs: NDArray[np.floating],
    rows: int,
    columns: int,
    gap: float,
    bits: int,
    largest: float,
    closest: float,
) -> bool:
    """Whether no rounding of the sums along paths can have changed which one is the cheapest.

    No path costs more than `bound` in size. Where the costs are multiples of a unit that leaves
    room for the `bits` of the gap after the point, products and sums are exact.
    """
    if largest == 0.0:
        return True
    bound = (rows + columns) * max(1.0, gap) * largest * (1.0 + 1e-6)
    # Far below, a product loses more than a share of itself.
    if not 2.0**-900 < bound < _LARGEST:
        return False
    if closest > 16.0 * (rows + columns) * ROUNDING * bound:
        return True
    if bits > 60:
        return False
    exact = True
    for i in range(rows):
        exact = exact and sums_are_exact(costs[i, :columns], bound * 2.0**bits)
    return exact


@inner
def _solve_range(
    costs: NDArray[np.floating],
    lengths: NDArray[np.int64],
    gap: float,
    bits: int,
    start: int,
    stop: int,
    solutions: NDArray[np.floating],
    certain: NDArray[np.bool_],
) -> None:
    """Solve the instances start <= b < stop of costs (B, n, m) into solutions (B, n, m).

    `certain` (B,) is False before.
    """
    table = np.empty((costs.shape[1] + 1, costs.shape[2] + 1))
    for b in range(start, stop):
        rows, columns = lengths[b, 0], lengths[b, 1]
        largest = _fill_table(costs[b], rows, columns, gap, table)
        solutions[b] = 0.0
        # A table with inf and NaN in it can lead the walk past the end of the sequences.
        if not (rows + columns) * max(1.0, gap) * largest < _LARGEST:
            continue
        closest = _mark_path(costs[b], rows, columns, gap, table, solutions[b])
        certain[b] = _is_certain(costs[b], rows, columns, gap, bits, largest, closest)


@kernel(error_model="numpy")
def align_tied(
    costs: NDArray[np.floating],
    lengths: NDArray[np.int64],
    gap: float,
    bits: int,
    solutions: NDArray[np.floating],
) -> NDArray[np.bool_]:
    """Write the cheapest alignments of costs (B, n, m) to solutions (B, n, m).

    lengths (B, 2) are at least 1; `bits` of `gap` stand after the point. The answer (B,) says which
    are optimal beyond doubt, whatever was rounded.
    """
    certain = np.zeros(costs.shape[0], dtype=np.bool_)
    _solve_range(costs, lengths, gap, bits, 0, costs.shape[0], solutions, certain)
    return certain


@kernel(parallel=True, error_model="numpy")
def align_tied_parallel(
    costs: NDArray[np.floating],
    lengths: NDArray[np.int64],
    gap: float,
    bits: int,
    solutions: NDArray[np.floating],
    threads: int,
) -> NDArray[np.bool_]:
    """The same as align_tied with the batch cut into as many parts as threads."""
    batch = costs.shape[0]
    certain = np.zeros(batch, dtype=np.bool_)
    for part in prange(threads):
        start, stop = batch * part // threads, batch * (part + 1) // threads
        _solve_range(costs, lengths, gap, bits, start, stop, solutions, certain)
    return certain
