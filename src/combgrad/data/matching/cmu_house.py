"""The CMU House sequence: 111 frames of a toy house that turns, with 30 marked points each."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from combgrad.data.base import Place
from combgrad.data.files.npy import REMEDY, DataFileError
from combgrad.data.files.pictures import SIDE, PictureFile
from combgrad.data.matching.marked import Annotation, Collection, KeyPointSet, gather
from combgrad.data.matching.pairs import EVERY_LABEL, GivenPairs

FRAMES, POINTS = 111, 30

#: Below the folder for data, or below one of these in it.
FOLDERS = ("", "house", "cmu_house", "cmu_house/house")

#: Every third frame is one to train on.
TRAIN_EVERY = 3

#: How many frames apart the frames of a pair are, and the steps that these are told apart by.
LEAST_GAP, MOST_GAP, STEP = 10, 100, 10


@dataclass(frozen=True)
class CMUHouse(KeyPointSet):
    """Pairs of frames that are 10 to 100 apart; the category is how far, to the nearest ten.

    Training has all such pairs of the frames 0, 3, 6 and so on. The test has those of the other
    frames that are exactly 10, 20, ..., or 100 apart, as results on this sequence are told; no
    frame is in both. The files are `label/house1` (x and y of 30 points, one a line) to `house111`
    and `images/house.seq0.png` to `seq110`, as they were published.
    """

    def read(self, place: Place) -> Collection:
        """All frames; raises DataFileError."""
        folder = _find(place.root)
        marked = gather(_frame(folder, number) for number in range(FRAMES))
        train, test = [], []
        for first in range(FRAMES):
            for second in range(first + LEAST_GAP, min(first + MOST_GAP + 1, FRAMES)):
                trains = [frame % TRAIN_EVERY == 0 for frame in (first, second)]
                if all(trains):
                    train.append((first, second))
                elif not any(trains) and (second - first) % STEP == 0:
                    test.append((first, second))
        names = tuple(f"{gap} frames" for gap in range(LEAST_GAP, MOST_GAP + 1, STEP))
        return Collection(names, marked, {"train": _pairs(train), "test": _pairs(test)})


def _find(root: Path) -> Path:
    for folder in FOLDERS:
        if (root / folder / "label" / "house1").is_file():
            return root / folder
    raise DataFileError(
        f"{root / FOLDERS[-1] / 'label' / 'house1'}: no such file, nor anywhere else the CMU House "
        f"sequence may lie below {root}. Put its folders label and images there, or set "
        f"data.path=<their folder>; data=synthetic needs no files."
    )


def _frame(folder: Path, number: int) -> Annotation:
    file = folder / "label" / f"house{number + 1}"
    picture = PictureFile(folder / "images" / f"house.seq{number}.png")
    try:
        points = np.loadtxt(file, dtype=np.float64, ndmin=2)
    except (OSError, ValueError) as error:
        raise DataFileError(f"{file}: cannot be read ({error}). {REMEDY}") from error
    if points.shape != (POINTS, 2):
        raise DataFileError(f"{file}: expected x and y of {POINTS} points. {REMEDY}")
    scaled = points * SIDE / np.array(picture.size())
    return Annotation(f"frame {number}", 0, scaled, np.arange(POINTS), picture)


def _pairs(frames: list[tuple[int, int]]) -> GivenPairs:
    pictures = np.array(frames, dtype=np.int64)
    gap = pictures[:, 1] - pictures[:, 0]
    category = (gap + STEP // 2) // STEP - LEAST_GAP // STEP
    return GivenPairs(pictures, np.full(len(pictures), EVERY_LABEL), category)
