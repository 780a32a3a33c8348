"""Pictures of decisions: which edges are drawn in which colour, what they cost, and the points."""

import numpy as np
import pytest
from matplotlib.colors import to_rgba

from combgrad.pictures.decisions import RIGHT, WRONG, draw_costs, draw_ways

NODES = np.array([[0.0, 0], [1, 0], [0, 1], [1, 1]])
EDGES = np.array([[0, 1], [0, 2], [1, 3], [2, 3]])
COSTS = np.array([[1.0, 4, 2, 1], [3, 3, 3, 3]])
BEST = np.array([[1, 0, 1, 0], [1, 0, 1, 0]])
FOUND = np.array([[1, 0, 1, 0], [0, 1, 0, 1]])


def edges_of(axes, colour):
    """The edges, by their numbers, of the lines in a colour."""
    lines = [c for c in axes.collections if [*map(tuple, c.get_colors())] == [to_rgba(colour)]]
    ends = [path.vertices.tolist() for line in lines for path in line.get_paths()]
    return [NODES[EDGES].tolist().index(end) for end in ends]


def test_edges_have_the_colour_of_what_they_are():
    right, wrong = draw_ways(NODES, EDGES, COSTS, BEST, FOUND).axes
    assert (edges_of(right, RIGHT), edges_of(right, WRONG)) == ([0, 2], [])
    assert (edges_of(wrong, RIGHT), edges_of(wrong, WRONG)) == ([], [1, 3])
    assert [edges_of(axes, "white") for axes in (right, wrong)] == [[0, 2], [0, 2]]
    assert right.get_xlabel() == "cost 3, best 3"
    assert wrong.get_xlabel() == "cost 6, best 6"


def test_dear_edges_are_wide_and_equal_ones_alike():
    varied, equal = draw_ways(NODES, EDGES, COSTS, BEST, FOUND).axes
    assert np.argsort(varied.collections[0].get_linewidths())[-1] == 1
    assert len(set(equal.collections[0].get_linewidths())) == 1


def test_the_grid_goes_down():
    bottom, top = draw_ways(NODES, EDGES, COSTS, BEST, FOUND).axes[0].get_ylim()
    assert bottom > top


def test_points_are_those_of_the_costs_and_not_too_many():
    axes = draw_costs(2 * COSTS, COSTS).axes[0]
    np.testing.assert_array_equal(axes.lines[0].get_ydata(), 2 * axes.lines[0].get_xdata())
    assert len(axes.lines[0].get_xdata()) == 8
    many = np.arange(10_001.0)
    assert len(draw_costs(many, many).axes[0].lines[0].get_xdata()) == 4000


@pytest.mark.parametrize(
    "arrays",
    [
        (NODES, EDGES, COSTS[:, :3], BEST, FOUND),
        (NODES, EDGES, COSTS, BEST[:1], FOUND),
        (NODES[:, :1], EDGES, COSTS, BEST, FOUND),
        (NODES, EDGES, COSTS[:0], BEST[:0], FOUND[:0]),
    ],
)
def test_arrays_that_do_not_belong_together_are_refused(arrays):
    with pytest.raises(ValueError, match=r"pass nodes \(V, 2\)"):
        draw_ways(*arrays)


def test_costs_of_another_shape_are_refused():
    with pytest.raises(ValueError, match=r"costs have shape \(2, 4\) and true costs \(2, 3\)"):
        draw_costs(COSTS, COSTS[:, :3])
