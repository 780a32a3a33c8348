"""The travelling salesman problem through Gurobi, an optional backend with a licence of its own."""

import itertools
from types import ModuleType
from typing import Any

import numpy as np
from torch import Tensor

from combgrad.errors import SolverInputError, SolverUnavailableError
from combgrad.solvers.arrays import to_array, to_tensor
from combgrad.solvers.edges import city_count, edge_ends
from combgrad.solvers.threads import Turn
from combgrad.solvers.tours import TourSolver

_LARGEST = float(np.finfo(np.float64).max)

#: The least share of the largest cost that the dearest edge of a tour may have.
LEAST_SHARE = 1e-5
REMEDY = "Use the native solver instead: TSP(), or solver=tsp on the command line."


def import_gurobi() -> ModuleType:
    """The gurobipy module; SolverUnavailableError where it is missing."""
    try:
        import gurobipy
    except ImportError as error:
        raise SolverUnavailableError(
            f"GurobiTSP needs the package gurobipy (pip install gurobipy): {error}. {REMEDY}"
        ) from error
    return gurobipy


def shortest_subtour(first: np.ndarray, second: np.ndarray, cities: int) -> list[int]:
    """The cities of the shortest cycle among edges of degree 2 at every city."""
    neighbours: list[list[int]] = [[] for _ in range(cities)]
    for a, b in zip(first.tolist(), second.tolist(), strict=True):
        neighbours[a].append(b)
        neighbours[b].append(a)
    unseen = set(range(cities))
    shortest = list(range(cities))
    while unseen:
        city: int | None = min(unseen)
        cycle: list[int] = []
        while city is not None:
            cycle.append(city)
            unseen.discard(city)
            city = next((n for n in neighbours[city] if n in unseen), None)
        if len(cycle) < len(shortest):
            shortest = cycle
    return shortest


class _TourModel:
    """One integer program per number of cities: degree 2 everywhere, sub-tours cut off lazily."""

    def __init__(self, gurobi: ModuleType, environment: Any, cities: int) -> None:
        self.gurobi, self.cities = gurobi, cities
        self.first, self.second = edge_ends(cities)
        self.model = gurobi.Model("tsp", env=environment)
        self.edges = self.model.addMVar(len(self.first), vtype=gurobi.GRB.BINARY)
        for city in range(cities):
            incident = np.flatnonzero((self.first == city) | (self.second == city))
            self.model.addConstr(self.edges[incident].sum() == 2)
        self.model.Params.LazyConstraints = 1
        self.variables = self.edges.tolist()
        pairs = zip(self.first.tolist(), self.second.tolist(), strict=True)
        self.index = {pair: edge for edge, pair in enumerate(pairs)}

    def _cut(self, model: Any, where: int) -> None:
        if where != self.gurobi.GRB.Callback.MIPSOL:
            return
        chosen = np.array(model.cbGetSolution(self.variables)) > 0.5
        subtour = shortest_subtour(self.first[chosen], self.second[chosen], self.cities)
        if len(subtour) < self.cities:
            pairs = itertools.combinations(sorted(subtour), 2)
            inside = [self.variables[self.index[pair]] for pair in pairs]
            model.cbLazy(self.gurobi.quicksum(inside) <= len(subtour) - 1)

    def solve(self, costs: np.ndarray, forbidden: np.ndarray) -> np.ndarray:
        """The best tour (E,) for costs (E,) scaled to at most 1 in size, without the forbidden
        edges (E,) bool; one with all of them where there is none."""
        self.model.reset()
        self.edges.Obj = costs
        self.edges.UB = np.where(forbidden, 0.0, 1.0)
        self.model.optimize(self._cut)
        if self.model.Status == self.gurobi.GRB.INFEASIBLE:
            return forbidden.astype(np.uint8)
        if self.model.Status != self.gurobi.GRB.OPTIMAL:
            raise SolverUnavailableError(
                f"GurobiTSP: Gurobi stopped with status {self.model.Status}, not at an optimum. "
                f"{REMEDY}"
            )
        return (self.edges.X > 0.5).astype(np.uint8)


