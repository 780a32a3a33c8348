"""Cheapest paths through grids by dynamic programming (Needleman & Wunsch 1970).

The moves that leave node (i, j) lead to (i+1, j+1), to (i, j+1) and to (i+1, j), in this order.
"""

import numpy as np
from numba import prange
from numpy.typing import NDArray

from combgrad.solvers.kernels import kernel
from combgrad.solvers.kernels.tsp_costs import inner

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
    solution: NDArray[np.uint8],
) -> None:
    """Walk from node (0, 0) to (rows, columns), the first move in the order at ties."""
    i, j = 0, 0
    while i < rows or j < columns:
        value = table[i, j]
        if i < rows and j < columns and costs[i, j, _DIAGONAL] + table[i + 1, j + 1] == value:
            solution[i, j, _DIAGONAL] = 1
            i += 1
            j += 1
        elif j < columns and costs[i, j, _RIGHT] + table[i, j + 1] == value:
            solution[i, j, _RIGHT] = 1
            j += 1
        else:
            solution[i, j, _DOWNWARD] = 1
            i += 1


@inner
def _solve_range(
    costs: NDArray[np.floating],
    lengths: NDArray[np.int64],
    start: int,
    stop: int,
    solutions: NDArray[np.uint8],
) -> None:
    """Solve the instances start <= b < stop of costs (B, N, M, 3) into solutions (B, N, M, 3)."""
    table = np.empty(costs.shape[1:3])
    for b in range(start, stop):
        rows, columns = lengths[b, 0], lengths[b, 1]
        _fill_table(costs[b], rows, columns, table)
        _mark_path(costs[b], rows, columns, table, solutions[b])


@kernel()
def align(costs: NDArray[np.floating], lengths: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Cheapest paths (B, N, M, 3) from node (0, 0) to node `lengths` (B, 2) for costs of moves
    whose sums do not overflow."""
    solutions = np.zeros(costs.shape, dtype=np.uint8)
    _solve_range(costs, lengths, 0, costs.shape[0], solutions)
    return solutions


@kernel(parallel=True)
def align_parallel(
    costs: NDArray[np.floating], lengths: NDArray[np.int64], threads: int
) -> NDArray[np.uint8]:
    """The same as align with the batch cut into as many parts as threads."""
    batch = costs.shape[0]
    solutions = np.zeros(costs.shape, dtype=np.uint8)
    for part in prange(threads):
        start, stop = batch * part // threads, batch * (part + 1) // threads
        _solve_range(costs, lengths, start, stop, solutions)
    return solutions
