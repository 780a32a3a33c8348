"""Residual networks as backbones: ResNet50, and ResNet18 for small pictures."""

from pathlib import Path

from torch import Tensor, nn

from combgrad.guards.torchvision import needed_torchvision
from combgrad.networks.backbones import (
    IMAGENET_DEVIATION,
    IMAGENET_MEAN,
    Backbone,
    Features,
    load_imagenet,
)

#: Of each colour of CIFAR-100's training pictures, 0 to 1.
CIFAR_MEAN = (0.5071, 0.4865, 0.4409)
CIFAR_DEVIATION = (0.2673, 0.2564, 0.2762)


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


class ResNet18(Backbone):
    """ResNet18 in its form for pictures of about 32 pixels, drawn at random.

    Its first convolution is 3x3 without a stride, and nothing is pooled before the first stage.
    Maps after its second (1/2) and third stage (1/4), 128 and 256 channels; the whole, 512, by
    global mean. Source: He et al., CVPR 2016, as used on CIFAR by Zagoruyko and Komodakis, 2016.

    Args:
        frozen: whether the weights stay as they are.
    """

    channels, whole_channels = 384, 512

    def __init__(self, frozen: bool = False) -> None:
        mean, deviation = ([255 * x for x in of] for of in (CIFAR_MEAN, CIFAR_DEVIATION))
        super().__init__(mean, deviation, frozen)
        torchvision = needed_torchvision("backbone=resnet18")
        self.network = torchvision.models.resnet18(weights=None)
        self.network.conv1 = nn.Conv2d(3, 64, 3, padding=1, bias=False)
        nn.init.kaiming_normal_(self.network.conv1.weight, mode="fan_out", nonlinearity="relu")
        del self.network.fc, self.network.maxpool
        self._ready()

    def find(self, pictures: Tensor) -> Features:
        """Standardised pictures (B, 3, H, W) -> Features."""
        net = self.network
        second = net.layer2(net.layer1(net.relu(net.bn1(net.conv1(pictures)))))
        third = net.layer3(second)
        return Features((second, third), net.layer4(third).mean(dim=(2, 3)))
