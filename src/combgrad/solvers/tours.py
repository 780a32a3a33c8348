"""What the solvers of the travelling salesman problem share: form, members and relaxation."""

import numpy as np
import torch
from torch import Tensor

from combgrad.errors import SolverInputError
from combgrad.solvers.base import Solver, Trait
from combgrad.solvers.edges import are_tours, city_count, edge_ends
from combgrad.solvers.ilp_program import Program
from combgrad.solvers.tour_relaxation import degree_program, tight_subtour_rows

#: Larger instances are refused: nothing has been tried on them.
MOST_CITIES = 200


def is_node_potential(normal: Tensor) -> bool:
    """Whether a_ij = u_i + u_j for some u, which makes <a, y> = 2 sum(u) for every tour y."""
    cities = city_count(normal.numel())
    first, second = (torch.from_numpy(ends) for ends in edge_ends(cities))
    edges = torch.arange(normal.numel(), device="cpu")
    incidence = torch.zeros(normal.numel(), cities, dtype=torch.float64, device="cpu")
    incidence[edges, first] = incidence[edges, second] = 1.0
    flat = normal.flatten().cpu().to(torch.float64)
    fitted = incidence @ (torch.linalg.pinv(incidence) @ flat)
    return bool(torch.allclose(fitted, flat, rtol=1e-6, atol=1e-9 * float(flat.abs().max())))


class TourSolver(Solver):
    """A solver of tours y through k cities, 1 on their edges, (B, k(k-1)/2), for k >= 3."""

    traits = frozenset({Trait.SHIFT_INVARIANT, Trait.SCALE_INVARIANT})
    forbids = True
    unrelaxed = None

    def _check_shape(self, shape: torch.Size) -> None:
        name = self.own_name
        if len(shape) != 1:
            raise SolverInputError(
                f"{name}: costs have instance shape {tuple(shape)}; pass the k(k-1)/2 edge costs "
                f"of each instance as (B, E), the upper triangle row by row "
                f"(combgrad.solvers.edges.matrix_to_edges)."
            )
        cities = city_count(shape[0])
        if cities < 3:
            raise SolverInputError(
                f"{name}: a tour needs at least 3 cities, and there are {cities}."
            )
        if cities > MOST_CITIES:
            raise SolverInputError(
                f"{name}: {cities} cities, and more than {MOST_CITIES} are beyond an exact layer; "
                f"split the instance, or wrap a heuristic with combgrad.solvers.from_function."
            )

    def is_constant_on(self, normal: Tensor) -> bool:
        """True for a_ij = u_i + u_j: every city has two edges in every tour."""
        return is_node_potential(normal)

    def relaxation(self, shape: torch.Size) -> Program:
        """Two edges at every city and 0 <= y <= 1; `cuts` has what forbids smaller rings."""
        self._check_shape(shape)
        return degree_program(city_count(shape[0]))

    def cuts(self, solution: np.ndarray) -> np.ndarray:
        """The rows (m, E) of subtours that a tour (E,) uses up."""
        return tight_subtour_rows(solution)

    def feasible(self, solution: Tensor) -> Tensor:
        """Which of (B, E) are tours, (B,) bool."""
        return are_tours(solution)
