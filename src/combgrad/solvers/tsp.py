"""The travelling salesman problem, exact, in compiled code."""

from torch import Tensor

from combgrad.arguments import check_time_limit
from combgrad.solvers.arrays import to_array, to_tensor
from combgrad.solvers.brute_force import BruteForceTSP
from combgrad.solvers.edges import city_count, orders_of
from combgrad.solvers.spending import spent
from combgrad.solvers.threads import checked_threads, thread_count
from combgrad.solvers.tour_search import tours_by_branching, tours_by_programming
from combgrad.solvers.tours import TourSolver

#: Up to here dynamic programming is faster than branching, whatever the costs.
MOST_BY_PROGRAMMING = 11

#: Up to here the debug mode compares with all (k-1)!/2 tours.
MOST_BY_BRUTE_FORCE = 8


class TSP(TourSolver):
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

    def __init__(self, threads: int | None = None, time_limit: float | None = None) -> None:
        self.threads, self.time_limit = checked_threads(threads), check_time_limit(time_limit)

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
