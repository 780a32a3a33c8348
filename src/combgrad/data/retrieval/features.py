"""What a frozen backbone finds in images, each looked at once."""

import copy
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import torch

from combgrad.data.base import Block, cached
from combgrad.data.files.pictures import pixel_blocks, pixels_key
from combgrad.data.retrieval.classified import Classified
from combgrad.data.retrieval.crops import middle
from combgrad.data.splits import fingerprint
from combgrad.networks.backbones import Backbone

#: Part of the cache's key; raise it when the same backbone gives other features.
FEATURES_VERSION = 1

#: Images that the backbone sees at a time.
BLOCK = 64


def features_of(
    backbone: Backbone, images: Classified, side: int, crop: int, cache: Path | None
) -> np.ndarray:
    """The features (N, G) float32 of the middle parts of all images, kept in `cache`.

    Raises DataFileError, naming the file, for a picture that cannot be read.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if images.files is not None:
        what: object = pixels_key(images.files, side)
    else:
        what = fingerprint(images.pixels)
    # A GPU may round otherwise.
    key = (FEATURES_VERSION, backbone.fingerprint(), device.type, crop, what)

    def make() -> Iterator[Block]:
        return _blocks(backbone, _pixels(images, side), crop, device)

    return cached(cache, "retrieval-features", key, make)["features"]


def _pixels(images: Classified, side: int) -> Iterable[np.ndarray]:
    if images.files is not None:
        return (block["pixels"] for block in pixel_blocks(images.files, side))
    assert images.pixels is not None
    return np.array_split(images.pixels, max(1, len(images.pixels) // BLOCK))


def _blocks(
    backbone: Backbone, pixels: Iterable[np.ndarray], crop: int, device: torch.device
) -> Iterator[Block]:
    backbone = copy.deepcopy(backbone).eval().to(device)
    for block in pixels:
        part = middle(torch.from_numpy(np.ascontiguousarray(block)), crop).to(device)
        with torch.no_grad():
            yield {"features": backbone(part).whole.float().cpu().numpy()}
