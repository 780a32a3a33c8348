"""Edge lists, cost matrices and tours shared by the travelling salesman kernels."""

import math

import numpy as np
from numpy.typing import NDArray

from combgrad.solvers.kernels import kernel

# For functions that only compiled code calls: no entry from Python halves the compile time.
inner = kernel(error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True)

# Relative to the largest cost: what adding up a tour may lose, and what counts as no difference.
_ROUNDING = 1e-12
_SAME = 1e-11
# The greatest number of steps between costs that is worth looking for.
_FINEST_STEP = 1 / 512


@inner
def fill_cost_matrix(row: NDArray[np.float64], matrix: NDArray[np.float64], k: int) -> None:
    """Spread one instance's costs (E,) over matrix (>= k, >= k), scaled by a power of two to
    max |cost| in [0.5, 1)."""
    largest = 0.0
    for e in range(row.shape[0]):
        largest = max(largest, abs(row[e]))
    exponent = math.frexp(largest)[1]
    # Two factors, because one alone overflows for denormal costs.
    half = -exponent // 2
    first, second = math.ldexp(1.0, half), math.ldexp(1.0, -exponent - half)
    e = 0
    for i in range(k):
        matrix[i, i] = 0.0
        for j in range(i + 1, k):
            cost = row[e] * first * second
            matrix[i, j] = cost
            matrix[j, i] = cost
            e += 1


@inner
def least_saving(matrix: NDArray[np.float64], k: int) -> float:
    """The least amount by which one tour through scaled costs matrix (k, k) can beat another.

    That is just above rounding, unless all costs are some constant plus multiples of a step, like
    integers: then nearly the step; infinite if all are equal.
    """
    low, high = matrix[0, 1], matrix[0, 1]
    for i in range(k):
        for j in range(i):
            low, high = min(low, matrix[i, j]), max(high, matrix[i, j])
    if high - low < _SAME:
        return np.inf
    step = high - low
    for i in range(k):
        for j in range(i):
            # Euclid's algorithm; remainders of rounding size count as zero.
            rest = matrix[i, j] - low
            while rest > _SAME:
                remainder = step - math.floor(step / rest + _SAME) * rest
                step, rest = rest, remainder
            if step < (high - low) * _FINEST_STEP:
                return k * _ROUNDING
    return 0.999 * step


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
