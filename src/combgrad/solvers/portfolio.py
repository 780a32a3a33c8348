"""The cheapest portfolio within a budget of risk, in compiled code."""

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from combgrad.arguments import check_range
from combgrad.errors import SolverFailedError, SolverInputError
from combgrad.solvers.arrays import to_array, to_tensor
from combgrad.solvers.base import Solver, Trait, check_rows
from combgrad.solvers.kernels.critical_line import (
    TOLERANCE,
    calmest_portfolio,
    portfolios,
    portfolios_parallel,
)
from combgrad.solvers.threads import checked_threads, on_threads

#: Expected work, for the choice of threads: of a batch of n costs each so many n squared.
SECONDS_A_PAIR = 2e-8

#: The least eigenvalue of the covariance, in largest variances; less is made up for.
LEAST_EIGENVALUE = 1e-10


def checked_covariance(covariance: ArrayLike | Tensor) -> np.ndarray:
    """A covariance as a symmetric float64 array (n, n); ValueError for what is none."""
    if isinstance(covariance, Tensor):
        covariance = covariance.detach().cpu().double().numpy()
    try:
        matrix = np.asarray(covariance, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"covariance is no array of numbers ({error}).") from error
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or not matrix.size:
        raise ValueError(f"covariance has shape {matrix.shape}; pass one row an asset, (n, n).")
    if not np.isfinite(matrix).all():
        raise ValueError("covariance contains NaN or inf; look for assets without data.")
    size = np.abs(matrix).max()
    if np.abs(matrix - matrix.T).max() > TOLERANCE * size:
        raise ValueError("covariance is not symmetric; pass (covariance + covariance.T) / 2.")
    least = np.linalg.eigvalsh(matrix).min()
    if least < -TOLERANCE * size:
        raise ValueError(
            f"covariance has the eigenvalue {least:.3g}, and a risk is never negative; pass one "
            f"of data, or without its negative eigenvalues."
        )
    return (matrix + matrix.T) / 2


class Portfolio(Solver):
    """Markowitz's portfolio: y(w) = argmin <w, y> over y >= 0 with sum y = 1 and y' S y <= r.

    Costs (B, n): an asset of expected return v has cost -v; solutions (B, n) are the shares, from 0
    to 1. S is the `covariance`, r the `risk_budget`. By the critical line method (Markowitz 1956)
    in time about proportional to n squared for each asset held. Shares are rounded as float64 is;
    each answer is proven, by the Lagrangian, to cost at most 1e-9 of the spread of the costs more
    than the best within a risk of r - 2e-9 times the largest variance; its own risk may be above r
    by 3e-9 times that. Among equally cheap portfolios the choice is deterministic, and the least
    risky one where all costs are equal.

    Args:
        covariance: (n, n), symmetric and positive semidefinite, in the square of the returns' unit.
        risk_budget: r >= 0, in the same unit.
        threads: how many to use; None decides by the work.

    Raises ValueError for another covariance or a budget that no portfolio keeps, SolverInputError
    for costs that do not fit the covariance. Source: Markowitz, Journal of Finance 1952; this form
    is that of Elmachtoub and Grigas, Management Science 2022, section 6.2, with all of the budget
    spent, as in PyEPO.
    """

    traits = frozenset({Trait.SHIFT_INVARIANT, Trait.SCALE_INVARIANT})
    unrelaxed = "its budget of risk is quadratic"
    curved = True

    def __init__(
        self, covariance: ArrayLike | Tensor, risk_budget: float, threads: int | None = None
    ) -> None:
        super().__init__()
        self.covariance, self.threads = checked_covariance(covariance), checked_threads(threads)
        self.risk_budget = check_range("risk_budget", risk_budget)
        self._definite, self._unit, lack = self._scaled()
        self._budget = self.risk_budget / self._unit + lack
        self._calmest = calmest_portfolio(self._definite)
        least = float(self._calmest @ self.covariance @ self._calmest)
        if least > self.risk_budget + TOLERANCE * self._unit:
            raise ValueError(
                f"risk_budget is {self.risk_budget:g}, and the least risky portfolio has a risk of "
                f"{least:g}; allow at least that."
            )

    def _scaled(self) -> tuple[np.ndarray, float, float]:
        """The covariance in units of its largest variance, the unit, and what was added to make
        it positive definite, which is what a risk is more by at most."""
        unit = float(self.covariance.diagonal().max()) or 1.0
        matrix = self.covariance / unit
        lack = max(LEAST_EIGENVALUE - float(np.linalg.eigvalsh(matrix).min()), 0.0)
        return matrix + lack * np.eye(len(matrix)), unit, lack

    def _check_shape(self, shape: torch.Size) -> None:
        check_rows(self, shape)
        n = len(self.covariance)
        if shape[0] != n:
            raise SolverInputError(
                f"Portfolio: {shape[0]} costs and a covariance of {n} assets; pass one cost an "
                f"asset, (B, {n})."
            )

    def feasible(self, solution: Tensor) -> Tensor:
        """Whether the shares (B, n) are >= 0, sum to 1 and keep the budget, (B,) bool.

        Up to 1e-9, and in smaller dtypes up to how these round.
        """
        shares = solution.double()
        covariance = torch.from_numpy(self.covariance).to(shares.device)
        slack = max(TOLERANCE, torch.finfo(solution.dtype).eps)
        whole = (shares.sum(dim=1) - 1).abs() <= slack
        risk = ((shares @ covariance) * shares).sum(dim=1)
        within = risk <= self.risk_budget + 4 * slack * self._unit
        return (shares >= 0).all(dim=1) & whole & within

    def _solve(self, costs: Tensor) -> Tensor:
        array = to_array(costs)
        work = array.size * array.shape[1] * SECONDS_A_PAIR
        program = (self._definite, self._budget, self._calmest)
        solution, proven = on_threads(
            work, self.threads, portfolios, portfolios_parallel, array, *program
        )
        if not proven.all():
            raise SolverFailedError(
                f"Portfolio: rounding left batch index {int(np.flatnonzero(~proven)[0])} without "
                f"a proven answer; pass a covariance with a larger least eigenvalue."
            )
        return to_tensor(solution, like=costs)
