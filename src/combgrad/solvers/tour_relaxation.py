"""What linear programs know of tours: two edges at every city, and no smaller ring."""

import functools

import numpy as np
import torch

from combgrad.solvers.edges import edge_ends, orders_of
from combgrad.solvers.ilp_program import Program, binary_program


@functools.cache
def degree_program(cities: int) -> Program:
    """Two edges at every city, 0 <= y <= 1, over (E,); beside tours it allows several rings."""
    first, second = edge_ends(cities)
    every = np.arange(cities)[:, None]
    incidence = ((first == every) | (second == every)).astype(np.float64)
    return binary_program(len(first), equal=(incidence, np.full(cities, 2.0)))


def tight_subtour_rows(tour: np.ndarray) -> np.ndarray:
    """Rows (m, E) of the edges inside S, of which tours have at most |S| - 1 and this tour as many.

    S are the stretches of 3 to k/2 cities of a tour (E,); one of two is a bound of its edge, and a
    longer one says what the rest of the tour says. Source: Dantzig, Fulkerson and Johnson, 1954.
    """
    (order,) = orders_of(torch.from_numpy(tour).unsqueeze(0))
    cities = len(order)
    place = np.empty(cities, dtype=np.int64)
    place[order] = np.arange(cities)
    first, second = (place[ends] for ends in edge_ends(cities))
    rows = []
    for length in range(3, cities // 2 + 1):
        starts = cities // 2 if 2 * length == cities else cities
        for start in range(starts):
            inside = ((first - start) % cities < length) & ((second - start) % cities < length)
            rows.append(inside.astype(np.float64))
    return np.array(rows).reshape(-1, len(first))