class GurobiTSP(TourSolver):
    """The shortest tour by branch and cut with lazy sub-tour elimination, for any k.

    Costs and solutions as in `TSP`. One thread, the model of each k is built once and reused. The
    licence bundled with gurobipy ends at k = 63 and expires with each release.

    Gurobi's tolerances are 1e-9, here of the difference between the largest and the least cost: a
    tour that is shorter by less may be missed.

    Raises SolverUnavailableError for a missing, expired or too small licence, and SolverInputError,
    naming the batch index, where that difference is more than 1e5 times what the tour's edges cost
    above the least one, as it is where large numbers stand for forbidden edges; +inf forbids them.
    """

    def __init__(self) -> None:
        super().__init__()
        self._gurobi = import_gurobi()
        self._models: dict[int, _TourModel] = {}
        self._environment: Any = None
        self._turn = Turn()

    def __getstate__(self) -> dict[str, Any]:
        # A Gurobi environment belongs to its process; a copy builds its own.
        return {"seconds": self.seconds, "calls": self.calls}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__()  # type: ignore[misc]
        self.__dict__.update(state)

    def _start(self) -> Any:
        if self._environment is None:
            environment = self._gurobi.Env(empty=True)
            for name, value in (
                ("OutputFlag", 0),
                ("Threads", 1),
                ("MIPGap", 0.0),
                ("MIPGapAbs", 0.0),
                ("OptimalityTol", 1e-9),
                ("FeasibilityTol", 1e-9),
                ("IntFeasTol", 1e-9),
            ):
                environment.setParam(name, value)
            environment.start()
            self._environment = environment
        return self._environment

    def _model(self, cities: int) -> _TourModel:
        if cities not in self._models:
            self._models[cities] = _TourModel(self._gurobi, self._start(), cities)
        return self._models[cities]

    def _solve(self, costs: Tensor) -> Tensor:
        array = to_array(costs)
        forbidden = np.isinf(array)
        # Gurobi's tolerances are absolute, so every instance is brought to the same size; a quarter
        # of each cost, as the difference of two finite ones can overflow.
        quarters = np.where(forbidden, np.inf, 0.25 * array)
        least = quarters.min(axis=1, keepdims=True, initial=_LARGEST)
        above = np.where(forbidden, 0.0, quarters - least)
        span = above.max(axis=1, keepdims=True)
        scaled = above / np.where(span > 0, span, 1.0)
        try:
            with self._turn:
                model = self._model(city_count(costs.shape[1]))
                pairs = zip(scaled, forbidden, strict=True)
                tours = np.stack([model.solve(row, out) for row, out in pairs])
        except self._gurobi.GurobiError as error:
            raise SolverUnavailableError(
                f"GurobiTSP: Gurobi refused the problem (error {error.errno}: {error}). Its "
                f"licence is missing, expired or too small for this. {REMEDY}"
            ) from error
        _check_spread((scaled * tours).max(axis=1), span[:, 0] > 0)
        return to_tensor(tours, like=costs)


def _check_spread(dearest: np.ndarray, differ: np.ndarray) -> None:
    """Raise SolverInputError where the dearest edge of a tour (B,) hardly counts against the
    largest cost, which is 1, in an instance whose costs differ (B,)."""
    lost = differ & (dearest > 0) & (dearest < LEAST_SHARE)
    if lost.any():
        raise SolverInputError(
            f"GurobiTSP: the costs of batch index {int(lost.argmax())} differ so much "
            f"({1 / dearest[lost.argmax()]:.0e} times what the tour uses) that Gurobi's tolerances "
            f"hide a shorter tour; forbid edges by inf instead of a large number. {REMEDY}"
        )
