"""Any binary, integer or mixed linear program, exact: by a search of our own where it is small,
else through HiGHS or Gurobi."""

import math
import warnings
from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from combgrad.arguments import check_time_limit
from combgrad.errors import (
    InfeasibleError,
    SolverFailedError,
    SolverInputError,
    TimeLimitError,
    UnboundedError,
)
from combgrad.solvers.arrays import to_array, to_tensor
from combgrad.solvers.base import Solver, Trait, checked_traits
from combgrad.solvers.ilp_backends import (
    INFEASIBLE,
    OPTIMAL,
    TIME_LIMIT,
    TOLERANCE,
    UNBOUNDED,
    Backend,
    Gurobi,
    Highs,
)
from combgrad.solvers.ilp_program import Program, checked_program, checked_rows
from combgrad.solvers.ilp_search import Search
from combgrad.solvers.threads import Turn

#: Costs that spread by less are told apart well by every backend.
MODEST_SPREAD = 1e5

WIDE_SPREAD = (
    "ILP: costs of one instance spread by more than 1e9, the tolerance of its backends, and the "
    "smaller ones may be ignored; forbid variables by a cost of inf instead of a large number, or "
    "bring the costs nearer together."
)

BACKENDS: dict[str, type[Highs] | type[Gurobi]] = {"highs": Highs, "gurobi": Gurobi}


