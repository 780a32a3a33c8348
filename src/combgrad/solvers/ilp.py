"""Any binary, integer or mixed linear program, exact, through HiGHS or Gurobi."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from scipy.sparse import csr_array, issparse, vstack
from torch import Tensor

from combgrad.errors import (
    InfeasibleError,
    SolverFailedError,
    SolverInputError,
    TimeLimitError,
    UnboundedError,
)
from combgrad.solvers.base import Solver, Trait, to_array, to_tensor
from combgrad.solvers.ilp_backends import (
    INFEASIBLE,
    OPTIMAL,
    TIME_LIMIT,
    UNBOUNDED,
    Backend,
    Gurobi,
    Highs,
    Program,
)

BACKENDS: dict[str, type[Highs] | type[Gurobi]] = {"highs": Highs, "gurobi": Gurobi}


class ILP(Solver):
    """One integer program with exchangeable costs: y(w) = argmin <w, y> over y in Y, where
    Y = {y: lower <= A y <= upper, A_ub y <= b_ub, A_eq y = b_eq, least <= y <= most, y_i integer}.

    Costs and solutions are (B, n), any sign. Exact up to the backend's tolerance of 1e-9 of the
    largest cost: the gaps are 0, costs are scaled to max |w| = 1, integers are rounded.

    Args:
        A, lower, upper: rows (m, n), dense or scipy sparse, and their bounds, (m,) or numbers.
        A_ub, b_ub, A_eq, b_eq: more rows, in the style of scipy.optimize.
        bounds: (least, most) of the variables, (n,) or numbers; binary variables by default.
        integrality: 1 where a variable is an integer, 0 where it is not, (n,) or one for all.
        backend: "highs" (pip install highspy) or "gurobi" (gurobipy and its licence).
        time_limit: seconds for an instance, or None.
        traits: what the caller knows of Y; SHIFT_INVARIANT where all y have the same sum.

    Raises ValueError for a program that is none, SolverUnavailableError for a missing backend, and
    InfeasibleError, UnboundedError or TimeLimitError, naming the batch index.
    """

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
        bounds: tuple[ArrayLike, ArrayLike] = (0.0, 1.0),
        integrality: ArrayLike = 1,
        backend: str = "highs",
        time_limit: float | None = None,
        traits: Iterable[Trait] = (Trait.SCALE_INVARIANT,),
    ) -> None:
        super().__init__()
        if backend not in BACKENDS:
            raise ValueError(f"backend is {backend!r}; choose one of {', '.join(BACKENDS)}.")
        if time_limit is not None and not time_limit > 0:
            raise ValueError(
                f"time_limit is {time_limit}; it must be a positive number of seconds."
            )
        blocks = [
            rows
            for rows in (
                _rows("A", A, lower, upper),
                _rows("A_ub", A_ub, -np.inf, b_ub),
                _rows("A_eq", A_eq, b_eq, b_eq),
            )
            if rows is not None
        ]
        self.program = _program(blocks, bounds, integrality)
        self.backend, self.time_limit, self.traits = backend, time_limit, frozenset(traits)
        self._model: Backend | None = BACKENDS[backend](self.program, time_limit)

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

    def feasible(self, solution: Tensor) -> Tensor:
        """Which of the solutions (B, n) satisfy every row, bound and integrality, (B,)."""
        return torch.from_numpy(self.program.contains(to_array(solution))).to(solution.device)

    def _solve(self, costs: Tensor) -> Tensor:
        array = to_array(costs)
        largest = np.abs(array).max(axis=1, keepdims=True, initial=0.0)
        # The tolerances of the backends are absolute, so every instance is brought to one size.
        scaled = array / np.where(largest > 0, largest, 1.0)
        points = np.stack([self._minimise(row, index) for index, row in enumerate(scaled)])
        points = np.where(self.program.integer, np.rint(points) + 0.0, points)
        wrong = ~self.program.contains(points)
        if wrong.any():
            raise SolverFailedError(
                f"ILP: the answer of {self.backend} for batch index {int(wrong.argmax())} violates "
                f"the program once integers are rounded; look for coefficients of very different "
                f"size, such as a big M."
            )
        return to_tensor(points, like=costs)

    def _minimise(self, costs: np.ndarray, index: int) -> np.ndarray:
        if self._model is None:
            self._model = BACKENDS[self.backend](self.program, self.time_limit)
        outcome, point = self._model.minimise(costs)
        # Backends may stop as soon as they know that a program is either unbounded or infeasible.
        if outcome == UNBOUNDED and self._model.minimise(np.zeros_like(costs))[0] == INFEASIBLE:
            outcome = INFEASIBLE
        if outcome == OPTIMAL:
            return point
        if outcome == INFEASIBLE:
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


Rows = tuple[csr_array, np.ndarray, np.ndarray]


def _rows(name: str, matrix: Any, lower: ArrayLike | None, upper: ArrayLike | None) -> Rows | None:
    """Rows (m, n) with their bounds (m,), None for no matrix."""
    if matrix is None:
        return None
    rows = csr_array(matrix if issparse(matrix) else np.atleast_2d(np.asarray(matrix, dtype=float)))
    if lower is None or upper is None:
        raise ValueError(f"{name} needs a right-hand side b{name[1:]}.")
    sides = []
    for side in (lower, upper):
        values = np.asarray(side, dtype=float)
        if values.ndim > 1 or values.size not in (1, rows.shape[0]):
            raise ValueError(
                f"{name} has {rows.shape[0]} rows and bounds of shape {values.shape}; pass a "
                f"number or one for each row."
            )
        sides.append(np.broadcast_to(values, rows.shape[:1]))
    return rows.astype(np.float64), sides[0], sides[1]


def _program(
    blocks: list[Rows], bounds: tuple[ArrayLike, ArrayLike], integrality: ArrayLike
) -> Program:
    """The program of these rows, with every vector at its full length."""
    vectors = [np.asarray(values, dtype=float) for values in (*bounds, integrality)]
    sizes = {block[0].shape[1] for block in blocks} | {v.size for v in vectors if v.ndim}
    if len(sizes) != 1 or any(v.ndim > 1 for v in vectors):
        raise ValueError(
            f"rows, bounds and integrality describe {sorted(sizes)} variables; they must agree, "
            f"and one of them must give each variable an entry."
        )
    variables = sizes.pop()
    least, most, integer = (np.broadcast_to(v, (variables,)).copy() for v in vectors)
    if not np.isin(integer, (0, 1)).all():
        raise ValueError("integrality has entries other than 0 (continuous) and 1 (integer).")
    empty = csr_array((0, variables)), np.empty(0), np.empty(0)
    matrices, lowers, uppers = zip(*blocks, empty, strict=True)
    lower, upper = np.concatenate(lowers), np.concatenate(uppers)
    for name, low, high in (("row", lower, upper), ("variable", least, most)):
        wrong = ~(low <= high) | (low == np.inf) | (high == -np.inf)
        if wrong.any():
            index = int(wrong.argmax())
            raise ValueError(
                f"the bounds of {name} {index}, {low[index]} to {high[index]}, leave nothing "
                f"between them."
            )
    matrix = csr_array(vstack(matrices, format="csr"))
    if not np.isfinite(matrix.data).all():
        raise ValueError("the rows contain NaN or inf; every coefficient must be a number.")
    return Program(matrix, lower, upper, least, most, integer == 1)
