"""Travelling salesman tours of few cities by dynamic programming over subsets.

City k - 1 is the root. Only subsets of up to half the other cities are tabulated: two half tours
that meet in a middle city make a tour, since with symmetric costs both run from the root. All costs
are made non-negative first, so that every sum is right up to a small share of itself, and an answer
is in doubt only where another tour is as short up to that share. `exact_held_karp` decides those.
"""

import math

import numpy as np
from numpy.typing import NDArray

from combgrad.solvers.kernels import inner, kernel, prange
from combgrad.solvers.kernels.tsp_costs import (
    copy_vector,
    fill_cost_matrix,
    mark_edge,
    power_of_two,
)

# Table rows are padded to whole vectors of doubles.
_LANES = 4
# Twice what a sum of 12 costs, each rounded twice, may lose as a share of itself.
_ROUNDING = 2.0**-48
# Smaller sums of scaled costs may have lost more.
_DENORMAL = 2.0**-950
# Sums and differences of 24 multiples of this below 1 are exact.
_GRID = 2.0**-48


@inner
def _rank_subsets(n: int) -> tuple[NDArray[np.int64], NDArray[np.int64], int]:
    """Number the subsets of n cities that half a tour can visit: masks (R,), rank of a mask or -1
    (2^n,), and the sum of the subsets' sizes."""
    size = np.zeros(1 << n, dtype=np.int64)
    rank = np.zeros(1 << n, dtype=np.int64)
    rank[:] = -1
    masks = np.zeros(1 << n, dtype=np.int64)
    rank[0] = 0
    rows, steps = 1, 0
    for mask in range(1, 1 << n):
        size[mask] = size[mask >> 1] + (mask & 1)
        if size[mask] <= n // 2:
            rank[mask] = rows
            masks[rows] = mask
            rows += 1
            steps += size[mask]
    return masks[:rows], rank, steps


