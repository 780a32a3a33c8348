"""Local search for graph matching: one node changes its label, or two do."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from combgrad.solvers.kernels.matching_model import Model, cost_of
from combgrad.solvers.kernels.tsp_costs import copy_vector, inner

# A move has to save this much, which is more than rounding can pretend.
SAVING = 1e-11


class Labelling(NamedTuple):
    """A labelling without conflicts."""

    label: NDArray[np.int64]  # (n1,)
    owner: NDArray[np.int64]  # (n2 + 1,) the node of each label, or -1; always -1 for "unmatched"
    prices: NDArray[np.float64]  # (n1, n2 + 1) what a node would pay for a label, all else equal


@inner
def new_labelling(n1: int, n2: int) -> Labelling:
    """Room for a model of at most that size."""
    return Labelling(
        np.empty(n1, dtype=np.int64), np.empty(n2 + 1, dtype=np.int64), np.empty((n1, n2 + 1))
    )


@inner
def place_labels(x: Labelling, m: Model, labels: NDArray[np.int64]) -> float:
    """Start from labels (n1,); returns their cost."""
    n1, n2 = m.sizes[0], m.sizes[1]
    for s in range(n2 + 1):
        x.owner[s] = -1
    for i in range(n1):
        x.label[i] = labels[i]
        if labels[i] < n2:
            x.owner[labels[i]] = i
        copy_vector(m.unary[i], x.prices[i], n2 + 1)
    for pair in range(m.sizes[2]):
        i, j = m.ends[pair, 0], m.ends[pair, 1]
        row, column = m.tables[pair, labels[i]], m.turned[pair, labels[j]]
        first, second = x.prices[i], x.prices[j]
        for s in range(n2 + 1):
            first[s] += column[s]
            second[s] += row[s]
    return cost_of(m, labels)


@inner
def copy_labelling(source: Labelling, target: Labelling, m: Model) -> None:
    """Copy a labelling."""
    n1, n2 = m.sizes[0], m.sizes[1]
    copy_vector(source.label, target.label, n1)
    copy_vector(source.owner, target.owner, n2 + 1)
    for i in range(n1):
        copy_vector(source.prices[i], target.prices[i], n2 + 1)


@inner
def price_of(x: Labelling, m: Model) -> float:
    """The cost of a labelling, from its prices."""
    total = 0.0
    for i in range(m.sizes[0]):
        # Every pair is in the prices of both its ends.
        total += 0.5 * (x.prices[i, x.label[i]] + m.unary[i, x.label[i]])
    return total


@inner
def relabel(x: Labelling, m: Model, i: int, s: int) -> None:
    """Give node i the label s, whoever has it."""
    label, owner, prices = x.label, x.owner, x.prices
    ends, incident, tables, turned = m.ends, m.incident, m.tables, m.turned
    old, n2 = label[i], m.sizes[1]
    for place in range(m.starts[i], m.starts[i + 1]):
        pair = incident[place]
        j = ends[pair, 0] + ends[pair, 1] - i
        if i < j:
            _exchange(prices[j], tables[pair, s], tables[pair, old], n2 + 1)
        else:
            _exchange(prices[j], turned[pair, s], turned[pair, old], n2 + 1)
    if owner[old] == i:
        owner[old] = -1
    label[i] = s
    if s < n2:
        owner[s] = i


@inner
def _exchange(
    prices: NDArray[np.float64],
    more: NDArray[np.float64],
    less: NDArray[np.float64],
    size: int,
) -> None:
    """Add one row of a table to the prices (size,) and subtract another."""
    for t in range(size):
        prices[t] += more[t] - less[t]


@inner
def change(x: Labelling, m: Model, i: int, s: int, other: int) -> None:
    """Give node i the label s, and the node that has it, if any, the label other."""
    k = x.owner[s]
    if k >= 0:
        relabel(x, m, k, other)
    relabel(x, m, i, s)
    if k >= 0 and other < m.sizes[1]:
        x.owner[other] = k


@inner
def _between(table: NDArray[np.float64], old: int, s: int, other: int) -> float:
    """What prices leave out of a change of two adjacent nodes: old to s, and s to other."""
    return table[s, other] - table[s, s] - table[old, other] + table[old, s]


@inner
def _best_change(
    label: NDArray[np.int64],
    owner: NDArray[np.int64],
    prices: NDArray[np.float64],
    tables: NDArray[np.float64],
    turned: NDArray[np.float64],
    pair_of: NDArray[np.int64],
    n2: int,
    i: int,
) -> tuple[int, int]:
    """The cheapest change that gives node i another label: the label and, if that has an owner,
    the owner's new one; -1 where none saves."""
    old, best, best_label, best_other = label[i], -SAVING, -1, -1
    for s in range(n2 + 1):
        if s == old:
            continue
        k = owner[s]
        cost = prices[i, s] - prices[i, old]
        if k < 0:
            if cost < best:
                best, best_label, best_other = cost, s, -1
            continue
        pair, cost = pair_of[i, k], cost - prices[k, s]
        swapped, dropped = cost + prices[k, old], cost + prices[k, n2]
        if pair >= 0:
            table = tables[pair] if i < k else turned[pair]
            swapped += _between(table, old, s, old)
            dropped += _between(table, old, s, n2)
        if swapped < best:
            best, best_label, best_other = swapped, s, old
        if dropped < best:
            best, best_label, best_other = dropped, s, n2
    return best_label, best_other


@inner
def descend(x: Labelling, m: Model) -> None:
    """Make changes that save until there are none."""
    label, owner, prices = x.label, x.owner, x.prices
    tables, turned, pair_of = m.tables, m.turned, m.pair_of
    n1, n2 = m.sizes[0], m.sizes[1]
    unchanged, i = 0, 0
    while unchanged < n1:
        s, other = _best_change(label, owner, prices, tables, turned, pair_of, n2, i)
        if s >= 0:
            change(x, m, i, s, other)
            unchanged = 0
        else:
            unchanged += 1
            i = i + 1 if i + 1 < n1 else 0
