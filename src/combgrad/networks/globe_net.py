"""The network of Globe TSP: from a flag to a place on the unit sphere."""

from typing import Literal

import torch
from torch import Tensor, nn

from combgrad.arguments import check_count
from combgrad.networks.precision import single

Pixels = Literal["standardised", "raw"]

#: Of the averages that the linear layers see.
SIDE = 4


class GlobeNet(nn.Module):
    """Two convolutions and two linear layers, output scaled to unit length.

    Conv 3->20 (4, stride 2), ReLU, max-pool 2, Conv 20->50 (4, stride 2), ReLU, adaptive average
    pool to 4x4, Linear 800->hidden, ReLU, Linear hidden->3. Source: Vlastelica et al., ICLR 2020,
    table 7 (A-27).

    Computed in another order, with the same answer: the largest of four pixels is found before the
    ReLU, which then has a quarter of them, and the 4x4 averages of the few places that are left of
    a flag are taken of the weights, so that the first linear layer multiplies no repeated features.

    Args:
        hidden: width of the linear layer.
    """

    def __init__(self, hidden: int = 500) -> None:
        super().__init__()
        check_count("hidden", hidden, "model")
        self.features = nn.Sequential(
            nn.Conv2d(3, 20, kernel_size=4, stride=2),
            nn.MaxPool2d(2),
            nn.ReLU(),
            nn.Conv2d(20, 50, kernel_size=4, stride=2),
            nn.ReLU(),
        )
        # Pixels with their channels side by side halve the time of these layers on a CPU.
        self.features.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.place = nn.Sequential(nn.Linear(50 * SIDE**2, hidden), nn.ReLU(), nn.Linear(hidden, 3))

    def forward(self, flags: Tensor) -> Tensor:
        """Flags (C, 3, 20, 40), standardised, -> unit vectors (C, 3)."""
        images = flags.contiguous(memory_format=torch.channels_last)
        features = self.features(images)
        first, rectify, last = self.place
        assert isinstance(first, nn.Linear)
        weight = averaged(first.weight, features.shape[2:])
        hidden = nn.functional.linear(features.flatten(1), weight, first.bias)
        # In single precision even under autocast: a tour depends on small differences.
        return nn.functional.normalize(single(last(rectify(hidden))), dim=1)


def averaged(weight: Tensor, size: torch.Size) -> Tensor:
    """The weights (O, C h w) by which images (C, h, w) of a `size` (h, w) have the same product.

    The given ones (O, C SIDE SIDE) are of their adaptive averages.
    """
    pixels = torch.eye(size.numel(), dtype=weight.dtype, device=weight.device)
    shares = nn.functional.adaptive_avg_pool2d(pixels.view(-1, 1, *size), SIDE).flatten(1)
    return (weight.view(-1, SIDE**2) @ shares.T).view(len(weight), -1)


def as_images(flags: Tensor, pixels: Pixels) -> Tensor:
    """Flags (C, H, W, 3) uint8 -> (C, 3, H, W) float: as they are, or standardised (A-26).

    `standardised` has mean 0 and deviation 1 per channel; `raw` ranges from 0 to 255.
    """
    images = flags.permute(0, 3, 1, 2).to(torch.float32)
    if pixels == "raw":
        return images
    images = images / 255
    mean = images.mean(dim=(0, 2, 3), keepdim=True)
    deviation = images.std(dim=(0, 2, 3), keepdim=True, unbiased=False)
    return (images - mean) / deviation.clamp_min(1e-6)
