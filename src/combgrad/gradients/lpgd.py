"""LPGD: differences of proximal points of the linearised loss, on either side or both."""

from typing import Literal

from torch import Tensor

from combgrad.arguments import check_count, check_option, check_positive, check_range
from combgrad.gradients.base import GradientMethod, Saved
from combgrad.gradients.blackbox import solution_along
from combgrad.gradients.nearest_point import regularised_minimum
from combgrad.gradients.sampling import finite_slope, within_reach
from combgrad.solvers.base import Solver

Envelope = Literal["lower", "upper", "average"]


class LPGD(GradientMethod):
    """Lagrangian proximal gradient descent: of p(s) = argmin <w + s dL/dy, y> + rho/2 |y - y(w)|^2

    - lower: dL/dw = (p(tau) - y(w)) / tau,
    - upper: dL/dw = (y(w) - p(-tau)) / tau,
    - average: dL/dw = (p(tau) - p(-tau)) / 2 tau, for twice the work.

    They are the gradients of envelopes of the loss linearised at y(w), from below and from above.
    For rho = 0 p(s) is y(w + s dL/dy): `lower` is then `Blackbox(tau)`, `upper` goes away from what
    is worse. For rho > 0 p lies in the hull of Y (augmented LPGD), where it is continuous in dL/dy
    and moves at the smallest tau already where costs tie, at a few solver calls as in
    `RegularisedFrankWolfe`. Source: Paulus, Martius and Musil, ICML 2024, and rho as in diffcp.

    Args:
        tau: the step along dL/dy, > 0, in units of cost per dL/dy, which carries the reduction.
        envelope: `lower`, `upper` or `average`.
        rho: strength of the proximal term, >= 0, in units of cost.
        steps: solver calls of a proximal point after the first, at most, >= 1; for rho > 0. It
            warns where they are too few.
        tol: of |p - p*|^2, > 0; for rho > 0.

    Raises ValueError for a value out of range.
    """

    def __init__(
        self,
        tau: float,
        envelope: Envelope = "average",
        rho: float = 0.0,
        steps: int = 1000,
        tol: float = 1e-8,
    ) -> None:
        check_option("envelope", envelope, Envelope)
        self.tau, self.rho = check_positive("tau", tau), check_range("grad.rho", rho)
        self.envelope: Envelope = envelope
        self.steps, self.tol = check_count("steps", steps), check_positive("tol", tol)

    def vjp(self, solver: Solver, saved: Saved, grad_solution: Tensor) -> Tensor:
        """Return the difference of two proximal points over tau or 2 tau, (B, *S)."""
        step = self.tau * finite_slope(grad_solution, saved.costs)
        ahead = behind = saved.solution
        if self.envelope != "upper":
            ahead = self._proximal(solver, saved, step)
        if self.envelope != "lower":
            behind = self._proximal(solver, saved, -step)
        return (ahead - behind) / (self.tau * (2 if self.envelope == "average" else 1))

    def _proximal(self, solver: Solver, saved: Saved, step: Tensor) -> Tensor:
        """argmin <w + step, y> + rho/2 |y - y(w)|^2, (B, *S)."""
        if self.rho == 0:
            return solution_along(solver, saved, step)
        # In single precision a small rho would be rounded away beside large costs.
        pulled = saved.costs.double() + step.double() - self.rho * saved.solution.double()
        moved = within_reach(pulled, saved.costs)
        point, _, _ = regularised_minimum(
            solver, moved, saved.instances, self.rho, self.steps, self.tol
        )
        return point.to(saved.costs.dtype)
