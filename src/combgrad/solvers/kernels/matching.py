"""Graph matching: dual ascent with rounding, local search and fusion, then branch and bound."""

import numpy as np
from numpy.typing import NDArray

from combgrad.solvers.kernels import inner, kernel
from combgrad.solvers.kernels.matching_branch import branch
from combgrad.solvers.kernels.matching_dual import (
    Dual,
    ascend,
    new_dual,
    read_labels,
    reset_dual,
    round_dual,
)
from combgrad.solvers.kernels.matching_model import Model, load, new_model, number_pairs
from combgrad.solvers.kernels.matching_search import (
    Walk,
    enough,
    new_walk,
    propose,
    search,
    start_walk,
)
from combgrad.solvers.kernels.tsp_costs import copy_vector, power_of_two

# Iterations without a proof after which it is asked whether the ascent still promises one.
_PATIENCE, _PROMISE = 5, 10.0


@inner
def _ascend_and_round(d: Dual, m: Model, w: Walk, labels: NDArray[np.int64], most: int) -> float:
    """Raise the bound and round until it meets the best labelling, or stops to promise that."""
    reset_dual(d, m)
    bound, before = -np.inf, -np.inf
    for iteration in range(most):
        bound = max(bound, ascend(d, m))
        if iteration == 0:
            # Where there are no edges it is optimal.
            read_labels(d, m, labels)
            propose(w, m, labels)
        round_dual(d, m, labels)
        propose(w, m, labels)
        if w.costs[1] <= enough(w, m, bound):
            break
        if (iteration + 1) % _PATIENCE == 0:
            if _PROMISE * (bound - before) < w.costs[1] - bound:
                break
            before = bound
    return bound


@inner
def _start(labels: NDArray[np.int64], near: NDArray[np.int64], m: Model) -> None:
    """Begin with the labels near (N1,), unmatched where they are none or taken."""
    n2 = m.sizes[1]
    for i in range(labels.shape[0]):
        labels[i] = near[i] if i < m.sizes[0] and 0 <= near[i] < n2 else n2
        for k in range(i):
            if labels[k] == labels[i]:
                labels[i] = n2


@inner
def _solve_model(
    m: Model,
    d: Dual,
    w: Walk,
    labels: NDArray[np.int64],
    effort: NDArray[np.int64],
    halt: NDArray[np.int64],
) -> tuple[float, bool]:
    """Improve labels (n1,) to the best found; its bound, and whether it is proven optimal."""
    start_walk(w, m, labels)
    bound = _ascend_and_round(d, m, w, labels, effort[0])
    search(w, m, effort[1], bound, halt)
    proven = w.costs[1] <= enough(w, m, bound)
    if not proven and effort[2] != 0:
        bound, proven = branch(d, m, w, labels, bound, effort[2], halt)
    copy_vector(w.best.label, labels, m.sizes[0])
    return bound, proven


@inner
def _write(
    costs: NDArray[np.float64],
    valid: NDArray[np.uint8],
    solution: NDArray[np.uint8],
    labels: NDArray[np.int64],
    first: NDArray[np.int64],
    second: NDArray[np.int64],
    columns: int,
    m: Model,
) -> tuple[float, int]:
    """Set the entries (n,) of a labelling in the joint solution; their cost, and the matches."""
    n1, n2, e2 = m.sizes[0], m.sizes[1], second.shape[0]
    value, matches = 0.0, 0
    for i in range(n1):
        if labels[i] < n2:
            solution[i * columns + labels[i]] = 1
            value += costs[i * columns + labels[i]]
            matches += 1
    offset = costs.shape[0] - first.shape[0] * e2
    for e in range(first.shape[0]):
        if min(first[e, 0], first[e, 1]) < 0:
            continue
        s, t = labels[first[e, 0]], labels[first[e, 1]]
        for f in range(e2):
            entry = offset + e * e2 + f
            if second[f, 0] == s < n2 and second[f, 1] == t < n2 and valid[entry]:
                solution[entry] = 1
                value += costs[entry]
    return value, matches


@kernel(nogil=True, error_model="numpy")
def match_range(
    costs: NDArray[np.float64],
    valid: NDArray[np.uint8],
    first: NDArray[np.int64],
    second: NDArray[np.int64],
    near: NDArray[np.int64],
    columns: int,
    full: bool,
    effort: NDArray[np.int64],
    start: int,
    stop: int,
    solutions: NDArray[np.uint8],
    reports: NDArray[np.float64],
    halt: NDArray[np.int64],
) -> None:
    """Match the nodes of the pairs of graphs start <= b < stop, at joint costs (B, n).

    Node costs (N1 * columns) come first, then edge costs (E1 * E2). Costs that are not valid (B, n)
    are padding, and pairs of nodes without a valid cost, or one below +inf, stay apart. Edges are
    first (B, E1, 2) and second (B, E2, 2), where a negative end is padding; near (B, N1) are labels
    to begin with or -1. With full as many nodes are matched as can be. Effort (3,) is the most
    iterations of the ascent, rounds of local search, and branches, negative for no limit. Writes
    solutions (B, n), and reports (B, 3): their cost, a bound on the least, and 1 where they are
    proven optimal. Ends early when halt (1,) is not 0.
    """
    rows, pairs = near.shape[1], 0
    m = new_model(rows, columns, 0)
    for b in range(start, stop):
        pairs = max(pairs, number_pairs(first[b], rows, m.pair_of))
    m, d = new_model(rows, columns, pairs), new_dual(rows, columns, pairs)
    w, labels = new_walk(rows, columns), np.empty(rows, dtype=np.int64)
    for b in range(start, stop):
        exponent = load(m, costs[b], valid[b], columns, rows * columns, first[b], second[b], full)
        _start(labels, near[b], m)
        bound, proven = _solve_model(m, d, w, labels, effort, halt)
        value, matches = _write(
            costs[b], valid[b], solutions[b], labels, first[b], second[b], columns, m
        )
        scale, rest = power_of_two(exponent)
        bound = (bound + m.special[1] * matches) * scale * rest
        reports[b, 0], reports[b, 1], reports[b, 2] = value, min(bound, value), proven
        if halt[0] != 0:
            break
