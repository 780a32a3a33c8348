"""The entropic matching: the value of an assignment that may be spread over several columns."""

import warnings

import torch
from torch import Tensor

from combgrad.arguments import check_count, check_positive
from combgrad.errors import IncompatibleError, SolverInputError
from combgrad.instances import NOTHING, Instances
from combgrad.labels import Labels
from combgrad.layer import CombinatorialLayer
from combgrad.losses.base import Loss, Outcome
from combgrad.solvers.arrays import check_finite
from combgrad.solvers.assignment import Assignment
from combgrad.solvers.base import Solver
from combgrad.solvers.cache import behind_cache
from combgrad.solvers.checking import is_brought
from combgrad.solvers.function import FunctionSolver
from combgrad.solvers.spending import spent

#: From 1, in the sum of a row, about which a user is told.
FAR = 0.1


class Sinkhorn(Loss):
    """Mean over the batch of min <w, P> + tau sum P log P, over P of row and column sums 1.

    The soft relative of `OptimalValue` on square assignments, between z* - tau n log n and z*; its
    gradient is the best P / B instead of a permutation. P is found by Sinkhorn's iteration in the
    log domain, until all row sums are within `tolerance` of 1, as the column sums are, or
    `iterations` times. At a low temperature those come first, and what is said above holds the less
    the further the rows are from 1; with one that is off by more than 0.1 a RuntimeWarning says so.
    In evaluation it is <w, y(w)>, by the layer's solver. With a projection or a margin, w is what
    the solver sees. Source: Cuturi, NeurIPS 2013; in the log domain as Peyre and Cuturi,
    Computational Optimal Transport, 2019.

    Args:
        tau: the temperature, > 0, in units of cost.
        iterations: at most so many, >= 1.
        tolerance: of the row sums, > 0.

    Raises ValueError for a value out of range, IncompatibleError for a solver of other solutions,
    SolverInputError for costs that are no square matrices (B, n, n), and for forbidden ones.
    """

    needs = frozenset()

    def __init__(self, tau: float, iterations: int = 100, tolerance: float = 1e-3) -> None:
        super().__init__()
        self.tau = check_positive("tau", tau, "loss")
        self.iterations = check_count("iterations", iterations, "loss")
        self.tolerance = check_positive("tolerance", tolerance, "loss")

    def check_solver(self, solver: Solver) -> None:
        """Raise IncompatibleError unless the solver is an assignment, or one of the user's own."""
        asked = behind_cache(solver)
        if not (isinstance(asked, Assignment | FunctionSolver) or is_brought(asked)):
            raise IncompatibleError(
                f"Sinkhorn spreads an assignment over rows and columns, and the solutions of "
                f"{asked.own_name} are others; use solver=assignment (Assignment())."
            )

    def forward(
        self,
        layer: CombinatorialLayer,
        costs: Tensor,
        labels: Labels,
        instances: Instances | None = None,
    ) -> Outcome:
        """The mean value, and in evaluation y(w) (B, n, n)."""
        self.check_solver(layer.solver)
        known = instances or NOTHING
        prepared = layer.prepare(costs, labels, known)
        _check(prepared)
        if not self.training:
            solution = layer.solver(prepared.detach(), known)
            return Outcome(spent(prepared, solution).mean(), solution)
        with torch.no_grad():
            logarithm = log_plan(prepared / self.tau, self.iterations, self.tolerance)
            plan = logarithm.exp()
            self._warn_of_rows(plan)
            entropy = (plan * logarithm).flatten(1).sum(dim=1)
        return Outcome((spent(prepared, plan) + self.tau * entropy).mean())

    def _warn_of_rows(self, plan: Tensor) -> None:
        if not bool((plan.sum(dim=2) - 1).abs().gt(FAR).any()):
            return
        # Always the same words, so that it is said once and not at every step of a training.
        warnings.warn(
            f"Sinkhorn: after iterations={self.iterations} a row of the soft matching still sums "
            f"to less than {1 - FAR:g} or more than {1 + FAR:g}, and value and gradient are those "
            f"of no matching; raise loss.iterations, or loss.tau from {self.tau:g}.",
            RuntimeWarning,
            stacklevel=3,
        )


def _check(costs: Tensor) -> None:
    if costs.dim() != 3 or costs.shape[1] != costs.shape[2]:
        raise SolverInputError(
            f"Sinkhorn: costs have shape {tuple(costs.shape)}; it is for square matrices "
            f"(B, n, n), as many rows as columns."
        )
    check_finite(
        "Sinkhorn",
        costs,
        "NaN, inf or padding, and it cannot forbid a pair; look for a diverged network, or use "
        "OptimalValue().",
    )


def log_plan(scaled: Tensor, iterations: int, tolerance: float) -> Tensor:
    """log P (B, n, n) of the entropic matching of costs divided by the temperature, (B, n, n)."""
    logarithm = -scaled
    for _ in range(iterations):
        logarithm = logarithm.log_softmax(dim=2).log_softmax(dim=1)
        sums = logarithm.logsumexp(dim=2)
        if not sums.numel() or float(sums.exp().sub(1).abs().amax()) <= tolerance:
            break
    return logarithm
