"""Clusters of near-equal cities, to branch on as wholes."""

import numpy as np
from numpy.typing import NDArray

from combgrad.solvers.kernels import inner
from combgrad.solvers.kernels.tsp_one_tree import OneTree

# A cluster's cities are linked by edges this much cheaper than those that leave it.
_SEPARATION = 3.0


@inner
def _span(matrix: NDArray[np.float64], height: NDArray[np.float64], tree: OneTree, k: int) -> float:
    """Build a least spanning tree from city 0 in tree.order and tree.parent, with height (k,) the
    cost above the cheapest edge at which each city joined; returns the largest."""
    order, parent, top = tree.order, tree.parent, 0.0
    for v in range(k):
        height[v], parent[v], order[v] = matrix[0, v], 0, v
    cheapest = np.inf
    for joined in range(1, k):
        pick = joined
        for q in range(joined + 1, k):
            if height[order[q]] < height[order[pick]]:
                pick = q
        order[joined], order[pick] = order[pick], order[joined]
        city = order[joined]
        cheapest = min(cheapest, height[city])
        for q in range(joined + 1, k):
            v = order[q]
            if matrix[city, v] < height[v]:
                height[v], parent[v] = matrix[city, v], city
    for v in range(1, k):
        height[v] -= cheapest
        top = max(top, height[v])
    return top


@inner
def find_clusters(
    matrix: NDArray[np.float64],
    labels: NDArray[np.int64],
    height: NDArray[np.float64],
    tree: OneTree,
    k: int,
) -> int:
    """Group the cities by single linkage wherever its heights leap; returns the number of levels.

    labels (levels, k) is coarsest first; a cluster's label is one of its cities.
    """
    top = _span(matrix, height, tree, k)
    levels = 0
    while levels < labels.shape[0] and top > 0.0:
        below = 0.0
        for v in range(1, k):
            if height[v] < top:
                below = max(below, height[v])
        if top > _SEPARATION * below:
            labels[levels, 0] = 0
            for joined in range(1, k):
                v = tree.order[joined]
                labels[levels, v] = labels[levels, tree.parent[v]] if height[v] < top else v
            levels += 1
        top = below
    return levels
