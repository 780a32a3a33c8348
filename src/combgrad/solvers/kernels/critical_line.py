"""Efficient portfolios by the critical line method (Markowitz 1956, Naval Res. Logist. Q. 3).

x(t) minimises x' S x / 2 + t <w, x> over the simplex. On a set of held assets it is a line,
x = p + t d, with p the least risky portfolio of these assets and <p, S d> = 0, so that its risk is
p' S p + t^2 d' S d. From t = inf, the cheapest asset alone, t falls from one change of the held
assets to the next, until the risk is within its budget.
"""

import math

import numpy as np
from numpy.typing import NDArray

from combgrad.solvers.kernels import inner, kernel, prange
from combgrad.solvers.kernels.tsp_costs import copy_vector

#: What a portfolio may cost above the cheapest, in spreads of the costs, and its risk above the
#: budget, in the largest variance.
TOLERANCE = 1e-9

#: Equal costs are told apart by up to so much of their spread, so that no two changes coincide; a
#: larger part where rounding made the method run in circles.
_TIES = (1e-12, 1e-11, 1e-10)

#: More changes for each asset are such a circle.
_CHANGES = 20


@inner
def _normalised(costs: NDArray[np.float64], tie: float, out: NDArray[np.float64]) -> bool:
    """Put costs (n,) from 0 to 1, ties broken by up to `tie`, into out; False for equal ones."""
    largest = np.abs(costs).max()
    if largest == 0.0:
        return False
    # By a power of two, which rounds nothing, and far enough from the ends of the range.
    power = math.frexp(largest)[1]
    half = power // 2
    for i in range(costs.shape[0]):
        out[i] = math.ldexp(math.ldexp(costs[i], -half), half - power)
    out -= out.min()
    spread = out.max()
    if spread == 0.0:
        return False
    for i in range(costs.shape[0]):
        # The golden ratio's multiples modulo 1 are all different and far from any order.
        out[i] = out[i] / spread + tie * ((0.6180339887498949 * i) % 1.0)
    return True


@inner
def _factor(
    covariance: NDArray[np.float64],
    held: NDArray[np.int64],
    first: int,
    count: int,
    factor: NDArray[np.float64],
) -> None:
    """Rows first <= i < count of the Cholesky factor of what held assets vary beside the first.

    Their differences from that asset have a covariance of full rank where the assets' own has not.
    """
    q = held[0]
    for i in range(max(first, 1), count):
        for j in range(1, i + 1):
            value = covariance[held[i], held[j]] - covariance[held[i], q]
            value += covariance[q, q] - covariance[held[j], q]
            for k in range(1, j):
                value -= factor[i, k] * factor[j, k]
            if i == j:
                # Rounding alone can bring it to 0 or below, since the covariance is definite.
                factor[i, i] = np.sqrt(max(value, 1e-15))
            else:
                factor[i, j] = value / factor[j, j]


@inner
def _solve(factor: NDArray[np.float64], count: int, x: NDArray[np.float64]) -> None:
    """x becomes (L L')^-1 x for the rows 1 <= i < count of the factor L."""
    for i in range(1, count):
        value = x[i]
        for k in range(1, i):
            value -= factor[i, k] * x[k]
        x[i] = value / factor[i, i]
    for i in range(count - 1, 0, -1):
        x[i] /= factor[i, i]
        for k in range(1, i):
            x[k] -= factor[i, k] * x[i]


@inner
def _line(
    costs: NDArray[np.float64],
    covariance: NDArray[np.float64],
    held: NDArray[np.int64],
    count: int,
    factor: NDArray[np.float64],
    least: NDArray[np.float64],
    slope: NDArray[np.float64],
) -> tuple[float, float, float]:
    """Put p and d of the held assets into least and slope (count,).

    Answers p' S p, d' S d, and the cost of the budget, of which all held assets have the same share
    at t: p' S p + t times the last answer.
    """
    q = held[0]
    for i in range(1, count):
        least[i] = covariance[q, q] - covariance[held[i], q]
        slope[i] = costs[q] - costs[held[i]]
    _solve(factor, count, least)
    _solve(factor, count, slope)
    least[0], slope[0], mean = 1.0 - least[1:count].sum(), -slope[1:count].sum(), costs[q]
    variance = steepness = 0.0
    for i in range(count):
        variance += covariance[held[i], q] * least[i]
        mean += covariance[held[i], q] * slope[i]
        steepness -= slope[i] * (costs[held[i]] - costs[q])
    return variance, max(steepness, 0.0), mean


@inner
def _next_change(
    costs: NDArray[np.float64],
    covariance: NDArray[np.float64],
    held: NDArray[np.int64],
    place: NDArray[np.int64],
    line: tuple[NDArray[np.float64], NDArray[np.float64], float, float],
    count: int,
    now: float,
) -> tuple[float, int]:
    """The largest t <= now at which an asset enters or leaves, and which one; (0, -1) for none."""
    least, slope, variance, mean = line
    best, changed = 0.0, -1
    for asset in range(costs.shape[0]):
        k = place[asset]
        if k >= 0:
            falls, value = slope[k] > 0.0 > least[k], -least[k] / slope[k] if slope[k] else 0.0
        else:
            constant, growing = -variance, costs[asset] - mean
            for j in range(count):
                constant += covariance[asset, held[j]] * least[j]
                growing += covariance[asset, held[j]] * slope[j]
            falls, value = constant < 0.0 < growing, -constant / growing if growing else 0.0
        if falls and min(value, now) > best:
            best, changed = min(value, now), asset
    return best, changed


