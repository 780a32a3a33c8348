"""Score function (REINFORCE): a gradient from the losses of samples alone."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from combgrad.arguments import check_count, check_positive
from combgrad.gradients.sampling import solve_samples, within_reach
from combgrad.instances import NOTHING, Instances
from combgrad.labels import Labels, need
from combgrad.layer import CombinatorialLayer
from combgrad.losses.base import Loss, Outcome
from combgrad.losses.solution import SolutionLoss
from combgrad.solvers.arrays import outside_autocast

#: Losses (N,) of solutions (N, *S) given targets (N, *S), or None where there are no targets.
LossOfEach = Callable[[Tensor, Any], Tensor]


class ScoreFunction(Loss):
    """E[L(y)] for y = y(w + sigma Z), Z standard normal, with gradient E[(L(y) - b) Z] / sigma.

    L may be any function of a sample, with no gradient in it; a gradient in other weights, of a
    decoder say, is kept. In evaluation it is the mean of L(y(w)). Source: Williams, 1992, applied
    to the density of w + sigma Z; the baseline b is the mean loss of the other samples of the
    instance (Kool, van Hoof and Welling, 2019).

    Args:
        of_each: L, from solutions (N, *S) and targets (N, *S) to losses (N,); the targets are
            None where the labels have none. A SolutionLoss will do.
        sigma: size of the noise, > 0, in units of cost.
        samples: how many Z for each instance, >= 1; >= 2 with the baseline.
        baseline: whether to subtract b, which leaves the mean of the gradient as it is.
        generator: of Z, on the device of the costs; None for torch's global one.

    Raises ValueError for a value out of range.
    """

    def __init__(
        self,
        of_each: LossOfEach | SolutionLoss,
        sigma: float,
        samples: int,
        baseline: bool = True,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.sigma = check_positive("sigma", sigma, "loss")
        self.samples = check_count("samples", samples, "loss")
        if baseline and samples < 2:
            raise ValueError(
                "loss.samples is 1 and leaves no other sample for the baseline; take at least 2, "
                "or baseline=False."
            )
        self.needs = of_each.needs if isinstance(of_each, SolutionLoss) else frozenset()
        self.of_each = of_each
        self.baseline, self.generator = baseline, generator

    def forward(
        self,
        layer: CombinatorialLayer,
        costs: Tensor,
        labels: Labels,
        instances: Instances | None = None,
    ) -> Outcome:
        """The mean loss; ValueError where L does not answer with one number for each sample."""
        known = instances or NOTHING
        if "target" in self.needs:
            need("ScoreFunction", "target", labels.target, costs)
        prepared = layer.prepare(costs, labels, known)
        if not self.training:
            solution = layer.solver(prepared.detach(), known)
            return Outcome(self._losses(solution, labels, known).mean(), solution)
        z = torch.randn(
            (self.samples, *costs.shape),
            generator=self.generator,
            dtype=prepared.dtype,
            device=prepared.device,
        )
        seen = prepared.detach()
        perturbed = within_reach(seen + self.sigma * z, seen)
        solutions = solve_samples(layer.solver, perturbed, known)
        each = labels.repeat(self.samples), known.repeat(self.samples)
        losses = self._losses(solutions.flatten(0, 1), *each)
        advantage = losses.detach().reshape(self.samples, len(costs))
        if self.baseline:
            advantage = (advantage - advantage.mean(dim=0)) * self.samples / (self.samples - 1)
        # Worth 0, but it carries the gradient; entries that may not be used stay out of it.
        moved = torch.where(prepared == torch.inf, 0.0, prepared)
        with outside_autocast(z):
            score = torch.einsum("mb,mb...->b...", advantage.to(z.dtype), z) / self.sigma
        carrier = (score * (moved - moved.detach())).sum() / max(1, losses.numel())
        return Outcome(losses.mean() + carrier)

    def _losses(self, solutions: Tensor, labels: Labels, instances: Instances) -> Tensor:
        if isinstance(self.of_each, SolutionLoss):
            losses = self.of_each.of_marked(solutions, labels, instances)
        else:
            losses = self.of_each(solutions, labels.target)
        if losses.shape != (len(solutions),):
            raise ValueError(
                f"ScoreFunction: the losses have shape {tuple(losses.shape)} for samples of shape "
                f"{tuple(solutions.shape)}; answer with one loss for each sample, without a mean."
            )
        return losses
