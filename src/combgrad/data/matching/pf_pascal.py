"""PF-PASCAL: pairs of photographs of 20 categories with points marked in both; points only."""

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from combgrad.data.base import Place
from combgrad.data.files.npy import REMEDY, DataFileError
from combgrad.data.files.pictures import SIDE
from combgrad.data.matching.marked import Annotation, Collection, KeyPointSet, gather
from combgrad.data.matching.pairs import EVERY_LABEL, GivenPairs

FILES = ("test_pairs.csv", "pf_pascal/test_pairs.csv", "PF-dataset-PASCAL/test_pairs.csv")

#: As the numbers 1 to 20 of the file mean them: the categories of Pascal VOC in their order.
CATEGORIES = (
    *("aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow"),
    *("diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa"),
    *("train", "tvmonitor"),
)

#: Of the groups of pairs that share pictures, in the file's order: of ten, six train, two validate.
PARTS = ("train",) * 6 + ("val",) * 2 + ("test",) * 2

#: Free pixels around the points of a picture.
MARGIN = 16


@dataclass(frozen=True)
class PFPascal(KeyPointSet):
    """The 299 pairs of `test_pairs.csv`, the only ones whose points are in that file's form.

    It says neither how large the pictures are nor what a point is called: a picture is what lies
    around its points, the longer side of their box filling SIDE less a margin, and points match by
    their place in the row. Pairs that share a picture, by however many others, are in one split.
    """

    only_points: ClassVar[bool] = True

    def read(self, place: Place) -> Collection:
        """All pairs; raises DataFileError."""
        file = place.find(FILES)
        if file is None:
            raise DataFileError(
                f"{place.root / FILES[1]}: no such file. Put test_pairs.csv of PF-PASCAL there, or "
                f"set data.path=<its folder>; data=synthetic needs no files."
            )
        try:
            with file.open(encoding="utf-8", newline="") as lines:
                rows = list(csv.DictReader(lines))
        except (OSError, ValueError, csv.Error) as error:
            raise DataFileError(f"{file}: cannot be read ({error}). {REMEDY}") from error
        marked = gather(side for n, row in enumerate(rows) for side in _sides(file, n, row))
        parts = _parts([(row["source_image"], row["target_image"]) for row in rows])
        pictures = np.arange(len(marked)).reshape(-1, 2)
        splits = {}
        for split in dict.fromkeys(PARTS):
            kept = pictures[parts == split]
            everything = np.full(len(kept), EVERY_LABEL)
            splits[split] = GivenPairs(kept, everything, marked.category[kept[:, 0]])
        return Collection(CATEGORIES, marked, splits)


def _sides(file: Path, number: int, row: dict[str, str]) -> list[Annotation]:
    """Both pictures of a pair."""
    name = f"{file.name}, pair {number + 1}"
    try:
        category = range(1, len(CATEGORIES) + 1).index(int(row["class"]))
        sides = [
            np.array([[float(x) for x in row[axis + side].split(";")] for axis in "XY"]).T
            for side in "AB"
        ]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataFileError(f"{name}: cannot be read ({error!r}). {REMEDY}") from error
    if len(sides[0]) != len(sides[1]) or len(sides[0]) < 2:
        raise DataFileError(f"{name}: needs as many points on either side, two or more. {REMEDY}")
    return [
        Annotation(f"{name}, side {side}", category, _fitted(points), np.arange(len(points)))
        for side, points in zip("AB", sides, strict=True)
    ]


def _fitted(points: np.ndarray) -> np.ndarray:
    """Points moved and scaled, alike in x and y, so that they fill the picture."""
    low, high = points.min(0), points.max(0)
    longer = (high - low).max()
    scale = (SIDE - 2 * MARGIN) / longer if longer > 0 else 1.0
    return (points - (low + high) / 2) * scale + SIDE / 2


def _parts(pairs: list[tuple[str, str]]) -> np.ndarray:
    """The split of each pair; those that share a picture, directly or not, have the same."""
    group: dict[str, str] = {}

    def root(picture: str) -> str:
        while group.setdefault(picture, picture) != picture:
            picture = group[picture]
        return picture

    for one, other in pairs:
        group[root(other)] = root(one)
    order = {name: n for n, name in enumerate(dict.fromkeys(root(one) for one, _ in pairs))}
    return np.array([PARTS[order[root(one)] % len(PARTS)] for one, _ in pairs])
