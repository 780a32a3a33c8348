"""Fusion of two labellings: the best of both, component by component.

Where two labellings differ, nodes depend on each other that want each other's labels; such a
component takes its labels from one labelling or from the other, whatever the rest does. Fusion
moves: Hutschenreiter et al. 2021, "Fusion Moves for Graph Matching".
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from combgrad.solvers.kernels import inner
from combgrad.solvers.kernels.matching_model import Model
from combgrad.solvers.kernels.matching_moves import SAVING, Labelling, relabel


class Fusion(NamedTuple):
    """Components of the nodes where two labellings differ."""

    target: NDArray[np.int64]  # (n1,) the labels of the other labelling
    nodes: NDArray[np.int64]  # (n1,) the nodes that differ, by component
    starts: NDArray[np.int64]  # (n1 + 1,) where a component begins
    seen: NDArray[np.bool_]  # (n1,)


@inner
def new_fusion(n1: int) -> Fusion:
    """Room for n1 nodes."""
    return Fusion(
        np.empty(n1, dtype=np.int64),
        np.empty(n1, dtype=np.int64),
        np.empty(n1 + 1, dtype=np.int64),
        np.empty(n1, dtype=np.bool_),
    )


@inner
def _components(f: Fusion, x: Labelling, y: Labelling, m: Model) -> int:
    """Find the components in which x and y differ, and their number."""
    n1, mine, other, owner = m.sizes[0], x.label, y.label, x.owner
    owner_there = y.owner
    target, nodes, starts, seen = f.target, f.nodes, f.starts, f.seen
    for i in range(n1):
        target[i] = other[i]
        seen[i] = mine[i] == other[i]
    count, found = 0, 0
    for i in range(n1):
        if seen[i]:
            continue
        starts[count] = done = found
        nodes[found], seen[i] = i, True
        found += 1
        while done < found:
            node = nodes[done]
            done += 1
            for k in (owner[other[node]], owner_there[mine[node]]):
                if k >= 0 and not seen[k]:
                    nodes[found], seen[k] = k, True
                    found += 1
        count += 1
    starts[count] = found
    return count


@inner
def _switch(f: Fusion, x: Labelling, m: Model, component: int) -> float:
    """Exchange a component's labels in x for those in target; returns what that costs."""
    cost = 0.0
    for place in range(f.starts[component], f.starts[component + 1]):
        i = f.nodes[place]
        old, label = x.label[i], f.target[i]
        cost += x.prices[i, label] - x.prices[i, old]
        f.target[i] = old
        relabel(x, m, i, label)
    return cost


@inner
def fuse(f: Fusion, x: Labelling, y: Labelling, m: Model) -> bool:
    """Take over from y the components that make x cheaper; whether there were any."""
    count = _components(f, x, y, m)
    better = False
    # With one component x and y are all there is to choose from.
    if count < 2:
        return False
    unchanged, component = 0, 0
    while unchanged < count:
        if _switch(f, x, m, component) < -SAVING:
            better, unchanged = True, 0
        else:
            _switch(f, x, m, component)
            unchanged += 1
        component = component + 1 if component + 1 < count else 0
    return better
