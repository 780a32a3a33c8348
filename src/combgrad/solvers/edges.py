"""Edge coordinates of a complete graph: the upper triangle of a k x k matrix, row by row."""

import functools

import numpy as np
import torch
from torch import Tensor

from combgrad.errors import SolverInputError


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
    """Edge values (B, E) as symmetric matrices (B, k, k) with a zero diagonal."""
    cities = city_count(edges.shape[-1])
    first, second = edge_ends(cities)
    matrix = edges.new_zeros(*edges.shape[:-1], cities, cities)
    matrix[..., first, second] = edges
    matrix[..., second, first] = edges
    return matrix


def matrix_to_edges(matrix: Tensor) -> Tensor:
    """The upper triangle (B, E) of matrices (B, k, k)."""
    first, second = edge_ends(matrix.shape[-1])
    return matrix[..., torch.from_numpy(first), torch.from_numpy(second)]
