"""Blackbox: the slope of a piecewise linear interpolation, from a second solver call."""

from torch import Tensor

from combgrad.arguments import check_positive
from combgrad.gradients.base import GradientMethod, Saved
from combgrad.gradients.sampling import finite_slope, within_reach
from combgrad.solvers.base import Solver


def solution_along(solver: Solver, saved: Saved, step: Tensor) -> Tensor:
    """y(w + step) (B, *S) for the saved costs w, with one solver call from their solution."""
    moved = within_reach(saved.costs + step, saved.costs)
    return solver.solve_near(moved, saved.solution, saved.instances)


class Blackbox(GradientMethod):
    """dL/dw = (y(w + lam dL/dy) - y(w)) / lam.

    Source: Vlastelica et al., ICLR 2020, algorithm 1; with a projection, `w` is the projected
    cost (A-05).

    Args:
        lam: the interpolation strength, > 0, in units of cost per dL/dy. dL/dy carries the loss's
            reduction, so `lam` belongs to a batch size and a mean or sum over it.
    """

    def __init__(self, lam: float) -> None:
        self.lam = check_positive("lam", lam)

    def vjp(self, solver: Solver, saved: Saved, grad_solution: Tensor) -> Tensor:
        """Return (y_lam - y) / lam, shape (B, *S), with one solver call."""
        slope = finite_slope(grad_solution, saved.costs)
        perturbed = solution_along(solver, saved, self.lam * slope)
        return (perturbed - saved.solution) / self.lam
