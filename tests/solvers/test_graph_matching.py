"""The matching of graphs as a solver: batches, padding, reports, threads, what it refuses."""

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from benchmarks.graph_matching_cases import SIGNALS, fusion_moves, joint_of, pairs_of_graphs
from combgrad import CombinatorialLayer, SolverInputError
from combgrad.gradients import Blackbox, Identity
from combgrad.projections import Norm
from combgrad.solvers import GraphMatching
from combgrad.solvers.blocks import Blocks
from combgrad.solvers.graph_matching import MatchingReport


def ring(n: int) -> Tensor:
    """The edges of a ring of n nodes, in both directions."""
    forth = [(i, (i + 1) % n) for i in range(n)]
    return torch.tensor(forth + [(j, i) for i, j in forth])


def random_batch(seed: int, batch: int, n: int) -> tuple[Tensor, dict[str, Tensor]]:
    """Costs (B, n n + 4 n n) of two rings."""
    edges = ring(n)
    generator = torch.Generator().manual_seed(seed)
    costs = torch.randn(batch, n * n + len(edges) ** 2, generator=generator, dtype=torch.float64)
    return costs, {"edges1": edges, "edges2": edges}


def plain_cost(costs: np.ndarray, labels: list[int], n2: int, graphs: Any) -> float:
    """The cost of labels by loops over all pairs of nodes and of edges."""
    total = sum(costs[i * n2 + s] for i, s in enumerate(labels) if s >= 0)
    first, second = graphs
    for e, (i, j) in enumerate(first):
        for f, (k, m) in enumerate(second):
            if min(i, j, k, m) >= 0 and labels[i] == k and labels[j] == m:
                total += costs[len(labels) * n2 + e * len(second) + f]
    return float(total)


def test_the_solution_holds_the_matches_and_their_products() -> None:
    costs, graphs = random_batch(0, 5, 6)
    solution, report = GraphMatching(branches=None).solve_with_bounds(costs, **graphs)
    blocks = Blocks((6, 6), (12, 12))
    matches, products = blocks.unpack(solution)
    expected = torch.zeros_like(products)
    for e, (i, j) in enumerate(graphs["edges1"].tolist()):
        for f, (k, m) in enumerate(graphs["edges2"].tolist()):
            expected[:, e, f] = matches[:, i, k] * matches[:, j, m]
    assert torch.equal(products, expected)
    assert torch.allclose(report.value, (costs * solution).sum(dim=1))
    assert report.proven.all()
    assert (report.gap == 0).all()
    assert GraphMatching().feasible(solution, **graphs).all()
    wrong = solution.clone()
    wrong[0, 36:] = 1 - wrong[0, 36:]
    wrong[1, :36] = 0
    wrong[2, :2] = 1
    assert GraphMatching().feasible(wrong, **graphs).tolist() == [False] * 3 + [True] * 2


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.booleans())
def test_the_debug_mode_compares_with_enumeration(seed: int, full: bool) -> None:
    costs, graphs = random_batch(seed, 1, 4)
    solver = GraphMatching(full=full, branches=None)
    solution = solver(costs, **graphs)
    best = solver.optimum(costs, **graphs)
    assert best is not None
    assert solver.feasible(solution, **graphs).all()
    assert float((costs * solution).sum()) == pytest.approx(float(best))


def test_without_edges_it_is_the_assignment_with_unmatched_nodes() -> None:
    costs = torch.randn(20, 5 * 8, generator=torch.Generator().manual_seed(0))
    solver = GraphMatching(iterations=1, rounds=0, branches=0)
    solution, report = solver.solve_with_bounds(costs, nodes=(5, 8))
    free = costs.double().clamp(max=0).view(-1, 5, 8).numpy()
    best = [matrix[linear_sum_assignment(matrix)].sum() for matrix in free]
    assert report.proven.all()
    np.testing.assert_allclose((costs.double() * solution).sum(dim=1).numpy(), best)


@pytest.mark.parametrize("large", [1e6, 1e12, 1e300])
def test_what_is_proven_is_so_beside_large_numbers_that_forbid(large: float) -> None:
    costs = torch.tensor([[-1.0, large, large, -0.5, large]], dtype=torch.float64)
    solution, report = GraphMatching().solve_with_bounds(costs[:, :4], nodes=(2, 2))
    assert solution.tolist() == [[1, 0, 0, 1]]
    assert report.value.item() == -1.5
    assert report.bound.item() == pytest.approx(-1.5)
    assert report.proven.all()
    # Both nodes would bring -1.5 and, with them, an edge that costs far more.
    edge = [[0, 1]]
    solution, report = GraphMatching().solve_with_bounds(costs, edges1=edge, edges2=edge)
    assert solution.tolist() == [[1, 0, 0, 0, 0]]
    assert report.value.item() == -1.0
    assert report.proven.all()


