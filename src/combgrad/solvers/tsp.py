"""The travelling salesman problem, exact, in compiled code."""

import torch
from torch import Tensor

from combgrad.errors import SolverInputError
from combgrad.solvers.base import Solver, Trait, to_array, to_tensor
from combgrad.solvers.edges import city_count, edge_ends
from combgrad.solvers.kernels.held_karp import held_karp

MOST_CITIES = 12


def check_edges(solver: Solver, shape: torch.Size, most: int, remedy: str) -> None:
    """Raise SolverInputError unless `shape` is (k(k-1)/2,) for 3 <= k <= most."""
    name = type(solver).__name__
    if len(shape) != 1:
        raise SolverInputError(
            f"{name}: costs have instance shape {tuple(shape)}; pass the k(k-1)/2 edge costs of "
            f"each instance as (B, E), the upper triangle row by row "
            f"(combgrad.solvers.edges.matrix_to_edges)."
        )
    cities = city_count(shape[0])
    if cities < 3:
        raise SolverInputError(f"{name}: a tour needs at least 3 cities, and there are {cities}.")
    if cities > most:
        raise SolverInputError(f"{name}: {cities} cities, and it solves up to {most}. {remedy}")


def is_node_potential(normal: Tensor) -> bool:
    """Whether a_ij = u_i + u_j for some u, which makes <a, y> = 2 sum(u) for every tour y."""
    cities = city_count(normal.numel())
    first, second = (torch.from_numpy(ends) for ends in edge_ends(cities))
    edges = torch.arange(normal.numel())
    incidence = torch.zeros(normal.numel(), cities, dtype=torch.float64)
    incidence[edges, first] = incidence[edges, second] = 1.0
    flat = normal.flatten().to(device="cpu", dtype=torch.float64)
    fitted = incidence @ (torch.linalg.pinv(incidence) @ flat)
    return bool(torch.allclose(fitted, flat, rtol=1e-6, atol=1e-9 * float(flat.abs().max())))


class TSP(Solver):
    """The shortest tour through k cities, by dynamic programming (Held and Karp, 1962).

    Costs (B, k(k-1)/2), any sign, 3 <= k <= 12: the upper triangle of the distance matrix in
    row-major order. Solutions have the same shape, 1 on the k edges of the tour.
    """

    traits = frozenset({Trait.SHIFT_INVARIANT, Trait.SCALE_INVARIANT})

    def _check_shape(self, shape: torch.Size) -> None:
        check_edges(self, shape, MOST_CITIES, "Use GurobiTSP() (solver=gurobi_tsp) for more.")

    def is_constant_on(self, normal: Tensor) -> bool:
        """True for a_ij = u_i + u_j: every city has two edges in every tour."""
        return is_node_potential(normal)

    def _solve(self, costs: Tensor) -> Tensor:
        return to_tensor(held_karp(to_array(costs), city_count(costs.shape[1])), like=costs)
