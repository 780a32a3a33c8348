"""The costs that still matter for a tour, brought to one size.

Tolerances are relative to the largest cost, so a cost that no shortest tour can use, such as a
large number that stands for a forbidden edge, must not be among them. States as in tsp_one_tree:
allowed (k, k) is -inf for required, +inf for excluded edges, else the cost in the matrix.
"""

import math

import numpy as np
from numpy.typing import NDArray

from combgrad.solvers.kernels import inner
from combgrad.solvers.kernels.tsp_costs import ROUNDING, power_of_two

# Costs are brought to another size when the largest is less than the first number, as it is once
# there is a tour shorter than the second.
_SMALL = 0.25
SHORT_TOUR = 0.125
# A search starts anew where single edges that are decided leave only differences of this size.
_NARROW = 2.0**-10
# Up to so many steps between costs it pays to look for the largest step.
_MOST_STEPS = 512
# What scaled costs are counted in to find the step that they share.
_GRID = 2.0**-50


@inner
def forbid_infinite(row: NDArray[np.float64], allowed: NDArray[np.float64], k: int) -> bool:
    """Exclude the edges of infinite cost, leave the others undecided; whether there are any."""
    some = False
    e = 0
    for i in range(k):
        allowed[i, i] = np.inf
        for j in range(i + 1, k):
            state = np.inf if row[e] == np.inf else 0.0
            some |= state == np.inf
            allowed[i, j] = allowed[j, i] = state
            e += 1
    return some


@inner
def fill_undecided(
    row: NDArray[np.float64], allowed: NDArray[np.float64], matrix: NDArray[np.float64], k: int
) -> int:
    """Spread the costs (E,) of undecided edges over matrix (k, k), less the least of them and
    divided by a power of two, which makes the largest 0.5 to 1; returns the number of required
    edges. Those cost 0, as all tours have them, an excluded edge more than any tour without.
    """
    low, high, e, required = np.inf, -np.inf, 0, 0
    for i in range(k):
        for j in range(i + 1, k):
            if abs(allowed[i, j]) != np.inf:
                low, high = min(low, row[e]), max(high, row[e])
            required += allowed[i, j] == -np.inf
            e += 1
    equal = not high > low
    span = 0.0 if equal else high - low
    exponent = math.frexp(span)[1]
    if span == np.inf:
        # The difference of two finite costs can overflow, that of their halves cannot.
        exponent = math.frexp(0.5 * high - 0.5 * low)[1] + 1
    first, second = power_of_two(-exponent)
    base = low * first * second
    e = 0
    for i in range(k):
        matrix[i, i] = 0.0
        for j in range(i + 1, k):
            if allowed[i, j] == np.inf:
                cost = 2.0 * k
            elif allowed[i, j] == -np.inf or equal:
                cost = 0.0
            else:
                cost = row[e] * first * second - base
            if abs(allowed[i, j]) != np.inf:
                allowed[i, j] = allowed[j, i] = cost
            matrix[i, j] = matrix[j, i] = cost
            e += 1
    return required


@inner
def exclude_dear(
    matrix: NDArray[np.float64], allowed: NDArray[np.float64], length: float, k: int
) -> bool:
    """Exclude edges that cost more than a whole tour of this length; whether there were any and the
    costs that are left deserve another size."""
    most, largest, some = length * (1.0 + k * ROUNDING), 0.0, False
    if most >= 1.0:
        return False
    for i in range(k):
        for j in range(i + 1, k):
            if abs(allowed[i, j]) != np.inf:
                if matrix[i, j] > most:
                    allowed[i, j] = allowed[j, i] = np.inf
                    some = True
                else:
                    largest = max(largest, matrix[i, j])
    return some and largest < _SMALL


@inner
def is_narrow(matrix: NDArray[np.float64], allowed: NDArray[np.float64], k: int) -> bool:
    """Whether the undecided edges differ so little that they deserve another size."""
    low, high = np.inf, -np.inf
    for i in range(k):
        for j in range(i + 1, k):
            if abs(allowed[i, j]) != np.inf:
                low, high = min(low, matrix[i, j]), max(high, matrix[i, j])
    return high - low < _NARROW


@inner
def rounding(k: int) -> float:
    """What lengths and bounds of tours through scaled costs may lose."""
    return 2.0 * k * ROUNDING


@inner
def least_saving(matrix: NDArray[np.float64], allowed: NDArray[np.float64], k: int) -> float:
    """The least amount by which one tour through scaled costs matrix (k, k) can beat another.

    That is just above rounding, unless all undecided costs are multiples of a larger step, like
    integers or the same float32 numbers: then nearly the step; infinite if all are equal.
    """
    step = shared_step(matrix, allowed, k)
    if step == np.inf:
        return step
    return max(step - rounding(k), rounding(k))


@inner
def shared_step(matrix: NDArray[np.float64], allowed: NDArray[np.float64], k: int) -> float:
    """A number of which all undecided costs are multiples, 0 for a tiny one, inf where all costs
    are 0; it is the greatest where that leaves few steps to the largest cost."""
    grid, largest = np.int64(0), np.int64(0)
    for i in range(k):
        for j in range(i):
            if abs(allowed[i, j]) != np.inf:
                count = matrix[i, j] / _GRID
                whole = np.int64(count)
                if whole != count:
                    return 0.0
                grid |= whole
                largest = max(largest, whole)
    if grid == 0:
        return np.inf
    step = grid & -grid
    if largest <= _MOST_STEPS * step:
        step = _common_divisor(matrix, allowed, k)
    return float(step) * _GRID


@inner
def _common_divisor(matrix: NDArray[np.float64], allowed: NDArray[np.float64], k: int) -> np.int64:
    """The greatest step in multiples of the grid."""
    step = np.int64(0)
    for i in range(k):
        for j in range(i):
            if abs(allowed[i, j]) != np.inf:
                rest = np.int64(matrix[i, j] / _GRID)
                while rest > 0:
                    step, rest = rest, step % rest
    return step
