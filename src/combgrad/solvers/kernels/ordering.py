"""Stable sorting of rows: by the bits of their entries, or roughly by size, then by insertion."""

import numpy as np
from numpy.typing import NDArray

from combgrad.solvers.kernels import inner, kernel, prange

_BYTE = 256
_LOW_BYTE = np.uint64(_BYTE - 1)

# Two bytes of a packed entry are its level, two its place in the row.
_LEVELS = 2**16 - 1
_PLACE = np.uint32(2**16 - 1)
_PLACE_BITS, _HIGH_BITS, _DIGIT = np.uint32(16), np.uint32(24), np.uint32(_BYTE - 1)

# Shorter rows need no levels, longer ones have too many entries of the same.
_SHORT, _LONGEST = 24, 2**14

# Rows of which an entry is moved farther than this, in the mean, are sorted by their bits; short
# ones never are.
_SHIFTS = 12

#: Where no entry is NaN: comparing several at once then does not change the result.
inner_finite = kernel(inner=True, error_model="numpy", fastmath={"nnan", "nsz"})


@inner
def fill_keys(
    bits: NDArray[np.unsignedinteger], width: int, descending: bool, keys: NDArray[np.uint64]
) -> None:
    """Turn bit patterns (n,) of floats of `width` bytes into keys (n,) that sort like the floats.

    Both zeros get the same key.
    """
    sign = np.uint64(1) << np.uint64(8 * width - 1)
    others = sign - np.uint64(1)
    flip = sign | others if descending else np.uint64(0)
    for i in range(bits.shape[0]):
        pattern = np.uint64(bits[i])
        if pattern == sign:
            pattern = np.uint64(0)
        key = pattern ^ sign
        if pattern & sign:
            key ^= others
        keys[i] = key ^ flip


@inner
def sort_keys(
    keys: NDArray[np.uint64], width: int, order: NDArray[np.int32], spare: NDArray[np.uint64]
) -> None:
    """Write the stable ascending order of keys (n,), destroyed, to order (n,); spare is (n,)."""
    n = keys.shape[0]
    counts = np.zeros((width, _BYTE), dtype=np.int32)
    for i in range(n):
        order[i] = i
        for byte in range(width):
            counts[byte, (keys[i] >> np.uint64(8 * byte)) & _LOW_BYTE] += 1
    other = np.empty(n, dtype=np.int32)
    sorted_order = order
    for byte in range(width):
        shift = np.uint64(8 * byte)
        places = counts[byte]
        if places[(keys[0] >> shift) & _LOW_BYTE] == n:
            continue
        place = 0
        for value in range(_BYTE):
            place, places[value] = place + places[value], place
        for i in range(n):
            value = (keys[i] >> shift) & _LOW_BYTE
            place = places[value]
            places[value] = place + 1
            spare[place] = keys[i]
            other[place] = sorted_order[i]
        keys, spare = spare, keys
        sorted_order, other = other, sorted_order
    for i in range(n):
        order[i] = sorted_order[i]


@inner_finite
def _extremes(row: NDArray[np.floating]) -> tuple[float, float]:
    """The least and the largest entry of a row (n,)."""
    least = largest = row[0]
    for i in range(1, row.shape[0]):
        value = row[i]
        least = value if value < least else least
        largest = value if value > largest else largest
    return least, largest


@inner
def _fill_levels(row: NDArray[np.floating], packed: NDArray[np.uint32]) -> bool:
    """Pack for each entry of row (n,) how far it is below the largest, in `_LEVELS`, and its place.

    Equal entries have the same level and larger ones none that is higher. False where the row has
    no levels: its entries are equal, or farther apart or closer together than floats can tell.
    """
    least, largest = _extremes(row)
    scale = row.dtype.type(_LEVELS) / (largest - least)
    if not 0 < scale < np.inf:
        return False
    for i in range(row.shape[0]):
        level = np.uint32(np.int32((largest - row[i]) * scale))
        packed[i] = (level << _PLACE_BITS) | np.uint32(i)
    return True


