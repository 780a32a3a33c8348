"""The shortest tour in whole numbers of any length, where floating-point sums leave it in doubt."""

import numpy as np
from numpy.typing import NDArray

from combgrad.solvers.kernels import kernel
from combgrad.solvers.kernels.tsp_costs import inner

# Two digits and a carry fit into 64 bits.
_BITS = 60


def whole_digits(costs: NDArray[np.float64], sums: int) -> NDArray[np.int64]:
    """Costs (E,) as digits (E, L) of whole numbers, most significant first, in a unit of their own
    and less the least of them, with room for sums of so many; infinite ones exceed all sums."""
    fraction, exponent = np.frexp(costs)
    used = np.isfinite(costs) & (costs != 0)
    lowest = int(exponent[used].min(initial=1100))
    whole = [
        int(part * 2.0**53) << (int(power) - lowest) if counts else 0
        for part, power, counts in zip(fraction, exponent, used, strict=True)
    ]
    least = min(n for n, cost in zip(whole, costs, strict=True) if cost != np.inf)
    beyond = sums * (max(whole) - least) + 1
    whole = [beyond if cost == np.inf else n - least for n, cost in zip(whole, costs, strict=True)]
    length = (sums * beyond).bit_length() // _BITS + 1
    digits = [[n >> _BITS * d & (1 << _BITS) - 1 for d in reversed(range(length))] for n in whole]
    return np.array(digits, dtype=np.int64)


@inner
def _add(first: NDArray[np.int64], second: NDArray[np.int64], total: NDArray[np.int64]) -> None:
    carry = 0
    for d in range(total.shape[0] - 1, -1, -1):
        digit = first[d] + second[d] + carry
        carry = digit >> _BITS
        total[d] = digit - (carry << _BITS)


@inner
def _is_less(first: NDArray[np.int64], second: NDArray[np.int64]) -> bool:
    for d in range(first.shape[0]):
        if first[d] != second[d]:
            return bool(first[d] < second[d])
    return False


@kernel()
def exact_held_karp(digits: NDArray[np.int64], k: int) -> NDArray[np.int64]:
    """The cities (k,) of a shortest tour in order, for costs (E, L) as `whole_digits` gives them.

    table[subset, city] is the shortest path from city k - 1 through the subset that ends in city.
    """
    n, length = k - 1, digits.shape[1]
    edge = np.zeros((k, k), dtype=np.int64)
    for i in range(k):
        for j in range(i + 1, k):
            edge[i, j] = edge[j, i] = i * (2 * k - i - 1) // 2 + j - i - 1
    table = np.zeros((1 << n, n, length), dtype=np.int64)
    before = np.zeros((1 << n, n), dtype=np.int64)
    trial = np.zeros(length, dtype=np.int64)
    everything = (1 << n) - 1
    for subset in range(1, everything + 1):
        for city in range(n):
            rest = subset ^ (1 << city)
            if rest > subset:
                continue
            if rest == 0:
                table[subset, city] = digits[edge[n, city]]
                continue
            before[subset, city] = -1
            for previous in range(n):
                if rest >> previous & 1:
                    _add(table[rest, previous], digits[edge[previous, city]], trial)
                    if before[subset, city] < 0 or _is_less(trial, table[subset, city]):
                        table[subset, city] = trial
                        before[subset, city] = previous
    return _walk_back(table, before, digits, edge, k)


@inner
def _walk_back(
    table: NDArray[np.int64],
    before: NDArray[np.int64],
    digits: NDArray[np.int64],
    edge: NDArray[np.int64],
    k: int,
) -> NDArray[np.int64]:
    """Close the best path and follow it from its end to its start."""
    n = k - 1
    subset = (1 << n) - 1
    order = np.zeros(k, dtype=np.int64)
    best, trial = (
        np.zeros(digits.shape[1], dtype=np.int64),
        np.zeros(digits.shape[1], dtype=np.int64),
    )
    last = -1
    for city in range(n):
        _add(table[subset, city], digits[edge[city, n]], trial)
        if last < 0 or _is_less(trial, best):
            best[:] = trial
            last = city
    order[0] = n
    for position in range(1, k):
        order[position] = last
        subset, last = subset ^ (1 << last), before[subset, last]
    return order
