"""What every solver promises: batched costs in, exact solutions out, never differentiable."""

import enum
import math
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from combgrad.arguments import Described
from combgrad.errors import InfeasibleError, SolverInputError, WrongAnswerError
from combgrad.solvers.checking import check_answers, checking
from combgrad.solvers.notices import NoticeWhenLong

#: The dtypes of costs that solvers take.
DTYPES = (torch.float64, torch.float32, torch.bfloat16, torch.float16)


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

    A subclass states its `traits` and implements `_solve`. Called under `no_grad`; the gradient is
    the business of a gradient method, not of the solver.

    `seconds` and `calls` count the time spent in the solver and the batches solved. With
    COMBGRAD_CHECK=1 in the environment every answer is checked by `feasible`, and some by
    `optimum`.
    """

    traits: frozenset[Trait] = frozenset()

    #: Whether `_solve` takes `warm`, solutions (B, *S) of similar costs to start from.
    warm_startable = False

    #: Whether a cost of +inf marks an entry that no solution may use; it is refused otherwise.
    #: Where no other solution is left, `_solve` may answer anything that uses such an entry.
    forbids = False

    seconds = 0.0
    calls = 0

    def __init_subclass__(cls, **options: Any) -> None:
        """Raise TypeError for traits that are none."""
        super().__init_subclass__(**options)
        if "traits" in cls.__dict__ and not isinstance(cls.__dict__["traits"], property):
            cls.traits = checked_traits(cls.__name__, cls.traits)

    @torch.no_grad()
    def __call__(self, costs: Tensor, **instance: Any) -> Tensor:
        """Solve a batch: costs (B, *S) -> solution (B, *S), same dtype and device.

        Keyword arguments describe the instances and reach the solver untouched.

        Raises SolverInputError for a wrong shape or dtype and, naming the batch index, for NaN and
        inf; a solver that `forbids` takes +inf for an entry that may not be used, and raises
        InfeasibleError, naming the batch index, where every solution needs such an entry.
        """
        started = time.perf_counter()
        self.check_form(costs)
        costs = costs.detach()
        forbidden = self._check_finite(costs)
        if costs.shape[0] == 0:
            return costs.clone()
        with NoticeWhenLong(type(self).__name__):
            solution = self._solve(costs, **instance)
        if solution.shape != costs.shape or solution.dtype != costs.dtype:
            raise WrongAnswerError(
                f"{type(self).__name__} answered costs of shape {tuple(costs.shape)} and dtype "
                f"{costs.dtype} with shape {tuple(solution.shape)} and dtype {solution.dtype}; its "
                f"_solve must return one 0/1 or number for each cost, in the costs' dtype."
            )
        if forbidden:
            self._check_allowed(costs, solution)
        if checking():
            check_answers(self, costs, solution, instance)
        self.seconds += time.perf_counter() - started
        self.calls += 1
        return solution

    @abstractmethod
    def _solve(self, costs: Tensor, *args: Any, **instance: Any) -> Tensor:
        """Solve finite costs (B, *S), B >= 1, of a shape that `_check_shape` accepts."""

    def _check_shape(self, shape: torch.Size) -> None:
        """Raise SolverInputError where the instance shape S is not one of this solver's."""

    def feasible(self, solution: Tensor, *args: Any, **instance: Any) -> Tensor:
        """Which of the solutions (B, *S) are members of Y, (B,) bool; all, unless overridden."""
        return torch.ones(len(solution), dtype=torch.bool, device=solution.device)

    def optimum(self, costs: Tensor, *args: Any, **instance: Any) -> Tensor | None:
        """The least <w, y> of costs (B, *S) by an independent method, (B,), or None for none."""
        return None

    def is_constant_on(self, normal: Tensor) -> bool:
        """Whether <a, y> is the same for all solutions y, for a normal `a` of shape S."""
        same = bool((normal == normal.flatten()[:1]).all())
        return same and Trait.SHIFT_INVARIANT in self.traits

    def check_form(self, costs: Tensor) -> None:
        """Raise SolverInputError unless costs are a batch of floating-point instances."""
        name = type(self).__name__
        if not isinstance(costs, Tensor):
            raise SolverInputError(
                f"{name}: costs are a {type(costs).__name__}; convert them with torch.as_tensor."
            )
        if costs.dtype not in DTYPES:
            raise SolverInputError(
                f"{name}: costs have dtype {costs.dtype}; convert them with costs.float()."
            )
        if costs.layout is not torch.strided:
            raise SolverInputError(
                f"{name}: costs are laid out as {costs.layout}; convert them with costs.to_dense()."
            )
        if costs.is_meta:
            raise SolverInputError(
                f"{name}: costs are on the device meta, which holds no numbers; make them on the "
                f"CPU or a GPU."
            )
        if costs.dim() < 2:
            raise SolverInputError(
                f"{name}: costs have shape {tuple(costs.shape)}, but the first axis is the batch; "
                f"use costs.unsqueeze(0) for one instance."
            )
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
                f"{type(self).__name__}: costs of batch index {index} contain {what} "
                f"({int(bad.sum())} of {costs.shape[0]} instances do); look for a diverged network "
                f"or a division by zero before the solver."
            )
        return bool(forbidden.any())

    def _check_allowed(self, costs: Tensor, solution: Tensor) -> None:
        """Raise InfeasibleError where the solution (B, *S) uses an entry whose cost is +inf."""
        used = ((costs == math.inf) & (solution != 0)).flatten(1).any(dim=1)
        if bool(used.any()):
            raise InfeasibleError(
                f"{type(self).__name__}: the entries of cost inf leave no solution to batch index "
                f"{int(used.nonzero()[0])} ({int(used.sum())} of {costs.shape[0]} instances have "
                f"none); forbid fewer entries."
            )


def check_rows(solver: Solver, shape: torch.Size) -> None:
    """Raise SolverInputError unless an instance has one axis."""
    if len(shape) != 1:
        raise SolverInputError(
            f"{type(solver).__name__}: costs have instance shape {tuple(shape)}; pass the n costs "
            f"of each instance as one row of (B, n), for example costs.flatten(1)."
        )


def integer_array(name: str, values: Any, shape: str) -> np.ndarray:
    """Values that a caller passed as int64; ValueError, naming them and the shape, for others."""
    if isinstance(values, Tensor):
        values = values.detach().cpu().numpy()
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise ValueError(
            f"{name} cannot be made an array ({error}); pass integers, {shape}."
        ) from error
    if array.size == 0 and array.dtype.kind == "f":
        array = array.astype(np.int64)
    if array.dtype.kind not in "iu" or (array.size and array.max() > np.iinfo(np.int64).max):
        raise ValueError(
            f"{name} has shape {array.shape} and dtype {array.dtype}; pass integers, {shape}."
        )
    return array.astype(np.int64)


def to_array(costs: Tensor) -> np.ndarray:
    """The costs as a contiguous float64 array, which holds every smaller float exactly."""
    return np.ascontiguousarray(costs.cpu().to(torch.float64).numpy())


def to_native_array(costs: Tensor) -> np.ndarray:
    """The costs as a contiguous array of float32 or float64, halves widened to float32."""
    kept = costs.dtype in (torch.float32, torch.float64)
    array = costs.cpu() if kept else costs.cpu().to(torch.float32)
    return np.ascontiguousarray(array.numpy())


def to_tensor(solution: np.ndarray, like: Tensor) -> Tensor:
    """A solution array as a tensor with the dtype and device of the costs it answers."""
    return torch.from_numpy(solution).to(device=like.device, dtype=like.dtype)
