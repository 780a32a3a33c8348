"""SpanningTree finds a tree as cheap as networkx does, and the lower index first at ties."""

import itertools

import networkx as nx
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from combgrad.errors import SolverInputError
from combgrad.solvers.edges import edge_count, edge_ends
from combgrad.solvers.spanning_tree import SpanningTree

costs_of_any_sign = st.one_of(
    st.floats(-1e3, 1e3),
    st.integers(-2, 2).map(float),
    st.sampled_from([0.0, -0.0, 5e-324, 1e300, -1e300]),
)


def complete(nodes):
    return list(zip(*(ends.tolist() for ends in edge_ends(nodes)), strict=True))


def by_networkx(costs, edges):
    """The least cost of a spanning tree of one instance (E,)."""
    graph = nx.MultiGraph()
    graph.add_nodes_from(range(max(map(max, edges)) + 1))
    for (first, second), cost in zip(edges, costs.tolist(), strict=True):
        graph.add_edge(first, second, weight=cost)
    return nx.minimum_spanning_tree(graph).size(weight="weight")


def by_hand(costs, edges):
    """Kruskal's tree (E,) with the lower index first among equals."""
    piece = list(range(max(map(max, edges)) + 1))
    tree = [0.0] * len(edges)
    for e in sorted(range(len(edges)), key=lambda e: costs[e]):
        first, second = (piece[node] for node in edges[e])
        if first != second:
            piece = [first if p == second else p for p in piece]
            tree[e] = 1.0
    return tree


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@given(nodes=st.integers(2, 7), data=st.data())
def test_complete_graphs_of_any_costs(nodes, data):
    count = edge_count(nodes)
    values = data.draw(st.lists(costs_of_any_sign, min_size=count, max_size=count))
    solution = SpanningTree(nodes)(torch.tensor([values], dtype=torch.float64))
    assert solution.tolist() == [by_hand(values, complete(nodes))]


@pytest.mark.parametrize("nodes", [2, 3, 5, 12, 30])
def test_trees_cost_what_networkx_finds(nodes):
    costs = random(10, edge_count(nodes), seed=nodes)
    solution = SpanningTree()(costs)
    assert bool(SpanningTree().feasible(solution).all())
    for row, tree in zip(costs, solution, strict=True):
        assert float(row @ tree) == pytest.approx(by_networkx(row, complete(nodes)))


def test_it_is_the_best_of_all_trees():
    edges = complete(5)
    trees = []
    for chosen in itertools.combinations(range(10), 4):
        tree = torch.zeros(1, 10, dtype=torch.float64)
        tree[0, list(chosen)] = 1
        if SpanningTree(5).feasible(tree):
            trees.append(tree[0])
    assert len(trees) == 5**3  # Cayley's formula
    costs = random(100, len(edges))
    best = (costs @ torch.stack(trees).T).argmin(dim=1)
    assert torch.equal(SpanningTree()(costs), torch.stack(trees)[best])


def test_an_edge_list_with_parallel_edges_and_bridges():
    edges = [(0, 1), (1, 0), (1, 2), (3, 2), (3, 1), (3, 4)]
    costs = random(50, len(edges)).round()
    solution = SpanningTree(edges=edges)(costs)
    assert solution.tolist() == [by_hand(row, edges) for row in costs.tolist()]
    for row, tree in zip(costs, solution, strict=True):
        assert float(row @ tree) == by_networkx(row, edges)
    assert bool((solution[:, 5] == 1).all())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_every_dtype(dtype):
    costs = random(10, 15).to(dtype)
    solution = SpanningTree()(costs)
    assert solution.dtype == dtype
    assert torch.equal(solution.double(), SpanningTree()(costs.double()))


def test_ties_take_the_lower_index():
    assert SpanningTree()(torch.zeros(1, 6)).tolist() == [[1, 1, 1, 0, 0, 0]]
    assert SpanningTree()(torch.tensor([[0.0, -0.0, 0.0]])).tolist() == [[1, 1, 0]]


@pytest.mark.parametrize("scale", [1e-300, 1e-30, 1e30, 1e300])
def test_scale_does_not_matter(scale):
    costs = random(20, 15)
    assert torch.equal(SpanningTree()(costs * scale), SpanningTree()(costs))


def test_one_node_and_empty_batches():
    assert SpanningTree(1)(torch.zeros(3, 0)).shape == (3, 0)
    assert SpanningTree(edges=[])(torch.zeros(3, 0)).shape == (3, 0)
    assert SpanningTree()(torch.zeros(0, 6)).shape == (0, 6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"edges": [(0, 1), (2, 3)]}, "2 separate pieces"),
        ({"edges": [(0, 1)], "nodes": 3}, "2 separate pieces"),
        ({"edges": [(0, 1), (1, 1)]}, "edge 1 joins node 1 to itself"),
        ({"edges": [(0, 1)], "nodes": 1}, "nodes count from 0 to 0"),
        ({"edges": [(-1, 1)]}, "count from 0"),
        ({"edges": [(0, 1, 2)]}, "pairs of nodes"),
        ({"nodes": 0}, "at least 1"),
    ],
)
def test_bad_graphs_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        SpanningTree(**arguments)


def test_costs_that_do_not_fit_are_refused():
    with pytest.raises(SolverInputError, match=r"\(B, 10\)"):
        SpanningTree(5)(torch.rand(2, 9))
    with pytest.raises(SolverInputError, match="upper"):
        SpanningTree()(torch.rand(2, 9))
    with pytest.raises(SolverInputError, match=r"\(B, 1\)"):
        SpanningTree(edges=[(0, 1)])(torch.rand(2, 9))


def test_the_check_sees_what_is_no_tree():
    solution = SpanningTree()(random(3, 10))
    solution[1] = torch.tensor([1, 1, 0, 0, 1, 0, 0, 0, 0, 1])  # a triangle and an edge
    assert SpanningTree().feasible(solution).tolist() == [True, False, True]