@inner
def _change(
    asset: int,
    covariance: NDArray[np.float64],
    held: NDArray[np.int64],
    place: NDArray[np.int64],
    count: int,
    factor: NDArray[np.float64],
) -> int:
    """Have an asset enter or leave the held ones; answers how many there are then."""
    first = place[asset]
    if first < 0:
        held[count], place[asset] = asset, count
        _factor(covariance, held, count, count + 1, factor)
        return count + 1
    place[asset] = -1
    for k in range(first, count - 1):
        held[k] = held[k + 1]
        place[held[k]] = k
    _factor(covariance, held, first, count - 1, factor)
    return count - 1


@inner
def _walk(
    costs: NDArray[np.float64],
    covariance: NDArray[np.float64],
    budget: float,
    solution: NDArray[np.float64],
) -> float:
    """The cheapest portfolio (n,) within the budget, and its t: inf for one asset, -1 for none."""
    n = costs.shape[0]
    factor, held, place = np.empty((n, n)), np.empty(n, dtype=np.int64), np.full(n, -1)
    least, slope = np.empty(n), np.empty(n)
    count = _change(int(costs.argmin()), covariance, held, place, 0, factor)
    now = np.inf
    for _ in range(_CHANGES * n):
        variance, steepness, mean = _line(costs, covariance, held, count, factor, least, slope)
        line = (least, slope, variance, mean)
        after, asset = _next_change(costs, covariance, held, place, line, count, now)
        if asset < 0 or variance + after * after * steepness <= budget:
            found = now
            if steepness > 0.0:
                found = min(now, np.sqrt(max(budget - variance, 0.0) / steepness))
            for k in range(count):
                moved = found * slope[k] if steepness > 0.0 else 0.0
                solution[held[k]] = max(least[k] + moved, 0.0)
            solution /= solution.sum()
            return found
        now = after
        count = _change(asset, covariance, held, place, count, factor)
    return -1.0


@inner
def _is_optimal(
    costs: NDArray[np.float64],
    covariance: NDArray[np.float64],
    budget: float,
    solution: NDArray[np.float64],
    t: float,
) -> bool:
    """Whether the Lagrangian at the price 1 / t of risk proves a portfolio (n,) the cheapest.

    But for TOLERANCE in costs from 0 to 1, or as much of the largest variance in the budget.
    """
    if t < 0.0:
        return False
    price = 0.0 if t == np.inf else 1.0 / max(t, 1e-300)
    risk, largest, paid, cheapest = 0.0, 0.0, 0.0, np.inf
    for i in range(costs.shape[0]):
        moved = 0.0
        for j in range(costs.shape[0]):
            moved += covariance[i, j] * solution[j]
        risk += moved * solution[i]
        largest = max(largest, covariance[i, i])
        paid += (costs[i] + price * moved) * solution[i]
        cheapest = min(cheapest, costs[i] + price * moved)
    if risk > budget + TOLERANCE * largest:
        return False
    gap = paid - cheapest + 0.5 * price * (budget - risk)
    return bool(gap <= TOLERANCE * (1.0 + price * largest))


@inner
def _solve_range(
    costs: NDArray[np.float64],
    covariance: NDArray[np.float64],
    budget: float,
    calmest: NDArray[np.float64],
    part: tuple[int, int],
    solutions: NDArray[np.float64],
    proven: NDArray[np.bool_],
) -> None:
    """Solve the instances part[0] <= b < part[1] of costs (B, n) into solutions (B, n)."""
    scaled = np.empty(costs.shape[1])
    for b in range(part[0], part[1]):
        for tie in _TIES:
            if not _normalised(costs[b], tie, scaled):
                copy_vector(calmest, solutions[b], costs.shape[1])
                proven[b] = True
                break
            solutions[b] = 0.0
            t = _walk(scaled, covariance, budget, solutions[b])
            proven[b] = _is_optimal(scaled, covariance, budget, solutions[b], t)
            if proven[b]:
                break


@kernel()
def portfolios(
    costs: NDArray[np.float64],
    covariance: NDArray[np.float64],
    budget: float,
    calmest: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """The cheapest portfolios (B, n) for costs (B, n) whose risk is within the budget.

    `calmest` (n,), the least risky one, is the answer to equal costs; the covariance (n, n) is
    positive definite. The second answer (B,) says which are proven to be the cheapest.
    """
    solutions, proven = np.zeros(costs.shape), np.zeros(costs.shape[0], dtype=np.bool_)
    part = (0, costs.shape[0])
    _solve_range(costs, covariance, budget, calmest, part, solutions, proven)
    return solutions, proven


@kernel(parallel=True)
def portfolios_parallel(
    costs: NDArray[np.float64],
    covariance: NDArray[np.float64],
    budget: float,
    calmest: NDArray[np.float64],
    threads: int,
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """The same with the batch cut into as many parts as threads."""
    batch = costs.shape[0]
    solutions, proven = np.zeros(costs.shape), np.zeros(batch, dtype=np.bool_)
    for t in prange(threads):
        part = (batch * t // threads, batch * (t + 1) // threads)
        _solve_range(costs, covariance, budget, calmest, part, solutions, proven)
    return solutions, proven


@kernel()
def calmest_portfolio(covariance: NDArray[np.float64]) -> NDArray[np.float64]:
    """The least risky portfolio (n,) for a positive definite covariance (n, n)."""
    costs, solution = np.empty(len(covariance)), np.zeros(len(covariance))
    # Any costs lead there; those of the variances do in few changes.
    if not _normalised(np.diag(covariance).copy(), _TIES[0], costs):
        for i in range(len(costs)):
            costs[i] = _TIES[0] * i
    _walk(costs, covariance, -1.0, solution)
    return solution
