"""Noise on the gradient, for the robustness studies (Figure 4)."""

import torch
from torch import Tensor

from combgrad.arguments import Described, check_range


class GradientNoise(Described):
    """Adds noise to dL/dy on its way to the gradient method: g + N(0, sigma^2) / B.

    The loss is a mean over the batch, so 1/B puts the noise on the scale of one instance's
    gradient (A-31). Source: paper, section 4.4.

    Args:
        sigma: standard deviation per entry, >= 0, relative to the gradient of one instance.
    """

    def __init__(self, sigma: float) -> None:
        self.sigma = check_range("corruption.gradient_sigma", sigma)

    def __call__(self, grad_solution: Tensor) -> Tensor:
        """The noisy gradient, shape (B, *S)."""
        noise = torch.randn_like(grad_solution)
        return grad_solution + noise * (self.sigma / max(1, grad_solution.shape[0]))
