"""The steps that are timed beside PyEPO's are the same steps."""

import pytest
import torch

from benchmarks.decision_cases import (
    PROBLEMS,
    grid,
    instances,
    knapsack,
    ours,
    theirs,
    tour,
    training,
)

SMALL = {"path": grid(4), "knapsack": knapsack(8), "tsp": tour(5)}
#: Those without noise of their own.
SURE = (
    "SPO+", "perturbation gradient", "Blackbox", "Identity", "noise-contrastive", "listwise ranking"
)  # fmt: skip


@pytest.mark.parametrize("name", SMALL)
def test_each_of_our_steps_has_a_gradient(name):
    problem = SMALL[name]
    data = instances(problem)
    for method, make in ours(problem, data).items():
        gradient = training(problem, data, make())()
        assert gradient.shape == (1, problem.costs), method
        assert float(gradient.abs().sum()) > 0, method


def test_the_edges_of_a_grid_are_numbered_row_by_row():
    solver = grid(3).solver()
    edges = [
        (0, 1),
        (1, 2),
        (0, 3),
        (1, 4),
        (2, 5),
        (3, 4),
        (4, 5),
        (3, 6),
        (4, 7),
        (5, 8),
        (6, 7),
        (7, 8),
    ]
    costs = torch.ones(1, len(edges))
    costs[0, [edges.index(edge) for edge in ((0, 3), (3, 4), (4, 7), (7, 8))]] = 0.1
    used = solver(costs)[0].nonzero()[:, 0].tolist()
    assert [edges[edge] for edge in used] == [(0, 3), (3, 4), (4, 7), (7, 8)]
    assert grid(3).costs == len(edges)
    assert {name: make(size).costs for name, (size, make) in PROBLEMS.items()} == {
        "shortest path 5x5": 40, "shortest path 12x12": 264, "knapsack": 48, "tsp": 190
    }  # fmt: skip


@pytest.mark.parametrize("name", SMALL)
def test_a_step_of_pyepo_has_the_same_gradient(name):
    func = pytest.importorskip("pyepo.func", reason="PyEPO is not installed")
    pytest.importorskip("gurobipy", reason="PyEPO's own models need gurobipy")
    problem = SMALL[name]
    data = instances(problem)
    mine, other = ours(problem, data), theirs(problem, data, func)
    assert mine.keys() == other.keys()
    for method in SURE:
        torch.testing.assert_close(
            training(problem, data, mine[method]())(),
            training(problem, data, other[method]())(),
            rtol=1e-4, atol=1e-5, msg=lambda text, method=method: f"{method}: {text}",
        )  # fmt: skip
