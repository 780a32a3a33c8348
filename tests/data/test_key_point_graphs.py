"""Graphs and descriptors of marked points, beside plain loops over their definitions."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from combgrad.data.matching.graphs import complete_edges, delaunay_edges
from combgrad.data.matching.shape_context import shape_contexts


def circle_of(one, two, three):
    """Centre and squared radius of the circle through three points."""
    (ax, ay), (bx, by), (cx, cy) = one, two, three
    twice = 2 * (ax * (by - cy) + bx * (cy - ay) + cx * (ay - by))
    squares = [x * x + y * y for x, y in (one, two, three)]
    x = (squares[0] * (by - cy) + squares[1] * (cy - ay) + squares[2] * (ay - by)) / twice
    y = (squares[0] * (cx - bx) + squares[1] * (ax - cx) + squares[2] * (bx - ax)) / twice
    return x, y, (ax - x) ** 2 + (ay - y) ** 2


def edges_by_empty_circles(points):
    found = set()
    for triple in itertools.combinations(range(len(points)), 3):
        x, y, radius = circle_of(*points[list(triple)].tolist())
        others = [points[i] for i in range(len(points)) if i not in triple]
        if all((p[0] - x) ** 2 + (p[1] - y) ** 2 > radius for p in others):
            found |= set(itertools.permutations(triple, 2))
    return sorted(found)


def every_edge(nodes):
    return [(i, j) for i in range(nodes) for j in range(nodes) if i != j]


@given(st.integers(0, 2**32 - 1), st.integers(3, 9))
def test_triangles_are_those_whose_circle_is_empty(seed, count):
    points = np.random.default_rng(seed).uniform(0, 256, (count, 2)).astype(np.float32)
    edges = delaunay_edges(points)
    assert edges.dtype == np.int64
    assert list(map(tuple, edges.tolist())) == edges_by_empty_circles(points.astype(np.float64))


@pytest.mark.parametrize("count", [0, 1, 2])
def test_fewer_than_three_points_have_all_edges(count):
    edges = delaunay_edges(np.arange(2.0 * count).reshape(count, 2))
    assert edges.shape == (count * (count - 1), 2)
    assert list(map(tuple, edges.tolist())) == every_edge(count)


@pytest.mark.parametrize(
    "points",
    [
        [(0, 0), (1, 1), (2, 2), (5, 5)],  # collinear
        [(3, 0), (3, 7), (3, 9)],
        [(0, 0), (9, 0), (0, 9), (9, 0)],  # two in one place
        [(4, 4)] * 5,
    ],
)
def test_degenerate_points_have_all_edges(points):
    edges = delaunay_edges(np.array(points, dtype=np.float64))
    assert list(map(tuple, edges.tolist())) == every_edge(len(points))


def test_a_square_has_one_diagonal():
    edges = delaunay_edges(np.array([[0.0, 0], [0, 1], [1, 1], [1, 0]]))
    sides = {(0, 1), (1, 2), (2, 3), (0, 3)}
    found = {tuple(sorted(edge)) for edge in edges.tolist()}
    assert found - sides in ({(0, 2)}, {(1, 3)})
    assert sides <= found
    assert len(edges) == 10


@pytest.mark.parametrize("points", [[[0, np.nan]], [[np.inf, 0], [0, 0]], [1.0, 2.0], [[1, 2, 3]]])
def test_what_are_no_points_is_refused(points):
    with pytest.raises(ValueError, match="no finite coordinates"):
        delaunay_edges(np.array(points, dtype=np.float64))


def test_complete_graphs_have_no_loops():
    assert list(map(tuple, complete_edges(4).tolist())) == every_edge(4)


def context_by_loop(points, one):
    pairs = itertools.combinations(points.tolist(), 2)
    mean = np.mean([math.dist(a, b) for a, b in pairs])
    bounds = [2 ** (-3 + 4 * step / 5) for step in (1, 2, 3, 4)]
    counts = np.zeros(60)
    for other in range(len(points)):
        if other != one:
            dx, dy = (points[other] - points[one]).tolist()
            ring = sum(math.hypot(dx, dy) / mean >= bound for bound in bounds)
            sector = int((math.degrees(math.atan2(dy, dx)) % 360) // 30)
            counts[12 * ring + sector] += 1
    return counts / np.linalg.norm(counts)


@given(st.integers(0, 2**32 - 1), st.integers(2, 20))
def test_shape_contexts_are_those_of_a_loop(seed, count):
    points = np.random.default_rng(seed).uniform(0, 256, (count, 2))
    found = shape_contexts(points)
    assert (found.dtype, found.shape) == (np.float32, (count, 60))
    wanted = [context_by_loop(points, one) for one in range(count)]
    np.testing.assert_allclose(found, wanted, atol=1e-6)


def test_shape_contexts_stay_when_points_are_moved_and_scaled_but_not_turned():
    points = np.random.default_rng(0).uniform(0, 256, (12, 2))
    np.testing.assert_array_equal(shape_contexts(points), shape_contexts(points * 0.5 + 7))
    assert not np.array_equal(shape_contexts(points), shape_contexts(points[:, ::-1]))


def test_shape_contexts_of_one_point_and_of_points_in_one_place_are_defined():
    assert not shape_contexts(np.array([[3.0, 4.0]])).any()
    together = shape_contexts(np.full((3, 2), 9.0))
    np.testing.assert_array_equal(together[:, 0], 1)
    assert np.count_nonzero(together) == 3
