"""Straight-through: the solver on the way there, a softmax on the way back."""

import torch
from torch import Tensor

from combgrad.arguments import check_positive
from combgrad.gradients.base import GradientMethod, Saved
from combgrad.gradients.relaxations import subset_size
from combgrad.solvers.base import Solver, Trait


class StraightThrough(GradientMethod):
    """dL/dw = -(k / tau) (diag(p) - p p^T) dL/dy with p = softmax(-w / tau).

    The solution y stands in for k p, which has the same sum and the same order of entries; for
    k = 1 that is the usual straight-through softmax. No noise: what the model adds to the costs is
    seen by both directions. Costs (B, n) of any sign.

    Source: Bengio et al., 2013, section 4 (the estimator); Jang et al., ICLR 2017, section 2.2
    (with a softmax). The factor k for k > 1 is our choice; those sources have none.

    Args:
        tau: the temperature of the softmax, > 0, in units of cost.
    """

    requires = frozenset({Trait.SUBSET_VALUED})
    homogeneous = True

    def __init__(self, tau: float = 1.0) -> None:
        self.tau = check_positive("tau", tau)

    def vjp(self, solver: Solver, saved: Saved, grad_solution: Tensor) -> Tensor:
        """Return the product with the Jacobian of k softmax(-w / tau), shape (B, n)."""
        del solver
        share = torch.softmax(-saved.costs / self.tau, dim=-1)
        mean = (share * grad_solution).sum(dim=-1, keepdim=True)
        return share * (mean - grad_solution) * (subset_size(saved.solution) / self.tau)
