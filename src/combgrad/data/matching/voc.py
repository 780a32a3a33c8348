"""Pascal VOC 2011 with the key points of Berkeley: objects of 20 categories, each cropped."""

import re
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

import numpy as np

from combgrad.data.base import Place
from combgrad.data.files.npy import REMEDY, DataFileError, load_object_array
from combgrad.data.files.pickles import LIMIT_BYTES
from combgrad.data.files.pictures import SIDE, PictureFile
from combgrad.data.files.published import Published
from combgrad.data.matching.marked import Annotation, Collection, KeyPointSet, gather
from combgrad.data.matching.pairs import DrawnPairs
from combgrad.data.matching.pf_pascal import CATEGORIES

#: Its checksum is the one that torchvision has.
PICTURES = Published(
    doi="10.1007/s11263-009-0275-4 (Everingham et al., Pascal VOC 2011, the challenge's page)",
    folder="TrainVal",
    archive="VOCtrainval_25-May-2011.tar",
    mark="VOCdevkit/VOC2011/JPEGImages/",
    example="TrainVal/VOCdevkit/VOC2011/Annotations/2007_000027.xml",
    limit_bytes=10**10,
    checksum="md5:6c3384ef61512963050cb5d687e5bf1e",
    limit_members=200_000,
    instead="data=synthetic",
)

KEY_POINTS = Published(
    doi="10.1109/ICCV.2009.5459303 (Bourdev, Malik, Poselets, the project's page at Berkeley)",
    folder="voc2011_keypoints",
    archive="voc2011_keypoints_Feb2012.tgz",
    mark="annotations/aeroplane/",
    example="annotations/aeroplane/2007_000032_1.xml",
    limit_bytes=10**9,
    limit_members=200_000,
    instead="data=synthetic",
)

SPLIT_FILES = ("voc2011_pairs.npz", "*/voc2011_pairs.npz", "*/*/voc2011_pairs.npz")

#: An object of the split file: its category, picture and number in that picture.
_OBJECT = re.compile(r"([a-z]+)/((\d{4})_\w+)_(\d+)\.xml")

#: Annotations of people of later years are not clean, as their authors say.
LAST_YEAR_OF_PEOPLE = 2008

#: An object with one of these marks is left out.
FLAWS = ("difficult", "occluded", "truncated")


class _Object(NamedTuple):
    name: str
    category: int
    picture: str
    year: int
    number: int


@dataclass(frozen=True)
class PascalVOC(KeyPointSet):
    """Objects cropped to the visible bounds of their annotation, with the points inside of them.

    Needs three things at or below `data.path`: the challenge's pictures (`VOCdevkit/VOC2011` or
    VOCtrainval_25-May-2011.tar), the key points (`annotations` or voc2011_keypoints_Feb2012.tgz)
    and voc2011_pairs.npz, which comes with the code of Rolinek et al. 2020 and says which objects
    train and which test. Objects that are difficult, occluded or truncated are left out, and so
    are people of the years after 2008.
    """

    def read(self, place: Place) -> Collection:
        """All objects; raises DataFileError or DownloadError."""
        root = place.root
        pictures = PICTURES.find_or_download(root, url=None) / "VOCdevkit" / "VOC2011"
        points = KEY_POINTS.find_or_download(root, url=None) / "annotations"
        split_file = next((p for glob in SPLIT_FILES for p in sorted(root.glob(glob))), None)
        if split_file is None:
            raise DataFileError(
                f"{root / SPLIT_FILES[0]}: no such file. Put voc2011_pairs.npz of the code of "
                f"Rolinek et al. 2020 there; data=synthetic needs no files."
            )
        found: list[_Marked] = []
        members = {}
        for split in ("train", "test"):
            first = len(found)
            for one in read_split(split_file, split):
                if _usable(pictures / "Annotations", one):
                    found.append(_marked(points, pictures / "JPEGImages", one))
            members[split] = np.arange(first, len(found))
        marked = gather(_numbered(found))
        return Collection(
            CATEGORIES,
            marked,
            {
                split: DrawnPairs(rows, marked.category, marked.marks, CATEGORIES)
                for split, rows in members.items()
            },
        )


