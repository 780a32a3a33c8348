"""Log barrier: an inner point of a linear relaxation, which moves smoothly with the costs."""

import torch
from torch import Tensor

from combgrad.arguments import check_count, check_positive
from combgrad.gradients.base import Saved
from combgrad.gradients.interior import Interior, barrier_minimum, interior_of
from combgrad.gradients.programs import ProgramMethod
from combgrad.instances import NOTHING, Instances
from combgrad.solvers.base import Solver
from combgrad.solvers.ilp_program import Program


class LogBarrier(ProgramMethod[Interior]):
    """dL/dw = -M dL/dy, the derivative of y(w) = argmin <w, y> - mu sum over i of log s_i(y).

    s_i are the slacks of all inequalities of the solver's linear relaxation, bounds included; those
    that never have any are equalities. y is a point within, on the central path, for mu -> 0 the
    relaxation's solution. M = Z (Z'HZ)^-1 Z', with H the second derivative of the barrier and Z a
    basis of the directions that keep the equalities. y is found by Newton's method in float64,
    instances of different size each by the program of its own. In evaluation it is the solver's
    own, without a gradient. Source: Mandi and Guns, NeurIPS 2020 (IntOpt), who stop an
    interior-point method at a given mu.

    Args:
        mu: weight of the barrier, > 0, in units of cost.
        steps: of Newton's method, at most, >= 1.

    Raises ValueError for a value out of range, IncompatibleError for a solver without a linear
    relaxation; SolverInputError, naming the batch index, for costs that are not finite, and
    SolverFailedError where Newton's method does not end, as with a mu too small for the costs.
    """

    def __init__(self, mu: float, steps: int = 100) -> None:
        super().__init__()
        self.mu, self.steps = check_positive("mu", mu), check_count("steps", steps)

    def make(self, program: Program) -> Interior:
        """The points within."""
        return interior_of(program)

    def forward(
        self, solver: Solver, costs: Tensor, instances: Instances = NOTHING
    ) -> tuple[Tensor, Saved]:
        """The inner point (B, *S), 0 for padding."""
        point = torch.zeros_like(costs, dtype=torch.float64)
        for some, interior in self.sizes(solver, costs, instances):
            part = some.of(costs).double().flatten(1)
            with some.counted():
                found = barrier_minimum(interior.to(costs.device), part, self.mu, self.steps)
            point[some.entries] = found.flatten()
        answer = point.to(costs, copy=True)
        return answer, Saved(costs, answer, instances, (point,))

    def vjp(self, solver: Solver, saved: Saved, grad_solution: Tensor) -> Tensor:
        """Return -M dL/dy, (B, *S)."""
        if not saved.extras:
            raise self.none_in_evaluation()
        (point,), slope = saved.extras, grad_solution.double()
        gradient = torch.zeros_like(slope)
        for some, interior in self.sizes(solver, saved.costs, saved.instances):
            at, given = (some.of(values).flatten(1) for values in (point, slope))
            found = interior.to(slope.device).solve(at, given)
            gradient[some.entries] = -found.flatten() / self.mu
        return gradient.to(grad_solution)
