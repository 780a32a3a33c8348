"""Caltech-UCSD Birds: photographs of 200 species in both editions; the first 100 train."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from combgrad.data.base import Place, sha256_of_file
from combgrad.data.files.archives import extract
from combgrad.data.files.npy import REMEDY, DataFileError
from combgrad.data.files.pictures import PictureFile
from combgrad.data.files.published import Published
from combgrad.data.retrieval.classified import Classified, ImageSet, Listed, gather

SPECIES, TRAIN_SPECIES = 200, 100

PICTURES_2011 = "images.txt"

EDITION_2011 = Published(
    doi="10.22002/D1.20098 (Wah et al., The Caltech-UCSD Birds-200-2011 Dataset)",
    folder="CUB_200_2011",
    archive="CUB_200_2011.tgz",
    mark="image_class_labels.txt",
    example=PICTURES_2011,
    limit_bytes=2 * 10**9,
    checksum="md5:97eceeb196236b17998738112f37df78",
    instead="data=digits_by_class",
)

EDITION_2010 = Published(
    doi="10.22002/D1.20098 of its later edition (this one: Welinder et al., CNS-TR-2010-001)",
    folder="CUB_200_2010",
    archive="images.tgz",
    mark="images/001.Black_footed_Albatross/Black_footed_Albatross_*.jpg",
    example="images/001.Black_footed_Albatross/Black_footed_Albatross_0001_2950163169.jpg",
    limit_bytes=2 * 10**9,
    instead="data=digits_by_class",
)

#: The pictures of 2010 with their shorter side at 144 pixels, below the folder for data.
SMALL_ARCHIVES = ("cub200_2010_144.tar", "cub200_2010/cub200_2010_144.tar")


@dataclass(frozen=True)
class CUB2011(ImageSet):
    """The edition of 2011, 11,788 photographs, as its archive has them; 5,864 train."""

    def read(self, place: Place) -> Classified:
        """All pictures; raises DataFileError, where its list has others too, or DownloadError."""
        folder = EDITION_2011.find_or_download(place.root, url=place.url)
        found = list(by_species(folder))
        _check_complete({picture.name for picture in found}, folder)
        return gather(found, "CUB-200-2011")


@dataclass(frozen=True)
class CUB2010(ImageSet):
    """The edition of 2010, 6,033 photographs: its archive, or `cub200_2010_144.tar`, a small one.

    The small one has the same pictures with 144 pixels on their shorter side.
    """

    def read(self, place: Place) -> Classified:
        """All pictures; raises DataFileError or DownloadError."""
        small = place.find(SMALL_ARCHIVES)
        if small is not None and place.url is None:
            home = small.parent if place.cache is None else place.cache
            folder = extract(small, home / f"cub2010-{sha256_of_file(small)[:16]}")
        else:
            folder = EDITION_2010.find_or_download(place.root, url=place.url)
        return gather(by_species(folder), "CUB-200 (2010)")


def _check_complete(found: set[str], folder: Path) -> None:
    file = folder / PICTURES_2011
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataFileError(f"{file}: cannot be read ({error}). {REMEDY}") from error
    listed = [line.split()[-1] for line in lines if line.strip()]
    missing = [name for name in listed if name not in found]
    if missing:
        raise DataFileError(
            f"{folder / 'images'}: lacks {len(missing)} of the {len(listed)} pictures that "
            f"{PICTURES_2011} lists, the first {missing[0]}. {REMEDY}"
        )


def by_species(folder: Path) -> Iterator[Listed]:
    """The pictures of `images/<number>.<species>/*.jpg`, by number and name.

    Raises DataFileError where these are not the 200 species.
    """
    images = folder / "images"
    found = sorted(place for place in images.glob("[0-9][0-9][0-9].*") if place.is_dir())
    if [place.name[:3] for place in found] != [f"{n:03}" for n in range(1, SPECIES + 1)]:
        raise DataFileError(
            f"{images}: has {len(found)} folders of species, and not those from 001 to {SPECIES}. "
            f"Delete {folder} and unpack the archive again."
        )
    for place in found:
        trains = int(place.name[:3]) <= TRAIN_SPECIES
        # Archives packed on a Mac have a hidden file beside each.
        files = [file for file in sorted(place.glob("*.jpg")) if not file.name.startswith(".")]
        for file in files:
            yield Listed(f"{place.name}/{file.name}", place.name, trains, PictureFile(file))
