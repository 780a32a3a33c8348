"""The 0-1 knapsack with integer weights, exact, in compiled code."""

import math
import operator
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from combgrad.errors import SolverInputError
from combgrad.instances import EntryShape
from combgrad.solvers.arrays import single, to_array, to_tensor
from combgrad.solvers.base import Solver, Trait, check_rows
from combgrad.solvers.ilp_program import Program, binary_program
from combgrad.solvers.kernels.knapsack import pack, pack_exactly, pack_parallel
from combgrad.solvers.threads import checked_threads, on_threads

#: Expected work, for the choice of threads.
SECONDS_A_STATE = 5e-10

#: Bytes that the table of decisions may take; beyond it another method is in order.
LARGEST_TABLE = 2**31


def as_integer(value: object, name: str) -> int:
    """A whole number >= 0 of any type as an int; raises ValueError, naming it, for others."""
    if isinstance(value, float | np.floating) and float(value).is_integer():
        value = int(value)
    try:
        number = operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        number = -1
    if number < 0 or isinstance(value, bool | np.bool_):
        raise ValueError(
            f"{name} is {value!r}; it must be a whole number >= 0. Scale and round fractional "
            f"weights and the capacity alike."
        )
    return number


class Packing(NamedTuple):
    """Weights (n,) and capacity in the coarsest units, what is too heavy cut to just that."""

    weights: np.ndarray
    room: int


Weights = Iterable[float] | Tensor | np.ndarray


