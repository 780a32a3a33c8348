"""SPair-71k: photographs of 18 categories, and pairs of them with the points that both show."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from combgrad.data.base import Place
from combgrad.data.files.npy import REMEDY, DataFileError
from combgrad.data.files.pictures import SIDE, PictureFile
from combgrad.data.files.published import Published
from combgrad.data.matching.marked import Annotation, Collection, KeyPointSet, gather
from combgrad.data.matching.pairs import LABELS, LEAST_COMMON, GivenPairs, bits

#: No checksum was published: the first archive is trusted, and later ones must be the same.
PUBLISHED = Published(
    doi="10.48550/arXiv.1908.10543 (Min, Lee, Ponce, Cho, SPair-71k, the project's page)",
    folder="SPair-71k",
    archive="SPair-71k.tar.gz",
    mark="PairAnnotation/trn/",
    example="Layout/large/trn.txt",
    limit_bytes=10**9,
    limit_members=200_000,
    instead="data=synthetic",
)

ANY_LABEL = frozenset(range(LABELS))

#: Ours, and what the set calls them.
SPLIT_NAMES = {"train": "trn", "val": "val", "test": "test"}


@dataclass(frozen=True)
class SPair(KeyPointSet):
    """The pairs of the published layout `large`, whole pictures, the points given for each pair.

    Points match where `kps_ids` are the same. A pair with fewer than two points is left out, as
    the published method never sees one.
    """

    one_archive: ClassVar[bool] = True

    def read(self, place: Place) -> Collection:
        """All pairs; raises DataFileError or DownloadError."""
        folder = PUBLISHED.find_or_download(place.root, url=place.url)
        categories = tuple(sorted(p.name for p in (folder / "JPEGImages").glob("*") if p.is_dir()))
        reader = _Reader(folder, categories)
        pairs = {split: reader.pairs(name) for split, name in SPLIT_NAMES.items()}
        return Collection(categories, gather(reader.annotations()), pairs)


class _Reader:
    """Collects pictures and their points from the annotations of pairs."""

    def __init__(self, folder: Path, categories: tuple[str, ...]) -> None:
        self.folder, self.categories = folder, categories
        self.numbers: dict[tuple[int, str], int] = {}
        self.points: list[dict[int, tuple[float, float]]] = []

    def pairs(self, split: str) -> GivenPairs:
        """The pairs that the layout lists."""
        layout = self.folder / "Layout" / "large" / f"{split}.txt"
        try:
            names = layout.read_text(encoding="utf-8").split()
        except (OSError, ValueError) as error:
            raise DataFileError(f"{layout}: cannot be read ({error}). {REMEDY}") from error
        pictures, shown, category = [], [], []
        for name in names:
            if Path(name).name != name:
                raise DataFileError(f"{layout}: {name!r} is no name of a pair. {REMEDY}")
            both, labels, number = self._pair(self.folder / "PairAnnotation" / split / name)
            if len(labels) >= LEAST_COMMON:
                pictures.append(both)
                shown.append(np.bitwise_or.reduce(bits(labels)))
                category.append(number)
        if not pictures:
            raise DataFileError(f"{layout}: lists no pair with {LEAST_COMMON} points. {REMEDY}")
        return GivenPairs(
            np.array(pictures, dtype=np.int64),
            np.array(shown, dtype=np.uint64),
            np.array(category, dtype=np.int64),
        )

    def _pair(self, path: Path) -> tuple[list[int], np.ndarray, int]:
        """The numbers of both pictures, the labels that they show, and the category."""
        file = path.with_name(f"{path.name}.json")
        try:
            said: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
            category = self.categories.index(said["category"])
            labels = [int(label) for label in said["kps_ids"]]
            both = [
                self._picture(category, str(said[f"{side}_imname"]), labels, said[f"{side}_kps"])
                for side in ("src", "trg")
            ]
        except DataFileError as error:
            raise DataFileError(f"{file}: {error} {REMEDY}") from error
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataFileError(f"{file}: cannot be read ({error!r}). {REMEDY}") from error
        return both, np.array(labels, dtype=np.int64), category

    def _picture(self, category: int, name: str, labels: list[int], points: list[Any]) -> int:
        """The number of a picture, whose points are then known."""
        if Path(name).name != name or len(points) != len(labels) or not set(labels) <= ANY_LABEL:
            raise DataFileError("names a picture, or numbers points, in a strange way.")
        number = self.numbers.setdefault((category, name), len(self.points))
        if number == len(self.points):
            self.points.append({})
        for label, (x, y) in zip(labels, points, strict=True):
            place = (float(x), float(y))
            if self.points[number].setdefault(label, place) != place:
                raise DataFileError(f"point {label} of {name} is elsewhere in another pair.")
        return number

    def annotations(self) -> Iterator[Annotation]:
        """The pictures in the order of their numbers."""
        for (category, name), points in zip(self.numbers, self.points, strict=True):
            group = self.categories[category]
            picture = PictureFile(self.folder / "JPEGImages" / group / name)
            places = np.array(list(points.values()), dtype=np.float64).reshape(-1, 2)
            scaled = places * SIDE / np.array(picture.size())
            yield Annotation(f"{group}/{name}", category, scaled, np.array(list(points)), picture)
