"""The countries of the Globe TSP experiment: their flags and the coordinates of their capitals."""

import csv
import functools
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from combgrad.data.files.npy import DataFileError
from combgrad.data.globe.flag_drawing import FLAG_SHAPE, draw_flag

COUNTRY_COUNT = 100

_PICTURES_DTYPES: dict[str, type] = {
    "flags_64x48": np.uint8,
    "iso2": np.str_,
    "country": np.str_,
    "capital": np.str_,
    "lonlat": np.floating,
}
#: Unpacked; the flags of 200 countries have 2 MB.
_PICTURES_LIMIT_BYTES = 100 * 10**6
_REMEDY = "Restore the file from its source, or use the embedded countries instead."


@dataclass(frozen=True, eq=False)
class Countries:
    """C countries: names, capitals, codes, (C, 2) lon and lat in degrees, (C, 20, 40, 3) flags."""

    names: tuple[str, ...]
    capitals: tuple[str, ...]
    iso2: tuple[str, ...]
    lonlat: np.ndarray
    flags: np.ndarray

    def __post_init__(self) -> None:
        count = len(self.iso2)
        for field in ("names", "capitals"):
            if len(getattr(self, field)) != count:
                raise ValueError(f"{field}: {len(getattr(self, field))} for {count} iso2 codes")
        repeated = sorted({code for code in self.iso2 if self.iso2.count(code) > 1})
        if repeated:
            raise ValueError(f"iso2: repeated codes {', '.join(repeated)}")
        _check_array("lonlat", self.lonlat, (count, 2), np.float64)
        _check_array("flags", self.flags, (count, *FLAG_SHAPE), np.uint8)
        outside = ~_on_globe(self.lonlat)
        if outside.any():
            first = int(np.flatnonzero(outside)[0])
            raise ValueError(
                f"lonlat: {self.lonlat[first].tolist()} of {self.iso2[first]!r} is not a longitude "
                "in [-180, 180] and a latitude in [-90, 90] degrees"
            )


def _check_array(field: str, array: np.ndarray, shape: tuple[int, ...], dtype: type) -> None:
    if array.dtype != dtype or array.shape != shape:
        raise ValueError(
            f"{field}: expected {np.dtype(dtype)} of shape {shape}, "
            f"got {array.dtype} of shape {array.shape}"
        )


def _on_globe(lonlat: np.ndarray) -> np.ndarray:
    return (np.abs(lonlat) <= np.array([180.0, 90.0])).all(axis=1)


