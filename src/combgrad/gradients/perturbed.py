"""Perturbed optimizers: the mean solution under noise, which is smooth in the costs."""

from typing import Literal

import torch
from torch import Tensor

from combgrad.arguments import check_count, check_option, check_positive
from combgrad.errors import SolverInputError
from combgrad.gradients.base import GradientMethod, Saved
from combgrad.gradients.sampling import solve_samples, within_reach
from combgrad.instances import NOTHING, Instances
from combgrad.solvers.base import Solver

NoiseKind = Literal["additive", "multiplicative"]
VarianceReduction = Literal["none", "leave_one_out", "antithetic"]


class Perturbed(GradientMethod):
    """dL/dw = E[Z <y(u(w, Z)), dL/dy>] / s, the derivative of the mean solution E[y(u(w, Z))].

    Z is standard normal. `additive`: u = w + sigma Z and s = sigma (Berthet et al., NeurIPS 2020,
    proposition 3.1). `multiplicative`: u = w exp(sigma Z - sigma^2/2), which keeps the sign of
    every cost, and s = sigma w (Dalle et al., arXiv 2207.13513). Both expectations are means over
    `samples`; the solution lies in the hull of Y and is in general no member of Y. The backward
    pass asks no solver. In evaluation the solution is y(w), without a gradient.

    Args:
        sigma: size of the noise, > 0; additive: in units of cost, multiplicative: relative.
        samples: how many Z for each instance, >= 1; solved as one batch of samples * B.
        noise: `additive` or `multiplicative`.
        variance_reduction: `leave_one_out` subtracts from each solution the mean of the others,
            `antithetic` takes Z and -Z (an even number of samples); all leave the mean as it is.
        generator: of Z, on the device of the costs; None for torch's global one.

    Raises ValueError for a value out of range, SolverInputError, naming the batch index, for a cost
    of 0 under multiplicative noise.
    """

    homogeneous = True
    plain_in_evaluation = True

    def __init__(
        self,
        sigma: float,
        samples: int,
        noise: NoiseKind = "additive",
        variance_reduction: VarianceReduction = "leave_one_out",
        generator: torch.Generator | None = None,
    ):
        self.sigma = check_positive("sigma", sigma)
        self.samples = check_count("samples", samples)
        check_option("noise", noise, NoiseKind)
        check_option("variance_reduction", variance_reduction, VarianceReduction)
        if variance_reduction == "leave_one_out" and samples < 2:
            raise ValueError(
                "grad.samples is 1 and leaves no other sample to compare with; take at least 2, or "
                "variance_reduction='none'."
            )
        if variance_reduction == "antithetic" and samples % 2:
            raise ValueError(f"grad.samples is {samples}; antithetic pairs need an even number.")
        self.noise: NoiseKind = noise
        self.variance_reduction: VarianceReduction = variance_reduction
        self.generator = generator

    def perturb(self, costs: Tensor) -> tuple[Tensor, Tensor]:
        """u(w, Z), differentiable in the costs (B, *S), and Z; both (samples, B, *S)."""
        z = self._draw(costs)
        if self.noise == "additive":
            return within_reach(costs + self.sigma * z, costs), z
        zero = (costs == 0).flatten(1).any(dim=1)
        if bool(zero.any()):
            raise SolverInputError(
                f"Perturbed: a cost of batch index {int(zero.nonzero()[0])} is 0, which "
                f"multiplicative noise cannot move; make the costs positive, for example with "
                f"softplus, or use noise='additive'."
            )
        factor = torch.exp(self.sigma * z - self.sigma**2 / 2)
        return within_reach(costs * factor, costs), z

    def _draw(self, costs: Tensor) -> Tensor:
        pairs = self.variance_reduction == "antithetic"
        z = torch.randn(
            (self.samples // 2 if pairs else self.samples, *costs.shape),
            generator=self.generator,
            dtype=costs.dtype,
            device=costs.device,
        )
        return torch.cat([z, -z]) if pairs else z

    def forward(
        self, solver: Solver, costs: Tensor, instances: Instances = NOTHING
    ) -> tuple[Tensor, Saved]:
        """The mean (B, *S) of the solutions of perturbed costs."""
        perturbed, z = self.perturb(costs)
        solutions = solve_samples(solver, perturbed, instances)
        mean = solutions.mean(dim=0)
        return mean, Saved(costs, mean, instances, (z, solutions))

    def vjp(self, solver: Solver, saved: Saved, grad_solution: Tensor) -> Tensor:
        """Return the transposed Jacobian of the mean solution times dL/dy, (B, *S)."""
        del solver
        if not saved.extras:
            raise self.none_in_evaluation()
        z, solutions = saved.extras
        if self.variance_reduction == "leave_one_out":
            solutions = (solutions - saved.solution) * (self.samples / (self.samples - 1))
        score = z / self.sigma
        if self.noise == "multiplicative":
            score = score / saved.costs
        inner = (solutions * grad_solution).flatten(2).sum(dim=2)
        return torch.einsum("mb,mb...->b...", inner, score) / self.samples
