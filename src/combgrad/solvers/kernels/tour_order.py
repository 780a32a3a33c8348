"""From the edges of tours to their cities in visiting order."""

import numpy as np
from numpy.typing import NDArray

from combgrad.solvers.kernels import kernel


@kernel()
def tour_orders(solutions: NDArray[np.bool_], k: int) -> NDArray[np.int64]:
    """The cities (B, k) of edge sets (B, E) in visiting order; -1 first where one is no tour."""
    batch = solutions.shape[0]
    orders = np.full((batch, k), -1, dtype=np.int64)
    neighbours = np.empty((k, 2), dtype=np.int64)
    degree = np.empty(k, dtype=np.int64)
    for b in range(batch):
        degree[:] = 0
        edge = 0
        for i in range(k):
            for j in range(i + 1, k):
                if solutions[b, edge]:
                    if degree[i] < 2 and degree[j] < 2:
                        neighbours[i, degree[i]] = j
                        neighbours[j, degree[j]] = i
                    degree[i] += 1
                    degree[j] += 1
                edge += 1
        if not np.all(degree == 2):
            continue
        before, city, length = 0, neighbours[0, 0], 1
        orders[b, 0] = 0
        while city != 0:
            orders[b, length] = city
            step = neighbours[city, 0]
            before, city = city, step if step != before else neighbours[city, 1]
            length += 1
        if length < k:
            orders[b, 0] = -1
    return orders
