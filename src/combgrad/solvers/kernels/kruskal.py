"""Minimum spanning trees by adding the cheapest edge that closes no cycle (Kruskal 1956)."""

import numpy as np
from numpy.typing import NDArray

from combgrad.solvers.kernels import inner, kernel, prange
from combgrad.solvers.kernels.ordering import fill_keys, sort_keys


@inner
def _root(parents: NDArray[np.int64], node: int) -> int:
    """The representative of a node's component; halves the way to it."""
    while parents[node] != node:
        parents[node] = parents[parents[node]]
        node = parents[node]
    return node


@inner
def _solve_range(
    bits: NDArray[np.unsignedinteger],
    width: int,
    ends: NDArray[np.int64],
    nodes: int,
    start: int,
    stop: int,
    solutions: NDArray[np.uint8],
) -> None:
    """Solve the instances start <= b < stop of bits (B, E) into solutions (B, E)."""
    edges = bits.shape[1]
    keys, spare = np.empty(edges, dtype=np.uint64), np.empty(edges, dtype=np.uint64)
    order = np.empty(edges, dtype=np.int32)
    parents = np.empty(nodes, dtype=np.int64)
    for b in range(start, stop):
        fill_keys(bits[b], width, False, keys)
        sort_keys(keys, width, order, spare)
        for node in range(nodes):
            parents[node] = node
        missing = nodes - 1
        place = 0
        while missing > 0:
            edge = order[place]
            place += 1
            first, second = _root(parents, ends[edge, 0]), _root(parents, ends[edge, 1])
            if first != second:
                parents[first] = second
                solutions[b, edge] = 1
                missing -= 1


@kernel()
def span(
    bits: NDArray[np.unsignedinteger], width: int, ends: NDArray[np.int64], nodes: int
) -> NDArray[np.uint8]:
    """Minimum spanning trees (B, E) of a connected graph with edges between the nodes ends (E, 2).

    The costs are floats of `width` bytes, given by their bits (B, E); E >= 1.
    """
    solutions = np.zeros(bits.shape, dtype=np.uint8)
    _solve_range(bits, width, ends, nodes, 0, bits.shape[0], solutions)
    return solutions


@kernel(parallel=True)
def span_parallel(
    bits: NDArray[np.unsignedinteger],
    width: int,
    ends: NDArray[np.int64],
    nodes: int,
    threads: int,
) -> NDArray[np.uint8]:
    """The same as span with the batch cut into as many parts as threads."""
    batch = bits.shape[0]
    solutions = np.zeros(bits.shape, dtype=np.uint8)
    for part in prange(threads):
        start, stop = batch * part // threads, batch * (part + 1) // threads
        _solve_range(bits, width, ends, nodes, start, stop, solutions)
    return solutions
