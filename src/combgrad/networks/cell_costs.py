"""Pictures of a grid to the costs of its cells, by convolutions alone."""

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn.functional import softplus

from combgrad.arguments import check_count
from combgrad.networks.precision import single


class CellCosts(nn.Module):
    """Pictures (B, C, H, W) with one pixel a cell -> costs (B, H, W) above 0.

    Convolutions of 3 x 3 with a ReLU between each two, and a softplus at the end: a cell's cost
    depends on the pixels around it, as many steps away as there are layers, alike everywhere.

    Args:
        channels: C, of the pictures.
        hidden: channels of the layers in between.

    Raises ValueError for sizes that cannot be.
    """

    def __init__(self, channels: int = 1, hidden: Sequence[int] = (16, 16)) -> None:
        super().__init__()
        sizes = [channels, *hidden, 1]
        for name, size in zip(["channels", *["hidden"] * len(hidden)], sizes, strict=False):
            check_count(name, size, "model")
        layers: list[nn.Module] = []
        for i in range(len(sizes) - 1):
            layers += [nn.Conv2d(sizes[i], sizes[i + 1], 3, padding=1), nn.ReLU()]
        self.layers = nn.Sequential(*layers[:-1])

    def forward(self, pictures: Tensor) -> Tensor:
        """The costs (B, H, W)."""
        # In single precision even under autocast: a solution depends on small differences of costs.
        return softplus(single(self.layers(pictures).squeeze(1)))
