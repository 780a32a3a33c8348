"""WILLOW-ObjectClass: photographs of five kinds of things with ten marked points each."""

import json
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import ClassVar

import numpy as np
from scipy.io import loadmat

from combgrad.data.base import Place, sha256_of_file
from combgrad.data.datamodule import check_whole
from combgrad.data.files.archives import extract
from combgrad.data.files.npy import REMEDY, DataFileError
from combgrad.data.files.pictures import SIDE, PictureFile
from combgrad.data.files.published import Published
from combgrad.data.matching.marked import Annotation, Collection, KeyPointSet, gather
from combgrad.data.matching.pairs import DrawnPairs

CATEGORIES = ("Car", "Duck", "Face", "Motorbike", "Winebottle")
POINTS = 10

PUBLISHED = Published(
    doi="10.1109/ICCV.2013.11 (Cho, Alahari, Ponce, Learning Graphs to Match, the project's page)",
    folder="WILLOW-ObjectClass",
    archive="WILLOW-ObjectClass_dataset.zip",
    mark="Winebottle/*.mat",
    example="Winebottle/246_0001.mat",
    limit_bytes=10**9,
    instead="data=synthetic",
)

#: The same pictures at SIDE x SIDE pixels with all points in one file, below the folder for data.
SMALL_ARCHIVES = ("willow_256.tar", "willow/willow_256.tar")
SMALL_POINTS = "willow_256/keypoints.json"


@dataclass(frozen=True)
class Willow(KeyPointSet):
    """Pictures of five categories; the first ones by name train, and the others are for the test.

    The files are those of the published archive, a .png and a .mat with `pts_coord` (2, 10) for
    each picture in a folder for each category, or `willow_256.tar` with the pictures at 256 x 256
    pixels and `keypoints.json`. A picture that does not have ten points is left out, with a
    warning (the published set has one). Whole pictures are used, whatever their proportions were.

    Args:
        train_pictures: of each category; 20 as Rolinek et al. 2020 have it.
    """

    one_archive: ClassVar[bool] = True

    train_pictures: int = 20

    def __post_init__(self) -> None:
        check_whole("collection.train_pictures", self.train_pictures, 2)

    def read(self, place: Place) -> Collection:
        """All pictures; raises DataFileError or DownloadError."""
        small = place.find(SMALL_ARCHIVES)
        if small is not None and place.url is None:
            found = _from_json(_unpacked(small, place.cache))
        else:
            found = _from_mat(PUBLISHED.find_or_download(place.root, url=place.url))
        marked = gather(_with_all_points(found))
        train = np.zeros(len(marked), dtype=bool)
        for number, name in enumerate(CATEGORIES):
            pictures = np.flatnonzero(marked.category == number)
            if len(pictures) < self.train_pictures + 2:
                raise DataFileError(
                    f"{name}: has {len(pictures)} pictures with {POINTS} points; "
                    f"data.collection.train_pictures={self.train_pictures} needs two more for the "
                    f"test. {REMEDY}"
                )
            train[pictures[: self.train_pictures]] = True
        members = {"train": np.flatnonzero(train), "test": np.flatnonzero(~train)}
        splits = {
            split: DrawnPairs(rows, marked.category, marked.marks, CATEGORIES)
            for split, rows in members.items()
        }
        return Collection(CATEGORIES, marked, splits)


def _with_all_points(found: Iterator[Annotation]) -> Iterator[Annotation]:
    for picture in found:
        if len(picture.points) == POINTS:
            yield picture
        else:
            count = len(picture.points)
            warnings.warn(f"{picture.name} has {count} points and is left out.", stacklevel=2)


def _unpacked(archive: Path, cache: Path | None) -> Path:
    """The folder of an archive's content: beside it, in the cache, or else for this process."""
    if (archive.parent / SMALL_POINTS).is_file():
        return archive.parent
    folder = Path(_temporary().name) if cache is None else cache
    return extract(archive, folder / f"willow-{sha256_of_file(archive)[:16]}")


@lru_cache(maxsize=1)
def _temporary() -> tempfile.TemporaryDirectory:
    """A folder that goes when the process ends."""
    return tempfile.TemporaryDirectory(prefix="combgrad-")


def _from_json(folder: Path) -> Iterator[Annotation]:
    file = folder / SMALL_POINTS
    try:
        listed = json.loads(file.read_text(encoding="utf-8"))
        for name in sorted(listed):
            category = CATEGORIES.index(Path(name).parent.name)
            points = np.array(listed[name]["points"], dtype=np.float64).reshape(-1, 2)
            picture = PictureFile(file.parent / CATEGORIES[category] / Path(name).name)
            yield Annotation(name, category, points, np.arange(len(points)), picture)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataFileError(f"{file}: cannot be read ({error!r}). {REMEDY}") from error


def _from_mat(folder: Path) -> Iterator[Annotation]:
    for category, name in enumerate(CATEGORIES):
        for file in sorted((folder / name).glob("*.mat")):
            picture = PictureFile(file.with_suffix(".png"))
            try:
                points = np.asarray(loadmat(file)["pts_coord"], dtype=np.float64).T
            # What scipy raises for a damaged file is nearly anything.
            except Exception as error:
                raise DataFileError(f"{file}: cannot be read ({error!r}). {REMEDY}") from error
            if points.ndim != 2 or points.shape[1] != 2:
                raise DataFileError(f"{file}: pts_coord is of shape {points.T.shape}. {REMEDY}")
            scaled = points * SIDE / np.array(picture.size())
            yield Annotation(
                f"{name}/{file.stem}", category, scaled, np.arange(len(points)), picture
            )
