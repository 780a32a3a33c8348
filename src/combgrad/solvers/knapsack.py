"""The 0-1 knapsack with integer weights, exact, in compiled code."""

import math
import operator
from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor

from combgrad.errors import SolverInputError
from combgrad.solvers.arrays import to_array, to_tensor
from combgrad.solvers.base import Solver, Trait, check_rows
from combgrad.solvers.ilp_program import Program, binary_program
from combgrad.solvers.kernels.knapsack import pack, pack_exactly, pack_parallel
from combgrad.solvers.threads import thread_count

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


class Knapsack(Solver):
    """The 0-1 knapsack: y(w) = argmin <w, y> over y in {0, 1}^n with <weights, y> <= capacity.

    Costs (B, n): an item of value v has cost -v; solutions (B, n) are 1 on the items taken. Items
    of positive, zero or infinite cost are never taken, items of negative cost and no weight always.
    Among equally good selections the choice is deterministic. Exact for all finite costs, by
    dynamic programming (Bellman 1957) in time and memory proportional to n times capacity: what
    sums in float64 leave in doubt is solved in integers of any size.

    Args:
        weights: n whole numbers >= 0, integers or floats.
        capacity: a whole number >= 0.
        threads: how many to use; None decides by the work.

    Raises ValueError for other weights or a capacity too large for a table in memory,
    SolverInputError for costs that do not fit the weights.
    """

    traits = frozenset({Trait.SCALE_INVARIANT})
    forbids = True
    padding = "forbidden"
    unrelaxed = None

    def __init__(
        self,
        weights: Iterable[float] | Tensor | np.ndarray,
        capacity: float,
        threads: int | None = None,
    ) -> None:
        super().__init__()
        thread_count(0.0, threads)
        if isinstance(weights, Tensor | np.ndarray) and weights.ndim != 1:
            raise ValueError(
                f"weights have shape {tuple(weights.shape)}; pass one number for each item, (n,)."
            )
        entries = weights.tolist() if isinstance(weights, Tensor | np.ndarray) else list(weights)
        self.weights = [as_integer(weight, f"weight {i}") for i, weight in enumerate(entries)]
        self.capacity, self.threads = as_integer(capacity, "capacity"), threads
        self._fitting, self._room = self._reduced()
        table = len(self.weights) * (self._room + 1)
        if table > LARGEST_TABLE:
            raise ValueError(
                f"Knapsack: {len(self.weights)} items and a capacity of {self._room} (after "
                f"dividing by common factors) need a table of {table / 2**30:.1f} GiB; round the "
                f"weights and the capacity to coarser units."
            )

    def _reduced(self) -> tuple[np.ndarray, int]:
        """Weights (n,) and capacity in the coarsest units, what is too heavy cut to just that."""
        step = math.gcd(*self.weights) or 1
        most = sum(weight for weight in self.weights if weight <= self.capacity)
        room = min(self.capacity, most) // step
        fitting = [w // step if w <= self.capacity else room + 1 for w in self.weights]
        return np.array(fitting, dtype=np.int64), room

    def _check_shape(self, shape: torch.Size) -> None:
        check_rows(self, shape)
        if shape[0] != len(self.weights):
            raise SolverInputError(
                f"Knapsack: {shape[0]} costs for {len(self.weights)} weights; pass one cost an "
                f"item, (B, {len(self.weights)})."
            )

    def relaxation(self, shape: torch.Size) -> Program:
        """<weights, y> <= capacity and 0 <= y <= 1; its vertices need not be whole."""
        self._check_shape(shape)
        row = np.array([self.weights], dtype=np.float64)
        return binary_program(shape[0], most=(row, [float(self.capacity)]))

    def feasible(self, solution: Tensor) -> Tensor:
        """Whether the solutions (B, n) are 0/1 and within the capacity, (B,) bool."""
        binary = ((solution == 0) | (solution == 1)).all(dim=1)
        weights = torch.from_numpy(self._fitting).to(solution.device)
        return binary & (((solution == 1) * weights).sum(dim=1) <= self._room)

    def _solve(self, costs: Tensor) -> Tensor:
        array = to_array(costs)
        work = array.size * (self._room + 1) * SECONDS_A_STATE
        threads = min(thread_count(work, self.threads), len(array))
        if threads == 1:
            solution, certain = pack(array, self._fitting, self._room)
        else:
            solution, certain = pack_parallel(array, self._fitting, self._room, threads)
        for index in np.flatnonzero(~certain):
            solution[index] = pack_exactly(array[index], self._fitting, self._room)
        return to_tensor(solution, like=costs)
