"""The travelling salesman problem, exact, in compiled code."""

import numpy as np
import torch
from torch import Tensor

from combgrad.arguments import check_time_limit
from combgrad.errors import SolverInputError
from combgrad.solvers.arrays import to_array, to_tensor
from combgrad.solvers.base import Solver, Trait
from combgrad.solvers.brute_force import BruteForceTSP
from combgrad.solvers.edges import are_tours, city_count, edge_ends, orders_of
from combgrad.solvers.ilp_program import Program
from combgrad.solvers.spending import spent
from combgrad.solvers.threads import thread_count
from combgrad.solvers.tour_relaxation import degree_program, tight_subtour_rows
from combgrad.solvers.tour_search import tours_by_branching, tours_by_programming

#: Up to here dynamic programming is faster than branching, whatever the costs.
MOST_BY_PROGRAMMING = 11

#: Larger instances are refused: nothing has been tried on them.
MOST_CITIES = 200

#: Up to here the debug mode compares with all (k-1)!/2 tours.
MOST_BY_BRUTE_FORCE = 8


def check_edges(solver: Solver, shape: torch.Size, most: int) -> None:
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
        raise SolverInputError(
            f"{name}: {cities} cities, and more than {most} are beyond an exact layer; split the "
            f"instance, or wrap a heuristic with combgrad.solvers.from_function."
        )


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


class TSP(Solver):
    """The shortest tour through k cities: y(w) = argmin <w, y> over tours y.

    Costs (B, k(k-1)/2), any sign, k >= 3: the upper triangle of the distance matrix in row-major
    order; +inf for an edge that no tour may use. Solutions have the same shape, 1 on the k edges of
    the tour. Dynamic programming (Held and Karp, 1962) up to 11 cities; beyond, branch and cut on
    the 1-tree bound (Held and Karp, 1971) and the sub-tour relaxation (Dantzig, Fulkerson and
    Johnson, 1954). Among equally short tours the choice is deterministic.

    Up to 11 cities the sum of the given floats is the least there is, whatever their sizes. Beyond,
    a shorter tour exists at most by rounding: k 1e-14 of the largest cost that a tour as short
    could use, counted from the least one. So a large number forbids an edge as well as +inf does.

    Args:
        threads: how many to use; None decides by the work.
        time_limit: seconds for one instance, or None for no limit.

    Raises InfeasibleError where the edges of cost +inf leave no tour, TimeLimitError where an
    instance takes longer; both name the batch index.
    """

    traits = frozenset({Trait.SHIFT_INVARIANT, Trait.SCALE_INVARIANT})
    forbids = True
    unrelaxed = None

    def __init__(self, threads: int | None = None, time_limit: float | None = None) -> None:
        thread_count(0.0, threads)
        self.threads, self.time_limit = threads, check_time_limit(time_limit)

    def _check_shape(self, shape: torch.Size) -> None:
        check_edges(self, shape, MOST_CITIES)

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

    def optimum(self, costs: Tensor) -> Tensor | None:
        """The length of the shortest of all tours (B,), for few cities."""
        cities = city_count(costs.shape[1])
        if cities > MOST_BY_BRUTE_FORCE:
            return None
        return spent(costs.cpu(), BruteForceTSP()(costs.cpu()))

    def _solve(self, costs: Tensor) -> Tensor:
        return self._search(costs, None)

    def _solve_near(self, costs: Tensor, near: Tensor) -> Tensor:
        return self._search(costs, near)

    def _search(self, costs: Tensor, near: Tensor | None) -> Tensor:
        """Tours (B, E) for costs (B, E), from tours (B, E) that may be nearly right, or None."""
        array, cities = to_array(costs), city_count(costs.shape[1])
        work = len(array) * _expected_seconds(cities)
        threads = min(thread_count(work, self.threads), len(array))
        if cities > MOST_BY_PROGRAMMING:
            orders = orders_of(near) if near is not None else None
            tours = tours_by_branching(array, cities, orders, threads, self.time_limit)
        else:
            tours = tours_by_programming(array, cities, threads)
        return to_tensor(tours, like=costs)


def _expected_seconds(cities: int) -> float:
    """A rough time for one instance, for the choice of threads."""
    if cities <= MOST_BY_PROGRAMMING:
        return 2e-8 * 2.0**cities
    return 1.5e-4 * (cities / 20) ** 3
