"""Solutions of recent instances, for solvers that are slow and costs that come back."""

import contextlib
import math
from collections import OrderedDict
from collections.abc import Collection, Hashable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from combgrad.arguments import Described, is_whole
from combgrad.errors import CombgradError, IncompatibleError, WrongAnswerError
from combgrad.instances import VALID, Instances
from combgrad.solvers.base import Solver
from combgrad.solvers.checking import checking
from combgrad.solvers.ilp_program import Program
from combgrad.solvers.keys import Key, bytes_of, key_of
from combgrad.solvers.padding import by_size
from combgrad.solvers.solution_pool import SolutionPool, pool_of


class Cached(Solver):
    """Another solver whose recent solutions are kept: the same y(w), solved once.

    An instance is the same where device, dtype, shape, costs, what describes it and the solver's
    parameters agree bit by bit, so solutions never depend on the cache. Duplicates within a batch
    are solved once. Traits, arguments, shapes and checks are those of the inner solver.

    With a pool, answers are exact in evaluation only. While the pool is in training mode, as it is
    from the start, a call solves its batch with probability `pool.ratio` and keeps the solutions in
    the pool, and else answers each instance with the cheapest known one. Each call of a gradient
    method draws for itself, as the second one of Blackbox, at other costs. A `CombinatorialLayer`
    has its solver's pool as a part: train(), eval() and its state_dict reach it. Labels are to come
    from the inner solver.

    Args:
        solver: the solver behind the cache; it must be deterministic. One with a parameter that
            cannot be compared is always asked, as is any for arguments without bytes to compare.
        size: how many solutions to keep; the least recently used one is dropped first.
        pool: known solutions that stand for the solver in some steps; None to answer exactly.

    Raises ValueError for a size that is no whole number of at least 1, and IncompatibleError for
    what is no solver, or has a pool itself.
    """

    padding = "read"

    def __init__(
        self, solver: Solver, size: int = 10_000, pool: SolutionPool | None = None
    ) -> None:
        super().__init__()
        if not isinstance(solver, Solver):
            raise IncompatibleError(f"Cached: solver is {solver!r}; pass a Solver.")
        if not is_whole(size) or size < 1:
            raise ValueError(f"size is {size!r}; a cache keeps at least 1 solution.")
        if pool_of(solver) is not None:
            raise IncompatibleError(
                f"Cached: {solver.own_name} has a pool, whose answers would be kept as if "
                f"they were exact; give the pool to the outer one, Cached(solver, pool=...)."
            )
        self.solver, self.size, self.pool = solver, size, pool
        self.traits, self.forbids = solver.traits, solver.forbids
        self.unrelaxed, self.per_row = solver.unrelaxed, dict(solver.per_row)
        self.curved = solver.curved
        self._solutions: OrderedDict[Key, Tensor] = OrderedDict()
        self._asked = self._solved = 0

    @property
    def hit_rate(self) -> float:
        """The share of instances so far that needed no call of the inner solver, 0 to 1."""
        return 1.0 - self._solved / self._asked if self._asked else 0.0

    def __getstate__(self) -> dict[str, Any]:
        # A worker that gets a copy is better off with its own few solutions than with all of ours.
        return self.__dict__ | {"_solutions": OrderedDict()}

    @property
    def shared(self) -> Collection[str] | None:
        """See the inner solver."""
        return self.solver.shared

    @property
    def subset_size(self) -> int | None:
        """See the inner solver."""
        return self.solver.subset_size

    def relaxation(self, shape: torch.Size) -> Program:
        """See the inner solver."""
        return self.solver.relaxation(shape)

    def own_entries(self, costs: Tensor, instances: Instances) -> Tensor | None:
        """See the inner solver."""
        return self.solver.own_entries(costs, instances)

    def cuts(self, solution: np.ndarray) -> np.ndarray:
        """See the inner solver."""
        return self.solver.cuts(solution)

    def _check_shape(self, shape: torch.Size) -> None:
        self.solver._check_shape(shape)

    def describe(
        self,
        costs: Tensor,
        instances: Instances | None = None,
        named: Mapping[str, Any] | None = None,
    ) -> Instances:
        """See the inner solver."""
        return self.solver.describe(costs, instances, named)

    def is_constant_on(self, normal: Tensor) -> bool:
        """See the inner solver."""
        return self.solver.is_constant_on(normal)

    def feasible(self, solution: Tensor, *args: Any, **entries: Any) -> Tensor:
        """See the inner solver."""
        found = torch.ones(len(solution), dtype=torch.bool, device=solution.device)
        for rows, part, rest in self._unpadded(solution, 0.0, entries):
            found[rows] = self.solver.feasible(part, *args, **rest)
        return found

    def optimum(self, costs: Tensor, *args: Any, **entries: Any) -> Tensor | None:
        """See the inner solver; None where a pool answers, whose solutions may cost more."""
        if self.pool is not None and self.pool.training:
            return None
        best: Tensor | None = None
        for rows, part, rest in self._unpadded(costs, math.inf, entries):
            found = self.solver.optimum(part, *args, **rest)
            if found is None:
                return None
            best = found.new_empty(len(costs)) if best is None else best
            best[rows] = found
        return best

    def _unpadded(
        self, values: Tensor, filler: float, entries: Mapping[str, Any]
    ) -> Iterator[tuple[Tensor | slice, Tensor, Mapping[str, Any]]]:
        """Values (B, *S) and what describes them as the inner solver's own methods know them:
        without `valid`, unless it reads that. Rows of the batch with their part of both."""
        valid = entries.get(VALID)
        others = {name: value for name, value in entries.items() if name != VALID}
        if valid is None or self.solver.padding == "read":
            yield slice(None), values, entries
        elif self.solver.padding == "forbidden":
            yield slice(None), values.masked_fill(~valid.to(values.device), filler), others
        else:
            instances = self._described(values, others)
            for some in by_size(self.solver.own_name, valid.to(values.device)):
                yield some.rows, some.of(values), instances.rows(some.rows).entries

    def _solve(self, costs: Tensor, **entries: Any) -> Tensor:
        return self._answer(costs, None, self._described(costs, entries))

    def _solve_near(self, costs: Tensor, near: Tensor, **entries: Any) -> Tensor:
        return self._answer(costs, near, self._described(costs, entries))

    def _described(self, costs: Tensor, entries: Mapping[str, Any]) -> Instances:
        """The instances of costs (B, *S) by arguments that the call has accepted."""
        # A function's own way asks anew what Instances of the call may have told.
        return Solver.describe(self.solver, costs, None, entries)

    def _answer(self, costs: Tensor, near: Tensor | None, instances: Instances) -> Tensor:
        self._asked += len(costs)
        if self.pool is None:
            return self._looked_up(costs, near, instances)

        def asked(costs: Tensor, instances: Instances) -> Tensor:
            return self._looked_up(costs, near, instances)

        solutions = self.pool.solve(asked, costs, instances)
        if checking():
            self._check_known(solutions, instances)
        return solutions

    def _check_known(self, solutions: Tensor, instances: Instances) -> None:
        """Raise WrongAnswerError for what can only have come into the pool from outside."""
        feasible = self.solver.feasible(solutions, **instances.entries)
        if not bool(feasible.all()):
            raise WrongAnswerError(
                f"Cached: the solution of batch index {int((~feasible).nonzero()[0])} is not "
                f"feasible, and the pool took it for a known one; look at what pool.add was given."
            )

    def _looked_up(self, costs: Tensor, near: Tensor | None, instances: Instances) -> Tensor:
        keys = self._keys(costs, instances)
        if keys is None:
            self._solved += len(costs)
            return self._ask(costs, near, instances)
        known: dict[Key, Tensor] = {}
        missing: dict[Key, int] = {}
        for row, key in enumerate(keys):
            solution = self._solutions.get(key)
            if solution is None:
                missing.setdefault(key, row)
                continue
            known[key] = solution
            # Another thread may have dropped it meanwhile.
            with contextlib.suppress(KeyError):
                self._solutions.move_to_end(key)
        if missing:
            self._solved += len(missing)
            found = self._solve_rows(list(missing.values()), costs, near, instances).cpu()
            known |= {key: row.clone() for key, row in zip(missing, found, strict=True)}
            self._solutions |= {key: known[key] for key in missing}
            with contextlib.suppress(KeyError):
                while len(self._solutions) > self.size:
                    self._solutions.popitem(last=False)
        return torch.stack([known[key] for key in keys]).to(costs.device)

    def _ask(self, costs: Tensor, near: Tensor | None, instances: Instances) -> Tensor:
        if near is None:
            return self.solver(costs, instances)
        return self.solver.solve_near(costs, near, instances)

    def _solve_rows(
        self, rows: list[int], costs: Tensor, near: Tensor | None, instances: Instances
    ) -> Tensor:
        """The solutions of some rows of the batch, by the inner solver."""
        start = None if near is None else near[rows]
        try:
            return self._ask(costs[rows], start, instances.rows(rows))
        except CombgradError:
            # Once more with the whole batch, so that the message counts as the caller does.
            self._ask(costs, near, instances)
            raise

    def _keys(self, costs: Tensor, instances: Instances) -> list[Key] | None:
        """What tells the instances of a batch apart, or None where that cannot be told."""
        common: list[Hashable] = [(costs.dtype, costs.device, costs.shape[1:]), _made(self.solver)]
        single: list[list[Key | None]] = [[(bytes_of(row),) for row in costs]]
        for name, value in sorted(instances.entries.items()):
            if name in instances.shared:
                common += [name, key_of(value)]
            else:
                common.append(name)
                single.append([key_of(entry) for entry in value])
        if None in common or any(None in keys for keys in single):
            return None
        return [(*common, *keys) for keys in zip(*single, strict=True)]


def behind_cache(solver: Solver) -> Solver:
    """The solver that a cache asks, or the solver itself where it is none."""
    return solver.solver if isinstance(solver, Cached) else solver


def _made(value: Any) -> Hashable:
    """Equal while a solver, or its setting, is the same as before; None where nobody can tell."""
    if isinstance(value, Described):
        settings = [(name, _made(setting)) for name, setting in value.settings().items()]
        return None if any(made is None for _, made in settings) else (value, *settings)
    key = key_of(value)
    if key is not None:
        return key
    try:
        hash(value)
    except TypeError:
        return None
    return value