class Knapsack(Solver):
    """The 0-1 knapsack: y(w) = argmin <w, y> over y in {0, 1}^n with <weights, y> <= capacity.

    Costs (B, n): an item of value v has cost -v; solutions (B, n) are 1 on the items taken. Items
    of positive, zero or infinite cost are never taken, items of negative cost and no weight always.
    Among equally good selections the choice is deterministic. Exact for all finite costs, by
    dynamic programming (Bellman 1957) in time and memory proportional to n times capacity: what
    sums in float64 leave in doubt is solved in integers of any size.

    Args:
        weights: n whole numbers >= 0, integers or floats; None where every call gives them, n for
            all instances, or n for each, (B, n).
        capacity: a whole number >= 0.
        threads: how many to use; None decides by the work.

    Raises ValueError for other weights or a capacity too large for a table in memory,
    SolverInputError for costs that do not fit the weights, and for those of a call.
    """

    traits = frozenset({Trait.SCALE_INVARIANT})
    per_row: Mapping[str, EntryShape] = {"weights": (-1,)}
    forbids = True
    padding = "forbidden"
    unrelaxed: str | None = "its weights are those of each call"

    def __init__(
        self, weights: Weights | None, capacity: float, threads: int | None = None
    ) -> None:
        super().__init__()
        self.capacity, self.threads = as_integer(capacity, "capacity"), checked_threads(threads)
        self.weights = None if weights is None else _whole(weights)
        self._own = None if self.weights is None else self._reduced(self.weights)
        if self._own is not None:
            self.unrelaxed = None

    def _reduced(self, weights: list[int]) -> Packing:
        step = math.gcd(*weights) or 1
        most = sum(weight for weight in weights if weight <= self.capacity)
        room = min(self.capacity, most) // step
        table = len(weights) * (room + 1)
        if table > LARGEST_TABLE:
            raise ValueError(
                f"Knapsack: {len(weights)} items and a capacity of {room} (after dividing by "
                f"common factors) need a table of {table / 2**30:.1f} GiB; round the weights and "
                f"the capacity to coarser units."
            )
        fitting = [w // step if w <= self.capacity else room + 1 for w in weights]
        return Packing(np.array(fitting, dtype=np.int64), room)

    def _check_shape(self, shape: torch.Size) -> None:
        check_rows(self, shape)
        if self.weights is not None:
            _check_count(shape[0], len(self.weights))

    def _packings(
        self, shape: torch.Size, weights: Weights | None
    ) -> list[tuple[Packing, np.ndarray | slice]]:
        """How the instances of costs (B, n) are packed: each way with the rows that it is for."""
        if weights is None:
            if self._own is None:
                raise SolverInputError(
                    f"Knapsack: no weights were given; pass them with the costs, ({shape[1]},) or "
                    f"(B, {shape[1]}), or make it as Knapsack(weights, capacity)."
                )
            return [(self._own, slice(None))]
        if self._own is not None:
            raise SolverInputError(
                "Knapsack: it has weights of its own, and a call gives others; make it as "
                "Knapsack(None, capacity) for weights that every call gives."
            )
        try:
            given = single(weights.detach()).cpu() if isinstance(weights, Tensor) else weights
            table = np.asarray(given)
        except ValueError as error:
            raise SolverInputError(
                f"Knapsack: weights cannot be made an array ({error}); pass (n,) or (B, n)."
            ) from error
        if table.ndim not in (1, 2):
            raise SolverInputError(
                f"Knapsack: weights have shape {table.shape}; pass (n,) or (B, n)."
            )
        _check_count(shape[1], table.shape[-1])
        if table.ndim == 1:
            return [(self._packing_of(table, ""), slice(None))]
        kinds: dict[tuple[object, ...], list[int]] = {}
        for index, row in enumerate(table.tolist()):
            kinds.setdefault(tuple(row), []).append(index)
        return [
            (self._packing_of(table[rows[0]], f"batch index {rows[0]}: "), np.array(rows))
            for rows in kinds.values()
        ]

    def _packing_of(self, weights: np.ndarray, where: str) -> Packing:
        """The weights (n,) of a call; SolverInputError, saying where they stand, for others."""
        try:
            return self._reduced(_whole(weights))
        except ValueError as error:
            raise SolverInputError(f"Knapsack: {where}{error}") from error

    def relaxation(self, shape: torch.Size) -> Program:
        """<weights, y> <= capacity and 0 <= y <= 1; its vertices need not be whole.

        Raises IncompatibleError where calls give the weights.
        """
        if self.unrelaxed is not None:
            return super().relaxation(shape)
        self._check_shape(shape)
        row = np.array([self.weights], dtype=np.float64)
        return binary_program(shape[0], most=(row, [float(self.capacity)]))

    def feasible(self, solution: Tensor, weights: Weights | None = None) -> Tensor:
        """Whether the solutions (B, n) are 0/1 and within the capacity, (B,) bool."""
        fits = ((solution == 0) | (solution == 1)).all(dim=1)
        for way, rows in self._packings(solution.shape, weights):
            each = torch.from_numpy(way.weights).to(solution.device)
            fits[rows] &= ((solution[rows] == 1) * each).sum(dim=1) <= way.room
        return fits

    def _solve(self, costs: Tensor, weights: Weights | None = None) -> Tensor:
        array = to_array(costs)
        solution = np.empty_like(array)
        for way, rows in self._packings(costs.shape, weights):
            solution[rows] = self._packed(array[rows], way)
        return to_tensor(solution, like=costs)

    def _packed(self, array: np.ndarray, way: Packing) -> np.ndarray:
        """The best packings (B, n) for costs (B, n)."""
        work = array.size * (way.room + 1) * SECONDS_A_STATE
        solution, certain = on_threads(work, self.threads, pack, pack_parallel, array, *way)
        for index in np.flatnonzero(~certain):
            solution[index] = pack_exactly(array[index], *way)
        return solution


def _whole(weights: Weights) -> list[int]:
    """Weights as whole numbers; ValueError, naming one, for others."""
    if isinstance(weights, Tensor | np.ndarray) and weights.ndim != 1:
        raise ValueError(
            f"weights have shape {tuple(weights.shape)}; pass one number for each item, (n,)."
        )
    entries = weights.tolist() if isinstance(weights, Tensor | np.ndarray) else list(weights)
    return [as_integer(weight, f"weight {i}") for i, weight in enumerate(entries)]


def _check_count(costs: int, weights: int) -> None:
    if costs != weights:
        raise SolverInputError(
            f"Knapsack: {costs} costs for {weights} weights; pass one cost an item, (B, {weights})."
        )
