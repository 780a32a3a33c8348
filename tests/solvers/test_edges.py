"""Costs of edges are the upper triangle of a matrix of distances, row by row."""

import pytest
import torch

from combgrad import SolverInputError
from combgrad.solvers import edges_to_matrix, matrix_to_edges


def test_edges_stand_where_a_plain_loop_puts_them():
    distances = torch.rand(3, 5, 5)
    edges = matrix_to_edges(distances)
    pairs = [(i, j) for i in range(5) for j in range(i + 1, 5)]
    for place, (i, j) in enumerate(pairs):
        assert torch.equal(edges[:, place], distances[:, i, j])
    matrix = edges_to_matrix(edges)
    for i in range(5):
        for j in range(5):
            wanted = distances[:, min(i, j), max(i, j)] if i != j else torch.zeros(3)
            assert torch.equal(matrix[:, i, j], wanted)


def test_gradients_reach_the_upper_triangle_alone():
    distances = torch.rand(2, 4, 4, dtype=torch.float64, requires_grad=True)
    weights = torch.arange(6.0, dtype=torch.float64)
    (matrix_to_edges(distances) * weights).sum().backward()
    assert torch.equal(distances.grad, torch.triu(edges_to_matrix(weights.expand(2, 6)), 1))


@pytest.mark.parametrize("shape", [(4,), (2, 4, 5)])
def test_what_is_no_square_matrix_is_refused(shape):
    with pytest.raises(SolverInputError, match=r"square matrices \(B, k, k\)"):
        matrix_to_edges(torch.rand(shape))


def test_edges_of_no_number_of_cities_are_refused():
    with pytest.raises(SolverInputError, match="7 edge costs do not fit"):
        edges_to_matrix(torch.rand(2, 7))
