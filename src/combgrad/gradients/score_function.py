"""Score function (REINFORCE): a gradient from the losses of samples alone."""

from typing import Any

import torch
from torch import Tensor

from combgrad.errors import IncompatibleError
from combgrad.gradients.base import GradientMethod, Saved
from combgrad.gradients.sampling import check_positive, check_samples, solve_samples, within_reach
from combgrad.solvers.base import Solver


class ScoreFunction(GradientMethod):
    """dE[L]/dw = E[(L(y) - b) Z] / sigma for y = y(w + sigma Z), with Z standard normal.

    The loss may be any function of a sample, with no gradient of its own. The layer answers costs
    (B, *S) with all samples (samples * B, *S), sample by sample: row m * B + i is of instance i.
    `objective` turns their losses into the mean loss, which is what to call `backward()` on:

        samples = layer(costs)
        losses = loss_of_each(samples.detach())  # (samples * B,)
        layer.gradient.objective(samples, losses).backward()

    In evaluation the answer is y(w), one for each instance, without a gradient.

    Source: Williams, 1992, applied to the density of w + sigma Z; the baseline b is the mean loss
    of the other samples of the instance (Kool, van Hoof and Welling, 2019).

    Args:
        sigma: size of the noise, > 0, in units of cost.
        samples: how many Z for each instance, >= 1; >= 2 with the baseline.
        baseline: whether to subtract b, which leaves the mean of the gradient as it is.
        generator: of Z, on the device of the costs; None for torch's global one.

    Raises ValueError for a value out of range, IncompatibleError in the backward pass where the
    samples were differentiated in another way than by `objective`.
    """

    homogeneous = True
    reads_solution = False

    def __init__(
        self,
        sigma: float,
        samples: int,
        baseline: bool = True,
        generator: torch.Generator | None = None,
    ):
        self.sigma = check_positive("sigma", sigma)
        self.samples = check_samples(samples)
        if baseline and samples < 2:
            raise ValueError(
                "grad.samples is 1 and leaves no other sample for the baseline; take at least 2, "
                "or baseline=False."
            )
        self.baseline, self.generator = baseline, generator

    def forward(self, solver: Solver, costs: Tensor, **instance: Any) -> tuple[Tensor, Saved]:
        """The solutions (samples * B, *S) of perturbed costs."""
        z = torch.randn(
            (self.samples, *costs.shape),
            generator=self.generator,
            dtype=costs.dtype,
            device=costs.device,
        )
        perturbed = within_reach(costs + self.sigma * z, costs)
        solutions = solve_samples(solver, perturbed, instance).flatten(0, 1)
        return solutions, Saved(costs, solutions, instance, (z,))

    def evaluate(self, solver: Solver, costs: Tensor, **instance: Any) -> tuple[Tensor, Saved]:
        """The solution (B, *S) without noise, one for each instance, that has no gradient."""
        solution = solver(costs, **instance)
        return solution, Saved(costs, solution, instance)

    def objective(self, samples: Tensor, losses: Tensor) -> Tensor:
        """The mean of the losses, a scalar, whose gradient reaches the costs of the samples.

        `samples` are what the layer answered, (samples * B, *S), `losses` one number for each,
        (samples * B,). A gradient of the losses in other weights, of a decoder say, is kept.

        Raises ValueError for losses of another shape, such as a mean over the batch.
        """
        rows = len(samples)
        if losses.shape != (rows,) or rows % self.samples:
            raise ValueError(
                f"ScoreFunction: losses have shape {tuple(losses.shape)} for samples of shape "
                f"{tuple(samples.shape)}; pass one loss for each of the samples * B rows, with "
                f"samples = {self.samples}, without a mean over the batch."
            )
        advantage = losses.detach().reshape(self.samples, rows // self.samples)
        if self.baseline:
            advantage = (advantage - advantage.mean(dim=0)) * self.samples / (self.samples - 1)
        # Worth 0, but its derivative carries each sample's weight to `vjp`, in the first entry.
        first = samples.flatten(1)[:, 0]
        weighted = advantage.flatten().to(first.dtype) * (first - first.detach())
        return losses.mean() + weighted.mean()

    def vjp(self, solver: Solver, saved: Saved, grad_solution: Tensor) -> Tensor:
        """Return the mean of weight times score, (B, *S), for the weights of `objective`."""
        del solver
        entries = grad_solution.flatten(1)
        if not saved.extras:
            raise IncompatibleError(
                "ScoreFunction has no gradient in evaluation, where it answers without noise; call "
                "layer.train() before the forward pass, or use torch.no_grad()."
            )
        if bool((entries[:, 1:] != 0).any()):
            raise IncompatibleError(
                "ScoreFunction has no gradient through its samples: compute the loss of each from "
                "samples.detach(), pass them to layer.gradient.objective(samples, losses) and call "
                "backward() on what it returns. Gradient noise (corruption.gradient_sigma) does "
                "not go with it. For a loss that is differentiable in the solution use Perturbed."
            )
        (z,) = saved.extras
        weights = entries[:, 0].reshape(z.shape[:2])
        return torch.einsum("mb,mb...->b...", weights, z) / self.sigma
