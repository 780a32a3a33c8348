"""What every solver promises: batched costs in, exact solutions out, never differentiable."""

import enum
import functools
import math
import time
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from combgrad.arguments import Described
from combgrad.errors import (
    IncompatibleError,
    InfeasibleError,
    SolverInputError,
)
from combgrad.instances import (
    NOTHING,
    EntryShape,
    Instances,
    check_places,
    described,
    further_arguments,
)
from combgrad.solvers.checking import check_answers, checked_answer, checking, memory_of
from combgrad.solvers.forms import check_costs, refuse_transforms
from combgrad.solvers.ilp_program import Program
from combgrad.solvers.notices import NoticeWhenLong
from combgrad.solvers.padding import Padding, by_size


class Trait(enum.Enum):
    """A fact about `y(w)` that holds for every cost vector and is proved by tests."""

    SHIFT_INVARIANT = "y(w + c 1) = y(w): all solutions have the same sum"
    SCALE_INVARIANT = "y(s w) = y(w) for s > 0"
    SUBSET_VALUED = "Y is every 0/1 row of n entries with exactly k ones, and nothing else"


def checked_traits(owner: str, traits: Iterable[Trait]) -> frozenset[Trait]:
    """The traits as a set; TypeError for what is no `Trait`, such as its name in a string."""
    found = [traits] if isinstance(traits, str | Trait) else list(traits)
    for trait in found:
        if not isinstance(trait, Trait):
            name = str(trait).rpartition(".")[2].upper()
            names = [name] if name in Trait.__members__ else list(Trait.__members__)
            raise TypeError(
                f"{owner}: traits hold {trait!r}, which is no Trait and would be ignored; use "
                f"combgrad.solvers.Trait.{' or '.join(names)}."
            )
    return frozenset(found)


