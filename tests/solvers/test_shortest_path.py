"""Paths across grids are as cheap as the best of all paths, for every kind of cost."""

import heapq
import itertools
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from combgrad.errors import SolverInputError
from combgrad.solvers.base import Trait
from combgrad.solvers.kernels.grid_dijkstra import grid_paths
from combgrad.solvers.shortest_path import ShortestPath

COSTS = st.one_of(
    st.floats(0, 1e3),
    st.integers(0, 2).map(float),
    st.sampled_from([0.0, 5e-324, 1e-310, 1e-300, 1e-9, 1.0, 1e30, 1e300]),
)


def whole(costs):
    """Costs as integers, in units of the least double."""
    return np.array(
        [int(Fraction(cost) * 2**1074) for cost in costs.ravel()], dtype=object
    ).reshape(costs.shape)


def near(cell, neighbours):
    for down, right in itertools.product((-1, 0, 1), repeat=2):
        if (down or right) and (neighbours == 8 or not (down and right)):
            yield cell[0] + down, cell[1] + right


def cheapest_of_all_paths(costs, neighbours):
    """The least exact cost of all simple paths from corner to corner, by depth first search."""
    height, width = costs.shape
    costs, best = whole(costs), np.inf

    def walk(cell, seen, cost):
        nonlocal best
        if cost >= best:
            return
        if cell == (height - 1, width - 1):
            best = cost
            return
        for other in near(cell, neighbours):
            if 0 <= other[0] < height and 0 <= other[1] < width and other not in seen:
                walk(other, seen | {other}, cost + costs[other])

    walk((0, 0), frozenset({(0, 0)}), costs[0, 0])
    return best


def plain_dijkstra(costs, neighbours, start, end):
    """The path of a plain heap ordered by (label, row, column), as a set of cells."""
    height, width = costs.shape
    costs = whole(costs)
    labels, before = {start: costs[start]}, {}
    heap = [(costs[start], start)]
    while heap:
        label, cell = heapq.heappop(heap)
        if label > labels[cell]:
            continue
        for other in near(cell, neighbours):
            if 0 <= other[0] < height and 0 <= other[1] < width:
                longer = label + costs[other]
                if longer < labels.get(other, np.inf):
                    labels[other], before[other] = longer, cell
                    heapq.heappush(heap, (longer, other))
    path = {end}
    while end != start:
        end = before[end]
        path.add(end)
    return path


def cells_of(solution):
    return {tuple(cell) for cell in solution.nonzero().tolist()}


def terrain(generator, batch, size):
    levels = torch.tensor([0.8, 1.2, 5.3, 7.7, 9.2], dtype=torch.float64)
    return levels[torch.randint(5, (batch, size, size), generator=generator)]


@pytest.mark.parametrize("neighbours", [4, 8])
@given(shape=st.sampled_from([(3, 3), (2, 4), (1, 4), (4, 1), (1, 1), (3, 2)]), data=st.data())
def test_the_path_is_as_cheap_as_the_best(neighbours, shape, data):
    size = shape[0] * shape[1]
    values = data.draw(st.lists(COSTS, min_size=size, max_size=size))
    costs = torch.tensor(values, dtype=torch.float64).reshape(1, *shape)
    solver = ShortestPath(neighbours)
    solution = solver(costs)
    assert bool(solver.feasible(solution).all())
    best = cheapest_of_all_paths(costs[0].numpy(), neighbours)
    assert (whole(costs[0].numpy()) * solution[0].numpy().astype(int)).sum() == best
    assert float(solver.optimum(costs)) == pytest.approx(float(Fraction(best, 2**1074)), rel=1e-12)


@pytest.mark.parametrize("neighbours", [4, 8])
def test_four_by_four_grids_against_all_paths(neighbours):
    generator = torch.Generator().manual_seed(0)
    costs = torch.rand(4, 4, 4, dtype=torch.float64, generator=generator)
    solution = ShortestPath(neighbours)(costs)
    for grid, path in zip(costs, solution, strict=True):
        best = cheapest_of_all_paths(grid.numpy(), neighbours)
        assert (whole(grid.numpy()) * path.numpy().astype(int)).sum() == best


@pytest.mark.parametrize("neighbours", [4, 8])
@pytest.mark.parametrize("shape", [(12, 12), (7, 19), (30, 4), (1, 9), (9, 1)])
@pytest.mark.parametrize("kind", ["uniform", "integers", "wide", "one_huge", "zero_or_one"])
def test_it_is_the_very_path_of_a_plain_heap(neighbours, shape, kind):
    generator = torch.Generator().manual_seed(1)
    uniform = torch.rand(20, *shape, dtype=torch.float64, generator=generator)
    costs = {
        "uniform": uniform,
        "integers": (uniform * 4).floor(),
        "wide": 10 ** (600 * uniform - 300),
        "one_huge": torch.where(uniform > 0.98, 1e30, uniform),
        "zero_or_one": (uniform > 0.6).double(),
    }[kind]
    corner = (shape[0] - 1, shape[1] - 1)
    for grid, path in zip(costs, ShortestPath(neighbours)(costs), strict=True):
        assert cells_of(path) == plain_dijkstra(grid.numpy(), neighbours, (0, 0), corner)


