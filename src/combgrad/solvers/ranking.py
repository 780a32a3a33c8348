"""The ranks of n scores, exact, in compiled code or in torch."""

import numpy as np
import torch
from torch import Tensor

from combgrad.errors import SolverInputError
from combgrad.solvers.arrays import to_native_array, to_tensor
from combgrad.solvers.base import Solver, Trait, check_rows
from combgrad.solvers.kernels.ordering import rank_descending, rank_descending_parallel
from combgrad.solvers.threads import checked_threads, on_threads

#: Expected work, for the choice of threads.
SECONDS_AN_ENTRY = 1.5e-8


def ranks_by_sorting(costs: Tensor) -> Tensor:
    """The same answer as `Ranking()` for costs (B, n) on any device, by a stable sort in torch."""
    # Adding zero turns -0.0 into 0.0, so that no sort can tell them apart.
    order = torch.sort(costs + 0.0, dim=1, descending=True, stable=True).indices
    ranks = torch.arange(1, costs.shape[1] + 1, dtype=costs.dtype, device=costs.device)
    return torch.empty_like(costs).scatter_(1, order, ranks.expand_as(costs))


class Ranking(Solver):
    """The ranks of n scores: y(w) = argmin <w, y> over the permutations y of (1, ..., n).

    Costs (B, n) of any sign; solutions (B, n), rank 1 for the largest cost. Among equal costs the
    lower index gets the smaller rank; 0.0 and -0.0 are equal.

    Args:
        threads: how many to use; None decides by the work.
        normalised: whether to answer with the ranks divided by n, (1/n, ..., 1). Blackbox with a
            `lam` then takes the same steps as with `n lam` and ranks from 1 to n: such a `lam` does
            not depend on n (A-23).

    Raises SolverInputError where n is more than the dtype can count (256 in bfloat16, 2048 in
    float16). Source: Rolinek et al., Optimizing Rank-based Metrics with Blackbox Differentiation,
    CVPR 2020.
    """

    traits = frozenset({Trait.SHIFT_INVARIANT, Trait.SCALE_INVARIANT})

    def __init__(self, threads: int | None = None, normalised: bool = False) -> None:
        super().__init__()
        self.threads, self.normalised = checked_threads(threads), normalised

    def _check_shape(self, shape: torch.Size) -> None:
        check_rows(self, shape)

    def feasible(self, solution: Tensor) -> Tensor:
        """Whether the solutions (B, n) are permutations of 1..n, or of these by n, (B,) bool."""
        n = solution.shape[1]
        ranks = torch.arange(1, n + 1, dtype=solution.dtype, device=solution.device)
        ranks = ranks / n if self.normalised else ranks
        return (solution.sort(dim=1).values == ranks).all(dim=1)

    def _solve(self, costs: Tensor) -> Tensor:
        countable = int(2 / torch.finfo(costs.dtype).eps)
        if costs.shape[1] > countable:
            raise SolverInputError(
                f"Ranking: {costs.shape[1]} ranks cannot be told apart in {costs.dtype}, which "
                f"counts to {countable}; use costs.float()."
            )
        if costs.is_cuda:
            ranks = ranks_by_sorting(costs)
            return ranks / costs.shape[1] if self.normalised else ranks
        return self._ranks(costs)

    def _ranks(self, costs: Tensor) -> Tensor:
        array = to_native_array(costs)
        ranks = np.empty_like(array)
        if array.size:
            bits = array.view(np.uint32) if array.itemsize == 4 else array.view(np.uint64)
            names = np.arange(1, array.shape[1] + 1, dtype=array.dtype)
            names = names / array.shape[1] if self.normalised else names
            pair = (rank_descending, rank_descending_parallel)
            work = array.size * SECONDS_AN_ENTRY
            on_threads(work, self.threads, *pair, array, bits, names, ranks)
        return to_tensor(ranks, like=costs)
