"""A frozen backbone that makes features of pictures, each looked at once."""

import copy
from functools import cached_property

import torch
from torch import Tensor

from combgrad.networks.backbones import Backbone, Features

#: Part of every key; raise it when the same backbone gives other features.
FEATURES_VERSION = 1


def checked_backbone(backbone: object) -> Backbone | None:
    """The setting `data.backbone`, None where it is empty; ValueError for what is no backbone."""
    if not backbone:
        return None
    if not isinstance(backbone, Backbone):
        raise ValueError(
            f"data.backbone is of type {type(backbone).__name__}; give a backbone, or null."
        )
    return backbone


class Frozen:
    """A copy of a backbone that only looks, on a GPU where there is one."""

    def __init__(self, backbone: Backbone) -> None:
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._given = backbone

    @property
    def key(self) -> tuple[object, ...]:
        """What decides its features, beside the pictures; a GPU may round otherwise."""
        return (FEATURES_VERSION, self._given.fingerprint(), self.device.type)

    @cached_property
    def _backbone(self) -> Backbone:
        # Only now: most often the features are known already.
        return copy.deepcopy(self._given).eval().to(self.device)

    @torch.no_grad()
    def __call__(self, images: Tensor) -> Features:
        """The features of images (B, 3, H, W), on the device."""
        return self._backbone(images.to(self.device))