def test_a_crowded_queue_finds_the_same_path():
    generator = torch.Generator().manual_seed(2)
    costs = torch.rand(2, 60, 60, dtype=torch.float64, generator=generator)
    costs[:, 0, -1] = 1e30
    costs[1] = (costs[1] * 3).floor()
    for grid, path in zip(costs, ShortestPath()(costs), strict=True):
        assert cells_of(path) == plain_dijkstra(grid.numpy(), 8, (0, 0), (59, 59))


def test_paths_agree_with_networkx():
    networkx = pytest.importorskip("networkx")
    generator = torch.Generator().manual_seed(3)
    costs = torch.rand(3, 12, 9, dtype=torch.float64, generator=generator)
    for grid, path in zip(costs, ShortestPath(4)(costs), strict=True):
        graph = networkx.grid_2d_graph(12, 9).to_directed()
        for tail, head in graph.edges:
            graph[tail][head]["weight"] = float(grid[head])
        expected = networkx.shortest_path(graph, (0, 0), (11, 8), weight="weight")
        assert cells_of(path) == set(expected)


@pytest.mark.parametrize("scale", [2.0**-1000, 1e-30, 3.7, 1e30, 1e300])
def test_scale_does_not_matter(scale):
    generator = torch.Generator().manual_seed(4)
    costs = torch.rand(30, 12, 12, dtype=torch.float64, generator=generator)
    assert torch.equal(ShortestPath()(costs * scale), ShortestPath()(costs))
    noisy = costs - 0.2
    clamping = ShortestPath(negative="clamp")
    assert torch.equal(clamping(noisy * scale), clamping(noisy))
    assert Trait.SCALE_INVARIANT in ShortestPath.traits


def test_labels_beyond_the_largest_float_are_still_compared():
    row = torch.full((1, 1, 5), 1.7e308, dtype=torch.float64)
    assert torch.equal(ShortestPath()(row), torch.ones_like(row))
    costs = torch.full((1, 5, 5), 1.7e308, dtype=torch.float64)
    expected = torch.zeros_like(costs)
    expected[0, 0, :4] = expected[0, 1:, 4] = 1.0
    costs[expected == 1] = 1.1e308
    costs[0, 2, 2] = 1e308
    costs[0, 1, 1] = costs[0, 3, 3] = 1.79e308
    assert torch.equal(ShortestPath(4)(costs), ShortestPath(4)(costs / 2.0**60))
    assert torch.equal(ShortestPath(8)(costs), ShortestPath(8)(costs / 2.0**60))


def test_denormal_costs_are_told_apart_beside_huge_ones():
    costs = torch.full((1, 3, 3), 1.7e308, dtype=torch.float64)
    costs[0, 0, :2] = costs[0, 1, 2] = costs[0, 2, 2] = 5e-324
    costs[0, 1, 0] = costs[0, 2, 1] = 1e-323
    solution = ShortestPath()(costs)
    assert cells_of(solution[0]) == {(0, 0), (0, 1), (1, 2), (2, 2)}


@pytest.mark.parametrize("value", [0.0, 1.0, 5e-324, 1.7e308])
def test_plateaus_are_crossed_deterministically(value):
    costs = torch.full((3, 13, 17), value, dtype=torch.float64)
    for neighbours in (4, 8):
        solver = ShortestPath(neighbours)
        solution = solver(costs)
        assert bool(solver.feasible(solution).all())
        assert torch.equal(solution[0], solution[1])
        assert torch.equal(solution, solver(costs))


def test_float32_is_answered_as_its_exact_value_in_double():
    costs = torch.rand(5, 8, 8, generator=torch.Generator().manual_seed(5))
    solution = ShortestPath()(costs)
    assert solution.dtype == torch.float32
    assert torch.equal(solution.double(), ShortestPath()(costs.double()))


def test_negative_costs_are_refused_or_clamped():
    costs = torch.rand(4, 5, 5, generator=torch.Generator().manual_seed(7))
    costs[2, 1, 3] = -0.5
    with pytest.raises(SolverInputError, match=r"batch index 2 .*clamp"):
        ShortestPath()(costs)
    clamped = ShortestPath(negative="clamp")(costs)
    assert torch.equal(clamped, ShortestPath()(costs.clamp_min(0.0)))
    assert float(costs[2, 1, 3]) == -0.5
    everything_negative = ShortestPath(negative="clamp")(-torch.ones(1, 6, 6))
    assert bool(ShortestPath().feasible(everything_negative).all())