@inner
def _scatter_levels(
    packed: NDArray[np.uint32], other: NDArray[np.uint32], counts: NDArray[np.uint32]
) -> bool:
    """Sort packed (n,) by their levels, stable, in two passes; counts (2, 256) and other are spare.

    False where most entries are so near each other that their levels say little.
    """
    n = packed.shape[0]
    low, high = counts[0], counts[1]
    counts[:] = 0
    for i in range(n):
        low[(packed[i] >> _PLACE_BITS) & _DIGIT] += np.uint32(1)
        high[packed[i] >> _HIGH_BITS] += np.uint32(1)
    before_low = before_high = most = np.uint32(0)
    for digit in range(_BYTE):
        count = low[digit]
        low[digit] = before_low
        before_low += count
        count = high[digit]
        high[digit] = before_high
        before_high += count
        most = max(most, count)
    if most > n // 2:
        return False
    for i in range(n):
        digit = (packed[i] >> _PLACE_BITS) & _DIGIT
        place = low[digit]
        low[digit] = place + np.uint32(1)
        other[place] = packed[i]
    for i in range(n):
        digit = other[i] >> _HIGH_BITS
        place = high[digit]
        high[digit] = place + np.uint32(1)
        packed[place] = other[i]
    return True


@inner
def _are_nearly_sorted(
    row: NDArray[np.floating],
    packed: NDArray[np.uint32],
    other: NDArray[np.uint32],
    counts: NDArray[np.uint32],
) -> bool:
    """Pack the places of row (n,) in an order that `_finish` can start from, if there is any."""
    n = row.shape[0]
    if n <= _SHORT:
        for i in range(n):
            packed[i] = i
        return True
    return n <= _LONGEST and _fill_levels(row, packed) and _scatter_levels(packed, other, counts)


@inner
def _finish(
    row: NDArray[np.floating], packed: NDArray[np.uint32], values: NDArray[np.floating]
) -> bool:
    """Sort packed (n,), sorted by levels, by the entries of row (n,); values (n,) are spare.

    False, with a wrong order, where too many entries shared a level for that to be fast.
    """
    n = packed.shape[0]
    shifts = _SHIFTS * n
    before = row[packed[0] & _PLACE]
    values[0] = before
    for i in range(1, n):
        moved = packed[i]
        value = row[moved & _PLACE]
        values[i] = value
        if value <= before:
            before = value
            continue
        j = i
        while j > 0 and values[j - 1] < value:
            values[j], packed[j] = values[j - 1], packed[j - 1]
            j -= 1
        values[j], packed[j] = value, moved
        shifts -= i - j
        if shifts < 0:
            return False
    return True


@inner
def _rank_range(
    costs: NDArray[np.floating],
    bits: NDArray[np.unsignedinteger],
    start: int,
    stop: int,
    names: NDArray[np.floating],
    ranks: NDArray[np.floating],
) -> None:
    """Rank the rows start <= b < stop of costs (B, n), n >= 1, into ranks (B, n)."""
    n = costs.shape[1]
    counts = np.empty((2, _BYTE), dtype=np.uint32)
    packed, other = np.empty(n, dtype=np.uint32), np.empty(n, dtype=np.uint32)
    values = np.empty(n, dtype=costs.dtype)
    keys, spare = np.empty(n, dtype=np.uint64), np.empty(n, dtype=np.uint64)
    order = np.empty(n, dtype=np.int32)
    for b in range(start, stop):
        row, ranked = costs[b], ranks[b]
        if _are_nearly_sorted(row, packed, other, counts) and _finish(row, packed, values):
            for i in range(n):
                ranked[packed[i] & _PLACE] = names[i]
            continue
        fill_keys(bits[b], bits.itemsize, True, keys)
        sort_keys(keys, bits.itemsize, order, spare)
        for i in range(n):
            ranked[order[i]] = names[i]


@kernel(error_model="numpy")
def rank_descending(
    costs: NDArray[np.floating],
    bits: NDArray[np.unsignedinteger],
    names: NDArray[np.floating],
    ranks: NDArray[np.floating],
) -> None:
    """Write to ranks (B, n) the names (n,) of the ranks of finite costs (B, n), the largest first.

    `bits` are those of the costs. Among equal costs the lower index comes first.
    """
    _rank_range(costs, bits, 0, costs.shape[0], names, ranks)


@kernel(parallel=True, error_model="numpy")
def rank_descending_parallel(
    costs: NDArray[np.floating],
    bits: NDArray[np.unsignedinteger],
    names: NDArray[np.floating],
    ranks: NDArray[np.floating],
    threads: int,
) -> None:
    """The same as rank_descending with the batch cut into as many parts as threads."""
    batch = costs.shape[0]
    for part in prange(threads):
        start, stop = batch * part // threads, batch * (part + 1) // threads
        _rank_range(costs, bits, start, stop, names, ranks)