@inner
def _plan_steps(
    n: int, width: int, masks: NDArray[np.int64], rank: NDArray[np.int64], steps: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """For each subset row, the table entries (steps,) of the paths that end in one of its cities,
    as row * width + city, and the offsets (R + 1,) of a row's entries."""
    offsets = np.zeros(masks.shape[0] + 1, dtype=np.int64)
    heads = np.zeros(steps, dtype=np.int64)
    step = 0
    for row in range(masks.shape[0]):
        for city in range(n):
            if masks[row] >> city & 1:
                heads[step] = rank[masks[row] ^ (1 << city)] * width + city
                step += 1
        offsets[row + 1] = step
    return offsets, heads


@inner
def _plan_splits(
    n: int,
    width: int,
    masks: NDArray[np.int64],
    rank: NDArray[np.int64],
    offsets: NDArray[np.int64],
) -> NDArray[np.int64]:
    """Pairs (P, 2) of table entries whose two paths together make a tour, one for every tour."""
    everything = (1 << n) - 1
    splits = np.zeros((masks.shape[0] * n, 2), dtype=np.int64)
    pairs = 0
    for row in range(masks.shape[0]):
        for city in range(n):
            if masks[row] >> city & 1:
                continue
            other = rank[everything ^ masks[row] ^ (1 << city)]
            if n % 2 == 1:
                once = other > row
            else:
                # The longer path, one way round or the other, has city 0.
                once = offsets[row + 1] - offsets[row] == n // 2 and masks[row] & 1 == 1
            if once:
                splits[pairs, 0] = row * width + city
                splits[pairs, 1] = other * width + city
                pairs += 1
    return splits[:pairs]


@inner
def _fill_table(
    matrix: NDArray[np.float64],
    table: NDArray[np.float64],
    offsets: NDArray[np.int64],
    heads: NDArray[np.int64],
    n: int,
) -> None:
    """table[row * width + j] becomes the cheapest path root, subset row in any order, city j, for
    costs matrix (width, width); table has R * width entries."""
    width = matrix.shape[0]
    copy_vector(matrix[n], table, width)
    for row in range(1, offsets.shape[0] - 1):
        lengths = table[row * width : (row + 1) * width]
        lengths[:] = np.inf
        for step in range(offsets[row], offsets[row + 1]):
            head = table[heads[step]]
            tails = matrix[heads[step] % width]
            for j in range(width):
                length = head + tails[j]
                lengths[j] = length if length < lengths[j] else lengths[j]


@inner
def _mark_path(
    matrix: NDArray[np.float64],
    table: NDArray[np.float64],
    offsets: NDArray[np.int64],
    heads: NDArray[np.int64],
    end: int,
    slack: float,
    solution: NDArray[np.uint8],
    k: int,
) -> bool:
    """Walk from table entry end back to the root and mark the path's edges in solution (E,);
    whether another path is longer by no more than slack."""
    width, doubtful = matrix.shape[0], False
    row, city = end // width, end % width
    while row > 0:
        best, second, before = np.inf, np.inf, 0
        for step in range(offsets[row], offsets[row + 1]):
            length = table[heads[step]] + matrix[heads[step] % width, city]
            if length < best:
                best, second, before = length, best, heads[step]
            else:
                second = min(second, length)
        doubtful |= second <= best + slack
        mark_edge(solution, before % width, city, k)
        row, city = before // width, before % width
    mark_edge(solution, k - 1, city, k)
    return doubtful


@inner
def _sums_are_exact(row: NDArray[np.float64], exponent: int) -> bool:
    """Whether lengths of tours are free of rounding, for costs (E,) scaled as in the matrix."""
    first, second = power_of_two(-exponent)
    for cost in row:
        if cost != np.inf:
            steps = cost * first * second / _GRID
            if steps != math.floor(steps) or (steps == 0.0 and cost != 0.0):
                return False
    return True


@inner
def _solve_range(
    costs: NDArray[np.float64],
    k: int,
    start: int,
    stop: int,
    solutions: NDArray[np.uint8],
    doubtful: NDArray[np.bool_],
) -> None:
    """Solve the instances start <= b < stop of costs (B, E) into solutions (B, E)."""
    n = k - 1
    width = (k + _LANES - 1) // _LANES * _LANES
    masks, rank, steps = _rank_subsets(n)
    offsets, heads = _plan_steps(n, width, masks, rank, steps)
    splits = _plan_splits(n, width, masks, rank, offsets)
    matrix = np.zeros((width, width))
    table = np.empty(masks.shape[0] * width)
    for b in range(start, stop):
        exponent = fill_cost_matrix(costs[b], matrix, k)
        _fill_table(matrix, table, offsets, heads, n)
        best, second, meet = np.inf, np.inf, 0
        for pair in range(splits.shape[0]):
            length = table[splits[pair, 0]] + table[splits[pair, 1]]
            if length < second:
                if length < best:
                    best, second, meet = length, best, pair
                else:
                    second = length
        if best == np.inf:
            for city in range(k):
                mark_edge(solutions[b], city, (city + 1) % k, k)
            continue
        slack = best * _ROUNDING + _DENORMAL
        doubt = second <= best + slack
        for half in range(2):
            end = splits[meet, half]
            doubt |= _mark_path(matrix, table, offsets, heads, end, slack, solutions[b], k)
        doubtful[b] = doubt and not _sums_are_exact(costs[b], exponent)


@kernel()
def held_karp(costs: NDArray[np.float64], k: int) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Tours (B, E) for costs (B, E), 3 <= k <= 12 (Bellman 1962; Held & Karp 1962), and which of
    them (B,) are in doubt; all others are shortest. Infinite costs are avoided where possible."""
    solutions = np.zeros(costs.shape, dtype=np.uint8)
    doubtful = np.zeros(costs.shape[0], dtype=np.bool_)
    _solve_range(costs, k, 0, costs.shape[0], solutions, doubtful)
    return solutions, doubtful


@kernel(parallel=True)
def held_karp_parallel(
    costs: NDArray[np.float64], k: int, threads: int
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """The same as held_karp with the batch cut into as many parts as threads."""
    batch = costs.shape[0]
    solutions = np.zeros(costs.shape, dtype=np.uint8)
    doubtful = np.zeros(batch, dtype=np.bool_)
    for part in prange(threads):
        start, stop = batch * part // threads, batch * (part + 1) // threads
        _solve_range(costs, k, start, stop, solutions, doubtful)
    return solutions, doubtful
