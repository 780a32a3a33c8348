"""Linear assignment in exact integers (Kuhn 1955, Munkres 1957), for costs that doubles round."""

import numpy as np
from numpy.typing import NDArray

from combgrad.solvers.kernels import kernel
from combgrad.solvers.kernels.exact_sums import (
    add_limbs,
    assign_limbs,
    less_limbs,
    to_limbs_or_beyond,
)


@kernel()
def assign_exactly(costs: NDArray[np.float64]) -> NDArray[np.int64]:
    """The column of each row (n,) in a cheapest matching for costs (n, m), 1 <= n <= m."""
    n, m = costs.shape
    limbs = to_limbs_or_beyond(costs.reshape(-1), n)
    length = limbs.shape[1]
    rows, columns = np.zeros((n, length), dtype=np.int64), np.zeros((m, length), dtype=np.int64)
    slack = np.empty((m, length), dtype=np.int64)
    trial, step = np.empty(length, dtype=np.int64), np.empty(length, dtype=np.int64)
    row_of, before = np.full(m, -1, dtype=np.int64), np.empty(m, dtype=np.int64)
    for start in range(n):
        # The tree of alternating paths from row `start`: its rows, by the columns they match.
        row, column = start, -1
        settled, open_before = np.zeros(m, dtype=np.bool_), np.zeros(m, dtype=np.bool_)
        while row >= 0:
            nearest = -1
            for j in range(m):
                if settled[j]:
                    continue
                add_limbs(trial, limbs[row * m + j], rows[row], -1)
                add_limbs(trial, trial, columns[j], -1)
                if not open_before[j] or less_limbs(trial, slack[j]):
                    assign_limbs(slack[j], trial)
                    before[j], open_before[j] = column, True
                if nearest < 0 or less_limbs(slack[j], slack[nearest]):
                    nearest = j
            assign_limbs(step, slack[nearest])
            add_limbs(rows[start], rows[start], step, 1)
            for j in range(m):
                if settled[j]:
                    add_limbs(rows[row_of[j]], rows[row_of[j]], step, 1)
                    add_limbs(columns[j], columns[j], step, -1)
                elif open_before[j]:
                    add_limbs(slack[j], slack[j], step, -1)
            column = nearest
            settled[column] = True
            row = row_of[column]
        while column >= 0:
            row_of[column] = start if before[column] < 0 else row_of[before[column]]
            column = before[column]
    matched = np.empty(n, dtype=np.int64)
    for j in range(m):
        if row_of[j] >= 0:
            matched[row_of[j]] = j
    return matched
