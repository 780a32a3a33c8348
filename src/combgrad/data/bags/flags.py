"""Flags that were photographed badly: a hundred classes that need no files."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from combgrad.data.base import Place
from combgrad.data.globe import countries
from combgrad.data.retrieval.classified import Classified, ImageSet

#: Pixels of a side: a flag, squeezed to a square, lies somewhere in it.
SIDE, FLAG = 24, 20

#: Images of each flag, of which the last ones are for the test.
EACH, TRAINS = 60, 40

#: How dark and how bright the light may be, and the deviation of the noise, of 255.
LIGHT, NOISE = (0.5, 1.2), 45.0

SEED = 16


@dataclass(frozen=True)
class Flags(ImageSet):
    """60 noisy images of each of the 100 flags in the package, a stand-in for CIFAR-100.

    Each has a light, a place and a background of its own; generated, the same everywhere.
    """

    source: ClassVar[str] = "stand-in"

    def read(self, place: Place) -> Classified:
        """All images, (6000, 3, 24, 24), flag by flag."""
        del place
        known = countries.regenerated()
        flags = known.flags.reshape(len(known.names), FLAG, FLAG, 2, 3).mean(axis=3)
        rng = np.random.default_rng(SEED)
        pixels = np.concatenate([photographs(flag, rng) for flag in flags])
        labels = np.repeat(np.arange(len(flags)), EACH)
        names = tuple(f"image {number}" for number in range(len(labels)))
        trains = np.arange(len(labels)) % EACH < TRAINS
        return Classified(names, known.names, labels, trains, pixels=pixels)


def photographs(flag: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """EACH images (EACH, 3, SIDE, SIDE) uint8 of a flag (FLAG, FLAG, 3), 0 to 255."""
    images = np.empty((EACH, SIDE, SIDE, 3))
    images[:] = rng.uniform(0, 255, (EACH, 1, 1, 3))
    for image in images:
        top, left = rng.integers(SIDE - FLAG + 1, size=2)
        image[top : top + FLAG, left : left + FLAG] = flag
    images *= rng.uniform(*LIGHT, (EACH, 1, 1, 1))
    images += rng.normal(0, NOISE, images.shape)
    return images.clip(0, 255).round().astype(np.uint8).transpose(0, 3, 1, 2)
