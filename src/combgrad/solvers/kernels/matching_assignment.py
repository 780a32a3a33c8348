"""Linear assignment in which a row may stay unmatched at cost 0, by shortest augmenting paths."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from combgrad.solvers.kernels import inner


class Assigner(NamedTuple):
    """An assignment of n1 rows to n2 columns, and scratch."""

    column_of: NDArray[np.int64]  # (n1,) -1 for unmatched
    row_of: NDArray[np.int64]  # (n2,)
    prices: NDArray[np.float64]  # (n2,) at most 0, and 0 for unmatched columns
    distances: NDArray[np.float64]  # (n2,)
    before: NDArray[np.int64]  # (n2,)
    settled: NDArray[np.bool_]  # (n2,)


@inner
def new_assigner(n1: int, n2: int) -> Assigner:
    """Room for n1 rows and n2 columns."""
    return Assigner(
        np.empty(n1, dtype=np.int64),
        np.empty(n2, dtype=np.int64),
        np.empty(n2),
        np.empty(n2),
        np.empty(n2, dtype=np.int64),
        np.empty(n2, dtype=np.bool_),
    )


@inner
def _search(a: Assigner, costs: NDArray[np.float64], start: int, n2: int) -> tuple[int, int]:
    """The cheapest path from row start: to a column that is free, or to a row that gives up its
    own; returns that column or -1, and that row. Updates the prices."""
    prices, distances, before, settled, row_of = (
        a.prices, a.distances, a.before, a.settled, a.row_of
    )  # fmt: skip
    for j in range(n2):
        distances[j], before[j], settled[j] = costs[start, j] - prices[j], start, False
    unmatched, loser = 0.0, start
    while True:
        nearest, least = -1, unmatched
        for j in range(n2):
            if not settled[j] and distances[j] < least:
                nearest, least = j, distances[j]
        if nearest < 0 or row_of[nearest] < 0:
            break
        settled[nearest] = True
        row = row_of[nearest]
        offset = least - (costs[row, nearest] - prices[nearest])
        if offset < unmatched:
            unmatched, loser = offset, row
        for j in range(n2):
            distance = offset + costs[row, j] - prices[j]
            if not settled[j] and distance < distances[j]:
                distances[j], before[j] = distance, row
    for j in range(n2):
        if settled[j]:
            prices[j] += distances[j] - least
    return nearest, loser


@inner
def assign_some(a: Assigner, costs: NDArray[np.float64], n1: int, n2: int) -> float:
    """Match rows to columns so that the costs (n1, n2) of the matches are least; their sum.

    The dual solution is sum(prices) + sum over rows of min(0, min over j of costs - prices).
    """
    for j in range(n2):
        a.prices[j], a.row_of[j] = 0.0, -1
    for i in range(n1):
        a.column_of[i] = -1
    for start in range(n1):
        column, loser = _search(a, costs, start, n2)
        if column < 0:
            if loser == start:
                continue
            column = a.column_of[loser]
            a.column_of[loser] = -1
        row = -1
        while row != start:
            row = a.before[column]
            a.row_of[column] = row
            a.column_of[row], column = column, a.column_of[row]
    total = 0.0
    for i in range(n1):
        if a.column_of[i] >= 0:
            total += costs[i, a.column_of[i]]
    return total
