"""What a caller passes beside the costs is checked before compiled code sees it."""

import numpy as np
import pytest
import torch

from combgrad.errors import SolverInputError
from combgrad.solvers import (
    ILP,
    Alignment,
    Cached,
    GraphShortestPath,
    Knapsack,
    ShortestPath,
    SpanningTree,
    TopK,
)

RAGGED = [[0, 1], [1]]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: GraphShortestPath(RAGGED, 2, 0, 1), "edges cannot be made an array"),
        (lambda: GraphShortestPath([(0, 0.5)], 2, 0, 1), "edges .*integers"),
        (lambda: GraphShortestPath([(0, None)], 2, 0, 1), "edges .*integers"),
        (lambda: GraphShortestPath(np.array([[0, 2**64 - 1]], "u8"), 2, 0, 1), "edges"),
        (lambda: GraphShortestPath([(0, 1)], 2.5, 0, 1), "nodes is 2.5"),
        (lambda: GraphShortestPath([(0, 1)], 0, 0, 1), "nodes is 0"),
        (lambda: GraphShortestPath([(0, 1)], 2, -1, 1), "start names a node outside"),
        (lambda: SpanningTree(edges=RAGGED), "edges cannot be made an array"),
        (lambda: SpanningTree(edges=[(0, 1.5)]), "edges .*integers"),
        (lambda: SpanningTree(edges=torch.rand(3, 2)), "edges .*integers"),
        (lambda: SpanningTree(edges=[(0, 1, 2)]), "edges have shape"),
        (lambda: SpanningTree(2.5), "nodes is 2.5"),
        (lambda: ShortestPath(start=3), r"start has shape \(\)"),
        (lambda: ShortestPath(end=(1, 2, 3)), r"end has shape \(3,\)"),
        (lambda: ShortestPath(end=(0.5, 1)), "end .*integers"),
        (lambda: Knapsack([[1, 2]], 2), "weight 0"),
        (lambda: TopK(True), "k is True"),
        (lambda: ILP([["a"]]), "A is no array of numbers"),
        (lambda: ILP([[[1.0]]]), "A has shape"),
        (lambda: ILP([[1.0]], upper="high"), "a bound of A is no array"),
        (lambda: ILP([[1.0]], bounds=1.0), "bounds are 1.0"),
        (lambda: ILP([[1.0]], integrality=["yes"]), "integrality is no array"),
    ],
)
def test_arguments_of_a_problem_are_refused_by_name(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("solver", "shape", "instance", "message"),
    [
        (Alignment(), (3, 3, 3), {"lengths": [[1, 2], [1]]}, "lengths cannot be made"),
        (Alignment(), (3, 3, 3), {"lengths": torch.ones(2, 2)}, "lengths .*integers"),
        (Alignment(), (3, 3, 3), {"lengths": [[1, 2]]}, "'lengths' has 1 entries for 2 instances"),
        (Alignment(), (3, 3, 3), {"lengths": [[1, 2], [3, 1]]}, "batch index 1"),
        (Alignment(), (3, 3, 3), {"lengths": [[1, 2], [-1, 1]]}, "batch index 1"),
        (ShortestPath(), (3, 3), {"start": RAGGED}, "start cannot be made"),
        (
            ShortestPath(),
            (3, 3),
            {"start": torch.zeros(3, 2).long()},
            "'start' has 3 entries",
        ),
        (ShortestPath(), (3, 3), {"end": torch.tensor([[0, 1], [0, 3]])}, "batch index 1"),
        (ShortestPath(), (3, 3), {"end": torch.rand(2, 2)}, "end .*integers"),
        (ShortestPath(start=(9, 9)), (3, 3), {}, "start of batch index 0"),
        (Cached(ShortestPath()), (3, 3), {"end": "ab"}, "end .*integers"),
    ],
)
def test_arguments_of_instances_are_refused_by_name(solver, shape, instance, message):
    with pytest.raises(SolverInputError, match=message):
        solver(torch.rand(2, *shape), **instance)


@pytest.mark.parametrize(
    ("costs", "remedy"),
    [
        (torch.rand(2, 4).to(torch.float8_e5m2), r"costs\.float"),
        (torch.rand(2, 4).to(torch.complex64), r"costs\.float"),
        (torch.rand(2, 4).to_sparse(), "to_dense"),
        (torch.rand(2, 4, device="meta"), "meta, which holds no numbers"),
    ],
)
def test_costs_that_are_no_ordinary_tensors_are_refused(costs, remedy):
    with pytest.raises(SolverInputError, match=f"TopK: costs .*{remedy}"):
        TopK(2)(costs)


def test_a_cache_forbids_what_its_solver_forbids():
    costs = torch.tensor([[torch.inf, 2.0, 1.0]])
    assert Cached(TopK(2))(costs).tolist() == [[0, 1, 1]]
