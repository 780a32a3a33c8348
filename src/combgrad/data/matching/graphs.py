"""Graphs over marked points: their Delaunay triangulation, or all edges where there is none."""

import numpy as np
from scipy.spatial import Delaunay, QhullError

#: Fewer points make no triangle.
TRIANGLE = 3


def delaunay_edges(points: np.ndarray) -> np.ndarray:
    """The directed edges (E, 2) int64 of the Delaunay triangulation of points (n, 2), sorted.

    Every edge stands there in both directions. Fewer than three points, collinear points, and
    points of which several lie in one place (the triangulation would leave one of them alone) have
    all n(n-1) edges instead. Raises ValueError for coordinates that are not finite.
    """
    if points.ndim != 2 or points.shape[1] != 2 or not np.isfinite(points).all():
        raise ValueError(f"points of shape {points.shape} are no finite coordinates (n, 2)")
    if len(points) < TRIANGLE:
        return complete_edges(len(points))
    try:
        triangles = Delaunay(points).simplices
    except QhullError:
        return complete_edges(len(points))
    if len(np.unique(triangles)) < len(points):
        return complete_edges(len(points))
    joined = np.zeros((len(points), len(points)), dtype=bool)
    for one, other in ((0, 1), (1, 2), (2, 0)):
        joined[triangles[:, one], triangles[:, other]] = True
    return np.argwhere(joined | joined.T)


def complete_edges(nodes: int) -> np.ndarray:
    """All directed edges (n(n-1), 2) int64 between n nodes, sorted; none to itself."""
    return np.argwhere(~np.eye(nodes, dtype=bool))
