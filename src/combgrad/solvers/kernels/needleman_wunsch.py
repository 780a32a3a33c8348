"""Cheapest paths through grids by dynamic programming (Needleman & Wunsch 1970).

The moves that leave node (i, j) lead to (i+1, j+1), to (i, j+1) and to (i+1, j), in this order.
"""

import numpy as np
from numpy.typing import NDArray

from combgrad.solvers.kernels import inner, kernel, prange
from combgrad.solvers.kernels.exact_sums import ROUNDING, sums_are_exact, total_size

_DIAGONAL, _RIGHT, _DOWNWARD = 0, 1, 2


@inner
def _fill_table(
    costs: NDArray[np.floating], rows: int, columns: int, table: NDArray[np.float64]
) -> None:
    """table[i, j] becomes the cheapest way from node (i, j) to node (rows, columns)."""
    last = table[rows]
    last[columns] = 0.0
    for j in range(columns - 1, -1, -1):
        last[j] = costs[rows, j, _RIGHT] + last[j + 1]
    for i in range(rows - 1, -1, -1):
        moves, below, here = costs[i], table[i + 1], table[i]
        value = moves[columns, _DOWNWARD] + below[columns]
        here[columns] = value
        for j in range(columns - 1, -1, -1):
            diagonal = moves[j, _DIAGONAL] + below[j + 1]
            downward = moves[j, _DOWNWARD] + below[j]
            right = moves[j, _RIGHT] + value
            value = diagonal if diagonal < downward else downward
            value = value if value < right else right
            here[j] = value


@inner
def _mark_path(
    costs: NDArray[np.floating],
    rows: int,
    columns: int,
    table: NDArray[np.float64],
    doubt: float,
    solution: NDArray[np.uint8],
) -> bool:
    """Walk from node (0, 0) to (rows, columns), the first move in the order at ties.

    Returns whether it is certain: nowhere another move comes nearer to the best than `doubt`.
    """
    i, j, certain = 0, 0, True
    while i < rows or j < columns:
        diagonal = right = downward = np.inf
        if i < rows and j < columns:
            diagonal = costs[i, j, _DIAGONAL] + table[i + 1, j + 1]
        if j < columns:
            right = costs[i, j, _RIGHT] + table[i, j + 1]
        if i < rows:
            downward = costs[i, j, _DOWNWARD] + table[i + 1, j]
        if i < rows and j < columns and diagonal <= min(right, downward):
            certain = certain and not min(right, downward) - diagonal < doubt
            solution[i, j, _DIAGONAL] = 1
            i += 1
            j += 1
        elif i == rows or (j < columns and right <= downward):
            certain = certain and not min(diagonal, downward) - right < doubt
            solution[i, j, _RIGHT] = 1
            j += 1
        else:
            certain = certain and not min(diagonal, right) - downward < doubt
            solution[i, j, _DOWNWARD] = 1
            i += 1
    return certain


@inner
def _doubt(costs: NDArray[np.floating], rows: int, columns: int) -> float:
    """How near two sums of costs (N, M, 3) must be for rounding to confuse them; 0 if it cannot.

    inf where sums may overflow.
    """
    total = 0.0
    for i in range(rows + 1):
        total += total_size(costs[i, : columns + 1].reshape(-1))
    if not total < 2.0**1000:
        return np.inf
    exact = True
    for i in range(rows + 1):
        exact = exact and sums_are_exact(costs[i, : columns + 1].reshape(-1), total)
    return 0.0 if exact else 8.0 * (rows + columns) * ROUNDING * total


@inner
def _solve_range(
    costs: NDArray[np.floating],
    lengths: NDArray[np.int64],
    start: int,
    stop: int,
    solutions: NDArray[np.uint8],
    certain: NDArray[np.bool_],
) -> None:
    """Solve the instances start <= b < stop of costs (B, N, M, 3) into solutions (B, N, M, 3)."""
    table = np.empty(costs.shape[1:3])
    for b in range(start, stop):
        rows, columns = lengths[b, 0], lengths[b, 1]
        doubt = _doubt(costs[b], rows, columns)
        if doubt < np.inf:
            _fill_table(costs[b], rows, columns, table)
            certain[b] = _mark_path(costs[b], rows, columns, table, doubt, solutions[b])


@kernel()
def align(
    costs: NDArray[np.floating], lengths: NDArray[np.int64]
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Cheapest paths (B, N, M, 3) from node (0, 0) to node `lengths` (B, 2) for costs of moves.

    The second answer (B,) says which of them are optimal beyond doubt, whatever was rounded.
    """
    solutions = np.zeros(costs.shape, dtype=np.uint8)
    certain = np.zeros(costs.shape[0], dtype=np.bool_)
    _solve_range(costs, lengths, 0, costs.shape[0], solutions, certain)
    return solutions, certain


@kernel(parallel=True)
def align_parallel(
    costs: NDArray[np.floating], lengths: NDArray[np.int64], threads: int
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """The same as align with the batch cut into as many parts as threads."""
    batch = costs.shape[0]
    solutions = np.zeros(costs.shape, dtype=np.uint8)
    certain = np.zeros(batch, dtype=np.bool_)
    for part in prange(threads):
        start, stop = batch * part // threads, batch * (part + 1) // threads
        _solve_range(costs, lengths, start, stop, solutions, certain)
    return solutions, certain
