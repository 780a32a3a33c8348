"""Solvers that try everything: slow, obviously right, the oracle of the tests."""

import functools
import itertools
from fractions import Fraction

import numpy as np
import torch
from torch import Tensor

from combgrad.errors import SolverInputError
from combgrad.solvers.arrays import to_array, to_tensor
from combgrad.solvers.base import Solver, Trait
from combgrad.solvers.edges import are_tours, city_count, edge_ends


@functools.cache
def all_tours(cities: int) -> np.ndarray:
    """Every tour of k >= 3 cities once, (T, E) 0/1, T = (k-1)!/2, in lexicographic order."""
    first, second = edge_ends(cities)
    index = np.zeros((cities, cities), dtype=np.int64)
    index[first, second] = index[second, first] = np.arange(len(first))
    tours = []
    for inner in itertools.permutations(range(1, cities)):
        if inner[0] < inner[-1]:
            order = np.array((0, *inner))
            tour = np.zeros(len(first))
            tour[index[order, np.roll(order, -1)]] = 1
            tours.append(tour)
    return np.stack(tours)


class BruteForceTSP(Solver):
    """The shortest of all (k-1)!/2 tours, for k = 3 to 9 cities.

    Costs and solutions are (B, k(k-1)/2), see `combgrad.solvers.edges`. Ties go to the first tour
    in lexicographic order. A cost of +inf forbids an edge.
    """

    forbids = True

    traits = frozenset({Trait.SHIFT_INVARIANT, Trait.SCALE_INVARIANT})

    def _check_shape(self, shape: torch.Size) -> None:
        cities = city_count(shape[-1])
        if len(shape) != 1 or not 3 <= cities <= 9:
            raise SolverInputError(
                f"BruteForceTSP: {cities} cities (instance shape {tuple(shape)}); it tries every "
                f"tour of 3 to 9 cities. Use TSP() for more."
            )

    def _solve(self, costs: Tensor) -> Tensor:
        tours = all_tours(city_count(costs.shape[1]))
        best = [_first_shortest(row, tours) for row in to_array(costs)]
        return to_tensor(tours[best], like=costs)

    def feasible(self, solution: Tensor) -> Tensor:
        """Which of (B, E) are tours, (B,) bool."""
        return are_tours(solution)


def _first_shortest(costs: np.ndarray, tours: np.ndarray) -> int:
    """The first tour of (T, E) with the fewest forbidden edges and then the least cost (E,)."""
    forbidden = costs == np.inf
    uses = tours @ forbidden
    allowed = np.where(forbidden, 0.0, costs)
    # Sums of large costs could overflow, and the least of all would lose digits by being divided.
    summed = allowed * (2.0**-8 if np.abs(allowed).max() > 1e300 else 1.0)
    lengths = np.where(uses == uses.min(), tours @ summed, np.inf)
    # Rounding cannot make up for more than this.
    doubt = 1e-12 * float(np.abs(summed).sum())
    near = np.flatnonzero(lengths <= lengths.min() + doubt)
    if len(near) > 1:
        # Whole numbers of any size, in units of the least double: no sum is rounded.
        whole = np.array([int(Fraction(cost) * 2**1074) for cost in allowed], dtype=object)
        near = near[[(tours[near].astype(int).astype(object) @ whole).argmin()]]
    return int(near[0])
