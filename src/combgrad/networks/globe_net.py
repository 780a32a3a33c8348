"""The network of Globe TSP: from a flag to a place on the unit sphere."""

from typing import Literal, get_args

import torch
from torch import Tensor, nn

Pixels = Literal["standardised", "raw"]
PIXELS = get_args(Pixels)


class GlobeNet(nn.Module):
    """Two convolutions and two linear layers, output scaled to unit length.

    Conv 3->20 (4, stride 2), ReLU, max-pool 2, Conv 20->50 (4, stride 2), ReLU, adaptive average
    pool to 4x4, Linear 800->hidden, ReLU, Linear hidden->3. Source: Vlastelica et al., ICLR 2020,
    table 7 (A-27).

    Args:
        hidden: width of the linear layer.
    """

    def __init__(self, hidden: int = 500) -> None:
        super().__init__()
        if hidden < 1:
            raise ValueError(f"model.hidden is {hidden}; it must be at least 1.")
        self.features = nn.Sequential(
            nn.Conv2d(3, 20, kernel_size=4, stride=2),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(20, 50, kernel_size=4, stride=2),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(4),
            nn.Flatten(),
        )
        # Pixels with their channels side by side halve the time of these layers on a CPU.
        self.features.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.place = nn.Sequential(nn.Linear(800, hidden), nn.ReLU(), nn.Linear(hidden, 3))

    def forward(self, flags: Tensor) -> Tensor:
        """Flags (C, 3, 20, 40), standardised, -> unit vectors (C, 3)."""
        images = flags.contiguous(memory_format=torch.channels_last)
        points = self.place(self.features(images))
        return nn.functional.normalize(points, dim=1)


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
