"""The calls that make numba compile all there is: of every solver, for every kind of argument."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor

from combgrad import losses, solvers
from combgrad.gradients import Identity
from combgrad.labels import Labels
from combgrad.layer import CombinatorialLayer
from combgrad.metrics.retrieval import retrieval_scores
from combgrad.solvers import Solver

Calls = Iterator[Callable[[], object]]

#: Code for one thread and for several is compiled apart.
THREADS = (1, 2)
#: Halves are widened to single precision.
DTYPES = (torch.float32, torch.float64)


def costs_of(*shape: int, dtype: torch.dtype = torch.float64) -> Tensor:
    """Costs (2, *shape): instance 0 is easy; in instance 1 all costs are equal, to a number whose
    sums are rounded, so that in double precision only whole numbers tell which is the best."""
    costs = torch.full((2, *shape), 0.1, dtype=dtype)
    costs[0] = torch.linspace(1.0, 2.0, costs[0].numel(), dtype=dtype).view(shape) ** 2
    return costs


def _each(make: Callable[..., Solver], *shape: int, sign: float = 1.0, **named: Any) -> Calls:
    """Calls of a solver on one thread and on several, in single and in double precision."""
    for threads in THREADS:
        for dtype in DTYPES:
            yield partial(make(threads=threads), sign * costs_of(*shape, dtype=dtype), **named)


def _tsp() -> Calls:
    for threads in THREADS:
        yield partial(solvers.TSP(threads), costs_of(10))
    # From 12 cities on by another method, of which all threads run the same code.
    solver, costs = solvers.TSP(1), costs_of(66)
    yield partial(solver, costs)
    yield lambda: solver.solve_near(costs, torch.zeros_like(costs))


def _graph_paths() -> Calls:
    edges = [(0, 1), (1, 2), (0, 2), (2, 3), (1, 3)]
    for directed in (True, False):
        solver = solvers.GraphShortestPath(edges, 4, 0, 3, directed=directed)
        for dtype in DTYPES:
            yield partial(solver, costs_of(5, dtype=dtype))


def _assignments() -> Calls:
    for shape in ((3, 3), (2, 3), (3, 2)):
        yield from _each(solvers.Assignment, *shape)


def _graph_matchings() -> Calls:
    edges = [[0, 1], [1, 2]]
    yield partial(solvers.GraphMatching(), -costs_of(13), edges1=edges, edges2=edges, nodes=(3, 3))


def _portfolios() -> Calls:
    covariance = torch.eye(3, dtype=torch.float64).numpy()
    for threads in THREADS:

        def call(threads: int = threads) -> Tensor:
            return solvers.Portfolio(covariance, 0.5, threads=threads)(costs_of(3))

        yield call


def _schedules() -> Calls:
    tasks, room = [[2, 0, 5, 3, 2], [1, 1, 4, 2, 3]], [[3], [2]]
    yield partial(solvers.EnergyScheduling(), costs_of(6), tasks=tasks, capacities=room)


def _programs() -> Calls:
    yield partial(solvers.ILP([[1.0, 1.0, 1.0]], upper=2.0), -costs_of(3))


def _soft_alignments() -> Calls:
    layer = CombinatorialLayer(solvers.TiedAlignment(), Identity())
    for dtype in DTYPES:
        yield partial(losses.SoftAlignment(1.0), layer, costs_of(3, 2, dtype=dtype), Labels(None))


def _retrievals() -> Calls:
    for size in (4, 2000):  # the second one is worth several threads
        yield partial(retrieval_scores, torch.ones(size, 2), torch.arange(size) // 2)


#: By name: that of the solver, of the loss, or of what else has compiled code.
CALLS: dict[str, Callable[[], Calls]] = {
    "tsp": _tsp,
    "shortest_path": partial(_each, partial(solvers.ShortestPath, 4), 3, 5),
    "graph_shortest_path": _graph_paths,
    "topk": partial(_each, partial(solvers.TopK, 2), 4),
    "ranking": partial(_each, solvers.Ranking, 4),
    "assignment": _assignments,
    "alignment": partial(_each, solvers.Alignment, 3, 3, 3),
    # Two gaps at the price of a match tie, where all costs are equal.
    "tied_alignment": partial(_each, partial(solvers.TiedAlignment, 0.5), 3, 3),
    "spanning_tree": partial(_each, solvers.SpanningTree, 6),
    "knapsack": partial(_each, partial(solvers.Knapsack, [1, 1, 1, 1], 2), 4, sign=-1.0),
    "graph_matching": _graph_matchings,
    "portfolio": _portfolios,
    "energy_scheduling": _schedules,
    "ilp": _programs,
    "soft_alignment": _soft_alignments,
    "retrieval": _retrievals,
}
