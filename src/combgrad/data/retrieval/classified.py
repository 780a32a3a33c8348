"""Images with classes: the one form that every set of a retrieval is read into."""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np

from combgrad.data.base import Place, sha256_of_file
from combgrad.data.files.npy import DataFileError
from combgrad.data.files.pictures import PictureFile
from combgrad.data.splits import fingerprint

#: Pictures of a set whose content is part of its fingerprint; names and classes count in all.
SAMPLE = 50


class Listed(NamedTuple):
    """One picture of a set: its name, the name of its class, whether it trains, and its file."""

    name: str
    category: str
    trains: bool
    file: PictureFile


@dataclass(frozen=True, eq=False)
class Classified:
    """N images with their classes, of which those that train and those of the test are disjoint.

    Attributes:
        names: of the images, for messages and pictures.
        categories: the names of the classes.
        labels: (N,) int64, into `categories`.
        trains: (N,) bool; the others are for the test.
        files: of the images, or None where `pixels` has them.
        pixels: (N, 1 or 3, S, S) uint8, or None.
    """

    names: tuple[str, ...]
    categories: tuple[str, ...]
    labels: np.ndarray
    trains: np.ndarray
    files: tuple[PictureFile, ...] | None = None
    pixels: np.ndarray | None = None

    def fingerprint(self) -> str:
        """Of names, classes and split, of all pixels, or of the files of SAMPLE pictures."""
        files = self.files or ()
        some = [sha256_of_file(file.path) for file in files[:: max(1, len(files) // SAMPLE)]]
        boxes = [file.box for file in files]
        tables = [self.labels, self.trains, *([] if self.pixels is None else [self.pixels])]
        return fingerprint(self.names, self.categories, *tables, some, boxes)


class ImageSet(ABC):
    """A published or embedded set of images with classes.

    A subclass is a frozen dataclass: a process reads equal ones once.
    """

    #: Where the data come from, for the record.
    source: ClassVar[str] = "original"

    #: Words that may stand for the address of its files.
    words: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def read(self, place: Place) -> Classified:
        """All of the set; raises DataFileError or DownloadError, naming what is wrong.

        Only an embedded set can do without a folder for data. What must be unpacked and cannot be
        there goes to the cache.
        """


def gather(pictures: Iterable[Listed], name: str) -> Classified:
    """One table of the pictures of a set, in the order of their classes' first appearance.

    Raises DataFileError, naming the set, where a split has fewer than two classes or a class is in
    both.
    """
    listed = list(pictures)
    categories = tuple(dict.fromkeys(picture.category for picture in listed))
    numbers = {category: number for number, category in enumerate(categories)}
    labels = np.array([numbers[picture.category] for picture in listed], dtype=np.int64)
    trains = np.array([picture.trains for picture in listed], dtype=bool)
    for split, rows in (("training", trains), ("test", ~trains)):
        if len(np.unique(labels[rows])) < 2:
            count = int(rows.sum())
            raise DataFileError(
                f"{name}: its {split} split has {count} pictures of fewer than two classes; "
                f"restore the set from its source."
            )
    both = np.intersect1d(labels[trains], labels[~trains])
    if len(both):
        raise DataFileError(f"{name}: class {categories[both[0]]} is in training and test.")
    names = tuple(picture.name for picture in listed)
    files = tuple(picture.file for picture in listed)
    return Classified(names, categories, labels, trains, files=files)
