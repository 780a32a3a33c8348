"""All alignments of `tied_alignment` at once, weighed by exp(-cost / temperature)."""

import math

import numpy as np
from numpy.typing import NDArray

from combgrad.solvers.kernels import inner, kernel
from combgrad.solvers.kernels.tied_alignment import ways_on


@inner
def _fill_tables(
    costs: NDArray[np.floating],
    rows: int,
    columns: int,
    gap: float,
    temperature: float,
    table: NDArray[np.float64],
    shares: NDArray[np.float64],
) -> None:
    """table[i, j] becomes the soft minimum of the ways from node (i, j) to the end.

    shares[i, j, k] becomes the weight of those that go on by move k: diagonal, right, down.
    """
    for i in range(rows, -1, -1):
        for j in range(columns, -1, -1):
            if i == rows and j == columns:
                table[i, j] = 0.0
                continue
            diagonal, right, downward = ways_on(costs, rows, columns, gap, table, i, j)
            least = min(diagonal, min(right, downward))
            # Of differences from the least one, none overflows and one is 1.
            first = math.exp((least - diagonal) / temperature)
            second = math.exp((least - right) / temperature)
            third = math.exp((least - downward) / temperature)
            total = first + second + third
            table[i, j] = least - temperature * math.log(total)
            shares[i, j, 0] = first / total
            shares[i, j, 1] = second / total
            shares[i, j, 2] = third / total


@inner
def _spread(
    rows: int,
    columns: int,
    gap: float,
    shares: NDArray[np.float64],
    visits: NDArray[np.float64],
    paid: NDArray[np.float64],
) -> None:
    """Let what starts at (0, 0) go on by the shares, and add what its moves pay for."""
    visits[: rows + 1, : columns + 1] = 0.0
    visits[0, 0] = 1.0
    for i in range(rows + 1):
        for j in range(columns + 1):
            if i == rows and j == columns:
                continue
            here = visits[i, j]
            cell_row, cell_column = min(i, rows - 1), min(j, columns - 1)
            diagonal = here * shares[i, j, 0]
            right, downward = here * shares[i, j, 1], here * shares[i, j, 2]
            if i < rows and j < columns:
                visits[i + 1, j + 1] += diagonal
            if j < columns:
                visits[i, j + 1] += right
            if i < rows:
                visits[i + 1, j] += downward
            paid[cell_row, cell_column] += diagonal + gap * (right + downward)


@kernel(error_model="numpy")
def align_softly(
    costs: NDArray[np.floating],
    lengths: NDArray[np.int64],
    gap: float,
    temperature: float,
    paid: NDArray[np.float64],
) -> NDArray[np.float64]:
    """The soft minima (B,) over the alignments of costs (B, n, m), lengths (B, 2) at least 1.

    Adds to `paid` (B, n, m), of zeros, what the alignments pay for on average.
    """
    batch, n, m = costs.shape
    values = np.empty(batch)
    table, visits = np.empty((n + 1, m + 1)), np.empty((n + 1, m + 1))
    shares = np.empty((n + 1, m + 1, 3))
    for b in range(batch):
        rows, columns = lengths[b, 0], lengths[b, 1]
        _fill_tables(costs[b], rows, columns, gap, temperature, table, shares)
        _spread(rows, columns, gap, shares, visits, paid[b])
        values[b] = table[0, 0]
    return values
