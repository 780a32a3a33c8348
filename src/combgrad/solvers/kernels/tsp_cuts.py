"""Sets of cities worth a constraint: those a fractional tour leaves too rarely, by minimum cuts,
and those it leaves an uneven number of times."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from combgrad.solvers.kernels import inner
from combgrad.solvers.kernels.tsp_costs import copy_square
from combgrad.solvers.kernels.zeros import flag_matrix, float_matrix, floats, integers

# Cuts this close to the two edges a tour needs are not worth a row.
_TOLERANCE = 1e-6
# Numbers of leaving edges this close to an odd one are worth branching on.
_UNEVEN = 0.8


class CutSearch(NamedTuple):
    """Scratch space for k cities, and the violated sets found."""

    weight: NDArray[np.float64]  # (k, k) between groups of cities
    attached: NDArray[np.float64]  # (k,)
    active: NDArray[np.int64]  # (k,) groups left
    group: NDArray[np.bool_]  # (k, k) cities of each group
    sets: NDArray[np.bool_]  # (k, k) cities of each violated set
    sizes: NDArray[np.int64]  # (k,)


@inner
def new_cut_search(k: int) -> CutSearch:
    """Allocate the search for k cities."""
    return CutSearch(
        float_matrix(k, k),
        floats(k),
        integers(k),
        flag_matrix(k, k),
        flag_matrix(k, k),
        integers(k),
    )


@inner
def _merge(search: CutSearch, kept: int, gone: int, position: int, left: int, k: int) -> None:
    """Unite two groups; the one at position of active disappears."""
    weight, active = search.weight, search.active
    active[position] = active[left - 1]
    for q in range(left - 1):
        v = active[q]
        weight[kept, v] += weight[gone, v]
        weight[v, kept] = weight[kept, v]
    weight[kept, kept] = 0.0
    for v in range(k):
        search.group[kept, v] |= search.group[gone, v]


@inner
def _merge_paths(search: CutSearch, left: int, k: int) -> int:
    """Unite groups joined by a whole edge; no set worth cutting off is lost (Padberg & Rinaldi
    1990). Returns the number of groups left."""
    p = 0
    while p < left:
        kept = search.active[p]
        q = p + 1
        while q < left:
            gone = search.active[q]
            if search.weight[kept, gone] > 1.0 - _TOLERANCE:
                _merge(search, kept, gone, q, left, k)
                left -= 1
                q = p + 1
            else:
                q += 1
        p += 1
    return left


@inner
def _order_last(search: CutSearch, left: int) -> None:
    """Sort the active groups so that each is the one most attached to those before it."""
    weight, attached, active = search.weight, search.attached, search.active
    for q in range(1, left):
        attached[active[q]] = weight[active[0], active[q]]
    for p in range(1, left):
        pick = p
        for q in range(p + 1, left):
            if attached[active[q]] > attached[active[pick]]:
                pick = q
        active[p], active[pick] = active[pick], active[p]
        for q in range(p + 1, left):
            attached[active[q]] += weight[active[p], active[q]]


@inner
def _record(search: CutSearch, found: int, group: int, k: int) -> int:
    """Store the side of a cut that is without city 0; returns the new number of sets."""
    flip = search.group[group, 0]
    size = 0
    for v in range(k):
        inside = search.group[group, v] != flip
        search.sets[found, v] = inside
        size += inside
    search.sizes[found] = size
    return found + 1 if 2 <= size <= k - 2 else found


@inner
def _start(usage: NDArray[np.float64], search: CutSearch, k: int) -> None:
    """Begin with one group per city."""
    copy_square(usage, search.weight, k)
    search.group[:] = False
    for v in range(k):
        search.active[v] = v
        search.group[v, v] = True


@inner
def find_cuts(usage: NDArray[np.float64], search: CutSearch, k: int) -> int:
    """Collect sets that fewer than two of the edges used, usage (k, k), leave; returns how many.

    Each phase of a minimum cut computation offers one set (Stoer & Wagner 1997).
    """
    _start(usage, search, k)
    left, found = _merge_paths(search, k, k), 0
    while left > 1:
        _order_last(search, left)
        last, previous = search.active[left - 1], search.active[left - 2]
        if search.attached[last] < 2.0 - _TOLERANCE:
            found = _record(search, found, last, k)
        _merge(search, previous, last, left - 1, left, k)
        left -= 1
    return found


@inner
def _merge_labelled(search: CutSearch, labels: NDArray[np.int64], k: int) -> int:
    """Unite the cities of each label (k,); returns the number of groups left."""
    left, p = k, 0
    while p < left:
        city = search.active[p]
        if labels[city] != city:
            _merge(search, labels[city], city, p, left, k)
            left -= 1
        else:
            p += 1
    return left


@inner
def _pick_pair(search: CutSearch, left: int) -> tuple[int, int, float]:
    """The group, as a pair with itself, or the two groups that the number of edges closest to an
    odd one leaves, and that number; (-1, -1, 0) if all are close to even."""
    weight, degree, active = search.weight, search.attached, search.active
    best, one, two, number = _UNEVEN, -1, -1, 0.0
    for p in range(left):
        degree[active[p]] = 0.0
        for q in range(left):
            if q != p:
                degree[active[p]] += weight[active[p], active[q]]
    for p in range(left):
        for q in range(p, left):
            g, h = active[p], active[q]
            if p == q:
                leaving = degree[g]
            elif weight[g, h] > _TOLERANCE:
                leaving = degree[g] + degree[h] - 2.0 * weight[g, h]
            else:
                continue
            distance = abs(leaving - 2.0 * math.floor(0.5 * leaving) - 1.0)
            if distance < best:
                best, one, two, number = distance, g, h, leaving
    return one, two, number


@inner
def find_uneven_set(
    usage: NDArray[np.float64], labels: NDArray[np.int64], search: CutSearch, k: int
) -> tuple[bool, float, float]:
    """Look for a set of clusters, labels (k,), that the edges used, usage (k, k), leave an uneven
    number of times: a tour's is even, so that one can branch on it (Clochard & Naddef 1993).

    Returns whether there is one, that number, and the largest value of an edge at which it was put
    together as a share of all such edges; the set, or its complement, becomes the first of
    search.sets.
    """
    _start(usage, search, k)
    left = _merge_labelled(search, labels, k)
    if left == k:
        left = _merge_paths(search, k, k)
    one, two, leaving = _pick_pair(search, left)
    if one < 0:
        return False, 0.0, 0.0
    heaviest = 0.0
    for i in range(k):
        for j in range(k):
            if search.group[one, i] and search.group[two, j]:
                heaviest = max(heaviest, usage[i, j])
    share = heaviest / search.weight[one, two] if one != two else 0.0
    for v in range(k):
        search.group[one, v] |= search.group[two, v]
    return _record(search, 0, one, k) == 1, leaving, share
