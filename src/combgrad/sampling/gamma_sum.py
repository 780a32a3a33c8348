"""The quantiles of a sum of independent Gamma variables, to be looked up rather than computed."""

import math
from typing import NamedTuple

import numpy as np
import scipy
from numpy.typing import NDArray

Array = NDArray[np.float64]

#: Tail probabilities below this one are beyond what a float64 in [0, 1) can express.
LEAST_TAIL = 2.0**-53

#: Both tails are cut into 2^-53..2^-52, .., 2^-2..2^-1, and each of these into equal cells: the
#: cell of a tail probability is then nothing but the leading bits of its floating-point number.
CELL_BITS = 7
CELLS_A_TAIL = 52 << CELL_BITS

#: Knots are computed to a probability a little beyond what is asked for.
_LOG_BEYOND = -55 * math.log(2)
_KNOTS_AT_A_TIME = 64


class Cells(NamedTuple):
    """Straight lines `intercept + slope * tail`, lower tail first, 2 * CELLS_A_TAIL of each."""

    intercept: Array
    slope: Array


class _Mixture(NamedTuple):
    """The sum as a mixture of Gamma(shape + j, scale) with the probabilities `weights`[j]."""

    shape: float
    scale: float
    weights: Array


def quantile_cells(shape: float, scales: Array) -> Cells:
    """The quantile function of the sum of independent Gamma(shape, scale), one for each scale.

    Exact at knots (see `_tails`), between them a cubic that is off by some 1e-9 of the largest
    scale, and a chord in each cell. The chords meet a probability, lower or upper, to 1e-5 of
    itself where the shapes sum to 1 or more, and to 1e-4 where they sum to 0.1.
    """
    knots = _knots(shape, scales)
    mixture = _mixture(shape, scales, knots[-1])
    log_lower, log_upper, slope_lower, slope_upper = _tails(mixture, knots)
    low, high = log_lower < math.log(0.6), log_upper < math.log(0.6)
    # A power law in the lower tail and an exponential one in the upper: both become straight.
    lower = scipy.interpolate.CubicHermiteSpline(log_lower[low], knots[low], 1 / slope_lower[low])
    values = np.exp(knots[high])
    upper = scipy.interpolate.CubicHermiteSpline(
        log_upper[high][::-1], values[::-1], (values / slope_upper[high])[::-1]
    )
    tails = np.concatenate(
        [np.linspace(0.5, 1, (1 << CELL_BITS) + 1)[:-1] * 2.0**-o for o in range(52, 0, -1)]
        + [np.array([0.5])]
    )
    ends = np.stack([np.exp(lower(np.log(tails))), upper(np.log(tails))])
    slope = np.diff(ends, axis=1) / np.diff(tails)
    intercept = ends[:, :-1] - slope * tails[:-1]
    return Cells(intercept.ravel(), slope.ravel())


def _knots(shape: float, scales: Array) -> Array:
    """Logarithms of values, increasing, from below the least to above the largest quantile."""
    smallest, largest = float(scales.min()), float(scales.max())
    total = shape * len(scales)
    # The sum's lower tail is at most that of its power law, its upper tail at most Chernoff's.
    least = (_LOG_BEYOND + scipy.special.gammaln(total + 1) + shape * np.log(scales).sum()) / total
    rate = 0.9 / largest
    most = (-_LOG_BEYOND - shape * np.log1p(-rate * scales).sum()) / rate
    # x = largest * log(1 + e^v): even steps of v are relative for small x, absolute for large x.
    first, last = least - math.log(largest), most / largest
    power_law = min(max(first, math.log(1e-3 * smallest / largest)), last)
    v = np.arange(power_law, last + 0.04, 0.04)
    if power_law > first:
        v = np.concatenate([np.linspace(first, power_law, 512)[:-1], v])
    steep = np.maximum(v, -30)
    return math.log(largest) + np.where(v > -30, np.log(np.logaddexp(0, steep)), v)


def _mixture(shape: float, scales: Array, log_most: float) -> _Mixture:
    """The series for values up to exp(log_most) (Moschopoulos, 1985)."""
    scale = float(scales.min())
    reach = math.exp(log_most) / scale
    # Beyond these a Poisson variable of mean `reach` does not come in 1e28 draws.
    count = int(reach + 12 * math.sqrt(reach) + 60)
    ratios = 1 - scale / scales
    powers = shape * np.stack([(ratios**i).sum() for i in range(1, count + 1)])
    weights = np.zeros(count + 1)
    weights[0] = math.exp(shape * np.log(scale / scales).sum())
    for j in range(1, count + 1):
        weights[j] = powers[:j] @ weights[j - 1 :: -1] / j
    return _Mixture(shape * len(scales), scale, weights)


def _tails(mixture: _Mixture, knots: Array) -> tuple[Array, Array, Array, Array]:
    """log P(X <= x), log P(X > x) and their derivatives by log x, at x = exp(knots).

    All sums have positive terms only, so that small probabilities are as exact as large ones.
    """
    shape, scale, weights = mixture
    order = shape + np.arange(len(weights))
    constant = scipy.special.gammaln(order + 1)
    up_to = np.cumsum(weights)
    beyond = np.concatenate([np.cumsum(weights[:0:-1])[::-1], [0.0]])
    columns = np.stack([up_to, beyond, weights * order], axis=1)
    z = knots - math.log(scale)
    sums = np.empty((len(knots), 3))
    shifts = np.empty(len(knots))
    for start in range(0, len(knots), _KNOTS_AT_A_TIME):
        part = slice(start, start + _KNOTS_AT_A_TIME)
        logs = z[part, None] * order - np.exp(z[part, None]) - constant
        # Without the shift the lower tail of a sum with a small shape would underflow.
        shifts[part] = logs.max(axis=1)
        sums[part] = np.exp(logs - shifts[part, None]) @ columns
    log_lower = np.log(sums[:, 0]) + shifts
    upper = scipy.special.gammaincc(shape, np.exp(z)) + np.exp(shifts) * sums[:, 1]
    density = np.exp(shifts) * sums[:, 2]
    return log_lower, np.log(upper), sums[:, 2] / sums[:, 0], -density / upper
