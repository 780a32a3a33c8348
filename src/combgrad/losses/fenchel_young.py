"""Fenchel-Young: the loss of costs whose gradient is target minus mean perturbed solution."""

import torch
from torch import Tensor

from combgrad.arguments import check_count, check_option, check_positive
from combgrad.gradients.perturbed import NoiseKind, Perturbed
from combgrad.instances import NOTHING, Instances
from combgrad.labels import Labels, need
from combgrad.layer import CombinatorialLayer
from combgrad.losses.base import Loss, Outcome
from combgrad.losses.pool import solve_by
from combgrad.solvers import SolutionPool
from combgrad.solvers.spending import spent


class FenchelYoung(Loss):
    """Mean over the batch of <w, y*> - E[<u(w, Z), y(u(w, Z))>], for perturbed costs u.

    No solution is differentiated: the gradient in w is (y* - E[y(w + sigma Z)])/B for additive
    noise, and 1/B times y* - E[exp(sigma Z - sigma^2/2) y] for multiplicative noise (see
    `Perturbed`). Convex in w; a constant that depends on y* alone is left out, and what remains
    is at least 0 on average. In evaluation it is <w, y*> - <w, y(w)>, without noise. Sources:
    Blondel et al., JMLR 2020; Berthet et al., NeurIPS 2020, section 4; Dalle et al., arXiv
    2207.13513.

    Args:
        sigma: size of the noise, > 0; additive: in units of cost, multiplicative: relative.
        samples: how many Z for each instance, >= 1.
        noise: `additive` or `multiplicative`.
        generator: of Z, on the device of the costs; None for torch's global one.
        pool: known solutions that stand for the solver in some steps; None to solve always.

    Raises ValueError for a value out of range.
    """

    def __init__(
        self,
        sigma: float,
        samples: int,
        noise: NoiseKind = "additive",
        generator: torch.Generator | None = None,
        pool: SolutionPool | None = None,
    ) -> None:
        super().__init__()
        check_positive("sigma", sigma, "loss")
        check_count("samples", samples, "loss")
        check_option("noise", noise, NoiseKind, "loss")
        self.perturbation = Perturbed(sigma, samples, noise, "none", generator)
        self.pool = pool

    def forward(
        self,
        layer: CombinatorialLayer,
        costs: Tensor,
        labels: Labels,
        instances: Instances | None = None,
    ) -> Outcome:
        """The loss; ValueError without a target of the costs' shape."""
        known = instances or NOTHING
        target = known.zeroed(need("FenchelYoung", "target", labels.target, costs))
        prepared = layer.prepare(costs, labels, known)
        if not self.training:
            solution = layer.solver(prepared.detach(), known)
            return Outcome((spent(prepared, target) - spent(prepared, solution)).mean(), solution)
        perturbed, _ = self.perturbation.perturb(prepared)
        flat, repeated = perturbed.flatten(0, 1), known.repeat(len(perturbed))
        solutions = solve_by(self.pool, layer.solver, flat.detach(), repeated)
        least = spent(flat, solutions).view(perturbed.shape[:2])
        return Outcome((spent(prepared, target) - least.mean(dim=0)).mean())
