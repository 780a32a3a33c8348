"""Identity: treat the solver as minus the identity on the way back."""

from torch import Tensor

from combgrad.gradients.base import GradientMethod, Saved
from combgrad.solvers.base import Solver


class Identity(GradientMethod):
    """dL/dw = -dL/dy: lower the cost of what the loss wants more of.

    No second solver call and no hyperparameter; combine it with a projection. Source: paper,
    section 3.1, eq. (4).
    """

    homogeneous = True
    reads_solution = False

    def vjp(self, solver: Solver, saved: Saved, grad_solution: Tensor) -> Tensor:
        """Return -dL/dy, shape (B, *S)."""
        del solver, saved
        return -grad_solution
