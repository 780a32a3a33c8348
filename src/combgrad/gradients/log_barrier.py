"""Log barrier: an inner point of a linear relaxation, which moves smoothly with the costs."""

import torch
from torch import Tensor

from combgrad.arguments import check_count, check_positive
from combgrad.compatibility import check_relaxation
from combgrad.gradients.base import GradientMethod, Saved
from combgrad.gradients.convex_programs import check_allowed
from combgrad.gradients.interior import Interior, barrier_minimum, interior_of
from combgrad.instances import NOTHING, Instances
from combgrad.solvers.base import Solver


class LogBarrier(GradientMethod):
    """dL/dw = -M dL/dy, the derivative of y(w) = argmin <w, y> - mu sum over i of log s_i(y).

    s_i are the slacks of all inequalities of the solver's linear relaxation, bounds included; those
    that never have any are equalities. y is a point within, on the central path, for mu -> 0 the
    relaxation's solution. M = Z (Z'HZ)^-1 Z', with H the second derivative of the barrier and Z a
    basis of the directions that keep the equalities. y is found by Newton's method in float64. In
    evaluation it is the solver's own, without a gradient. Source: Mandi and Guns, NeurIPS 2020
    (IntOpt), who stop an interior-point method at a given mu.

    Args:
        mu: weight of the barrier, > 0, in units of cost.
        steps: of Newton's method, at most, >= 1.

    Raises ValueError for a value out of range, IncompatibleError for a solver without a linear
    relaxation; SolverInputError, naming the batch index, for costs that are not finite, and
    SolverFailedError where Newton's method does not end, as with a mu too small for the costs.
    """

    homogeneous = True
    plain_in_evaluation = True
    reads_solution = False

    def __init__(self, mu: float, steps: int = 100) -> None:
        self.mu, self.steps = check_positive("mu", mu), check_count("steps", steps)
        self._made: tuple[Solver, torch.Size, Interior] | None = None

    def check_solver(self, solver: Solver) -> None:
        """Raise IncompatibleError for a solver without a linear relaxation, with the reason."""
        check_relaxation("LogBarrier", solver)

    def forward(
        self, solver: Solver, costs: Tensor, instances: Instances = NOTHING
    ) -> tuple[Tensor, Saved]:
        """The inner point (B, *S)."""
        check_allowed("LogBarrier", costs)
        interior = self._interior(solver, costs)
        point = barrier_minimum(interior, costs.double().flatten(1), self.mu, self.steps)
        answer = point.to(costs).view_as(costs).clone()
        return answer, Saved(costs, answer, instances, (point,))

    def vjp(self, solver: Solver, saved: Saved, grad_solution: Tensor) -> Tensor:
        """Return -M dL/dy, (B, *S)."""
        if not saved.extras:
            raise self.none_in_evaluation()
        interior, (point,) = self._interior(solver, saved.costs), saved.extras
        slope = -interior.solve(point, grad_solution.double().flatten(1)) / self.mu
        return slope.to(grad_solution).view_as(grad_solution)

    def _interior(self, solver: Solver, costs: Tensor) -> Interior:
        shape = costs.shape[1:]
        if self._made is None or self._made[0] is not solver or self._made[1] != shape:
            self._made = solver, shape, interior_of(solver.relaxation(shape))
        return self._made[2].to(costs.device)
