"""Noise on the gradient, for the robustness studies (Figure 4)."""

import torch
from torch import Tensor

from combgrad.arguments import Described, check_range


class GradientNoise(Described):
    """dL/dy + sigma/B eps with eps ~ N(0, 1) for each entry, handed on to the gradient method.

    No gradient method itself: `CombinatorialLayer(..., gradient_noise=GradientNoise(0.5))` has it
    on dL/dy while training. The loss is a mean over the batch, so 1/B puts the noise on the scale
    of one instance's gradient (A-31). A sigma below 0 or not finite raises ValueError. Source:
    paper, section 4.4.

    Args:
        sigma: standard deviation per entry, >= 0, relative to the gradient of one instance.
    """

    def __init__(self, sigma: float) -> None:
        self.sigma = check_range("corruption.gradient_sigma", sigma)

    def __call__(self, grad_solution: Tensor) -> Tensor:
        """The noisy gradient of one that is (B, *S), of the same shape."""
        noise = torch.randn_like(grad_solution)
        return grad_solution + noise * (self.sigma / max(1, grad_solution.shape[0]))
