"""A lower bound for graph matching by sequential tree-reweighted messages.

The costs are cut into one part a node, one a pair of adjacent nodes and one a label (at most one
node takes it); the bound is the sum of their minima. A sweep visits the nodes in order, gathers at
each what its pairs and labels can spare, and shares it among those that are still to be visited
(Kolmogorov 2006). After each iteration an assignment solves nodes and labels together exactly. No
step lowers the bound. Decomposition: Swoboda et al. 2017, "A Study of Lagrangean Decompositions
and Dual Ascent Solvers for Graph Matching".
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from combgrad.solvers.kernels import inner
from combgrad.solvers.kernels.matching_assignment import Assigner, assign_some, new_assigner
from combgrad.solvers.kernels.matching_model import Model

# What rounding may add to a bound, for each part, relative to the largest number in it.
_ROUNDING = 4e-15


class Dual(NamedTuple):
    """How the costs are shared out."""

    unary: NDArray[np.float64]  # (n1, n2 + 1) the costs of the nodes' labels
    left: NDArray[np.float64]  # (n1, n2 + 1) what the nodes hold of all costs
    taken: NDArray[np.float64]  # (P, 2, n2 + 1) what was taken from the pairs, by end and label
    shared: NDArray[np.float64]  # (n1, n2) what the labels hold
    gathered: NDArray[np.float64]  # (n1, n2 + 1) all that a node had when it was visited last
    message: NDArray[np.float64]  # (n2 + 1,) scratch
    matrix: NDArray[np.float64]  # (n1, n2) scratch
    assigner: Assigner


@inner
def new_dual(n1: int, n2: int, pairs: int) -> Dual:
    """Room for a model of at most that size."""
    return Dual(
        np.empty((n1, n2 + 1)),
        np.empty((n1, n2 + 1)),
        np.empty((pairs, 2, n2 + 1)),
        np.empty((n1, n2)),
        np.empty((n1, n2 + 1)),
        np.empty(n2 + 1),
        np.empty((n1, n2)),
        new_assigner(n1, n2),
    )


@inner
def reset_dual(d: Dual, m: Model) -> None:
    """Leave all costs where the model has them."""
    n1, n2, pairs = m.sizes[0], m.sizes[1], m.sizes[2]
    for i in range(n1):
        for s in range(n2):
            d.shared[i, s] = 0.0
        for s in range(n2 + 1):
            d.unary[i, s] = d.left[i, s] = m.unary[i, s]
    for pair in range(pairs):
        for s in range(n2 + 1):
            d.taken[pair, 0, s] = d.taken[pair, 1, s] = 0.0


@inner
def _gather_pair(
    table: NDArray[np.float64],
    other: NDArray[np.float64],
    mine: NDArray[np.float64],
    left: NDArray[np.float64],
    message: NDArray[np.float64],
    size: int,
) -> None:
    """Take from a pair, with the other end's labels as rows of its table, all that it can spare."""
    for t in range(size):
        message[t] = np.inf
    for s in range(size):
        row, less = table[s], other[s]
        for t in range(size):
            value = row[t] - less
            message[t] = value if value < message[t] else message[t]
    for t in range(size):
        left[t] += message[t] - mine[t]
        mine[t] = message[t]


@inner
def _gather_labels(d: Dual, i: int, n1: int, n2: int) -> None:
    """Take from each label what it can spare for node i: what no other node needs there."""
    others, shared, left = d.message, d.shared, d.left
    for s in range(n2):
        others[s] = 0.0
    for k in range(n1):
        if k != i:
            for s in range(n2):
                held = shared[k, s]
                others[s] = held if held < others[s] else others[s]
    for s in range(n2):
        left[i, s] += shared[i, s] - others[s]
        shared[i, s] = others[s]


@inner
def _second_least(row: NDArray[np.float64], size: int) -> float:
    """The second least of size >= 2 entries."""
    least, second = np.inf, np.inf
    for s in range(size):
        if row[s] < least:
            least, second = row[s], least
        elif row[s] < second:
            second = row[s]
    return second


@inner
def _visit(d: Dual, m: Model, i: int, forward: bool) -> None:
    """Gather at node i from what was visited before it, and share with what comes after."""
    n1, n2, ends, starts, incident = m.sizes[0], m.sizes[1], m.ends, m.starts, m.incident
    left, gathered, taken, message = d.left[i], d.gathered[i], d.taken, d.message
    tables = m.tables if forward else m.turned
    later = earlier = 0
    for place in range(starts[i], starts[i + 1]):
        pair = incident[place]
        side = 0 if ends[pair, 0] == i else 1
        if (side == 0) == forward:
            later += 1
            continue
        earlier += 1
        _gather_pair(tables[pair], taken[pair, 1 - side], taken[pair, side], left, message, n2 + 1)
    _gather_labels(d, i, n1, n2)
    for s in range(n2 + 1):
        gathered[s] = left[s]
    share = 1.0 / (max(later, earlier) + 1)
    for place in range(starts[i], starts[i + 1]):
        pair = incident[place]
        side = 0 if ends[pair, 0] == i else 1
        if (side == 0) == forward:
            for s in range(n2 + 1):
                taken[pair, side, s] -= share * gathered[s]
    # Counted from the second best label, a node's claim on its best is what it is worth to it.
    base, shared = _second_least(gathered, n2 + 1), d.shared
    for s in range(n2):
        claim = share * (gathered[s] - base)
        shared[i, s] += claim
        left[s] -= later * share * gathered[s] + claim
    left[n2] -= later * share * gathered[n2]


