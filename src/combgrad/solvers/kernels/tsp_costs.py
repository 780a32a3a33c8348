"""Edge lists, cost matrices and tours shared by the travelling salesman kernels."""

import math

import numpy as np
from numpy.typing import NDArray

from combgrad.solvers.kernels import inner

# Relative to the largest cost that is left: what adding up a tour or a bound may lose per city.
ROUNDING = 1e-15


@inner
def power_of_two(exponent: int) -> tuple[float, float]:
    """Two factors whose product is 2 to the exponent; one alone overflows for denormal costs."""
    half = exponent // 2
    return math.ldexp(1.0, half), math.ldexp(1.0, exponent - half)


@inner
def fill_cost_matrix(row: NDArray[np.float64], matrix: NDArray[np.float64], k: int) -> int:
    """Spread one instance's costs (E,) over matrix (>= k, >= k), divided by the power of two whose
    exponent is returned, so that |cost| < 1, and less the least of them; infinite ones stay so."""
    largest, least = 0.0, np.inf
    for e in range(row.shape[0]):
        if row[e] != np.inf:
            largest = max(largest, abs(row[e]))
            least = min(least, row[e])
    exponent = math.frexp(largest)[1]
    first, second = power_of_two(-exponent)
    least = least * first * second if least < np.inf else 0.0
    e = 0
    for i in range(k):
        matrix[i, i] = 0.0
        for j in range(i + 1, k):
            cost = row[e] * first * second - least
            matrix[i, j] = cost
            matrix[j, i] = cost
            e += 1
    return exponent


@inner
def mark_edge(solution: NDArray[np.uint8], i: int, j: int, k: int) -> None:
    """Set the entry of edge {i, j} in a row-major upper triangle (E,)."""
    low, high = min(i, j), max(i, j)
    solution[low * (2 * k - low - 1) // 2 + high - low - 1] = 1


@inner
def copy_vector(source: NDArray[np.generic], target: NDArray[np.generic], n: int) -> None:
    """Copy the first n entries; slice assignment would compile far slower."""
    for i in range(n):
        target[i] = source[i]


@inner
def copy_square(source: NDArray[np.float64], target: NDArray[np.float64], k: int) -> None:
    """Copy a matrix (k, k)."""
    for i in range(k):
        for j in range(k):
            target[i, j] = source[i, j]
