"""Edge coordinates of a complete graph: the upper triangle of a k x k matrix, row by row."""

import functools

import numpy as np
import torch
from torch import Tensor

from combgrad.errors import SolverInputError
from combgrad.solvers.kernels.tour_order import tour_orders


def edge_count(cities: int) -> int:
    """The number of edges between k cities, k(k-1)/2."""
    return cities * (cities - 1) // 2


def city_count(edges: int) -> int:
    """The k with k(k-1)/2 = edges; raises SolverInputError where there is none."""
    cities = int((1 + (1 + 8 * edges) ** 0.5) / 2 + 0.5)
    if edge_count(cities) != edges:
        raise SolverInputError(
            f"{edges} edge costs do not fit any number of cities: the last axis holds the upper "
            f"triangle of a k x k matrix, k(k-1)/2 entries (3, 6, 10, 15, ...)."
        )
    return cities


@functools.cache
def edge_ends(cities: int) -> tuple[np.ndarray, np.ndarray]:
    """The two cities of each edge, two int64 arrays of shape (E,), first < second."""
    first, second = np.triu_indices(cities, k=1)
    return first, second


def edges_to_matrix(edges: Tensor) -> Tensor:
    """Values of the edges (B, E) as symmetric matrices (B, k, k) with a zero diagonal.

    E = k(k-1)/2, the upper triangle row by row. Differentiable. Raises SolverInputError where E
    fits no k.
    """
    cities = city_count(edges.shape[-1])
    first, second = edge_ends(cities)
    matrix = edges.new_zeros(*edges.shape[:-1], cities, cities)
    matrix[..., first, second] = edges
    matrix[..., second, first] = edges
    return matrix


def matrix_to_edges(matrix: Tensor) -> Tensor:
    """The upper triangle of matrices (B, k, k), row by row, (B, E) with E = k(k-1)/2.

    These are the costs of edges that `TSP` takes, as of a matrix of distances; what lies below the
    diagonal is not looked at. Differentiable. Raises SolverInputError for other shapes.
    """
    if matrix.dim() < 2 or matrix.shape[-1] != matrix.shape[-2]:
        raise SolverInputError(
            f"matrix_to_edges takes square matrices (B, k, k), and got {tuple(matrix.shape)}."
        )
    first, second = edge_ends(matrix.shape[-1])
    return matrix[..., torch.from_numpy(first), torch.from_numpy(second)]


def orders_of(solution: Tensor) -> np.ndarray:
    """The cities of tours (B, E) in visiting order, (B, k) int64; -1 first where it is no tour."""
    return tour_orders((solution > 0.5).cpu().numpy(), city_count(solution.shape[1]))


def are_tours(solution: Tensor) -> Tensor:
    """Which of (B, E) are 0/1 and one cycle through all cities, (B,) bool."""
    binary = ((solution == 0) | (solution == 1)).all(dim=1)
    cycles = torch.from_numpy(orders_of(solution)[:, 0] == 0)
    return binary & cycles.to(solution.device)
