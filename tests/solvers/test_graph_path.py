"""Paths through graphs are as cheap as networkx's, with zeros and parallel edges kept."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from combgrad.errors import InfeasibleError, SolverInputError
from combgrad.solvers.base import Trait
from combgrad.solvers.graph_path import GraphShortestPath
from combgrad.solvers.kernels.exact_paths import ordered_paths

networkx = pytest.importorskip("networkx")

COSTS = st.one_of(
    st.floats(0, 10), st.integers(0, 2).map(float), st.sampled_from([0.0, 5e-324, 1e30])
)


@st.composite
def graphs(draw):
    """A graph with loops and parallel edges that joins node 0 to its last node, and costs."""
    nodes = draw(st.integers(1, 7))
    node = st.integers(0, nodes - 1)
    chain = [(i, i + 1) for i in range(nodes - 1)]
    edges = draw(st.permutations(chain + draw(st.lists(st.tuples(node, node), max_size=15))))
    costs = draw(st.lists(COSTS, min_size=len(edges), max_size=len(edges)))
    return nodes, edges, costs


def cheapest(nodes, edges, costs, directed):
    graph = networkx.MultiDiGraph() if directed else networkx.MultiGraph()
    graph.add_nodes_from(range(nodes))
    for (tail, head), cost in zip(edges, costs, strict=True):
        graph.add_edge(tail, head, weight=cost)
    return networkx.dijkstra_path_length(graph, 0, nodes - 1)


@pytest.mark.parametrize("directed", [False, True])
@given(drawn=graphs())
def test_the_path_is_as_cheap_as_the_best(directed, drawn):
    nodes, edges, values = drawn
    solver = GraphShortestPath(edges, nodes, 0, nodes - 1, directed=directed)
    costs = torch.tensor([values], dtype=torch.float64)
    solution = solver(costs)
    best = cheapest(nodes, edges, values, directed)
    assert bool(solver.feasible(solution).all())
    assert float((costs * solution).sum()) == pytest.approx(best, rel=1e-12, abs=0)
    assert float(solver.optimum(costs)) == pytest.approx(best, rel=1e-12, abs=0)


DIAMOND = [(0, 1), (1, 3), (0, 2), (2, 3), (0, 3), (0, 3)]


def test_zero_costs_are_edges():
    costs = torch.tensor([[0.0, 0.0, 1.0, 1.0, 0.5, 0.5], [1.0, 1.0, 0.0, 0.0, 0.5, 0.5]])
    expected = torch.tensor([[1.0, 1, 0, 0, 0, 0], [0, 0, 1, 1, 0, 0]])
    assert torch.equal(GraphShortestPath(DIAMOND, 4, 0, 3)(costs), expected)


def test_of_parallel_edges_the_cheaper_counts():
    costs = torch.tensor([[1.0, 1, 1, 1, 0.5, 0.4], [1, 1, 1, 1, 0.5, 0.6]])
    expected = torch.tensor([[0.0, 0, 0, 0, 0, 1], [0, 0, 0, 0, 1, 0]])
    assert torch.equal(GraphShortestPath(DIAMOND, 4, 0, 3)(costs), expected)


def test_a_zero_plateau_ends_and_ties_are_deterministic():
    edges = [(i, j) for i in range(8) for j in range(i)]
    solver = GraphShortestPath(torch.tensor(edges), 8, 7, 2)
    for value in (0.0, 1.0):
        costs = torch.full((2, len(edges)), value)
        solution = solver(costs)
        assert bool(solver.feasible(solution).all())
        assert torch.equal(solution[0], solution[1])
        assert torch.equal(solution, solver(costs))


def test_start_may_be_the_end():
    assert float(GraphShortestPath(DIAMOND, 4, 2, 2)(torch.rand(3, 6)).sum()) == 0
    assert GraphShortestPath([], 1, 0, 0)(torch.rand(3, 0)).shape == (3, 0)


def test_a_missing_path_names_the_batch_index():
    with pytest.raises(SolverInputError, match=r"no path .* batch index 0"):
        GraphShortestPath([(0, 1)], 3, 0, 2)(torch.rand(2, 1))
    with pytest.raises(SolverInputError, match="directed"):
        GraphShortestPath([(1, 0)], 2, 0, 1, directed=True)(torch.rand(2, 1))
    assert float(GraphShortestPath([(1, 0)], 2, 0, 1)(torch.rand(1, 1)).sum()) == 1


def test_negative_costs_are_refused_or_clamped():
    costs = torch.rand(3, 6)
    costs[1, 2] = -1.0
    with pytest.raises(SolverInputError, match=r"batch index 1 .*clamp"):
        GraphShortestPath(DIAMOND, 4, 0, 3)(costs)
    clamped = GraphShortestPath(DIAMOND, 4, 0, 3, negative="clamp")(costs)
    assert torch.equal(clamped, GraphShortestPath(DIAMOND, 4, 0, 3)(costs.clamp_min(0)))


@pytest.mark.parametrize("scale", [2.0**-1000, 1e-30, 1e30, 1e307])
def test_scale_does_not_matter(scale):
    generator = torch.Generator().manual_seed(0)
    edges = [(i, j) for i in range(9) for j in range(i)]
    costs = torch.rand(20, len(edges), dtype=torch.float64, generator=generator)
    solver = GraphShortestPath(edges, 9, 0, 8)
    assert torch.equal(solver(costs * scale), solver(costs))
    assert solver.traits == {Trait.SCALE_INVARIANT}


def test_costs_whose_sum_overflows_are_still_compared():
    costs = torch.tensor([[1.7e308, 1.7e308, 1.6e308, 1.7e308]], dtype=torch.float64)
    solution = GraphShortestPath([(0, 1), (1, 3), (0, 2), (2, 3)], 4, 0, 3)(costs)
    assert solution.tolist() == [[0, 0, 1, 1]]


def test_feasible_refuses_what_is_no_path():
    solver = GraphShortestPath(DIAMOND, 4, 0, 3)
    wrong = torch.tensor(
        [[1.0, 0, 0, 0, 0, 0], [1, 1, 0, 0, 1, 0], [0, 0, 0, 0, 0.5, 0], [0, 0, 0, 0, 0, 0]]
    )
    assert not bool(solver.feasible(wrong).any())


def test_wrong_graphs_and_shapes_are_refused():
    with pytest.raises(ValueError, match=r"\(E, 2\)"):
        GraphShortestPath([(0.0, 1.0)], 2, 0, 1)
    with pytest.raises(ValueError, match="edges names a node"):
        GraphShortestPath([(0, 2)], 2, 0, 1)
    with pytest.raises(ValueError, match="end names a node"):
        GraphShortestPath([(0, 1)], 2, 0, 2)
    with pytest.raises(ValueError, match="'clamp'"):
        GraphShortestPath(DIAMOND, 4, 0, 3, negative="abs")
    with pytest.raises(SolverInputError, match="6 edges"):
        GraphShortestPath(DIAMOND, 4, 0, 3)(torch.rand(1, 5))


def standard_grid(side):
    """The arcs right and down of a grid of nodes, row by row."""
    right = [(i * side + j, i * side + j + 1) for i in range(side) for j in range(side - 1)]
    down = [(i * side + j, i * side + j + side) for i in range(side - 1) for j in range(side)]
    return sorted(right + down)


@given(data=st.data())
def test_acyclic_graphs_take_costs_of_any_sign(data):
    """Against Bellman and Ford, for arcs between nodes numbered at random."""
    nodes = data.draw(st.integers(2, 7))
    names = data.draw(st.permutations(range(nodes)))
    pairs = st.tuples(st.integers(0, nodes - 1), st.integers(0, nodes - 1))
    chain = [(i, i + 1) for i in range(nodes - 1)]
    forward = chain + [(min(p), max(p)) for p in data.draw(st.lists(pairs, max_size=12))]
    edges = [(names[a], names[b]) for a, b in data.draw(st.permutations(forward)) if a < b]
    values = data.draw(
        st.lists(st.integers(-9, 9).map(float), min_size=len(edges), max_size=len(edges))
    )
    solver = GraphShortestPath(edges, nodes, names[0], names[-1], directed=True)
    graph = networkx.MultiDiGraph()
    for (tail, head), cost in zip(edges, values, strict=True):
        graph.add_edge(tail, head, weight=cost)
    best = networkx.bellman_ford_path_length(graph, names[0], names[-1])
    costs = torch.tensor([values])
    solution = solver(costs)
    assert solver.acyclic
    assert bool(solver.feasible(solution).all())
    assert float((costs * solution).sum()) == best
    assert float(solver.optimum(costs)) == best


def test_the_standard_grid_is_solved_for_linear_predictions():
    solver = GraphShortestPath(standard_grid(5), 25, 0, 24, directed=True)
    costs = torch.randn(32, 40, generator=torch.Generator().manual_seed(0))
    solution = solver(costs)
    assert bool(solver.feasible(solution).all())
    assert torch.allclose((costs.double() * solution).sum(1), solver.optimum(costs))
    assert torch.equal(solver(costs * 1e-3), solution)
    clamped = GraphShortestPath(standard_grid(5), 25, 0, 24, directed=True, negative="clamp")
    assert torch.equal(clamped(costs), solver(costs.clamp_min(0)))


def test_cycles_off_the_way_do_not_matter_and_others_refuse_negative_costs():
    costs = torch.tensor([[1.0, -2.0, 5.0, -5.0, -1.0]])
    edges = [(0, 1), (1, 2), (3, 4), (4, 3), (4, 0)]
    solver = GraphShortestPath(edges, 5, 0, 2, directed=True)
    assert solver.acyclic
    assert solver(costs).tolist() == [[1, 1, 0, 0, 0]]
    for options in ({"directed": True, "end": 4}, {"directed": False, "end": 2}):
        cyclic = GraphShortestPath([*edges, (2, 4)], 5, 0, **options)
        assert not cyclic.acyclic
        with pytest.raises(SolverInputError, match=r"batch index 0 .*no cycles"):
            cyclic(torch.cat([costs, costs[:, :1]], dim=1))


def test_at_ties_the_edge_that_is_listed_first_is_taken():
    edges = [(0, 2), (0, 1), (1, 3), (2, 3), (0, 1)]
    solver = GraphShortestPath(edges, 4, 0, 3, directed=True)
    assert solver(torch.ones(1, 5)).tolist() == [[1, 0, 0, 1, 0]]


@pytest.mark.parametrize("directed", [False, True])
def test_forbidden_edges_are_gone_round_or_leave_nothing(directed):
    solver = GraphShortestPath(DIAMOND, 4, 0, 3, directed=directed)
    costs = torch.tensor([[torch.inf, 1, 5, 5, torch.inf, 99], [1, torch.inf, torch.inf, 1, 7, 8]])
    assert solver(costs).tolist() == [[0, 0, 1, 1, 0, 0], [0, 0, 0, 0, 1, 0]]
    costs[1, 4:] = torch.inf
    with pytest.raises(InfeasibleError, match=r"batch index 1 \(1 of 2"):
        solver(costs)


@pytest.mark.parametrize("value", ["a", 0.5, None])
def test_ends_that_are_no_numbers_are_refused(value):
    with pytest.raises(ValueError, match="start is"):
        GraphShortestPath(DIAMOND, 4, value, 3)
    with pytest.raises(ValueError, match="edges"):
        GraphShortestPath([(0, 1), (1,)], 4, 0, 3)


@given(data=st.data())
def test_a_path_in_floats_is_the_one_in_exact_integers(data):
    """Ties, near ties, sums that are rounded, and edges that are forbidden."""
    value = st.one_of(
        st.integers(-2, 2).map(float),
        st.sampled_from([0.1, 0.2, 0.3, 0.1 + 0.2, 1e16, -1e16, 1e300, torch.inf]),
        st.floats(-1, 1),
    )
    values = data.draw(st.lists(value, min_size=12, max_size=12))
    costs = torch.tensor([values], dtype=torch.float64)
    solver = GraphShortestPath(standard_grid(3), 9, 0, 8, directed=True)
    exact = np.zeros((1, 12), dtype=np.uint8)
    graph = (solver._offsets, solver._heads, solver._entries, solver._first, solver._last)
    if ordered_paths(costs.numpy(), *graph, exact).all():
        assert solver(costs).tolist() == exact.tolist()
    else:
        with pytest.raises(InfeasibleError):
            solver(costs)
