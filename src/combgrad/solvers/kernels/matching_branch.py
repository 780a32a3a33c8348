"""Branch and bound for graph matching, on the bound of the dual ascent."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from combgrad.solvers.kernels import inner
from combgrad.solvers.kernels.matching_dual import (
    Dual,
    ascend,
    collect,
    exclude,
    exclude_dear,
    is_excluded,
    round_dual,
)
from combgrad.solvers.kernels.matching_model import Model
from combgrad.solvers.kernels.matching_search import Walk, enough, propose
from combgrad.solvers.kernels.tsp_costs import copy_vector

# Iterations of the ascent for one branch, and the share of the gap that each has to close.
_ITERATIONS, _PROGRESS = 8, 0.05
# A limited search is not begun where so few labels are excluded among so many: the shares of bits.
_FEW_BITS, _OPEN_SHARE = 40.0, 0.99
# After so many branches a limited search asks whether it can come to its end, and again after each.
_TRIAL = 8


class Stack(NamedTuple):
    """The path from the root: one node of the first graph after the other gets its label."""

    unary: NDArray[np.float64]  # (depth, n1, n2 + 1) of the dual; depth is at most n1
    taken: NDArray[np.float64]  # (depth, P, 2, n2 + 1)
    shared: NDArray[np.float64]  # (depth, n1, n2)
    bounds: NDArray[np.float64]  # (depth,)
    node: NDArray[np.int64]  # (depth,) which node gets a label here
    order: NDArray[np.int64]  # (depth, n2 + 1) its labels, the most promising first
    counts: NDArray[np.int64]  # (depth, 2) how many they are, and how many were tried
    shares: NDArray[np.float64]  # (depth,) of the search that is below, if all labels are alike


@inner
def _new_stack(n1: int, n2: int, pairs: int) -> Stack:
    return Stack(
        np.empty((n1, n1, n2 + 1)),
        np.empty((n1, pairs, 2, n2 + 1)),
        np.empty((n1, n1, n2)),
        np.empty(n1),
        np.empty(n1, dtype=np.int64),
        np.empty((n1, n2 + 1), dtype=np.int64),
        np.empty((n1, 2), dtype=np.int64),
        np.ones(n1),
    )


@inner
def _save(stack: Stack, depth: int, d: Dual, m: Model) -> None:
    """Keep the dual at a depth of the stack."""
    n1, n2 = m.sizes[0], m.sizes[1]
    for i in range(n1):
        copy_vector(d.unary[i], stack.unary[depth, i], n2 + 1)
        copy_vector(d.shared[i], stack.shared[depth, i], n2)
    for pair in range(m.sizes[2]):
        for side in range(2):
            copy_vector(d.taken[pair, side], stack.taken[depth, pair, side], n2 + 1)


@inner
def _restore(stack: Stack, depth: int, d: Dual, m: Model) -> None:
    """Bring the dual back to where it was at a depth."""
    n1, n2 = m.sizes[0], m.sizes[1]
    for i in range(n1):
        copy_vector(stack.unary[depth, i], d.unary[i], n2 + 1)
        copy_vector(stack.shared[depth, i], d.shared[i], n2)
    for pair in range(m.sizes[2]):
        for side in range(2):
            copy_vector(stack.taken[depth, pair, side], d.taken[pair, side], n2 + 1)
    collect(d, m)
    for i in range(n1):
        for s in range(n2):
            d.left[i, s] -= d.shared[i, s]


@inner
def _choose(stack: Stack, depth: int, d: Dual, m: Model) -> bool:
    """Choose the node with the fewest labels to be decided here; False if all are decided."""
    n2 = m.sizes[1]
    node, fewest = -1, n2 + 2
    for i in range(m.sizes[0]):
        count = 0
        for s in range(n2 + 1):
            count += not is_excluded(d, m, i, s)
        if 1 < count < fewest:
            node, fewest = i, count
    if node < 0:
        return False
    stack.node[depth], count = node, 0
    order, gathered = stack.order[depth], d.gathered[node]
    for s in range(n2 + 1):
        if is_excluded(d, m, node, s):
            continue
        place = count
        while place > 0 and gathered[order[place - 1]] > gathered[s]:
            order[place] = order[place - 1]
            place -= 1
        order[place] = s
        count += 1
    stack.counts[depth, 0], stack.counts[depth, 1] = count, 0
    return True


@inner
def _decide(d: Dual, m: Model, node: int, label: int) -> None:
    """Let a node have a label and nobody else."""
    n2 = m.sizes[1]
    for s in range(n2 + 1):
        if s != label:
            exclude(d, m, node, s)
    if label < n2:
        for i in range(m.sizes[0]):
            if i != node:
                exclude(d, m, i, label)


@inner
def _bound_branch(d: Dual, m: Model, w: Walk, bound: float) -> float:
    """Raise the bound of a branch until it is cut off or there is little progress."""
    for _ in range(_ITERATIONS):
        before = bound
        bound = max(bound, ascend(d, m))
        if w.costs[1] <= enough(w, m, bound):
            break
        exclude_dear(d, m, w.costs[1] - before)
        if bound - before < _PROGRESS * (w.costs[1] - before):
            break
    return bound


@inner
def _is_labelled(d: Dual, m: Model, labels: NDArray[np.int64]) -> bool:
    """Write the labels that are not excluded, one a node; False if they are in conflict."""
    n1, n2 = m.sizes[0], m.sizes[1]
    for i in range(n1):
        labels[i] = -1
        for s in range(n2 + 1):
            if not is_excluded(d, m, i, s):
                labels[i] = s
        if labels[i] < 0:
            return False
        for k in range(i):
            if labels[k] == labels[i] < n2:
                return False
    return True


@inner
def _enter(
    stack: Stack, depth: int, d: Dual, m: Model, w: Walk, labels: NDArray[np.int64], bound: float
) -> bool:
    """Raise the bound of a branch; whether it is still open, saved at this depth of the stack."""
    bound = _bound_branch(d, m, w, bound)
    if w.costs[1] <= enough(w, m, bound):
        return False
    if not _choose(stack, depth, d, m):
        if _is_labelled(d, m, labels):
            propose(w, m, labels)
        return False
    round_dual(d, m, labels)
    propose(w, m, labels)
    stack.bounds[depth] = bound
    _save(stack, depth, d, m)
    return True


@inner
def _is_vast(d: Dual, m: Model) -> bool:
    """Whether next to nothing is excluded of so many labellings that a limited search is vain."""
    n2 = m.sizes[1]
    bits = 0.0
    for i in range(m.sizes[0]):
        count = 0
        for s in range(n2 + 1):
            count += not is_excluded(d, m, i, s)
        bits += math.log2(max(count, 1))
    return bits > max(_FEW_BITS, _OPEN_SHARE * m.sizes[0] * math.log2(n2 + 1))


@inner
def _is_hopeless(most: int, tried: int, done: float) -> bool:
    """Whether a search of at most so many branches is over, or will not end at its pace."""
    return most >= 0 and (tried >= most or (tried >= _TRIAL and done * most < tried))


@inner
def branch(
    d: Dual,
    m: Model,
    w: Walk,
    labels: NDArray[np.int64],
    bound: float,
    most: int,
    halt: NDArray[np.int64],
) -> tuple[float, bool]:
    """Search depth first below the dual of the root, in at most so many branches, and fewer if at
    their pace the end is out of reach.

    Returns the bound, and whether the search came to its end: then the best labelling is optimal.
    """
    stack = _new_stack(m.sizes[0], m.sizes[1], m.sizes[2])
    depth, tried, done = -1, 0, 0.0
    if _enter(stack, depth + 1, d, m, w, labels, bound):
        depth, bound = 0, stack.bounds[0]
        if most >= 0 and _is_vast(d, m):
            return bound, False
    while depth >= 0:
        count, next_one = stack.counts[depth, 0], stack.counts[depth, 1]
        share = stack.shares[depth] / count
        if next_one == count or w.costs[1] <= enough(w, m, stack.bounds[depth]):
            done += share * (count - next_one)
            depth -= 1
            continue
        if halt[0] != 0 or _is_hopeless(most, tried, done):
            return bound, False
        tried += 1
        stack.counts[depth, 1] = next_one + 1
        _restore(stack, depth, d, m)
        _decide(d, m, stack.node[depth], stack.order[depth, next_one])
        if _enter(stack, depth + 1, d, m, w, labels, stack.bounds[depth]):
            depth += 1
            stack.shares[depth] = share
        else:
            done += share
    # Branches are cut off that could be cheaper by what a proof tolerates.
    return w.costs[1] - enough(w, m, 0.0), True
