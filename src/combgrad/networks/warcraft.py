"""The networks of Warcraft maps: one prices the terrain, the other guesses the path itself."""

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from combgrad.guards.torchvision import needed_torchvision
from combgrad.networks.precision import single

#: Parts of a ResNet18 up to its first two blocks: convolution, norm, ReLU, pooling, `layer1`.
BEGINNING = 5


def _resnet18(outputs: int) -> nn.Module:
    network: nn.Module = needed_torchvision("a network for Warcraft").models.resnet18(
        weights=None, num_classes=outputs
    )
    return network


class TerrainNet(nn.Module):
    """The beginning of a ResNet18, a pooling to k x k cells, and softplus: costs of the cells.

    Convolution 7x7 with stride 2, batch norm, ReLU, max-pool 3x3 with stride 2, the first two
    blocks; adaptive max-pool to k x k, mean over the 64 channels, softplus. Sources: Vlastelica et
    al., ICLR 2020 (CombResnet18), which had the absolute value; the paper, section B.5.

    Args:
        cells: k, the cells of a side.
    """

    def __init__(self, cells: int) -> None:
        super().__init__()
        parts = list(_resnet18(1).children())[:BEGINNING]
        self.features = nn.Sequential(*parts, nn.AdaptiveMaxPool2d(cells))
        # Pixels with their channels side by side are faster, on a CPU as on a GPU.
        self.features.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, images: Tensor) -> Tensor:
        """Images (B, 3, 8k, 8k), standardised, -> costs (B, k, k) > 0."""
        # In single precision even under autocast: a path depends on small differences of costs.
        return softplus(single(self.features(images)).mean(dim=1))


class PathNet(nn.Module):
    """A whole ResNet18 that answers with the path, cell by cell, and knows no solver.

    Source: the baseline of Vlastelica et al., ICLR 2020, section 4.2.

    Args:
        cells: k, the cells of a side.
    """

    def __init__(self, cells: int) -> None:
        super().__init__()
        self.cells = cells
        self.network = _resnet18(cells * cells)
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, images: Tensor) -> Tensor:
        """Images (B, 3, 8k, 8k), standardised, -> logits (B, k, k) of the cells of the path."""
        logits = single(self.network(images))
        return logits.unflatten(1, (self.cells, self.cells))
