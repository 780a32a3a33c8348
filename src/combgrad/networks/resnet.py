"""ResNet50 as a backbone."""

from pathlib import Path

from torch import Tensor

from combgrad.guards.torchvision import needed_torchvision
from combgrad.networks.backbones import (
    IMAGENET_DEVIATION,
    IMAGENET_MEAN,
    Backbone,
    Features,
    load_imagenet,
)


class ResNet50(Backbone):
    """ResNet50: maps after its second (1/8) and third stage (1/16), the whole by global mean.

    The maps have 512 and 1024 channels, the whole 2048. Source: He et al., CVPR 2016.

    Args:
        pretrained: whether the weights are torchvision's first ones for ImageNet, or drawn at
            random.
        file: where those lie (`resnet50-0676ba61.pth`); None for torch's cache, to which they are
            downloaded (98 MB) where they are not there.
        frozen: whether the weights stay as they are.

    Raises ValueError where the weights cannot be had, or a file does not hold them.
    """

    channels, whole_channels = 1536, 2048

    def __init__(
        self, pretrained: bool = True, file: str | Path | None = None, frozen: bool = False
    ) -> None:
        super().__init__(
            [255 * x for x in IMAGENET_MEAN], [255 * x for x in IMAGENET_DEVIATION], frozen
        )
        torchvision = needed_torchvision("backbone=resnet50")
        self.network = torchvision.models.resnet50(weights=None)
        if pretrained:
            weights = torchvision.models.ResNet50_Weights.IMAGENET1K_V1
            load_imagenet(self.network, weights, file)
        del self.network.fc
        self._ready()

    def find(self, pictures: Tensor) -> Features:
        """Standardised pictures (B, 3, H, W) -> Features."""
        net = self.network
        x = net.maxpool(net.relu(net.bn1(net.conv1(pictures))))
        second = net.layer2(net.layer1(x))
        third = net.layer3(second)
        return Features((second, third), net.layer4(third).mean(dim=(2, 3)))
