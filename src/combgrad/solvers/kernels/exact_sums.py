"""When sums of doubles are exact, and exact integers in compiled code for when they are not.

All doubles are multiples of a power of two. An integer in units of it is a row of int64 limbs, the
least first: the sum of limb_l 2^(60 l), with every limb but the last in [0, 2^60).
"""

import math

import numpy as np
from numpy.typing import NDArray

from combgrad.solvers.kernels import inner, kernel

_LIMB_BITS = 60
_LIMB = np.int64((1 << _LIMB_BITS) - 1)
_MANTISSA = 53
#: Half the distance from 1 to the next double: the relative error of a sum of two.
ROUNDING = 2.0**-53


@kernel()
def total_size(costs: NDArray[np.floating]) -> float:
    """An upper bound on the sum of the sizes of the costs (n,), without those that are inf."""
    total = 0.0
    for i in range(costs.shape[0]):
        size = abs(np.float64(costs[i]))
        total += size if size < np.inf else 0.0
    return total * (1.0 + 1e-6)


@kernel()
def sums_are_exact(costs: NDArray[np.floating], bound: float) -> bool:
    """Whether sums of the costs (n,) that stay within +-bound carry no rounding.

    Costs above bound are left out of account: they are in no such sum.
    """
    if not bound < 2.0**1000:
        return False
    # Adding this brings every cost to multiples of a unit in which bound has at most 52 bits.
    anchor = 1.5 * math.ldexp(1.0, math.frexp(bound)[1] + 2)
    odd = np.int64(0)
    for i in range(costs.shape[0]):
        cost = np.float64(costs[i])
        # Without a branch, several costs are looked at together.
        odd += (cost <= bound) & ((cost + anchor) - anchor != cost)
    return bool(odd == 0)


@kernel()
def doubt_of_sums(costs: NDArray[np.floating], terms: int) -> float:
    """How near two sums of up to `terms` costs, of (n,), must be for rounding to confuse them.

    0 where none is rounded, inf where sums may overflow.
    """
    total = total_size(costs)
    if not total < 2.0**1000:
        return np.inf
    return 0.0 if sums_are_exact(costs, total) else 8.0 * terms * ROUNDING * total


@kernel()
def to_limbs(costs: NDArray[np.float64], terms: int) -> NDArray[np.int64]:
    """Costs (n,) as integers (n, L) of one unit, with room for sums of `terms` of them.

    Forbidden entries, of cost inf, become 0.
    """
    return _raised_limbs(costs, terms, 0, 0)


@kernel()
def to_limbs_and_multiples(
    costs: NDArray[np.float64], factor: float, terms: int
) -> NDArray[np.int64]:
    """Finite costs (n,), and after them factor > 0 times each, as integers (2n, L) of one unit.

    There is room for sums of `terms` of them.
    """
    n = costs.shape[0]
    fraction, shift = math.frexp(factor)
    odd, bits = np.int64(math.ldexp(fraction, _MANTISSA)), _MANTISSA
    while odd & 1 == 0:
        odd, bits = odd >> 1, bits - 1
    # The factor is odd * 2^shift. A power below 1 raises the costs themselves instead.
    shift -= bits
    room = bits + abs(shift)
    once = _raised_limbs(costs, terms, room, max(shift, 0))
    limbs = np.zeros((2 * n, once.shape[1]), dtype=np.int64)
    limbs[:n] = _raised_limbs(costs, terms, room, max(-shift, 0))
    for i in range(n):
        multiple = limbs[n + i]
        for place in range(bits - 1, -1, -1):
            add_limbs(multiple, multiple, multiple, 1)
            if (odd >> place) & 1 == 1:
                add_limbs(multiple, multiple, once[i], 1)
    return limbs


@inner
def _raised_limbs(
    costs: NDArray[np.float64], terms: int, room: int, power: int
) -> NDArray[np.int64]:
    """The integers (n, L) of `to_limbs` times 2^power, with `room` >= power more bits."""
    least, most = 1 << 20, -(1 << 20)
    for i in range(costs.shape[0]):
        if costs[i] != 0.0 and costs[i] < np.inf:
            exponent = math.frexp(costs[i])[1]
            least, most = min(least, exponent), max(most, exponent)
    bits = max(most - least, 0) + _MANTISSA + math.frexp(float(terms))[1] + room + 2
    limbs = np.zeros((costs.shape[0], bits // _LIMB_BITS + 1), dtype=np.int64)
    for i in range(costs.shape[0]):
        if costs[i] != 0.0 and costs[i] < np.inf:
            fraction, exponent = math.frexp(costs[i])
            shift = exponent - least + power
            place, shift = shift // _LIMB_BITS, shift % _LIMB_BITS
            # Shifts of negative numbers round down, as two's complement has it.
            rest = np.int64(math.ldexp(fraction, _MANTISSA))
            limbs[i, place] = (rest << shift) & _LIMB
            rest = rest >> (_LIMB_BITS - shift)
            for limb in range(place + 1, limbs.shape[1]):
                limbs[i, limb] = rest & _LIMB
                rest = rest >> _LIMB_BITS
            last = limbs.shape[1] - 1
            if costs[i] < 0.0:
                limbs[i, last] = limbs[i, last] | ~_LIMB
    return limbs


@inner
def assign_limbs(target: NDArray[np.int64], source: NDArray[np.int64]) -> None:
    """target = source, both (L,)."""
    for place in range(target.shape[0]):
        target[place] = source[place]


@inner
def add_limbs(
    target: NDArray[np.int64], first: NDArray[np.int64], second: NDArray[np.int64], sign: int
) -> None:
    """target = first + sign * second for sign 1 or -1, all (L,); target may be one of them."""
    last = target.shape[0] - 1
    carry = np.int64(0)
    for place in range(last):
        digit = first[place] + sign * second[place] + carry
        target[place] = digit & _LIMB
        carry = digit >> _LIMB_BITS
    target[last] = first[last] + sign * second[last] + carry


@inner
def less_limbs(first: NDArray[np.int64], second: NDArray[np.int64]) -> bool:
    """Whether first < second, both (L,)."""
    for place in range(first.shape[0] - 1, -1, -1):
        if first[place] != second[place]:
            return first[place] < second[place]
    return False


@kernel()
def to_limbs_or_beyond(costs: NDArray[np.float64], terms: int) -> NDArray[np.int64]:
    """Costs (n,) as integers (n, L), for solutions of `terms` entries each.

    In place of inf stands a cost that no difference of two solutions without one reaches.
    """
    limbs = to_limbs(costs, 64 * (terms + 1) ** 2)
    largest = 0
    for e in range(costs.shape[0]):
        if abs(costs[largest]) == np.inf or abs(costs[largest]) < abs(costs[e]) < np.inf:
            largest = e
    beyond, zero = limbs[largest].copy(), np.zeros(limbs.shape[1], dtype=np.int64)
    if less_limbs(beyond, zero):
        add_limbs(beyond, zero, beyond, -1)
    beyond[0] |= 1
    doubled = 1
    while doubled < 4 * (terms + 1):
        add_limbs(beyond, beyond, beyond, 1)
        doubled *= 2
    for e in range(costs.shape[0]):
        if costs[e] == np.inf:
            assign_limbs(limbs[e], beyond)
    return limbs