def test_negative_zero_is_zero():
    costs = torch.full((1, 3, 3), -0.0)
    assert torch.equal(ShortestPath()(costs), ShortestPath()(torch.zeros(1, 3, 3)))


def test_ends_can_be_chosen_for_all_or_for_each():
    generator = torch.Generator().manual_seed(8)
    costs = torch.rand(3, 6, 9, dtype=torch.float64, generator=generator)
    starts, ends = torch.tensor([[0, 8], [3, 3], [5, 0]]), torch.tensor([[5, 0], [3, 3], [0, 0]])
    solution = ShortestPath()(costs, start=starts, end=ends)
    for index in range(3):
        pair = tuple(starts[index].tolist()), tuple(ends[index].tolist())
        assert cells_of(solution[index]) == plain_dijkstra(costs[index].numpy(), 8, *pair)
        alone = ShortestPath(start=pair[0])(costs[index : index + 1], end=pair[1])
        assert torch.equal(alone[0], solution[index])
        optimum = ShortestPath().optimum(costs[index : index + 1], start=pair[0], end=pair[1])
        assert float(optimum) == pytest.approx(float((costs * solution)[index].sum()))


def test_wrong_ends_are_refused():
    costs = torch.rand(2, 3, 4)
    with pytest.raises(SolverInputError, match=r"end of batch index 1 .*\(3, 0\)"):
        ShortestPath()(costs, end=torch.tensor([[0, 0], [3, 0]]))
    with pytest.raises(SolverInputError, match="batch index 0"):
        ShortestPath(start=(-1, 0))(costs)
    for wrong, words in (
        (torch.zeros(3, 2, dtype=torch.long), "'start' has 3 entries for 2"),
        ((1,), "start has shape"),
        ((0.0, 1.0), "start has shape"),
    ):
        with pytest.raises(SolverInputError, match=words):
            ShortestPath()(costs, start=wrong)


def test_one_pair_is_that_of_all_whatever_it_is_held_in():
    costs = torch.rand(2, 3, 4)
    expected = ShortestPath(end=(1, 2))(costs)
    for end in ((1, 2), [1, 2], torch.tensor([1, 2]), np.array([1, 2])):
        assert torch.equal(ShortestPath()(costs, end=end), expected)


def test_wrong_options_and_shapes_are_refused():
    with pytest.raises(ValueError, match="4 or 8"):
        ShortestPath(neighbours=6)
    with pytest.raises(ValueError, match="'clamp'"):
        ShortestPath(negative="abs")
    with pytest.raises(ValueError, match="threads"):
        ShortestPath(threads=0)
    for shape in ((2, 5), (2, 0, 5), (2, 3, 3, 3)):
        with pytest.raises(SolverInputError, match="B, H, W"):
            ShortestPath()(torch.rand(*shape))


def test_feasible_refuses_what_is_no_path():
    path = ShortestPath()(torch.ones(1, 4, 4))
    broken, stray, without_end = path.clone(), path.clone(), path.clone()
    broken[0, 1] = 0.0
    stray[0, 0, 3] = 1.0
    without_end[0, 3, 3] = 0.0
    detour, ring = path.clone(), torch.zeros_like(path)
    detour[0, 0, 1] = 1.0
    ring[0, [0, 3], [0, 3]] = ring[0, 0:2, 2:4] = ring[0, 1, 1] = ring[0, 2, 2] = 1.0
    everything = torch.ones_like(path)
    for wrong in (broken, stray, without_end, detour, ring, everything, 0 * path, path / 2):
        assert not bool(ShortestPath().feasible(wrong).any())


def test_joined_tells_whether_marks_hold_a_path():
    path, stray, broken, none = torch.eye(3), torch.eye(3), torch.eye(3), torch.zeros(3, 3)
    stray[0, 2] = 1
    broken[1, 1] = 0
    marks = torch.stack([path, stray, broken, none, torch.ones(3, 3)])
    assert ShortestPath().joined(marks).tolist() == [True, True, False, False, True]
    assert ShortestPath(neighbours=4).joined(marks).tolist() == [False] * 4 + [True]
    corners = ShortestPath().joined(stray[None], start=(0, 2), end=(1, 1))
    assert corners.tolist() == [True]


def test_the_kernel_leaves_its_input_alone():
    costs = np.random.default_rng(9).random((2, 5, 5))
    original = costs.copy()
    grid_paths(costs, np.zeros((2, 2), np.int64), np.full((2, 2), 4), 8)
    np.testing.assert_array_equal(costs, original)
