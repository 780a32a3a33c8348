"""Matching of graphs with costs of nodes and of edges, in compiled code."""

import math
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from combgrad.arguments import is_whole
from combgrad.errors import SolverInputError
from combgrad.instances import EntryShape, Instances
from combgrad.solvers.arrays import to_array, to_tensor
from combgrad.solvers.base import Solver, Trait, check_rows
from combgrad.solvers.kernels.matching import match_range
from combgrad.solvers.matching_graphs import (
    Graphs,
    are_matchings,
    labels_of,
    least_by_enumeration,
    read_graphs,
)
from combgrad.solvers.threads import checked_threads, thread_count

#: Expected work for a pair of nodes, for the choice of threads.
SECONDS_A_PAIR = 2e-6

#: Up to here the debug mode compares with all matchings.
MOST_BY_ENUMERATION = 4

_PARTS_PER_THREAD = 4


class MatchingReport(NamedTuple):
    """How good the matchings of a batch are; all (B,), float64 and bool, on the CPU."""

    value: Tensor  # <w, y>
    bound: Tensor  # no matching costs less
    proven: Tensor  # whether the matching is optimal, up to the tolerance of `GraphMatching`

    @property
    def gap(self) -> Tensor:
        """(value - bound) / max(|value|, |bound|), from 0 to 2; 0 where it is proven, (B,)."""
        # Not relative to the value alone: a matching of nothing costs 0.
        size = torch.maximum(self.value.abs(), self.bound.abs()).clamp(min=1e-300)
        return torch.where(self.proven, 0.0, (self.value - self.bound) / size)


class _Reports:
    """The latest report of each thread; a copy of a solver has none."""

    def __init__(self) -> None:
        self.latest = threading.local()

    def __reduce__(self) -> tuple[type, tuple[()]]:
        return _Reports, ()


class GraphMatching(Solver):
    """The cheapest matching of two graphs: argmin <c, y> + <d, z> with z_ef = y_ik y_jl.

    y (N1, N2) is 0/1 with at most one 1 in each row and column; an edge e = (i, j) of the first
    graph and f = (k, l) of the second share z_ef. Costs (B, N1 * N2 + E1 * E2) of any sign are the
    node costs c row by row, then the edge costs d (`Blocks`); solutions have the same form. A node
    may stay unmatched, at no cost. A cost of +inf forbids a match, or two edges to meet.

    Not always exact: the problem is NP-hard, and within its limits the solver answers the best
    matching it finds together with a bound that no matching can beat. `last` and
    `solve_with_bounds` say which answers are proven optimal; with `branches=None` all are, at
    whatever time that takes. Without edges all are too. The same costs always get the same answer.

    Proven is up to 1e-9 of the answer's costs and 2e-10 of the largest cost. Costs far above what
    all those below 0 could earn do not count, as no best matching pays them; in a full one they do.

    A call takes `edges1` (B, E1, 2) and `edges2` (B, E2, 2), the nodes of each edge, -1 at padding,
    or one graph (E, 2) for all; edges are directed as they stand, so pass both directions or one.
    `nodes` (N1, N2) if the graphs differ in size. `valid` says which costs are there; of a pair of
    nodes it may be any, but for a full matching.

    Args:
        full: match as many nodes as there are in the smaller graph, whatever they cost.
        iterations: most of the dual ascent, at least 1.
        rounds: of local search, where the ascent leaves a gap.
        branches: most of branch and bound, where the search leaves one too. It ends early where it
            would not end in time; 0 for none, None for no limit.
        threads: how many to use; None decides by the work.

    Raises SolverInputError for graphs that do not fit the costs. Source: Swoboda et al., A Study of
    Lagrangean Decompositions and Dual Ascent Solvers for Graph Matching, CVPR 2017 (the bound);
    Hutschenreiter et al., Fusion Moves for Graph Matching, ICCV 2021.
    """

    traits = frozenset({Trait.SCALE_INVARIANT})
    per_row: Mapping[str, EntryShape] = {"edges1": (-1, 2), "edges2": (-1, 2)}
    padding = "read"

    def __init__(
        self,
        full: bool = False,
        iterations: int = 50,
        rounds: int = 200,
        branches: int | None = 100,
        threads: int | None = None,
    ) -> None:
        super().__init__()
        for name, value, least in (
            ("iterations", iterations, 1),
            ("rounds", rounds, 0),
            ("branches", 0 if branches is None else branches, 0),
        ):
            if not is_whole(value) or value < least:
                raise ValueError(f"{name} is {value!r}; it must be a whole number >= {least}.")
        self.full, self.iterations, self.rounds = full, iterations, rounds
        self.branches, self.threads = branches, checked_threads(threads)
        self._reports = _Reports()

    @property
    def forbids(self) -> bool:  # type: ignore[override]
        """Whether +inf forbids; a full matching could be left without any."""
        return not self.full

    @property
    def last(self) -> MatchingReport | None:
        """The report of the batch that this thread solved last; None before the first."""
        return getattr(self._reports.latest, "report", None)

    def solve_with_bounds(
        self, costs: Tensor, instances: Instances | None = None, **named: Any
    ) -> tuple[Tensor, MatchingReport]:
        """A call's solution (B, n), and its report."""
        empty = torch.zeros(0, dtype=torch.float64, device="cpu")
        self._reports.latest.report = MatchingReport(empty, empty, empty.bool())
        solution = self(costs, instances, **named)
        return solution, self._reports.latest.report

    def _check_shape(self, shape: torch.Size) -> None:
        check_rows(self, shape)

    def feasible(self, solution: Tensor, *graph: Any, **named: Any) -> Tensor:
        """Which of the solutions (B, n) are matchings with the products they imply, (B,) bool."""
        if len(solution) == 0:
            return torch.zeros(0, dtype=torch.bool, device=solution.device)
        graphs = read_graphs(solution, *graph, **named)
        return torch.from_numpy(are_matchings(solution, graphs, self.full)).to(solution.device)

    def optimum(self, costs: Tensor, *graph: Any, **named: Any) -> Tensor | None:
        """The least cost of all matchings of a few nodes (B,), where every answer is proven."""
        graphs = read_graphs(costs, *graph, **named)
        if max(graphs.nodes) > MOST_BY_ENUMERATION or self.branches is not None:
            return None
        return least_by_enumeration(costs, graphs, self.full)

    def _solve(
        self,
        costs: Tensor,
        edges1: Any = None,
        edges2: Any = None,
        nodes: Sequence[int] | None = None,
        valid: Tensor | None = None,
    ) -> Tensor:
        graphs = read_graphs(costs, edges1, edges2, nodes, valid)
        return self._match(costs, graphs, np.full((len(costs), graphs.nodes[0]), -1))

    def _solve_near(self, costs: Tensor, near: Tensor, **graph: Any) -> Tensor:
        graphs = read_graphs(costs, **graph)
        return self._match(costs, graphs, labels_of(near, graphs))

    def _match(self, costs: Tensor, graphs: Graphs, near: np.ndarray) -> Tensor:
        """Match from labels `near` (B, N1), and report."""
        if self.full:
            _check_blocks(graphs)
        array = to_array(costs)
        work = _Work(array, graphs, near, self.full, self._effort())
        seconds = len(array) * math.prod(graphs.nodes) * SECONDS_A_PAIR
        threads = min(thread_count(seconds, self.threads), len(array))
        if threads == 1 and self.branches is not None:
            work.solve(0, len(array))
        else:
            _solve_in_threads(work, threads)
        value, bound, proven = torch.from_numpy(work.reports).unbind(dim=1)
        self._reports.latest.report = MatchingReport(value, bound, proven > 0)
        return to_tensor(work.solutions, like=costs)

    def _effort(self) -> np.ndarray:
        branches = -1 if self.branches is None else self.branches
        return np.array([self.iterations, self.rounds, branches], dtype=np.int64)