def read_split(file: Path, split: str) -> list[_Object]:
    """The objects of a split; the file's pickle is read as data, and nothing in it is called.

    Raises DataFileError.
    """
    try:
        with zipfile.ZipFile(file) as archive, archive.open(f"{split}.npy") as member:
            content = member.read(LIMIT_BYTES + 1)
    except (OSError, KeyError, ValueError, EOFError, NotImplementedError, RuntimeError) as error:
        raise DataFileError(f"{file}: cannot be read ({error!r}). {REMEDY}") from error
    except (zipfile.BadZipFile, zlib.error) as error:
        raise DataFileError(f"{file}: is damaged or cut short ({error}). {REMEDY}") from error
    with tempfile.TemporaryDirectory() as folder:
        alone = Path(folder) / f"{split}.npy"
        alone.write_bytes(content)
        try:
            lists = load_object_array(alone)
        except DataFileError as error:
            raise DataFileError(f"{file}: {error}") from error
    return [_object(file, name) for names in lists for name in _names(file, names)]


def _names(file: Path, names: object) -> Sequence[object]:
    if isinstance(names, list | tuple | np.ndarray):
        return list(names)
    raise DataFileError(f"{file}: holds a {type(names).__name__} and no list of names. {REMEDY}")


def _object(file: Path, name: object) -> _Object:
    text = name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name)
    parts = _OBJECT.fullmatch(text)
    if parts is None or parts[1] not in CATEGORIES:
        raise DataFileError(f"{file}: {text[:100]!r} is no name of an annotation. {REMEDY}")
    return _Object(text, CATEGORIES.index(parts[1]), parts[2], int(parts[3]), int(parts[4]))


def _root(file: Path) -> ElementTree.Element:
    try:
        return ElementTree.parse(file).getroot()
    except (OSError, ValueError, ElementTree.ParseError) as error:
        raise DataFileError(f"{file}: cannot be read ({error}). {REMEDY}") from error


def _usable(folder: Path, one: _Object) -> bool:
    """Whether the object is seen whole and clearly, as the challenge's annotation has it."""
    if CATEGORIES[one.category] == "person" and one.year > LAST_YEAR_OF_PEOPLE:
        return False
    file = folder / f"{one.picture}.xml"
    objects = _root(file).findall("object")
    if not objects or one.number > len(objects):
        raise DataFileError(f"{file}: has no object {one.number}, of {one.name}. {REMEDY}")
    # The split numbers 1,966 people 0, for which the published code asks the last object.
    flags = (objects[one.number - 1].findtext(flaw, "0").strip() for flaw in FLAWS)
    return all(flag in ("", "0") for flag in flags)


class _Marked(NamedTuple):
    """An object's points (x, y) by name, in pixels at SIDE x SIDE, and where its picture is."""

    object: _Object
    points: dict[str, tuple[float, float]]
    file: PictureFile


def _marked(folder: Path, pictures: Path, one: _Object) -> _Marked:
    file = folder / one.name
    root = _root(file)
    try:
        bounds = root.find("visible_bounds")
        assert bounds is not None
        left, top, width, height = (
            float(bounds.attrib[name]) for name in ("xmin", "ymin", "width", "height")
        )
        points: dict[str, tuple[float, float]] = {}
        for point in root.findall("keypoints/keypoint"):
            place = (float(point.attrib["x"]) - left, float(point.attrib["y"]) - top)
            scaled = (place[0] * SIDE / width, place[1] * SIDE / height)
            points.setdefault(point.attrib["name"], scaled)
    except (AssertionError, KeyError, ValueError, ZeroDivisionError) as error:
        raise DataFileError(f"{file}: has no bounds or points ({error!r}). {REMEDY}") from error
    if not (width > 0 and height > 0):
        raise DataFileError(f"{file}: has bounds of {width} x {height} pixels. {REMEDY}")
    box = (left, top, left + width, top + height)
    picture = PictureFile(pictures / f"{one.picture}.jpg", box)
    picture.state()  # says at once where it is missing
    return _Marked(one, points, picture)


def _numbered(found: Sequence[_Marked]) -> Iterator[Annotation]:
    """Points are numbered by the order of their names among all of their category."""
    names: dict[int, set[str]] = {}
    for one in found:
        names.setdefault(one.object.category, set()).update(one.points)
    numbers = {c: {name: n for n, name in enumerate(sorted(own))} for c, own in names.items()}
    for one in found:
        category = one.object.category
        labels = np.array([numbers[category][name] for name in one.points], dtype=np.int64)
        points = np.array(list(one.points.values()), dtype=np.float64)
        yield Annotation(one.object.name, category, points, labels, one.file)