class ILP(Solver):
    """One integer program with exchangeable costs: y(w) = argmin <w, y> over y in Y, where
    Y = {y: lower <= A y <= upper, A_ub y <= b_ub, A_eq y = b_eq, least <= y <= most, y_i integer}.

    Costs and solutions are (B, n), any sign; a cost of +inf sets its variable to 0. The gaps are 0
    and integers are rounded, but a backend works in float64 with a tolerance: a solution may cost
    1e-9 of the largest cost more than the best. Costs so large that they decide the value of an
    integer variable (a big M, say) are taken out first and do not count. Where those that remain
    spread by more than 1e9 a warning says so. Rows are scaled to coefficients of 1 at most. Small
    programs of bounded integers alone are searched by branch and bound, within the same tolerance,
    before the backend is asked. Either way an answer depends on its own costs alone.

    Args:
        A, lower, upper: rows (m, n), dense or scipy sparse, and their bounds, (m,) or numbers.
        A_ub, b_ub, A_eq, b_eq: more rows, in the style of scipy.optimize.
        bounds: (least, most) of the variables, each (n,), a number, or None for no bound; binary
            variables by default.
        integrality: 1 where a variable is an integer, 0 where it is not, (n,) or one for all.
        backend: "highs" (pip install highspy) or "gurobi" (gurobipy and its licence).
        time_limit: seconds for an instance, or None.
        traits: what the caller knows of Y; SHIFT_INVARIANT where all y have the same sum.

    Raises ValueError for a program that is none or has a row with coefficients that spread by more
    than 1e9, SolverInputError for costs of a dtype that cannot hold the solution,
    SolverUnavailableError for a missing backend, and InfeasibleError, UnboundedError or
    TimeLimitError, naming the batch index.
    """

    forbids = True
    padding = "forbidden"
    unrelaxed = None

    def __init__(
        self,
        A: Any = None,
        lower: ArrayLike = -np.inf,
        upper: ArrayLike = np.inf,
        *,
        A_ub: Any = None,
        b_ub: ArrayLike | None = None,
        A_eq: Any = None,
        b_eq: ArrayLike | None = None,
        bounds: tuple[ArrayLike | None, ArrayLike | None] = (0.0, 1.0),
        integrality: ArrayLike = 1,
        backend: str = "highs",
        time_limit: float | None = None,
        traits: Iterable[Trait] = (Trait.SCALE_INVARIANT,),
    ) -> None:
        super().__init__()
        if backend not in BACKENDS:
            raise ValueError(f"backend is {backend!r}; choose one of {', '.join(BACKENDS)}.")
        blocks = [
            rows
            for rows in (
                checked_rows("A", A, lower, upper),
                checked_rows("A_ub", A_ub, -np.inf, b_ub),
                checked_rows("A_eq", A_eq, b_eq, b_eq),
            )
            if rows is not None
        ]
        self.program = checked_program(blocks, bounds, integrality)
        self.backend, self.time_limit = backend, check_time_limit(time_limit)
        self.traits = checked_traits("ILP", traits)
        self._turn = Turn()
        self._model: Backend | None = BACKENDS[backend](self.program, time_limit)
        self._search = Search(self.program, time_limit) if Search.suits(self.program) else None

    def __getstate__(self) -> dict[str, Any]:
        # A backend's model belongs to its process; a copy builds its own.
        return self.__dict__ | {"_model": None}

    def _check_shape(self, shape: torch.Size) -> None:
        variables = len(self.program.integer)
        if tuple(shape) != (variables,):
            raise SolverInputError(
                f"ILP: costs have instance shape {tuple(shape)}; the program has {variables} "
                f"variables, so pass (B, {variables})."
            )

    def relaxation(self, shape: torch.Size) -> Program:
        """The program itself; SolverInputError for another shape than (n,)."""
        self._check_shape(shape)
        return self.program

    def feasible(self, solution: Tensor) -> Tensor:
        """Which of the solutions (B, n) satisfy every row, bound and integrality, (B,)."""
        return torch.from_numpy(self.program.contains(to_array(solution))).to(solution.device)

    def _solve(self, costs: Tensor) -> Tensor:
        with self._turn:
            points = np.stack(
                [self._solve_one(row, index) for index, row in enumerate(to_array(costs))]
            )
        wrong = ~self.program.contains(points)
        if wrong.any():
            raise SolverFailedError(
                f"ILP: the answer of {self.backend} for batch index {int(wrong.argmax())} violates "
                f"the program once integers are rounded; look for coefficients of very different "
                f"size, such as a big M."
            )
        solution = to_tensor(points, like=costs)
        held = np.where(self.program.integer, to_array(solution) == points, True)
        held &= np.isfinite(to_array(solution))
        if not held.all():
            index, variable = np.argwhere(~held)[0].tolist()
            raise SolverInputError(
                f"ILP: variable {variable} is {points[index, variable]:.17g} in the solution of "
                f"batch index {index}, which {costs.dtype} cannot hold; use costs.double()."
            )
        return solution

    def _solve_one(self, costs: np.ndarray, index: int) -> np.ndarray:
        """The best point (n,) for the costs (n,) of one instance, integers rounded."""
        least, most = self.program.least.copy(), self.program.most.copy()
        forbidden = costs == np.inf
        if (forbidden & ((least > 0) | (most < 0))).any():
            raise InfeasibleError(
                f"ILP: batch index {index} has no solution: a cost of inf sets its variable to 0, "
                f"which the bounds of variable "
                f"{int((forbidden & ((least > 0) | (most < 0))).argmax())} exclude."
            )
        least[forbidden] = most[forbidden] = 0.0
        costs = np.where(forbidden, 0.0, costs)
        sizes = np.abs(costs)
        while True:
            matter = (least < most) & (sizes > 0)
            largest = sizes[matter].max(initial=0.0)
            smallest = sizes[matter].min(initial=largest)
            # The tolerances of the backends are absolute, so instances are brought to one size.
            scaled = np.where(matter, costs, 0.0) / (largest or 1.0)
            point = self._minimise(scaled, least, most, index, bool(forbidden.any()))
            point = np.where(self.program.integer, np.rint(point) + 0.0, point)
            if smallest >= largest / MODEST_SPREAD:
                return point
            fixed = matter & (self._is_decided(scaled, point) | self._outweighs(scaled))
            if sizes[matter & ~fixed].max(initial=0.0) == largest:
                if smallest < largest * TOLERANCE:
                    warnings.warn(WIDE_SPREAD, stacklevel=4)
                return point
            least[fixed] = most[fixed] = point[fixed]

    def _is_decided(self, costs: np.ndarray, point: np.ndarray) -> np.ndarray:
        """Which integer variables have the value of `point` in every solution that is no dearer.

        No solution costs less than one with every variable at the cheaper of its bounds. One that
        is a step away from there costs at least |w_i| more, too much where `point` lies nearer.
        """
        ideal = np.where(costs > 0, self.program.least, self.program.most)
        with np.errstate(over="ignore", invalid="ignore"):
            beyond = np.where(costs == 0, 0.0, np.abs(costs) * np.abs(point - ideal))
        above = math.fsum(beyond) if np.isfinite(beyond).all() else math.inf
        return self.program.integer & (np.abs(costs) > above * (1 + 1e-9))

    def _outweighs(self, costs: np.ndarray) -> np.ndarray:
        """Marks an integer variable whose every step costs more than all others ever can."""
        sizes = np.abs(costs)
        first = int(sizes.argmax())
        with np.errstate(over="ignore", invalid="ignore"):
            most = np.where(sizes == 0, 0.0, sizes * (self.program.most - self.program.least))
        others = np.delete(most, first)
        alone = np.isfinite(others).all() and sizes[first] > 2 * math.fsum(others)
        return self.program.integer & alone & (np.arange(len(sizes)) == first)

    def _minimise(
        self, costs: np.ndarray, least: np.ndarray, most: np.ndarray, index: int, forbids: bool
    ) -> np.ndarray:
        found = self._search.minimise(costs, least, most) if self._search else None
        if found is not None:
            return found
        if self._model is None:
            self._model = BACKENDS[self.backend](self.program, self.time_limit)
        outcome, point = self._model.minimise(costs, least, most)
        # Backends may stop as soon as they know that a program is either unbounded or infeasible.
        if outcome == UNBOUNDED:
            feasible, _ = self._model.minimise(np.zeros_like(costs), least, most)
            outcome = INFEASIBLE if feasible == INFEASIBLE else UNBOUNDED
        if outcome == OPTIMAL:
            return point
        if outcome == INFEASIBLE:
            free = (np.zeros_like(costs), self.program.least, self.program.most)
            if forbids and self._model.minimise(*free)[0] != INFEASIBLE:
                raise InfeasibleError(
                    f"ILP: the variables that costs of inf set to 0 leave no solution to batch "
                    f"index {index}; forbid fewer."
                )
            raise InfeasibleError(
                f"ILP: batch index {index} has no solution, whatever the costs; the rows and "
                f"bounds contradict each other."
            )
        if outcome == UNBOUNDED:
            raise UnboundedError(
                f"ILP: the cost of batch index {index} falls without end; bound the variables or "
                f"keep the sign of their costs."
            )
        if outcome == TIME_LIMIT:
            raise TimeLimitError(
                f"ILP: batch index {index} was not solved within time_limit={self.time_limit} s; "
                f"raise the limit, or try another backend."
            )
        raise SolverFailedError(
            f"ILP: {self.backend} ended batch index {index} with {outcome!r}; try another backend."
        )
