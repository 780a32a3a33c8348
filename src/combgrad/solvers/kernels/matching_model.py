"""Graph matching as a labelling: what the matching kernels know of one pair of graphs.

Every node i of the first graph takes a label s: a node of the second graph, each at most once, or
n2 for "unmatched". All edges between two nodes make up one table of costs over their labels.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from combgrad.solvers.kernels import inner
from combgrad.solvers.kernels.tsp_costs import power_of_two

# The other costs of a model are below 1, unless many edges are parallel: far beyond that it grows.
_FORBIDDEN, _MANY = 64.0, 16.0
# A match earns this at least, where all costs are 0 or far below one that no matching pays.
_LEAST_REWARD = 2.0**-10
# Costs that are so many times what all that is below 0 earns would hide it from the tolerances.
_DEAR = 2.0**10


class Model(NamedTuple):
    """One pair of graphs, its costs divided by a power of two; the arrays may be larger than it."""

    unary: NDArray[np.float64]  # (n1, n2 + 1) of each node and label
    tables: NDArray[np.float64]  # (P, n2 + 1, n2 + 1) of the labels of two adjacent nodes
    turned: NDArray[np.float64]  # the same with the second node's label first
    ends: NDArray[np.int64]  # (P, 2) the two nodes, the lower first
    starts: NDArray[np.int64]  # (n1 + 1,) where a node's pairs begin
    incident: NDArray[np.int64]  # (2P,) the pairs of each node
    pair_of: NDArray[np.int64]  # (n1, n1) the pair of two nodes, or -1
    sizes: NDArray[np.int64]  # (3,) n1, n2, P
    # (2,) a cost in place of inf, which would make differences nan, and what a match earns.
    special: NDArray[np.float64]


@inner
def new_model(n1: int, n2: int, pairs: int) -> Model:
    """Room for pairs of graphs of at most that size."""
    return Model(
        np.empty((n1, n2 + 1)),
        np.empty((pairs, n2 + 1, n2 + 1)),
        np.empty((pairs, n2 + 1, n2 + 1)),
        np.empty((pairs, 2), dtype=np.int64),
        np.empty(n1 + 1, dtype=np.int64),
        np.empty(2 * pairs, dtype=np.int64),
        np.empty((n1, n1), dtype=np.int64),
        np.zeros(3, dtype=np.int64),
        np.empty(2),
    )


@inner
def _sizes(valid: NDArray[np.uint8], columns: int, offset: int) -> tuple[int, int]:
    """How many rows and columns of the node costs (offset,) are not only padding."""
    n1 = n2 = 0
    for entry in range(offset):
        if valid[entry]:
            n1, n2 = entry // columns + 1, max(n2, entry % columns + 1)
    return n1, n2


@inner
def number_pairs(edges: NDArray[np.int64], n1: int, pair_of: NDArray[np.int64]) -> int:
    """Number the pairs of nodes below n1 that the edges (E, 2) join, row by row; how many."""
    for i in range(n1):
        for j in range(n1):
            pair_of[i, j] = -1
    for e in range(edges.shape[0]):
        i, j = edges[e, 0], edges[e, 1]
        if i != j and min(i, j) >= 0 and max(i, j) < n1:
            pair_of[min(i, j), max(i, j)] = 0
    count = 0
    for i in range(n1):
        for j in range(i + 1, n1):
            if pair_of[i, j] == 0:
                pair_of[i, j] = pair_of[j, i] = count
                count += 1
    return count


@inner
def _index_pairs(model: Model, n1: int) -> None:
    """Fill ends, starts and incident from pair_of."""
    ends, starts, incident, pair_of = model.ends, model.starts, model.incident, model.pair_of
    place = 0
    for i in range(n1):
        starts[i] = place
        for j in range(n1):
            pair = pair_of[i, j]
            if pair >= 0:
                incident[place] = pair
                place += 1
                if i < j:
                    ends[pair, 0], ends[pair, 1] = i, j
    starts[n1] = place


@inner
def _largest(costs: NDArray[np.float64], valid: NDArray[np.uint8], most: float) -> float:
    """The largest size of the valid costs (n,) up to `most` that are finite."""
    largest = 0.0
    for entry in range(costs.shape[0]):
        size = abs(costs[entry])
        if valid[entry] and largest < size < np.inf and costs[entry] <= most:
            largest = size
    return largest


@inner
def _most_worth_paying(
    costs: NDArray[np.float64], valid: NDArray[np.uint8], largest: float
) -> float:
    """The cost that no best matching exceeds in any entry; inf where costs (n,) spread modestly.

    To match nothing costs 0, and all costs below 0 together cannot make up for a larger one.
    """
    earned = 0.0
    for entry in range(costs.shape[0]):
        if valid[entry] and costs[entry] < 0.0:
            earned -= costs[entry] / largest
    earned *= 1.0 + 1e-6
    return earned * largest if 0.0 < earned * _DEAR < 1.0 else np.inf


@inner
def _add_nodes(
    model: Model,
    costs: NDArray[np.float64],
    valid: NDArray[np.uint8],
    columns: int,
    scale: float,
    rest: float,
    most: float,
) -> None:
    """Write the node costs (., columns) times scale and rest; entries not to be used hold inf, as
    do those above `most`."""
    unary, n1, n2 = model.unary, model.sizes[0], model.sizes[1]
    for i in range(n1):
        unary[i, n2] = 0.0
        for s in range(n2):
            entry = i * columns + s
            usable = valid[entry] and costs[entry] <= most
            unary[i, s] = costs[entry] * scale * rest if usable else np.inf


@inner
def _add_edges(
    model: Model,
    costs: NDArray[np.float64],
    valid: NDArray[np.uint8],
    first: NDArray[np.int64],
    second: NDArray[np.int64],
    scale: float,
    rest: float,
    most: float,
) -> None:
    """Add the costs (E1 * E2,) times scale and rest of mapping edges (E1, 2) on edges (E2, 2),
    inf for those above `most`."""
    unary, tables, turned, pair_of = model.unary, model.tables, model.turned, model.pair_of
    n1, n2, e1, e2 = model.sizes[0], model.sizes[1], first.shape[0], second.shape[0]
    for e in range(e1):
        i, j = first[e, 0], first[e, 1]
        if min(i, j) < 0 or max(i, j) >= n1:
            continue
        pair = pair_of[i, j]
        for f in range(e2):
            s, t = second[f, 0], second[f, 1]
            if min(s, t) < 0 or max(s, t) >= n2 or not valid[e * e2 + f]:
                continue
            # An edge and a loop are never mapped on each other.
            if (s == t) != (i == j):
                continue
            cost = costs[e * e2 + f] * scale * rest if costs[e * e2 + f] <= most else np.inf
            if i == j:
                unary[i, s] += cost
            elif i < j:
                tables[pair, s, t] += cost
                turned[pair, t, s] += cost
            else:
                tables[pair, t, s] += cost
                turned[pair, s, t] += cost


@inner
def _size_of(model: Model) -> tuple[float, float]:
    """More than any two matchings can differ in cost, and the largest size of a single entry."""
    n1, n2 = model.sizes[0], model.sizes[1]
    total, most = 0.0, 0.0
    for i in range(n1):
        largest = 0.0
        for s in range(n2):
            size = abs(model.unary[i, s])
            largest = size if largest < size < np.inf else largest
        total, most = total + 2.0 * largest, max(most, largest)
    for pair in range(model.sizes[2]):
        largest = 0.0
        for s in range(n2):
            for t in range(n2):
                size = abs(model.tables[pair, s, t])
                largest = size if largest < size < np.inf else largest
        total, most = total + 2.0 * largest, max(most, largest)
    return total, most


@inner
def _price_matches(model: Model, full: bool) -> None:
    """Set the model's large number and, with `full`, what a match earns beside its costs."""
    size, most = _size_of(model)
    model.special[0], model.special[1] = _FORBIDDEN, 0.0
    if full:
        reward = max(size, _LEAST_REWARD)
        model.special[0], model.special[1] = _FORBIDDEN + 4.0 * reward, reward
        for i in range(model.sizes[0]):
            for s in range(model.sizes[1]):
                model.unary[i, s] -= reward
    elif most > _MANY:
        model.special[0] = _FORBIDDEN + 4.0 * size


