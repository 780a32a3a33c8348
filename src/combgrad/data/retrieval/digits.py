"""Handwritten digits as a retrieval: 0 to 4 train, 5 to 9 are for the test."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from torch import Tensor

from combgrad.data.base import Place
from combgrad.data.digits import images
from combgrad.data.retrieval.classified import Classified, ImageSet

#: The first digits train.
TRAIN_DIGITS = 5


def by_digit(pixels: Tensor, labels: np.ndarray) -> Classified:
    """Images (N, 784) in [0, 1] and the digits (N,) that they show."""
    whole = (pixels * 255).round().byte().view(-1, 1, images.SIDE, images.SIDE).numpy()
    names = tuple(f"image {number}" for number in range(len(labels)))
    categories = tuple(str(digit) for digit in range(10))
    return Classified(names, categories, labels, labels < TRAIN_DIGITS, pixels=whole)


@dataclass(frozen=True)
class OpticalDigits(ImageSet):
    """The 1,797 optical digits in the package, a stand-in for MNIST."""

    source: ClassVar[str] = "stand-in"

    def read(self, place: Place) -> Classified:
        """All images."""
        del place
        return by_digit(images.stand_in(), images.stand_in_labels())


@dataclass(frozen=True)
class MNIST(ImageSet):
    """The 70,000 images of MNIST's both files, at or below the folder for data."""

    words: ClassVar[tuple[str, ...]] = (images.TORCHVISION,)

    def read(self, place: Place) -> Classified:
        """All images; raises DataFileError or DownloadError."""
        pixels = images.read_mnist(images.find_mnist(place.root, place.url))
        labels = images.read_mnist_labels(images.find_mnist_labels(place.root, place.url))
        return by_digit(pixels, labels)
