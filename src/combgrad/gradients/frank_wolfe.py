"""Regularised Frank-Wolfe: a quadratic term makes the solution continuous in the costs."""

from torch import Tensor

from combgrad.arguments import check_count, check_positive
from combgrad.errors import IncompatibleError
from combgrad.gradients.base import GradientMethod, Saved
from combgrad.gradients.nearest_point import onto_directions, regularised_minimum
from combgrad.instances import NOTHING, Instances
from combgrad.solvers.base import Solver


class RegularisedFrankWolfe(GradientMethod):
    """dL/dw = -(1/lam) P dL/dy, the derivative of mu(w) = argmin <w, mu> + lam/2 |mu|^2.

    mu lies in the hull of Y, the nearest point to -w/lam, and is in general no member of Y. P is
    the orthogonal projection onto the directions of the face that mu lies in, spanned by the
    solutions that mix it. The forward pass asks the solver a few times a step until the gap is
    closed, the backward pass not at all. In evaluation the solution is y(w), without a gradient.
    Sources: Dalle et al., arXiv 2207.13513; for P Niculae et al., SparseMAP, ICML 2018.

    Args:
        lam: weight of the quadratic term, > 0, in units of cost; for lam -> 0 mu becomes y(w).
        steps: solver calls after the first, at most, >= 1; it warns where they are too few.
        tol: it ends where |mu - mu*|^2 is at most this, > 0.

    Raises ValueError for a value out of range, IncompatibleError for a solver whose hull is curved:
    there mu moves along the surface, which one solution spans no direction of.
    """

    homogeneous = True
    plain_in_evaluation = True
    reads_solution = False

    def __init__(self, lam: float, steps: int = 1000, tol: float = 1e-8) -> None:
        self.lam, self.tol = check_positive("lam", lam), check_positive("tol", tol)
        self.steps = check_count("steps", steps)

    def check_solver(self, solver: Solver) -> None:
        """Raise IncompatibleError, with the remedy, for a solver whose hull has no faces."""
        super().check_solver(solver)
        if solver.curved:
            raise IncompatibleError(
                f"RegularisedFrankWolfe differentiates along the faces of the hull of all "
                f"solutions, and that of {solver.own_name} is curved: its gradient would be "
                f"0. Use LPGD, Perturbed or the loss FrankWolfeFenchelYoung."
            )

    def forward(
        self, solver: Solver, costs: Tensor, instances: Instances = NOTHING
    ) -> tuple[Tensor, Saved]:
        """The regularised minimum mu (B, *S)."""
        mu, vertices, shares = regularised_minimum(
            solver, costs, instances, self.lam, self.steps, self.tol
        )
        mu = mu.to(costs.dtype, copy=True)
        return mu, Saved(costs, mu, instances, (vertices, shares))

    def vjp(self, solver: Solver, saved: Saved, grad_solution: Tensor) -> Tensor:
        """Return the transposed Jacobian of mu times dL/dy, (B, *S)."""
        del solver
        if not saved.extras:
            raise self.none_in_evaluation()
        vertices, shares = saved.extras
        slope = onto_directions(vertices, shares, grad_solution.to(vertices).flatten(1))
        return (-slope / self.lam).view_as(grad_solution).to(grad_solution.dtype)