@inner
def _forbid(model: Model) -> None:
    """Put the model's large number where it has inf, and where two nodes have the same label."""
    unary, tables, turned, forbidden = model.unary, model.tables, model.turned, model.special[0]
    n1, n2, pairs = model.sizes[0], model.sizes[1], model.sizes[2]
    for i in range(n1):
        for s in range(n2):
            unary[i, s] = min(unary[i, s], forbidden)
    for pair in range(pairs):
        for s in range(n2):
            for t in range(n2):
                if s == t or tables[pair, s, t] > forbidden:
                    tables[pair, s, t] = turned[pair, t, s] = forbidden


@inner
def load(
    model: Model,
    costs: NDArray[np.float64],
    valid: NDArray[np.uint8],
    columns: int,
    offset: int,
    first: NDArray[np.int64],
    second: NDArray[np.int64],
    full: bool,
) -> int:
    """Load joint costs (n,) = [node costs (., columns), edge costs (E1, E2) from offset on].

    Returns the exponent of the power of two by which the costs were divided.
    """
    n1, n2 = _sizes(valid, columns, offset)
    largest, most = _largest(costs, valid, np.inf), np.inf
    if largest > 0.0 and not full:
        most = _most_worth_paying(costs, valid, largest)
        largest = _largest(costs, valid, most)
    # Edges both ways and parallel ones add up; the exponent keeps their sums below 1 too.
    exponent = math.frexp(largest)[1] + 3
    scale, rest = power_of_two(-exponent)
    pairs = number_pairs(first, n1, model.pair_of)
    model.sizes[0], model.sizes[1], model.sizes[2] = n1, n2, pairs
    _index_pairs(model, n1)
    _add_nodes(model, costs, valid, columns, scale, rest, most)
    tables, turned = model.tables, model.turned
    for pair in range(pairs):
        for s in range(n2 + 1):
            for t in range(n2 + 1):
                tables[pair, s, t] = turned[pair, s, t] = 0.0
    _add_edges(model, costs[offset:], valid[offset:], first, second, scale, rest, most)
    _price_matches(model, full)
    _forbid(model)
    return exponent


@inner
def cost_of(model: Model, labels: NDArray[np.int64]) -> float:
    """What a labelling (n1,) without conflicts costs, in the units of the model."""
    unary, tables, ends, sizes = model.unary, model.tables, model.ends, model.sizes
    total = 0.0
    for i in range(sizes[0]):
        total += unary[i, labels[i]]
    for pair in range(sizes[2]):
        total += tables[pair, labels[ends[pair, 0]], labels[ends[pair, 1]]]
    return total
