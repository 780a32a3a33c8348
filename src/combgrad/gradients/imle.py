"""I-MLE: the difference of two solutions under the same noise, with a fixed or an adaptive step."""

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from combgrad.arguments import check_count, check_positive
from combgrad.gradients.base import GradientMethod, Saved
from combgrad.gradients.sampling import finite_slope, solve_samples, within_reach
from combgrad.instances import NOTHING, Instances
from combgrad.sampling.noise import Noise
from combgrad.solvers.base import Solver


def _check_noise(noise: Noise | None, samples: int) -> None:
    check_count("samples", samples)
    if noise is None and samples > 1:
        raise ValueError(
            f"grad.samples is {samples}, but without noise all samples are equal; "
            f"give grad.noise or take samples=1."
        )
    known = not isinstance(noise, type) and callable(getattr(noise, "sample", None))
    if noise is not None and not known:
        raise ValueError(
            f"grad.noise is {noise!r}; pass an object with sample(shape, dtype, device), or None."
        )


def _solve_with_noise(
    solver: Solver, costs: Tensor, instances: Instances, noise: Noise | None, samples: int
) -> tuple[Tensor, Saved]:
    """The mean of y(w - eps) over the samples; w - eps and all solutions are the extras."""
    shape = (samples, *costs.shape)
    shifted = costs.expand(shape)
    if noise is not None:
        shifted = within_reach(shifted - noise.sample(shape, costs.dtype, costs.device), costs)
    solutions = solve_samples(solver, shifted, instances)
    mean = solutions.mean(dim=0)
    return mean, Saved(costs, mean, instances, (shifted, solutions))


class _PerturbAndMAP(GradientMethod):
    """What both forms of I-MLE answer: the mean of y(w - eps) in training, y(w) in evaluation."""

    reads_solution = False

    def __init__(self, noise: Noise | None, samples: int) -> None:
        _check_noise(noise, samples)
        self.noise, self.samples = noise, samples

    def forward(
        self, solver: Solver, costs: Tensor, instances: Instances = NOTHING
    ) -> tuple[Tensor, Saved]:
        """The mean (B, *S) of the solutions of perturbed costs."""
        return _solve_with_noise(solver, costs, instances, self.noise, self.samples)

    def evaluate(
        self, solver: Solver, costs: Tensor, instances: Instances = NOTHING
    ) -> tuple[Tensor, Saved]:
        """The solution (B, *S) without noise; its gradient is that of noise 0."""
        return _solve_with_noise(solver, costs, instances, None, 1)


class IMLE(_PerturbAndMAP):
    """dL/dw = mean over eps of (y(w + lam dL/dy - eps) - y(w - eps)) / lam.

    The solution is the mean of y(w - eps), the argmin form of perturb-and-MAP,
    argmax <theta + eps, y> with theta = -w; the backward pass takes the same eps. Without noise it
    is Blackbox. In evaluation the solution is y(w). Solver calls: one batch of samples * B each
    way. Source: Niepert, Minervini and Franceschi, NeurIPS 2021, algorithm 1.

    Args:
        lam: the step towards the target distribution, > 0, in units of cost per dL/dy.
        noise: has `sample(shape, dtype, device)`, eps on the scale of the costs; None for no noise.
        samples: how many eps for each instance, >= 1. With one the solution is a member of Y.
        divide: whether by lam; the published codes differ (A-13).

    Raises ValueError for a value out of range, and for several samples without noise.
    """

    def __init__(
        self, lam: float, noise: Noise | None = None, samples: int = 1, divide: bool = True
    ):
        self.lam = check_positive("lam", lam)
        super().__init__(noise, samples)
        self.divide = divide

    def vjp(self, solver: Solver, saved: Saved, grad_solution: Tensor) -> Tensor:
        """Return the mean difference to the solutions at costs moved by lam dL/dy, (B, *S)."""
        shifted, solutions = saved.extras
        slope = finite_slope(grad_solution, saved.costs)
        moved = within_reach(shifted + self.lam * slope, saved.costs)
        difference = solve_samples(solver, moved, saved.instances, near=solutions) - solutions
        mean = difference.mean(dim=0)
        return mean / self.lam if self.divide else mean