class _Work:
    """The arrays of a batch, some of which are solved by each call of the compiled code."""

    def __init__(
        self, costs: np.ndarray, graphs: Graphs, near: np.ndarray, full: bool, effort: np.ndarray
    ) -> None:
        self.solutions = np.zeros(costs.shape, dtype=np.uint8)
        self.reports, self.halt = np.zeros((len(costs), 3)), np.zeros(1, dtype=np.int64)
        self.given = (costs, graphs.valid, graphs.first, graphs.second, near.astype(np.int64))
        self.options = (graphs.nodes[1], full, effort)

    def solve(self, start: int, stop: int) -> None:
        outputs = (self.solutions, self.reports, self.halt)
        match_range(*self.given, *self.options, start, stop, *outputs)


def _solve_in_threads(work: _Work, threads: int) -> None:
    """Solve all in threads of their own, so that the calling one stays free to be interrupted."""
    work.solve(0, 0)
    parts = _PARTS_PER_THREAD * threads if threads > 1 else 1
    places = np.linspace(0, len(work.reports), parts + 1).astype(int).tolist()
    with ThreadPoolExecutor(threads) as pool:
        try:
            list(pool.map(work.solve, places[:-1], places[1:]))
        except BaseException:
            work.halt[0] = 1
            raise


def _check_blocks(graphs: Graphs) -> None:
    """Raise SolverInputError unless the pairs of nodes are all those of some rows and columns."""
    allowed = graphs.allowed
    blocks = allowed.any(axis=2, keepdims=True) & allowed.any(axis=1, keepdims=True)
    wrong = (allowed != blocks).any(axis=(1, 2))
    if wrong.any():
        raise SolverInputError(
            f"GraphMatching: valid leaves out single pairs of nodes of batch index "
            f"{int(wrong.argmax())}, which may leave no full matching; pad whole rows and columns, "
            f"or use full=False."
        )
