"""Tours that are good but not proven optimal: nearest neighbour, 2-opt and Or-opt.

Nothing here assumes the triangle inequality or a sign. A tour is an array (k + 1,) whose last
entry repeats the first, so that position i + 1 always exists.
"""

import numpy as np
from numpy.typing import NDArray

from combgrad.solvers.kernels import inner

# An improvement below this is rounding: costs are scaled to at most 1, excluded ones to twice the
# number of cities.
_LEAST_GAIN = 1e-12
_LONGEST_SEGMENT = 3


@inner
def tour_length(matrix: NDArray[np.float64], tour: NDArray[np.int64], k: int) -> float:
    """Sum of the costs along tour (k + 1,)."""
    length = 0.0
    for i in range(k):
        length += matrix[tour[i], tour[i + 1]]
    return length


@inner
def nearest_neighbour(
    matrix: NDArray[np.float64], potential: NDArray[np.float64], tour: NDArray[np.int64], k: int
) -> None:
    """Fill tour (k + 1,) from city 0, always on to the unvisited city j of least
    matrix[i, j] + potential[j]."""
    for i in range(k):
        tour[i] = i
    tour[k] = 0
    for i in range(1, k - 1):
        best, nearest = np.inf, i
        for j in range(i, k):
            cost = matrix[tour[i - 1], tour[j]] + potential[tour[j]]
            if cost < best:
                best, nearest = cost, j
        tour[i], tour[nearest] = tour[nearest], tour[i]


@inner
def _reverse(tour: NDArray[np.int64], first: int, last: int) -> None:
    while first < last:
        tour[first], tour[last] = tour[last], tour[first]
        first += 1
        last -= 1


@inner
def _two_opt_pass(matrix: NDArray[np.float64], tour: NDArray[np.int64], k: int) -> bool:
    """Apply every 2-opt move that shortens tour (k + 1,) once through; True if there was one."""
    improved = False
    for i in range(k - 2):
        a, b = tour[i], tour[i + 1]
        removed = matrix[a, b] - _LEAST_GAIN
        for j in range(i + 2, k if i > 0 else k - 1):
            c, d = tour[j], tour[j + 1]
            if matrix[a, c] + matrix[b, d] < removed + matrix[c, d]:
                _reverse(tour, i + 1, j)
                b = tour[i + 1]
                removed = matrix[a, b] - _LEAST_GAIN
                improved = True
    return improved


@inner
def _place_segment(
    matrix: NDArray[np.float64], tour: NDArray[np.int64], k: int, first: int, last: int
) -> bool:
    """Move the cities at positions first..last, either way round, to the first better gap."""
    before, head, tail, after = tour[first - 1], tour[first], tour[last], tour[last + 1]
    saved = matrix[before, head] + matrix[tail, after] - matrix[before, after] - _LEAST_GAIN
    for j in range(k):
        if first - 1 <= j <= last:
            continue
        u, v = tour[j], tour[j + 1]
        spare = saved + matrix[u, v]
        same = matrix[u, head] + matrix[tail, v]
        turned = matrix[u, tail] + matrix[head, v]
        if same < spare or turned < spare:
            # Two reversals of neighbouring stretches exchange them.
            if turned >= same:
                _reverse(tour, first, last)
            if j > last:
                _reverse(tour, first, j)
                _reverse(tour, first, j - last + first - 1)
            else:
                _reverse(tour, j + 1, last)
                _reverse(tour, j + 1 + last - first + 1, last)
            return True
    return False


@inner
def _or_opt_pass(matrix: NDArray[np.float64], tour: NDArray[np.int64], k: int) -> bool:
    """Try to move each run of up to three cities of tour (k + 1,); True if one moved."""
    improved = False
    for size in range(1, min(_LONGEST_SEGMENT, k - 3) + 1):
        for first in range(1, k - size + 1):
            improved |= _place_segment(matrix, tour, k, first, first + size - 1)
    return improved


@inner
def improve_tour(matrix: NDArray[np.float64], tour: NDArray[np.int64], k: int) -> None:
    """Make tour (k + 1,) optimal under 2-opt and Or-opt moves (Croes 1958; Or 1976)."""
    while _two_opt_pass(matrix, tour, k) or _or_opt_pass(matrix, tour, k):
        pass