@pytest.mark.parametrize("full", [False, True])
def test_graphs_without_nodes_have_the_empty_matching(
    full: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COMBGRAD_CHECK", "1")
    for nodes in ((0, 0), (3, 0), (0, 2)):
        assert GraphMatching(full)(torch.zeros(2, 0), nodes=nodes).shape == (2, 0)


def test_instances_of_different_size_in_one_batch() -> None:
    """Each is answered as if it were alone, whatever stands in the padding."""
    sizes = [(3, 5), (6, 4), (5, 5), (0, 2)]
    n1, n2, e1, e2 = 6, 5, 12, 10
    blocks = Blocks((n1, n2), (e1, e2))
    costs, valid = [], []
    first = torch.full((len(sizes), e1, 2), -1)
    second = torch.full((len(sizes), e2, 2), -1)
    generator = torch.Generator().manual_seed(1)
    solver = GraphMatching()
    for row, (a, b) in enumerate(sizes):
        one, other = ring(a) if a > 2 else ring(0).reshape(0, 2), ring(b)
        first[row, : len(one)], second[row, : len(other)] = one, other
        nodes = torch.full((1, n1, n2), float("nan"))
        edges = torch.full((1, e1, e2), float("nan"))
        nodes[:, :a, :b] = torch.randn(1, a, b, generator=generator)
        shape = (1, len(one), len(other))
        edges[:, : len(one), : len(other)] = torch.randn(shape, generator=generator)
        costs.append(blocks.pack(nodes, edges))
        valid.append(~costs[-1].isnan())
    joint, there = torch.cat(costs), torch.cat(valid)
    solution = solver(joint, edges1=first, edges2=second, nodes=(n1, n2), valid=there)
    assert solver.last is not None
    together = solver.last
    assert not solution[~there].any()
    for row, (a, b) in enumerate(sizes):
        one, other = first[row][first[row, :, 0] >= 0], second[row][second[row, :, 0] >= 0]
        alone, report = solver.solve_with_bounds(
            joint[row][there[row]][None], edges1=one[None], edges2=other[None], nodes=(a, b)
        )
        assert torch.equal(alone[0], solution[row][there[row]])
        assert report.value[0] == together.value[row]
        assert report.bound[0] == together.bound[row]


def test_a_single_pair_that_is_not_valid_stays_apart() -> None:
    costs, graphs = random_batch(3, 1, 5)
    solver = GraphMatching(branches=None)
    chosen = int(solver(costs, **graphs)[0, :25].argmax())
    valid = torch.ones_like(costs, dtype=torch.bool)
    valid[0, chosen] = False
    solution = solver(costs, **graphs, valid=valid)
    forbidden = costs.clone()
    forbidden[0, chosen] = torch.inf
    assert solution[0, chosen] == 0
    assert torch.equal(solver(forbidden, **graphs), solution)
    with pytest.raises(SolverInputError, match=r"single pairs of nodes.*index 0.*full=False"):
        GraphMatching(full=True)(costs, **graphs, valid=valid)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_a_full_matching_leaves_no_node_of_the_smaller_graph(dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(0)
    costs = (torch.rand(8, 4 * 6 + 8 * 12, generator=generator) + 1).to(dtype)
    graphs = {"edges1": ring(4), "edges2": ring(6), "nodes": (4, 6)}
    solution = GraphMatching(full=True)(costs, **graphs)
    assert solution.dtype == dtype
    assert (solution[:, :24].sum(dim=1) == 4).all()
    assert GraphMatching(full=True).feasible(solution, **graphs).all()
    assert not GraphMatching(full=True).feasible(torch.zeros_like(solution), **graphs).any()
    # Costs above zero are not worth any match.
    assert not GraphMatching()(costs, **graphs).any()


@pytest.mark.parametrize("large", [0.0, 1e13, 1e300])
def test_a_full_matching_is_full_where_matches_cost_next_to_nothing(large: float) -> None:
    """As at costs that are all 0, or far below one of an edge that is never mapped on a loop."""
    costs, graphs = torch.zeros(1, 9 + 9, dtype=torch.float64), {"edges1": ring(3)[:3]}
    graphs["edges2"] = torch.tensor([[0, 1], [1, 2], [2, 2]])
    costs[0, 9 + 2] = large
    costs[0, :9] = torch.tensor([1, 2, 3, 2, 1, 3, 3, 2, 1]) * (large > 0)
    solution = GraphMatching(full=True)(costs, **graphs)
    assert solution[:, :9].sum() == 3
    assert GraphMatching(full=True).feasible(solution, **graphs).all()


@pytest.mark.parametrize("forbids", [False, True])
def test_many_parallel_edges_add_up_to_any_cost(forbids: bool) -> None:
    """Both nodes gain by their loops; what the edges between them cost is more, or all there is."""
    edges = np.repeat([[0, 0], [1, 1], [0, 1]], 60, axis=0)
    of_loops, between = np.repeat(np.eye(3), 60, axis=0), -1.0 if forbids else 1.5
    edge_costs = of_loops * [-1.0, -1.0, between] @ of_loops.T
    costs = np.concatenate([[np.inf if forbids else 0.0, 0.0, 0.0, 0.0], edge_costs.ravel()])
    labels = [[0, 1], [1, 0], [0, -1], [1, -1], [-1, 0], [-1, 1], [-1, -1]]
    least = min(plain_cost(costs, each, 2, (edges.tolist(), edges.tolist())) for each in labels)
    solver, graphs = GraphMatching(branches=None), {"edges1": edges, "edges2": edges}
    _, report = solver.solve_with_bounds(torch.from_numpy(costs)[None], **graphs, nodes=(2, 2))
    assert float(report.value) == pytest.approx(least) == -3600.0
    assert float(report.bound) <= least


def test_bounds_hold_and_effort_proves_more() -> None:
    costs, graphs = random_batch(4, 12, 9)
    _, quick = GraphMatching(iterations=1, rounds=0, branches=0).solve_with_bounds(costs, **graphs)
    _, exact = GraphMatching(branches=None).solve_with_bounds(costs, **graphs)
    assert exact.proven.all()
    assert (quick.bound <= exact.value).all()
    assert (exact.value <= quick.value).all()
    assert torch.allclose(exact.bound, exact.value)
    assert torch.allclose(quick.value[quick.proven], exact.value[quick.proven])
    assert not quick.proven.all()
    assert (quick.gap >= 0).all()


@pytest.mark.parametrize("kind", ["easy", "hard"])
def test_fusion_moves_are_not_below_the_bound_nor_much_better(kind: str) -> None:
    pytest.importorskip("pylibmgm", exc_type=ImportError)
    pairs = pairs_of_graphs(14, SIGNALS[kind])
    costs, graphs = pairs.joint()
    theirs = (costs * joint_of(pairs, fusion_moves(pairs, costs)())).sum(dim=1)
    _, report = GraphMatching().solve_with_bounds(costs, **graphs)
    assert (report.bound <= theirs + 1e-9).all()
    assert (report.value[report.proven] <= theirs[report.proven] + 1e-9).all()
    assert float(report.value.sum()) <= float(theirs.sum()) * 0.998
    assert report.proven.all() or kind == "hard"


def test_near_a_known_matching() -> None:
    costs, graphs = random_batch(5, 4, 12)
    good = GraphMatching(rounds=2000)(costs, **graphs)
    lazy = GraphMatching(iterations=1, rounds=0, branches=0)
    values = (costs * good).sum(dim=1)
    assert ((costs * lazy(costs, **graphs)).sum(dim=1) > values + 1e-6).any()
    assert ((costs * lazy.solve_near(costs, good, **graphs)).sum(dim=1) <= values + 1e-9).all()
    rubbish = torch.randn_like(costs)
    assert lazy.feasible(lazy.solve_near(costs, rubbish, **graphs), **graphs).all()


def test_threads_change_nothing_and_each_has_its_report() -> None:
    costs, graphs = random_batch(6, 9, 8)
    solver = GraphMatching(threads=1)
    alone, report = solver.solve_with_bounds(costs, **graphs)
    both, parallel = GraphMatching(threads=2).solve_with_bounds(costs, **graphs)
    assert torch.equal(alone, both)
    assert torch.equal(report.bound, parallel.bound)

    def solve(row: int) -> tuple[float, float]:
        _, mine = solver.solve_with_bounds(costs[row : row + 1], **graphs)
        assert solver.last is mine
        return float(mine.value[0]), float(mine.bound[0])

    with ThreadPoolExecutor(3) as pool:
        found = list(pool.map(solve, list(range(9)) * 3))
    expected = [*zip(report.value.tolist(), report.bound.tolist(), strict=True)]
    assert found == expected * 3


def test_a_copy_has_no_report() -> None:
    costs, graphs = random_batch(7, 2, 5)
    solver = GraphMatching(full=True, rounds=7)
    solver(costs, **graphs)
    for twin in (copy.deepcopy(solver), pickle.loads(pickle.dumps(solver))):
        assert twin.last is None
        assert repr(twin) == "GraphMatching(full=True, rounds=7)"
        assert torch.equal(twin(costs, **graphs), solver(costs, **graphs))
    assert solver.last is not None
    _, empty = solver.solve_with_bounds(costs[:0], edges1=ring(5)[None][:0], edges2=ring(5))
    assert len(empty.value) == len(empty.proven) == 0


def test_in_a_layer() -> None:
    costs, graphs = random_batch(8, 4, 6)
    for gradient in (Identity(), Blackbox(2.0)):
        layer = CombinatorialLayer(GraphMatching(), gradient, Norm())
        weights = costs.clone().requires_grad_()
        solution = layer(weights, **graphs)
        solution[:, :36].square().sum().backward()
        assert weights.grad is not None
        assert weights.grad.isfinite().all()
        assert weights.grad.abs().sum() > 0
        # The joint norm keeps the order of all matchings.
        assert torch.equal(solution.detach(), GraphMatching()(costs, **graphs))


@pytest.mark.parametrize("scale", [1e-30, 3.0, 1e30])
def test_the_scale_of_the_costs_does_not_matter(scale: float) -> None:
    costs, graphs = random_batch(9, 6, 7)
    solver = GraphMatching()
    assert torch.equal(solver(costs * scale, **graphs), solver(costs, **graphs))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"edges2": torch.tensor([[0, 5]])}, r"edges2 of batch index 0.*\[0, 5\].*0 to 4"),
        ({"edges2": torch.tensor([[0, -1]])}, r"edges2 of batch index 0.*-1 at both ends"),
        ({"nodes": (5, 4)}, r"10 and 10 edges, which leave 25 .* \(5, 4\) nodes.*nodes=\(N1, N2\)"),
        ({"nodes": (5,)}, r"\(5,\) nodes"),
        ({"edges1": None}, r"0 and 10 edges, which leave 125 .* same number of nodes"),
        ({"edges1": ring(5).double()}, "edges1.*integers"),
        ({"edges1": torch.zeros(2, 3, 3, dtype=torch.long)}, r"edges1 have shape \(2, 3, 3\)"),
        ({"edges1": ring(5).expand(3, 10, 2)}, "'edges1' has 3 entries for 2 instances"),
        ({"edges3": ring(5)}, "takes no argument 'edges3'.*edges1, edges2, nodes"),
    ],
)
def test_bad_input_is_refused(arguments: dict[str, Any], message: str) -> None:
    costs, graphs = random_batch(0, 2, 5)
    if "edges2" in arguments:
        costs = costs[:, : 25 + 10]
    with pytest.raises(SolverInputError, match=message):
        GraphMatching()(costs, **{**graphs, **arguments})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"iterations": 0}, "iterations is 0.*>= 1"),
        ({"rounds": -1}, "rounds is -1.*>= 0"),
        ({"branches": 1.5}, "branches is 1.5"),
        ({"threads": 0}, "threads"),
    ],
)
def test_bad_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        GraphMatching(**options)


