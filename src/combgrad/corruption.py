"""The two corruptions of the robustness studies: noisy gradients and wrong labels (Figure 4)."""

import torch
from torch import Tensor

from combgrad.described import Described


def check_range(name: str, value: float, upper: float = float("inf")) -> float:
    """`value` as a float; ValueError unless 0 <= value <= upper."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not 0 <= value <= upper or value == float("inf"):
        raise ValueError(f"{name} is {value!r}; it must be a number, finite and in [0, {upper}].")
    return float(value)


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


def flip_labels(target: Tensor, probability: float, generator: torch.Generator) -> Tensor:
    """The 0/1 labels (N, *S) with each entry flipped independently with `probability`.

    On edge coordinates one flip is the symmetric flip of a matrix (A-32, probability rho/k).
    Source: paper, section 4.4.
    """
    check_range("the probability of a flipped label", probability, upper=1.0)
    flips = torch.rand(target.shape, generator=generator, device=generator.device) < probability
    flips = flips.to(target.device)
    return torch.where(flips, 1 - target, target)
