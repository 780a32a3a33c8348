"""The k smallest of n costs, exact, in compiled code or in torch."""

import numpy as np
import torch
from torch import Tensor

from combgrad.arguments import is_whole
from combgrad.errors import SolverInputError
from combgrad.solvers.arrays import to_native_array, to_tensor
from combgrad.solvers.base import Solver, Trait, check_rows
from combgrad.solvers.ilp_program import Program, binary_program
from combgrad.solvers.kernels.selection import select_smallest, select_smallest_parallel
from combgrad.solvers.threads import checked_threads, on_threads

#: Expected work, for the choice of threads.
SECONDS_AN_ENTRY = 3e-9


def smallest_by_sorting(costs: Tensor, k: int) -> Tensor:
    """The same answer as `TopK(k)` for costs (B, n) on any device, by a stable sort in torch."""
    # Adding zero turns -0.0 into 0.0, so that no sort can tell them apart.
    order = torch.sort(costs + 0.0, dim=1, stable=True).indices
    return torch.zeros_like(costs).scatter_(1, order[:, :k], 1.0)


class TopK(Solver):
    """The k smallest of n costs: y(w) = argmin <w, y> over y in {0, 1}^n with sum(y) = k.

    Costs (B, n) of any sign; solutions (B, n) with exactly k ones, 0 <= k <= n. Among equal costs
    the lower index is taken first; 0.0 and -0.0 are equal. To select the k largest, pass -w. A
    cost of +inf forbids an entry.

    Args:
        k: how many to take.
        threads: how many to use; None decides by the work.

    Raises ValueError for a negative k, SolverInputError for k > n, InfeasibleError where fewer than
    k entries are allowed.
    """

    traits = frozenset({Trait.SHIFT_INVARIANT, Trait.SCALE_INVARIANT, Trait.SUBSET_VALUED})
    forbids = True
    padding = "forbidden"
    unrelaxed = None

    def __init__(self, k: int, threads: int | None = None) -> None:
        super().__init__()
        if not is_whole(k) or k < 0:
            raise ValueError(f"k is {k!r}; the number of entries to take is an integer >= 0.")
        self.k, self.threads = int(k), checked_threads(threads)

    @property
    def subset_size(self) -> int:
        """k."""
        return self.k

    def _check_shape(self, shape: torch.Size) -> None:
        check_rows(self, shape)
        if self.k > shape[0]:
            raise SolverInputError(
                f"TopK: k = {self.k} of n = {shape[0]} costs cannot be taken; use a k of at most "
                f"{shape[0]}."
            )

    def relaxation(self, shape: torch.Size) -> Program:
        """sum(y) = k and 0 <= y <= 1, whose vertices are Y."""
        self._check_shape(shape)
        return binary_program(shape[0], equal=(np.ones((1, shape[0])), [float(self.k)]))

    def feasible(self, solution: Tensor) -> Tensor:
        """Whether the solutions (B, n) are 0/1 with k ones, (B,) bool."""
        binary = ((solution == 0) | (solution == 1)).all(dim=1)
        return binary & ((solution == 1).sum(dim=1) == self.k)

    def _solve(self, costs: Tensor) -> Tensor:
        if costs.is_cuda:
            return smallest_by_sorting(costs, self.k)
        if self.k == 0:
            return torch.zeros_like(costs)
        array = to_native_array(costs)
        pair = (select_smallest, select_smallest_parallel)
        solution = on_threads(array.size * SECONDS_AN_ENTRY, self.threads, *pair, array, self.k)
        return to_tensor(solution, like=costs)