@inner
def _least_of_pair(
    table: NDArray[np.float64],
    taken: NDArray[np.float64],
    message: NDArray[np.float64],
    size: int,
) -> tuple[float, float]:
    """The least entry of what is left in a pair, and the largest size of what was taken from it."""
    for t in range(size):
        message[t] = np.inf
    largest = 0.0
    for s in range(size):
        row, less = table[s], taken[0, s]
        largest = max(largest, abs(less), abs(taken[1, s]))
        for t in range(size):
            value = row[t] - less
            message[t] = value if value < message[t] else message[t]
    least = np.inf
    for t in range(size):
        least = min(least, message[t] - taken[1, t])
    return least, largest


@inner
def collect(d: Dual, m: Model) -> None:
    """Move what the labels hold to the nodes, and clear their account of all rounding."""
    left, unary, taken = d.left, d.unary, d.taken
    ends, starts, incident, size = m.ends, m.starts, m.incident, m.sizes[1] + 1
    for i in range(m.sizes[0]):
        for s in range(size):
            left[i, s] = unary[i, s]
        for place in range(starts[i], starts[i + 1]):
            pair = incident[place]
            side = 0 if ends[pair, 0] == i else 1
            for s in range(size):
                left[i, s] += taken[pair, side, s]


@inner
def _bound(d: Dual, m: Model) -> float:
    """The bound, after sharing costs between nodes and labels at the prices of an assignment."""
    n1, n2 = m.sizes[0], m.sizes[1]
    bound, slack, left, matrix, shared = 0.0, 0.0, d.left, d.matrix, d.shared
    collect(d, m)
    for i in range(n1):
        unmatched = left[i, n2]
        largest = abs(unmatched)
        for s in range(n2):
            matrix[i, s] = left[i, s] - unmatched
            largest = max(largest, abs(left[i, s]))
        bound += unmatched
        slack += largest
    bound += assign_some(d.assigner, matrix, n1, n2)
    prices, tables, taken, message = d.assigner.prices, m.tables, d.taken, d.message
    for i in range(n1):
        for s in range(n2):
            shared[i, s] = prices[s]
            left[i, s] -= prices[s]
    for pair in range(m.sizes[2]):
        least, largest = _least_of_pair(tables[pair], taken[pair], message, n2 + 1)
        bound += least
        slack += largest + 1.0
    return bound - _ROUNDING * slack


@inner
def ascend(d: Dual, m: Model) -> float:
    """Sweep once there and once back; returns the new bound."""
    n1 = m.sizes[0]
    for step in range(2 * n1):
        forward = step < n1
        _visit(d, m, step if forward else 2 * n1 - 1 - step, forward)
    return _bound(d, m)


@inner
def read_labels(d: Dual, m: Model, labels: NDArray[np.int64]) -> None:
    """The labelling (n1,) of the assignment that the bound was made of."""
    for i in range(m.sizes[0]):
        column = d.assigner.column_of[i]
        labels[i] = column if column >= 0 else m.sizes[1]


@inner
def round_dual(d: Dual, m: Model, labels: NDArray[np.int64]) -> None:
    """The labelling (n1,) that an assignment makes of what the nodes gathered."""
    n1, n2, matrix, gathered = m.sizes[0], m.sizes[1], d.matrix, d.gathered
    for i in range(n1):
        for s in range(n2):
            matrix[i, s] = gathered[i, s] - gathered[i, n2]
    assign_some(d.assigner, matrix, n1, n2)
    read_labels(d, m, labels)


@inner
def exclude(d: Dual, m: Model, i: int, s: int) -> None:
    """Let node i not take label s."""
    if not is_excluded(d, m, i, s):
        d.unary[i, s] += m.special[0]
        d.left[i, s] += m.special[0]


@inner
def is_excluded(d: Dual, m: Model, i: int, s: int) -> bool:
    """Whether node i may not take label s."""
    return d.unary[i, s] > 0.5 * m.special[0]


@inner
def exclude_dear(d: Dual, m: Model, spare: float) -> None:
    """Exclude every label that would raise the bound, as it was before the last sweep, by more
    than spare."""
    size = m.sizes[1] + 1
    for i in range(m.sizes[0]):
        least = np.inf
        for s in range(size):
            least = min(least, d.gathered[i, s])
        for s in range(size):
            if d.gathered[i, s] - least > spare:
                exclude(d, m, i, s)
