"""Cars-196 and Stanford Online Products as they were published."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from scipy.io import loadmat

from combgrad.data.base import Place
from combgrad.data.files.npy import REMEDY, DataFileError
from combgrad.data.files.pictures import PictureFile
from combgrad.data.files.published import Published
from combgrad.data.retrieval.classified import Classified, ImageSet, Listed, gather

#: Of 196 models of cars the first half trains.
TRAIN_MODELS = 98

CARS_ANNOTATIONS = "cars_annos.mat"

CARS = Published(
    doi="10.1109/ICCVW.2013.77 (Krause et al., 3D Object Representations)",
    folder="cars196",
    archive="car_ims.tgz",
    mark="car_ims/*.jpg",
    example="car_ims/000001.jpg",
    limit_bytes=4 * 10**9,
    instead="data=digits_by_class",
)

SOP_LISTS = {"Ebay_train.txt": True, "Ebay_test.txt": False}
SOP_COLUMNS = {"class_id", "path"}

PRODUCTS = Published(
    doi="10.1109/CVPR.2016.434 (Song et al., Lifted Structured Feature Embedding)",
    folder="Stanford_Online_Products",
    archive="Stanford_Online_Products.zip",
    mark="Ebay_train.txt",
    example="Ebay_train.txt",
    limit_bytes=6 * 10**9,
    limit_members=200_000,
    instead="data=digits_by_class",
)


@dataclass(frozen=True)
class Cars196(ImageSet):
    """16,185 photographs of 196 models of cars, of which the first 98 train.

    Beside the folder `car_ims`, or in the folder for data, lies `cars_annos.mat`, the list of all
    pictures, whose own split by pictures is not used. Whole pictures, without the boxes.
    """

    def read(self, place: Place) -> Classified:
        """All pictures; raises DataFileError or DownloadError."""
        folder = CARS.find_or_download(place.root, url=place.url)
        return gather(_models(folder, _annotations(folder, place.root)), "Cars-196")


def _annotations(folder: Path, root: Path) -> Path:
    for place in (folder, folder.parent, root):
        if (place / CARS_ANNOTATIONS).is_file():
            return place / CARS_ANNOTATIONS
    raise DataFileError(
        f"{folder / CARS_ANNOTATIONS}: no such file, which lists the pictures of Cars-196; put it "
        f"there, it is published beside {CARS.archive}."
    )


def _models(folder: Path, file: Path) -> Iterator[Listed]:
    try:
        content = loadmat(file, squeeze_me=True)
        names = [str(name) for name in content["class_names"]]
        rows = [(str(row["relative_im_path"]), int(row["class"])) for row in content["annotations"]]
        labelled = [(path, number, names[number - 1]) for path, number in rows]
    # What scipy raises for a damaged file is nearly anything.
    except Exception as error:
        raise DataFileError(f"{file}: cannot be read ({error!r}). {REMEDY}") from error
    for path, number, name in sorted(labelled, key=lambda row: (row[1], row[0])):
        yield Listed(path, name, number <= TRAIN_MODELS, PictureFile(folder / path))


@dataclass(frozen=True)
class OnlineProducts(ImageSet):
    """120,053 photographs of 22,634 products; the published lists say which 11,318 train."""

    def read(self, place: Place) -> Classified:
        """All pictures; raises DataFileError or DownloadError."""
        folder = PRODUCTS.find_or_download(place.root, url=place.url)
        return gather(_products(folder), "Stanford Online Products")


def _products(folder: Path) -> Iterator[Listed]:
    for name, trains in SOP_LISTS.items():
        file = folder / name
        try:
            with file.open(encoding="utf-8", newline="") as lines:
                rows = list(csv.DictReader(lines, delimiter=" "))
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise DataFileError(f"{file}: cannot be read ({error}). {REMEDY}") from error
        for number, row in enumerate(rows, start=2):
            if any(not row.get(column) for column in SOP_COLUMNS):
                raise DataFileError(f"{file}, line {number}: lacks class_id or path. {REMEDY}")
            yield Listed(row["path"], row["class_id"], trains, PictureFile(folder / row["path"]))
