"""Linear assignment, square and rectangular, exact, in compiled code."""

import numpy as np
import scipy
import torch
from torch import Tensor

from combgrad.errors import IncompatibleError, SolverInputError
from combgrad.solvers.arrays import to_array, to_tensor
from combgrad.solvers.base import Solver, Trait
from combgrad.solvers.ilp_program import Program, checked_program
from combgrad.solvers.kernels.augmenting_paths import assign, assign_parallel
from combgrad.solvers.kernels.exact_assignment import assign_exactly
from combgrad.solvers.threads import checked_threads, on_threads

#: Expected work, for the choice of threads.
SECONDS_AN_ENTRY = 7e-9


class Assignment(Solver):
    """The cheapest matching: y(w) = argmin <w, y> over 0/1 matrices y that match min(n, m) pairs.

    Costs (B, n, m) of any sign; solutions (B, n, m) with one 1 in each row and column of a square
    matrix, and in each row (column) of a matrix with fewer rows (columns). A cost of +inf forbids a
    pair. Exact for all finite costs: what float64 leaves in doubt is solved in integers of any
    size. Deterministic among equally cheap matchings.

    Args:
        threads: how many to use; None decides by the work.

    Raises SolverInputError for costs that are no matrices, InfeasibleError where the forbidden
    pairs leave no matching. Source: Jonker & Volgenant, A Shortest
    Augmenting Path Algorithm for Dense and Sparse Linear Assignment Problems, Computing 1987.
    """

    traits = frozenset({Trait.SHIFT_INVARIANT, Trait.SCALE_INVARIANT})
    forbids = True
    unrelaxed = None

    def __init__(self, threads: int | None = None) -> None:
        super().__init__()
        self.threads = checked_threads(threads)

    def _check_shape(self, shape: torch.Size) -> None:
        if len(shape) != 2:
            raise SolverInputError(
                f"Assignment: costs have instance shape {tuple(shape)}; pass the cost of each pair "
                f"as matrices (B, n, m), for example costs.unsqueeze(0) for one matrix."
            )

    def feasible(self, solution: Tensor) -> Tensor:
        """Whether the solutions (B, n, m) are matchings of min(n, m) pairs, (B,) bool."""
        ones = solution == 1
        binary = (ones | (solution == 0)).flatten(1).all(dim=1)
        rows, columns = ones.sum(dim=2), ones.sum(dim=1)
        pairs = min(solution.shape[1:])
        alone = (rows <= 1).all(dim=1) & (columns <= 1).all(dim=1)
        return binary & alone & (rows.sum(dim=1) == pairs)

    def optimum(self, costs: Tensor) -> Tensor:
        """The least <w, y> of costs (B, n, m) by scipy, (B,) in float64."""
        best = [
            matrix[scipy.optimize.linear_sum_assignment(matrix)].sum() for matrix in to_array(costs)
        ]
        return torch.tensor(best, dtype=torch.float64, device=costs.device)

    def is_constant_on(self, normal: Tensor) -> bool:
        """True for a_ij = u_i + v_j, with v constant where columns stay unmatched, or u, rows."""
        a = normal.to(device="cpu", dtype=torch.float64)
        if a.dim() != 2:
            raise IncompatibleError(
                f"Plane(a): for Assignment `a` is a matrix (n, m), as the costs are; it has shape "
                f"{tuple(a.shape)}."
            )
        if a.numel() == 0:
            return True
        rows, columns = a.mean(dim=1, keepdim=True), a.mean(dim=0, keepdim=True)
        fitted = torch.full_like(a, float(a.mean()))
        if a.shape[0] <= a.shape[1]:
            fitted = fitted + (rows - a.mean())
        if a.shape[0] >= a.shape[1]:
            fitted = fitted + (columns - a.mean())
        return bool(torch.allclose(fitted, a, rtol=1e-6, atol=1e-9 * float(a.abs().max())))

    def relaxation(self, shape: torch.Size) -> Program:
        """Sums of rows and columns and y >= 0, whose vertices are the matchings.

        The sums are 1; at most 1 over the longer side of a matrix that is not square.
        """
        self._check_shape(shape)
        rows, columns = shape
        over_rows = scipy.sparse.kron(scipy.sparse.eye_array(rows), np.ones((1, columns)))
        over_columns = scipy.sparse.kron(np.ones((1, rows)), scipy.sparse.eye_array(columns))
        blocks = [
            (scipy.sparse.csr_array(sums), np.full(count, float(count <= other)), np.ones(count))
            for sums, count, other in ((over_rows, rows, columns), (over_columns, columns, rows))
        ]
        return checked_program(blocks, (0.0, np.full(rows * columns, np.inf)), 1)

    def _solve(self, costs: Tensor) -> Tensor:
        if costs.numel() == 0:
            return torch.zeros_like(costs)
        array = to_array(costs)
        work = array.size * min(array.shape[1:]) ** 0.5 * SECONDS_AN_ENTRY
        solution, certain = on_threads(work, self.threads, assign, assign_parallel, array)
        for index in np.flatnonzero(~certain):
            solution[index] = _exact_matching(array[index])
        return to_tensor(solution, like=costs)


def _exact_matching(costs: np.ndarray) -> np.ndarray:
    """The cheapest matching (n, m) of costs (n, m), in exact integers."""
    if costs.shape[0] > costs.shape[1]:
        return _exact_matching(np.ascontiguousarray(costs.T)).T
    solution = np.zeros(costs.shape, dtype=np.uint8)
    solution[np.arange(len(costs)), assign_exactly(costs)] = 1
    return solution