def test_a_full_matching_takes_no_infinite_cost() -> None:
    costs, graphs = random_batch(0, 2, 5)
    costs[1, 3] = torch.inf
    with pytest.raises(SolverInputError, match="batch index 1"):
        GraphMatching(full=True)(costs, **graphs)
    assert GraphMatching()(costs, **graphs)[1, 3] == 0


def test_plain_loops_agree_on_the_costs_of_directed_graphs() -> None:
    random = np.random.default_rng(0)
    first, second = random.integers(0, 4, (6, 2)), random.integers(0, 5, (7, 2))
    costs = torch.from_numpy(random.normal(size=(3, 4 * 5 + 6 * 7)))
    solver = GraphMatching(branches=None)
    graphs = {"edges1": first, "edges2": second, "nodes": (4, 5)}
    solution, report = solver.solve_with_bounds(costs, **graphs)
    for row in range(3):
        matches = solution[row, :20].view(4, 5)
        labels = [int(m.argmax()) if m.any() else -1 for m in matches]
        pairs = (first.tolist(), second.tolist())
        assert float(report.value[row]) == pytest.approx(
            plain_cost(costs[row].numpy(), labels, 5, pairs)
        )


def test_the_gap_of_a_matching_of_nothing_is_a_share_too() -> None:
    value, bound = torch.tensor([0.0, -4.0, 0.0, 2.0]), torch.tensor([-3.0, -5.0, -1e-9, -2.0])
    report = MatchingReport(value, bound, torch.tensor([False, False, True, False]))
    assert report.gap.tolist() == pytest.approx([1.0, 0.2, 0.0, 2.0])
