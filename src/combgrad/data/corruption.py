"""Wrong labels, for the robustness studies (Figure 4)."""

import torch
from torch import Tensor

from combgrad.arguments import check_range


def flip_labels(target: Tensor, probability: float, generator: torch.Generator) -> Tensor:
    """The 0/1 labels (N, *S) with each entry flipped independently with `probability`.

    On edge coordinates one flip is the symmetric flip of a matrix (A-32, probability rho/k).
    Source: paper, section 4.4.
    """
    check_range("the probability of a flipped label", probability, upper=1.0)
    flips = torch.rand(target.shape, generator=generator, device=generator.device) < probability
    flips = flips.to(target.device)
    return torch.where(flips, 1 - target, target)
