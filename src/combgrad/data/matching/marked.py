"""Pictures with marked points: the one form that every set of key points is read into."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, NamedTuple

import numpy as np

from combgrad.data.base import Place, sha256_of_file
from combgrad.data.files.npy import DataFileError
from combgrad.data.files.pictures import SIDE, PictureFile
from combgrad.data.matching.pairs import LABELS, PairPool, bits
from combgrad.data.splits import fingerprint

#: Pictures of a set whose content is part of its fingerprint; points count in all.
SAMPLE = 50

#: How far outside of the picture a point may lie, by rounding (Rolinek et al. 2020, their code).
SLACK = 1e-5


class Annotation(NamedTuple):
    """One picture: its name, number of category, points (n, 2), labels (n,), and file if any.

    Points are (x, y) in pixels of the picture at SIDE x SIDE. Points of two pictures of a category
    match where their labels are the same; a label of -1 matches nothing.
    """

    name: str
    category: int
    points: np.ndarray
    labels: np.ndarray
    file: PictureFile | None = None


@dataclass(frozen=True, eq=False)
class MarkedPictures:
    """P pictures with M marked points, those of one picture after another.

    Attributes:
        names: of the pictures, for messages.
        category: (P,) int64, the number of each picture's category.
        ends: (P,) int64; the points of picture p are the rows from ends[p-1] up to ends[p].
        points: (M, 2) float32, (x, y) in pixels of the picture at SIDE x SIDE.
        labels: (M,) int64 from -1 to 63.
        files: of the pictures, or None where there are none.
        features, whole: (M, C) and (P, G) float32 that came with the set, or None.
    """

    names: tuple[str, ...]
    category: np.ndarray
    ends: np.ndarray
    points: np.ndarray
    labels: np.ndarray
    files: tuple[PictureFile, ...] | None = None
    features: np.ndarray | None = None
    whole: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.names)

    def rows(self, picture: int) -> np.ndarray:
        """The rows of a picture's points, (n,) int64."""
        return np.arange(self.ends[picture - 1] if picture else 0, self.ends[picture])

    @cached_property
    def marks(self) -> np.ndarray:
        """(P,) uint64; bit l of a picture is set where a point with the label l is marked in it."""
        found = np.zeros(len(self), dtype=np.uint64)
        owner = np.repeat(np.arange(len(self)), np.diff(self.ends, prepend=0))
        known = self.labels >= 0
        np.bitwise_or.at(found, owner[known], bits(self.labels[known]))
        return found


@dataclass(frozen=True, eq=False)
class Collection:
    """What a set of key points holds.

    Attributes:
        categories: their names.
        marked: all pictures of all splits.
        splits: the pairs of `train` and `test`, and of `val` where the set has that split.
    """

    categories: tuple[str, ...]
    marked: MarkedPictures
    splits: Mapping[str, PairPool]

    def fingerprint(self) -> str:
        """Of all points and pairs, and of the files of SAMPLE pictures, in whatever folder."""
        marked = self.marked
        parts = [
            part for name, pool in sorted(self.splits.items()) for part in (name, *pool.said())
        ]
        tables = (marked.category, marked.ends, marked.points, marked.labels)
        files = marked.files or ()
        step = max(1, len(files) // SAMPLE)
        some = [sha256_of_file(file.path) for file in files[::step]]
        boxes = [file.box for file in files]
        return fingerprint(self.categories, marked.names, *tables, *parts, some, boxes)


class KeyPointSet(ABC):
    """A published or made-up set of marked pictures; its settings are those of its own reading.

    A subclass is a frozen dataclass: a process reads equal ones once.
    """

    #: Where the data come from, for the record.
    source: ClassVar[str] = "original"
    #: Whether there are pictures or other descriptors, and not only the coordinates of points.
    only_points: ClassVar[bool] = False
    #: Whether its one archive can be downloaded from `data.url`.
    one_archive: ClassVar[bool] = False

    def mark(self) -> str | None:
        """Of a set that its settings decide, a digest of them; else that of what is read counts."""
        return None

    @abstractmethod
    def read(self, place: Place) -> Collection:
        """All of the set; raises DataFileError or DownloadError, naming what is wrong."""


def gather(annotations: Iterable[Annotation]) -> MarkedPictures:
    """One table of many pictures.

    A point outside of its picture is left out, and a picture without points stays, though nothing
    can be paired with it. Raises DataFileError, naming the picture, for coordinates that are no
    numbers, and for a label that stands there twice or lies outside of -1 to 63.
    """
    kept = [_checked(annotation) for annotation in annotations]
    if not kept:
        raise DataFileError("the set has no pictures with marked points.")
    files = tuple(picture.file for picture in kept if picture.file is not None)
    if files and len(files) < len(kept):
        raise DataFileError("some pictures of the set have files, and others have none.")
    return MarkedPictures(
        names=tuple(picture.name for picture in kept),
        category=np.array([picture.category for picture in kept], dtype=np.int64),
        ends=np.cumsum([len(picture.labels) for picture in kept], dtype=np.int64),
        points=np.concatenate([picture.points for picture in kept]),
        labels=np.concatenate([picture.labels for picture in kept]),
        files=files or None,
    )


def _checked(annotation: Annotation) -> Annotation:
    name = annotation.name
    points = np.asarray(annotation.points, dtype=np.float64).reshape(-1, 2)
    labels = np.asarray(annotation.labels, dtype=np.int64).reshape(-1)
    if len(points) != len(labels):
        raise DataFileError(f"{name}: has {len(points)} points and {len(labels)} labels.")
    if not np.isfinite(points).all():
        raise DataFileError(f"{name}: has a point whose coordinates are no numbers.")
    known = labels[labels >= 0]
    if len(np.unique(known)) < len(known):
        raise DataFileError(f"{name}: has two points of the same name.")
    if ((labels < -1) | (labels >= LABELS)).any():
        raise DataFileError(f"{name}: has a point labelled outside of -1 to {LABELS - 1}.")
    inside = ((points > -SLACK) & (points < SIDE + SLACK)).all(1)
    return annotation._replace(points=points[inside].astype(np.float32), labels=labels[inside])
