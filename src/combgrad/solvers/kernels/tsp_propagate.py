"""What required and excluded edges imply about the other edges of a tour.

States as in tsp_one_tree: allowed (k, k) is -inf for required, +inf for excluded edges.
"""

import numpy as np
from numpy.typing import NDArray

from combgrad.solvers.kernels import inner


@inner
def _settle_city(allowed: NDArray[np.float64], v: int, required: int, undecided: int) -> bool:
    """Decide all edges at city v when its degree of two leaves one choice; True if it did."""
    if required == 2 and undecided > 0:
        for u in range(allowed.shape[0]):
            if allowed[v, u] != -np.inf:
                allowed[v, u] = allowed[u, v] = np.inf
        return True
    if required < 2 and required + undecided == 2:
        for u in range(allowed.shape[0]):
            if allowed[v, u] < np.inf:
                allowed[v, u] = allowed[u, v] = -np.inf
        return True
    return False


@inner
def _settle_degrees(allowed: NDArray[np.float64], degree: NDArray[np.int64], k: int) -> bool:
    """Apply the degree rule until nothing changes; False if some city cannot have two edges."""
    changed = True
    while changed:
        changed = False
        for v in range(k):
            required = undecided = 0
            for u in range(k):
                if allowed[v, u] == -np.inf:
                    required += 1
                elif allowed[v, u] < np.inf:
                    undecided += 1
            if required > 2 or required + undecided < 2:
                return False
            changed |= _settle_city(allowed, v, required, undecided)
            degree[v] = required
    return True


@inner
def _next_required(allowed: NDArray[np.float64], city: int, previous: int, k: int) -> int:
    """The other end of a required edge at city that does not lead back, or -1."""
    for u in range(k):
        if u != previous and allowed[city, u] == -np.inf:
            return u
    return -1


@inner
def propagate(
    allowed: NDArray[np.float64],
    degree: NDArray[np.int64],
    seen: NDArray[np.int64],
    k: int,
) -> bool:
    """Close under degrees and the ban on short cycles; False if no tour can remain.

    degree and seen (k,) are scratch; the diagonal of allowed (k, k) is +inf.
    """
    changed = True
    while changed:
        if not _settle_degrees(allowed, degree, k):
            return False
        changed = False
        seen[:k] = 0
        for v in range(k):
            if degree[v] != 1 or seen[v]:
                continue
            previous, city, size = -1, v, 0
            while city >= 0:
                seen[city] = 1
                size += 1
                end = city
                previous, city = city, _next_required(allowed, city, previous, k)
            if 2 < size < k and allowed[v, end] < np.inf:
                allowed[v, end] = allowed[end, v] = np.inf
                changed = True
    return _no_short_cycle(allowed, degree, seen, k)


@inner
def _no_short_cycle(
    allowed: NDArray[np.float64],
    degree: NDArray[np.int64],
    seen: NDArray[np.int64],
    k: int,
) -> bool:
    """Whether no required edges close a cycle of fewer than k cities, with seen marking paths."""
    for v in range(k):
        if degree[v] == 2 and not seen[v]:
            previous, city, size = -1, v, 0
            while city != v or size == 0:
                size += 1
                previous, city = city, _next_required(allowed, city, previous, k)
            return size == k
    return True
