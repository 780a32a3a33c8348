"""Stable sorting of rows by the bits of their entries, least significant byte first."""

import numpy as np
from numba import prange
from numpy.typing import NDArray

from combgrad.solvers.kernels import inner, kernel

_BYTE = 256
_LOW_BYTE = np.uint64(_BYTE - 1)


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


@inner
def _rank_range(
    bits: NDArray[np.unsignedinteger],
    width: int,
    start: int,
    stop: int,
    ranks: NDArray[np.floating],
) -> None:
    """Rank the rows start <= b < stop of bits (B, n), n >= 1, into ranks (B, n)."""
    n = bits.shape[1]
    keys, spare = np.empty(n, dtype=np.uint64), np.empty(n, dtype=np.uint64)
    order = np.empty(n, dtype=np.int32)
    for b in range(start, stop):
        fill_keys(bits[b], width, True, keys)
        sort_keys(keys, width, order, spare)
        for i in range(n):
            ranks[b, order[i]] = i + 1


@kernel()
def rank_descending(
    bits: NDArray[np.unsignedinteger], width: int, ranks: NDArray[np.floating]
) -> None:
    """Write to ranks (B, n) the ranks 1..n, 1 the largest, of floats given by their bits (B, n)."""
    _rank_range(bits, width, 0, bits.shape[0], ranks)


@kernel(parallel=True)
def rank_descending_parallel(
    bits: NDArray[np.unsignedinteger], width: int, ranks: NDArray[np.floating], threads: int
) -> None:
    """The same as rank_descending with the batch cut into as many parts as threads."""
    batch = bits.shape[0]
    for part in prange(threads):
        _rank_range(bits, width, batch * part // threads, batch * (part + 1) // threads, ranks)