class AdaptiveIMLE(_PerturbAndMAP):
    """I-MLE whose step follows the gradient: lam = alpha ||w|| / ||dL/dy||, with alpha adapted.

    dL/dw = mean over eps of (y(w + lam dL/dy - eps) - y(w - eps)) / lam; `symmetric` takes the
    central difference (y(w + lam dL/dy - eps) - y(w - lam dL/dy - eps)) / (2 lam) instead. Norms
    are over the batch, without forbidden entries; of several processes each has its part's, and an
    alpha of its own. After each backward pass a moving average
    of the number of nonzero entries a sample is brought up to date, and alpha rises by `step` where
    it is below `target`, else falls by it, never below 0; a batch without any gradient leaves both
    alone. Source: Minervini, Franceschi and Niepert, AAAI 2023, and their code, where alpha is
    named beta.

    The state, `alpha` and `nonzeros`, is part of the layer's `state_dict`.

    Args:
        noise: has `sample(shape, dtype, device)`, eps on the scale of the costs; None for no noise.
        samples: how many eps for each instance, >= 1.
        alpha: to start from, > 0.
        step: of alpha, > 0.
        decay: of the moving average, in [0, 1).
        target: the wanted nonzero entries a sample, > 0.
        symmetric: whether to take the central difference, for one more solver call.

    Raises ValueError for a value out of range, and for several samples without noise.
    """

    homogeneous = True

    def __init__(
        self,
        noise: Noise | None = None,
        samples: int = 1,
        alpha: float = 1.0,
        step: float = 1e-4,
        decay: float = 0.9,
        target: float = 1.0,
        symmetric: bool = False,
    ):
        super().__init__(noise, samples)
        if not 0 <= decay < 1:
            raise ValueError(f"grad.decay is {decay}; it must be at least 0 and less than 1.")
        self.symmetric = symmetric
        self.alpha = check_positive("alpha", alpha)
        self.step = check_positive("step", step)
        self.decay = float(decay)
        self.target = check_positive("target", target)
        self.nonzeros = self.target

    def vjp(self, solver: Solver, saved: Saved, grad_solution: Tensor) -> Tensor:
        """Return the mean difference over lam, (B, *S), and adapt alpha."""
        forbidden = saved.costs == torch.inf
        grad_solution = grad_solution.masked_fill(forbidden, 0.0)
        size = float(grad_solution.norm())
        if size == 0:
            return torch.zeros_like(grad_solution)
        if not math.isfinite(size):  # as under a scale, which needs to see it
            return torch.full_like(grad_solution, torch.nan)
        shifted, lower = saved.extras
        length = float(saved.costs.masked_fill(forbidden, 0.0).norm())
        lam = self.alpha * length / size
        move = lam * grad_solution
        moved = within_reach(shifted + move, saved.costs)
        upper = solve_samples(solver, moved, saved.instances, near=lower)
        if self.symmetric:
            moved = within_reach(shifted - move, saved.costs)
            lower = solve_samples(solver, moved, saved.instances, near=lower)
        difference = upper - lower
        self._adapt(difference)
        if lam == 0:
            return torch.zeros_like(grad_solution)
        return difference.mean(dim=0) / (2 * lam if self.symmetric else lam)

    def _adapt(self, difference: Tensor) -> None:
        """Move alpha by one step for the differences (samples, B, *S)."""
        found = int(difference.count_nonzero()) / (difference.shape[0] * difference.shape[1])
        self.nonzeros = self.decay * self.nonzeros + (1 - self.decay) * found
        rise = self.step if self.nonzeros < self.target else -self.step
        self.alpha = max(self.alpha + rise, 0.0)

    def state_dict(self) -> dict[str, float]:
        """What training has changed, as plain numbers."""
        return {"alpha": self.alpha, "nonzeros": self.nonzeros}

    def load_state_dict(self, state: Mapping[str, float]) -> None:
        """Go on from a `state_dict()`; ValueError where it is none."""
        wanted = sorted(self.state_dict())
        fine = sorted(state) == wanted and all(
            math.isfinite(value) and value >= 0 for value in state.values()
        )
        if not fine:
            raise ValueError(
                f"the state of AdaptiveIMLE is {dict(state)}; it must have {wanted}, each a number "
                f"of at least 0, as state_dict() gives it."
            )
        self.alpha, self.nonzeros = float(state["alpha"]), float(state["nonzeros"])
