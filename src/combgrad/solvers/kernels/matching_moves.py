"""Local search for graph matching: one node changes its label, or two do."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from combgrad.solvers.kernels import inner
from combgrad.solvers.kernels.matching_model import Model, cost_of
from combgrad.solvers.kernels.tsp_costs import copy_vector

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
def _add_row(prices: NDArray[np.float64], more: NDArray[np.float64], size: int) -> None:
    """Add one row of a table to the prices (size,)."""
    for t in range(size):
        prices[t] += more[t]


@inner
def place_labels(x: Labelling, m: Model, labels: NDArray[np.int64]) -> float:
    """Start from labels (n1,); returns their cost."""
    label, owner, prices, unary, ends = x.label, x.owner, x.prices, m.unary, m.ends
    n1, n2, pairs, tables, turned = m.sizes[0], m.sizes[1], m.sizes[2], m.tables, m.turned
    for s in range(n2 + 1):
        owner[s] = -1
    for i in range(n1):
        label[i] = labels[i]
        if labels[i] < n2:
            owner[labels[i]] = i
        for s in range(n2 + 1):
            prices[i, s] = unary[i, s]
    for pair in range(pairs):
        i, j = ends[pair, 0], ends[pair, 1]
        _add_row(prices[i], turned[pair, labels[j]], n2 + 1)
        _add_row(prices[j], tables[pair, labels[i]], n2 + 1)
    return cost_of(m, labels)


@inner
def copy_labelling(source: Labelling, target: Labelling, m: Model) -> None:
    """Copy a labelling."""
    n1, n2, old, new = m.sizes[0], m.sizes[1], source.prices, target.prices
    copy_vector(source.label, target.label, n1)
    copy_vector(source.owner, target.owner, n2 + 1)
    for i in range(n1):
        for s in range(n2 + 1):
            new[i, s] = old[i, s]


@inner
def price_of(x: Labelling, m: Model) -> float:
    """The cost of a labelling, from its prices."""
    label, prices, unary, n1 = x.label, x.prices, m.unary, m.sizes[0]
    total = 0.0
    for i in range(n1):
        # Every pair is in the prices of both its ends.
        total += 0.5 * (prices[i, label[i]] + unary[i, label[i]])
    return total


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


# The functions that are called most take arrays: each use of a named tuple counts references.
@inner
def _relabel(
    label: NDArray[np.int64],
    owner: NDArray[np.int64],
    prices: NDArray[np.float64],
    tables: NDArray[np.float64],
    turned: NDArray[np.float64],
    ends: NDArray[np.int64],
    starts: NDArray[np.int64],
    incident: NDArray[np.int64],
    n2: int,
    i: int,
    s: int,
) -> None:
    """Give node i the label s, whoever has it."""
    old = label[i]
    for place in range(starts[i], starts[i + 1]):
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
def relabel(x: Labelling, m: Model, i: int, s: int) -> None:
    """Give node i the label s, whoever has it."""
    _relabel(
        x.label, x.owner, x.prices, m.tables, m.turned, m.ends, m.starts, m.incident,
        m.sizes[1], i, s,
    )  # fmt: skip


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
    ends, starts, incident = m.ends, m.starts, m.incident
    n1, n2 = m.sizes[0], m.sizes[1]
    unchanged, i = 0, 0
    while unchanged < n1:
        s, other = _best_change(label, owner, prices, tables, turned, pair_of, n2, i)
        if s < 0:
            unchanged += 1
            i = i + 1 if i + 1 < n1 else 0
            continue
        unchanged, k = 0, owner[s]
        if k >= 0:
            _relabel(label, owner, prices, tables, turned, ends, starts, incident, n2, k, other)
        _relabel(label, owner, prices, tables, turned, ends, starts, incident, n2, i, s)
        if k >= 0 and other < n2:
            owner[other] = k
