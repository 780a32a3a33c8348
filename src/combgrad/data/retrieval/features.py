"""What a frozen backbone finds in images, each looked at once."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import torch

from combgrad.data.base import Block, cached
from combgrad.data.files.pictures import pixel_blocks, pixels_key
from combgrad.data.frozen import Frozen
from combgrad.data.retrieval.classified import Classified
from combgrad.data.retrieval.crops import middle
from combgrad.data.splits import fingerprint
from combgrad.networks.backbones import Backbone

#: Images that the backbone sees at a time.
BLOCK = 64


def features_of(
    backbone: Backbone, images: Classified, side: int, crop: int, cache: Path | None
) -> np.ndarray:
    """The features (N, G) float32 of the middle parts of all images, kept in `cache`.

    Raises DataFileError, naming the file, for a picture that cannot be read.
    """
    frozen = Frozen(backbone)
    if images.files is not None:
        what: object = pixels_key(images.files, side)
    else:
        what = fingerprint(images.pixels)
    key = (*frozen.key, crop, what)

    def make() -> Iterator[Block]:
        return _blocks(frozen, _pixels(images, side), crop)

    return cached(cache, "retrieval-features", key, make)["features"]


def _pixels(images: Classified, side: int) -> Iterable[np.ndarray]:
    if images.files is not None:
        return (block["pixels"] for block in pixel_blocks(images.files, side))
    assert images.pixels is not None
    return np.array_split(images.pixels, max(1, len(images.pixels) // BLOCK))


def _blocks(frozen: Frozen, pixels: Iterable[np.ndarray], crop: int) -> Iterator[Block]:
    for block in pixels:
        part = middle(torch.from_numpy(np.ascontiguousarray(block)), crop)
        yield {"features": frozen(part).whole.float().cpu().numpy()}