@functools.cache
def regenerated() -> Countries:
    """Return the 100 embedded countries with flags drawn from their descriptions, read-only."""
    folder = Path(__file__).parent
    with (folder / "countries.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    descriptions = parse_descriptions((folder / "flags.txt").read_text(encoding="utf-8"))
    codes = tuple(row["iso2"] for row in rows)
    unmatched = set(codes) ^ set(descriptions)
    if unmatched:
        raise ValueError(f"only one of countries.csv and flags.txt has {sorted(unmatched)}")
    return _read_only(
        Countries(
            names=tuple(row["country"] for row in rows),
            capitals=tuple(row["capital"] for row in rows),
            iso2=codes,
            lonlat=np.array([(float(row["lon"]), float(row["lat"])) for row in rows]),
            flags=np.stack([_drawn(code, descriptions[code]) for code in codes]),
        )
    )


def parse_descriptions(text: str) -> dict[str, str]:
    """Return the flag description of each country code in the text of a flags.txt."""
    descriptions: dict[str, str] = {}
    code = ""
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        if line[0].isspace() and code:
            descriptions[code] += " " + line.strip()
            continue
        code, colon, description = (part.strip() for part in line.partition(":"))
        if not colon or not code or code in descriptions:
            raise ValueError(
                f"flag descriptions, line {number}: expected 'iso2: description' "
                f"with a code not used before, got {line!r}"
            )
        descriptions[code] = description
    return descriptions


def _drawn(code: str, description: str) -> np.ndarray:
    try:
        return draw_flag(description)
    except ValueError as error:
        raise ValueError(f"country {code!r}: {error}") from None


def _read_only(countries: Countries) -> Countries:
    countries.lonlat.setflags(write=False)
    countries.flags.setflags(write=False)
    return countries


def pictures(path: str | Path) -> Countries:
    """Return 100 countries from an npz of flag pictures, the embedded list's before the others.

    `path` is the npz, or a folder of data sets that holds `flags/flags_capitals.npz`. Raises
    DataFileError for a file that is missing, damaged, or has fewer countries.
    """
    path = Path(path)
    if path.is_dir():
        path = path / "flags" / "flags_capitals.npz"
    arrays = _load_pictures(path)
    codes = [str(code).lower() for code in arrays["iso2"]]
    usable = _on_globe(arrays["lonlat"])
    rows = {code: row for row, code in enumerate(codes) if usable[row]}
    embedded = regenerated().iso2
    if len(rows) < COUNTRY_COUNT:
        missing = [code for code in embedded if code not in rows]
        raise DataFileError(
            f"{path}: {len(rows)} usable countries (distinct 'iso2', finite 'lonlat' in range), "
            f"{COUNTRY_COUNT} needed; of the embedded list it lacks {', '.join(missing)}. "
            + _REMEDY
        )
    wanted = [code for code in embedded if code in rows]
    wanted += [code for code in rows if code not in embedded]
    chosen = [rows[code] for code in wanted[:COUNTRY_COUNT]]
    return _read_only(
        Countries(
            names=tuple(str(name) for name in arrays["country"][chosen]),
            capitals=tuple(str(name) for name in arrays["capital"][chosen]),
            iso2=tuple(codes[row] for row in chosen),
            lonlat=arrays["lonlat"][chosen].astype(np.float64),
            flags=resize_by_area(arrays["flags_64x48"][chosen], *FLAG_SHAPE[:2]),
        )
    )


def _load_pictures(path: Path) -> dict[str, np.ndarray]:
    if not path.is_file():
        raise DataFileError(f"{path}: no such file of flag pictures. {_REMEDY}")
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(member.file_size for member in archive.infolist())
        if size > _PICTURES_LIMIT_BYTES:
            raise ValueError(f"{size:,} bytes unpacked, over {_PICTURES_LIMIT_BYTES:,}")
        with np.load(path, allow_pickle=False) as file:
            arrays = {key: file[key] for key in _PICTURES_DTYPES if key in file.files}
    except Exception as error:
        # What numpy and zipfile raise for damaged files is not documented, and is nearly anything.
        raise DataFileError(f"{path}: cannot be read as an npz ({error}). {_REMEDY}") from error
    absent = [key for key in _PICTURES_DTYPES if key not in arrays]
    if absent:
        raise DataFileError(f"{path}: lacks the key(s) {', '.join(absent)}. {_REMEDY}")
    _check_pictures(path, arrays)
    return arrays


def _check_pictures(path: Path, arrays: dict[str, np.ndarray]) -> None:
    count = arrays["iso2"].size
    shapes = {"flags_64x48": (count, 48, 64, 3), "lonlat": (count, 2)}
    for key, dtype in _PICTURES_DTYPES.items():
        array, shape = arrays[key], shapes.get(key, (count,))
        if not np.issubdtype(array.dtype, dtype) or array.shape != shape:
            raise DataFileError(
                f"{path}: key {key!r} should be {dtype.__name__} of shape {shape}, "
                f"is {array.dtype} of shape {array.shape}. {_REMEDY}"
            )


def resize_by_area(images: np.ndarray, height: int, width: int) -> np.ndarray:
    """Return (N, row, column, channel) uint8 images averaged over the area of each new pixel."""
    _, old_height, old_width, _ = images.shape
    rows, columns = _overlaps(old_height, height), _overlaps(old_width, width)
    # Integers throughout, so that a value halfway between two levels rounds alike everywhere.
    sums = np.einsum("hi,nijc,wj->nhwc", rows, images.astype(np.int64), columns, optimize=True)
    area = old_height * old_width
    return ((2 * sums + area) // (2 * area)).astype(np.uint8)


def _overlaps(old: int, new: int) -> np.ndarray:
    # On a line of old * new points an old pixel is `new` points long and a new one `old`.
    new_starts, old_starts = old * np.arange(new)[:, None], new * np.arange(old)[None, :]
    stops = np.minimum(new_starts + old, old_starts + new)
    return np.maximum(stops - np.maximum(new_starts, old_starts), 0)