class Solver(Described, ABC):
    """An exact minimiser `y(w) = argmin over y in Y of <w, y>`, called on a batch.

    A subclass states its `traits` and implements `_solve`, whose further arguments describe the
    instances; those with an entry for each of them it lists as `per_row`.
    Called under `no_grad`; the gradient is the business of a gradient method, not of the solver.

    `seconds`, `calls` and `solved` count the time spent in the solver, and the batches and the
    instances solved. With COMBGRAD_CHECK=1 in the environment every answer is checked by
    `feasible`, and some by `optimum`.
    """

    traits: frozenset[Trait] = frozenset()

    #: The arguments of a call with one entry for each instance: name -> the shape of one entry, or
    #: None where it is no array. A value with the axes of one entry is shared by all instances.
    per_row: Mapping[str, EntryShape] = {}

    #: How a batch of instances of different size is solved, see `Padding`.
    padding: Padding = "cut"

    #: Whether a cost of +inf marks an entry that no solution may use; it is refused otherwise.
    #: Where no other solution is left, `_solve` may answer anything that uses such an entry.
    forbids = False

    #: Whether the hull of Y has no corners and edges but a curved surface.
    curved = False
    #: Why `relaxation` has no answer, in the words of a refusal; None where it has one.
    unrelaxed: str | None = "its solutions are not known as those of a linear program"

    seconds = 0.0
    calls = 0
    solved = 0

    def __init_subclass__(cls, **options: Any) -> None:
        """Raise TypeError for traits that are none."""
        super().__init_subclass__(**options)
        if "traits" in cls.__dict__ and not isinstance(cls.__dict__["traits"], property):
            cls.traits = checked_traits(cls.__name__, cls.traits)

    def __call__(self, costs: Tensor, instances: Instances | None = None, **named: Any) -> Tensor:
        """Solve a batch: costs (B, *S) -> solution (B, *S), same dtype and device.

        The instances are described by `Instances` or by keyword arguments, of which `valid`, bool
        (B, *S), says where costs are padding; the solution is 0 there.

        Raises SolverInputError for a wrong shape or dtype, an argument that is none of the
        solver's and, naming the batch index, for NaN and inf; a solver that `forbids` takes +inf
        for an entry that may not be used, and raises InfeasibleError, naming the batch index, where
        every solution needs such an entry.
        """
        return self._solve_any(costs, None, instances, named)

    def solve_near(
        self, costs: Tensor, near: Tensor, instances: Instances | None = None, **named: Any
    ) -> Tensor:
        """The same answer, from solutions `near` (B, *S) of similar costs, if that is any faster.

        They may be wrong, or no solutions at all. Raises SolverInputError for another shape.
        """
        if not isinstance(near, Tensor) or near.shape != costs.shape:
            shape = tuple(near.shape) if isinstance(near, Tensor) else type(near).__name__
            raise SolverInputError(
                f"{self.own_name}: near has shape {shape} and the costs "
                f"{tuple(costs.shape)}; pass one solution for each instance, as the solver answers."
            )
        return self._solve_any(costs, near.detach(), instances, named)

    def describe(
        self,
        costs: Tensor,
        instances: Instances | None = None,
        named: Mapping[str, Any] | None = None,
    ) -> Instances:
        """The instances of costs (B, *S), as this solver understands a call's arguments.

        Raises SolverInputError for what is none of its arguments, or of another number of entries.
        """
        name = self.own_name
        if instances is None:
            instances = described(name, self.per_row, self.shared, len(costs), named or {})
        elif named:
            raise SolverInputError(
                f"{name}: instances and {', '.join(named)} are given; put all into the Instances."
            )
        else:
            check_places(name, self.per_row, self.shared, instances)
        if instances.valid is not None and instances.valid.shape != costs.shape:
            raise SolverInputError(
                f"{name}: valid has shape {tuple(instances.valid.shape)} and the costs "
                f"{tuple(costs.shape)}; say of each cost whether it is there."
            )
        if instances.size not in (None, len(costs)):
            raise SolverInputError(
                f"{name}: {instances.size} instances are described, and there are costs of "
                f"{len(costs)}."
            )
        return instances

    @property
    def shared(self) -> Collection[str] | None:
        """The arguments of `_solve` that hold for all instances; None where it takes any."""
        names = _arguments(type(self))
        return None if names is None else names - {*self.per_row}

    @torch.no_grad()
    def _solve_any(
        self,
        costs: Tensor,
        near: Tensor | None,
        instances: Instances | None,
        named: Mapping[str, Any],
    ) -> Tensor:
        self.check_form(costs)
        refuse_transforms(self.own_name, costs)
        costs = costs.detach()
        if not named and (instances is None or instances is NOTHING):
            return self._solve_whole(costs, near, NOTHING)
        instances = self.describe(costs, instances, named)
        if instances.valid is None:
            return self._solve_whole(costs, near, instances)
        valid = instances.valid.to(costs.device)
        if self.padding == "read":
            instances = Instances(instances.per_row, instances.shared, valid)
            return self._solve_whole(costs.masked_fill(~valid, 0.0), near, instances)
        instances = Instances(instances.per_row, instances.shared)
        if self.padding == "forbidden":
            return self._solve_whole(costs.masked_fill(~valid, math.inf), near, instances)
        return self._solve_sizes(costs, near, instances, valid)

    def _solve_sizes(
        self, costs: Tensor, near: Tensor | None, instances: Instances, valid: Tensor
    ) -> Tensor:
        """Solve the instances of each size apart, without their padding (B, *S)."""
        solution = torch.zeros_like(costs)
        for some in by_size(self.own_name, valid):
            start = None if near is None else some.of(near)
            with some.counted():
                part = self._solve_any(some.of(costs), start, instances.rows(some.rows), {})
            solution[some.entries] = part.flatten()
        return solution

    def _solve_whole(self, costs: Tensor, near: Tensor | None, instances: Instances) -> Tensor:
        if costs.is_cuda:  # what the card computes before them is not the solver's time
            torch.cuda.synchronize(costs.device)
        started = time.perf_counter()
        forbidden = self._check_finite(costs)
        if costs.shape[0] == 0:
            return costs.clone()
        entries = instances.entries
        debug = checking()
        before = memory_of(costs, debug)
        with NoticeWhenLong(self.own_name):
            if near is None:
                solution = self._solve(costs, **entries)
            else:
                solution = self._solve_near(costs, near, **entries)
        solution = checked_answer(self, costs, solution, before)
        if forbidden:
            self._check_allowed(costs, solution)
        if debug:
            check_answers(self, costs, solution, instances)
        self.seconds += time.perf_counter() - started
        self.calls += 1
        self.solved += len(costs)
        return solution

    @abstractmethod
    def _solve(self, costs: Tensor, *args: Any, **entries: Any) -> Tensor:
        """Solve finite costs (B, *S), B >= 1, of a shape that `_check_shape` accepts.

        They are the caller's own: to change them in place is refused.
        """

    def _solve_near(self, costs: Tensor, near: Tensor, *args: Any, **entries: Any) -> Tensor:
        """Solve as `_solve` does, from solutions (B, *S) that may be nearly right, or wrong."""
        del near
        return self._solve(costs, *args, **entries)

    def _check_shape(self, shape: torch.Size) -> None:
        """Raise SolverInputError where the instance shape S is not one of this solver's."""

    def feasible(self, solution: Tensor, *args: Any, **entries: Any) -> Tensor:
        """Which of the solutions (B, *S) are members of Y, (B,) bool; all, unless overridden."""
        return torch.ones(len(solution), dtype=torch.bool, device=solution.device)

    def optimum(self, costs: Tensor, *args: Any, **entries: Any) -> Tensor | None:
        """The least <w, y> of costs (B, *S) by an independent method, (B,), or None for none."""
        return None

    def relaxation(self, shape: torch.Size) -> Program:
        """The linear program over flattened S whose whole points are Y.

        Raises IncompatibleError where `unrelaxed` says why there is none.
        """
        raise IncompatibleError(f"{self.own_name} has no relaxation: {self.unrelaxed}.")

    def own_entries(self, costs: Tensor, instances: Instances) -> Tensor | None:
        """Which entries of costs (B, *S) `relaxation` is to know of each instance; None for all."""
        return instances.valid if self.padding == "cut" else None

    def cuts(self, solution: np.ndarray) -> np.ndarray:
        """Rows (m, n): <row, y> <= <row, solution> for all y in Y, beside those of `relaxation`."""
        return np.empty((0, solution.size))

    @property
    def subset_size(self) -> int | None:
        """The k of a solver of which every choice of k entries is a solution, where it has one."""
        return None

    def is_constant_on(self, normal: Tensor) -> bool:
        """Whether <a, y> is the same for all solutions y, for a normal `a` of shape S."""
        same = bool((normal == normal.flatten()[:1]).all())
        return same and Trait.SHIFT_INVARIANT in self.traits

    def check_form(self, costs: Tensor) -> None:
        """Raise SolverInputError unless costs are a batch of floating-point instances."""
        check_costs(self.own_name, costs)
        self._check_shape(costs.shape[1:])

    def _check_finite(self, costs: Tensor) -> bool:
        """Raise SolverInputError for NaN and inf; whether the costs forbid entries by +inf."""
        # A finite sum proves every entry finite at a fraction of the price of looking at each.
        if math.isfinite(costs.sum().item()):
            return False
        allowed = torch.isfinite(costs)
        forbidden = costs == math.inf
        if self.forbids:
            allowed |= forbidden
        bad = ~allowed.flatten(1).all(dim=1)
        if bool(bad.any()):
            index = int(bad.nonzero()[0])
            what = "NaN or -inf" if self.forbids else "NaN or inf"
            raise SolverInputError(
                f"{self.own_name}: costs of batch index {index} contain {what} "
                f"({int(bad.sum())} of {costs.shape[0]} instances do); look for a diverged network "
                f"or a division by zero before the solver."
            )
        return bool(forbidden.any())

    def _check_allowed(self, costs: Tensor, solution: Tensor) -> None:
        """Raise InfeasibleError where the solution (B, *S) uses an entry whose cost is +inf."""
        used = ((costs == math.inf) & (solution != 0)).flatten(1).any(dim=1)
        if bool(used.any()):
            raise InfeasibleError(
                f"{self.own_name}: the entries of cost inf leave no solution to batch index "
                f"{int(used.nonzero()[0])} ({int(used.sum())} of {costs.shape[0]} instances have "
                f"none); forbid fewer entries."
            )


@functools.cache
def _arguments(solver: type[Solver]) -> frozenset[str] | None:
    return further_arguments(solver._solve, after=2)


def check_rows(solver: Solver, shape: torch.Size) -> None:
    """Raise SolverInputError unless an instance has one axis."""
    if len(shape) != 1:
        raise SolverInputError(
            f"{solver.own_name}: costs have instance shape {tuple(shape)}; pass the n costs "
            f"of each instance as one row of (B, n), for example costs.flatten(1)."
        )
