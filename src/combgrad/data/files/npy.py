"""The .npy files of other people, read without running what a pickle asks for."""

import math
import re
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np

from combgrad.data.files.pickles import LIMIT_BYTES, RefusedPickleError, object_array
from combgrad.errors import CombgradError

REMEDY = "Restore the file from its source."

#: The magic word, the version and the longest form of the header's length; numpy's own limit.
_PREFIX_BYTES, _HEADER_LIMIT = 12, 10_000

#: How many bytes the length of the header takes in each version of the format.
_LENGTH_BYTES = {b"\x01\x00": 2, b"\x02\x00": 4}

#: The header as numpy writes it. It is a literal of Python in general, and those are no data.
_HEADER = re.compile(
    r"\{'descr': '(?P<descr>[<>|=]?(?:[biufcUS]\d{1,6}|O8?))', "
    r"'fortran_order': (?P<order>True|False), "
    r"'shape': \((?P<shape>(?:\d{1,18}L?(?:, ?|(?=\))))*)\),? ?\}"
)


class DataFileError(CombgradError, ValueError):
    """A data file that is missing, damaged, or does not hold what it should."""


def load_array(
    path: Path, *, shape: tuple[int | None, ...] | None, dtype_kind: str, mmap: bool = False
) -> np.ndarray:
    """Return the array of an .npy file, read-only and left on the disk where `mmap` is true.

    `shape` must match, None within it (or instead of it) standing for any size (or shape);
    `dtype_kind` lists the numpy kinds allowed, such as "iu" for integers. Raises DataFileError.
    """
    path = Path(path)
    header = _read_header(path)
    size = _checked_size(header, path, path.stat().st_size, shape, dtype_kind)
    try:
        return _read_array(path, header, mmap and size > 0)
    except (OSError, ValueError) as error:
        raise _unreadable(path, f"{type(error).__name__}: {error}") from error


def array_of(
    content: bytes, name: str, *, shape: tuple[int | None, ...] | None, dtype_kind: str
) -> np.ndarray:
    """The array of an .npy file in memory, read-only; as `load_array`, `name` being for errors."""
    header = _header_of(content, name)
    size = _checked_size(header, name, len(content), shape, dtype_kind)
    numbers = np.frombuffer(content[header.start : header.start + size], header.dtype)
    return numbers.reshape(header.shape, order="F" if header.fortran else "C")


def _checked_size(
    header: "_Header",
    path: Path | str,
    found: int,
    shape: tuple[int | None, ...] | None,
    dtype_kind: str,
) -> int:
    """How many bytes the array takes; DataFileError unless it is of that kind and all there."""
    if header.dtype.kind not in dtype_kind or not _fits(header.shape, shape):
        raise DataFileError(
            f"{path}: expected {_words(dtype_kind)} of shape {_pattern(shape)}, "
            f"found {header.dtype} of shape {header.shape}. {REMEDY}"
        )
    if header.dtype.hasobject:
        raise DataFileError(f"{path}: holds objects, which are not read here. {REMEDY}")
    size = math.prod(header.shape) * header.dtype.itemsize
    if header.start + size > found:
        raise _unreadable(path, f"{header.start + size:,} bytes are promised and {found:,} there")
    return size


def check_rows(path: Path, array: np.ndarray, right: Any, problem: str) -> None:
    """Raise DataFileError about the first instance of `array` that is not `right`, (N,) bool."""
    wrong = np.flatnonzero(~right)
    if wrong.size:
        first = int(wrong[0])
        raise DataFileError(
            f"{path}: instance {first} {problem} ({wrong.size} of {len(array)} instances do). "
            f"{REMEDY}"
        )


def write_header(file: IO[bytes], dtype: np.dtype, shape: Sequence[int]) -> None:
    """Write how an .npy file of that type and shape starts, as long for any number of rows."""
    header = {"descr": dtype.str, "fortran_order": False, "shape": tuple(shape)}
    np.lib.format.write_array_header_1_0(file, header)


def load_object_array(path: Path) -> np.ndarray:
    """Return the object array of an .npy file whose pickle holds plain values and arrays only.

    Nothing that the pickle names is looked up, let alone called, and numpy makes nothing by what
    the file says. Raises DataFileError.
    """
    path = Path(path)
    header = _read_header(path)
    if not header.dtype.hasobject:
        raise DataFileError(f"{path}: expected objects, found {header.dtype}. {REMEDY}")
    try:
        with path.open("rb") as file:
            file.seek(header.start)
            values, shape = object_array(file.read(LIMIT_BYTES + 1))
    except RefusedPickleError as error:
        raise DataFileError(f"{path}: {error}. {REMEDY}") from error
    except Exception as error:
        # A damaged pickle may raise nearly anything.
        raise _unreadable(path, f"{type(error).__name__}: {error}") from error
    if len(values) != math.prod(header.shape):
        raise DataFileError(
            f"{path}: its header promises the shape {header.shape}, its pickle has {shape}. "
            f"{REMEDY}"
        )
    array = np.empty(len(values), dtype=object)
    for row, value in enumerate(values):
        array[row] = value
    return array.reshape(header.shape)


@dataclass(frozen=True)
class _Header:
    """What an .npy file says of its array, and the byte at which that starts."""

    dtype: np.dtype
    fortran: bool
    shape: tuple[int, ...]
    start: int


def _read_header(path: Path) -> _Header:
    if not path.is_file():
        raise DataFileError(f"{path}: no such file. {REMEDY}")
    try:
        with path.open("rb") as file:
            first = file.read(_PREFIX_BYTES + _HEADER_LIMIT)
    except OSError as error:
        raise _unreadable(path, str(error)) from error
    if first[:6] != b"\x93NUMPY" and zipfile.is_zipfile(path):
        raise DataFileError(f"{path}: is an .npz archive, not an .npy file. {REMEDY}")
    return _header_of(first, path)


def _header_of(first: bytes, path: Path | str) -> _Header:
    """The header that the first bytes of a file hold."""
    if first[:6] != b"\x93NUMPY":
        raise _unreadable(path, "it does not start like one")
    width = _LENGTH_BYTES.get(first[6:8], 0)
    if not width:
        raise _unreadable(path, f"version {tuple(first[6:8])} of the format is not known")
    start = 8 + width + int.from_bytes(first[8 : 8 + width], "little")
    found = _HEADER.fullmatch(first[8 + width : start].decode("latin1").rstrip())
    if found is None or len(first) < start:
        raise _unreadable(path, "its header is none of an array of numbers, text or objects")
    try:
        shape = tuple(int(size) for size in re.findall(r"\d+", found["shape"]))
        return _Header(np.dtype(found["descr"]), found["order"] == "True", shape, start)
    except (TypeError, ValueError) as error:
        raise _unreadable(path, str(error)) from error


def _read_array(path: Path, header: _Header, mmap: bool) -> np.ndarray:
    order: Literal["C", "F"] = "F" if header.fortran else "C"
    if mmap:
        return np.memmap(
            path, header.dtype, "r", offset=header.start, shape=header.shape, order=order
        )
    flat = np.fromfile(path, header.dtype, math.prod(header.shape), offset=header.start)
    return flat.reshape(header.shape, order=order)


def _unreadable(path: Path | str, problem: str) -> DataFileError:
    return DataFileError(
        f"{path}: cannot be read as an .npy file, which may be cut short ({problem}). {REMEDY}"
    )


def _fits(found: tuple[int, ...], wanted: tuple[int | None, ...] | None) -> bool:
    if wanted is None:
        return True
    return len(found) == len(wanted) and all(
        size in (None, actual) for actual, size in zip(found, wanted, strict=True)
    )


def _pattern(shape: tuple[int | None, ...] | None) -> str:
    if shape is None:
        return "any size"
    return "(" + ", ".join("any" if size is None else str(size) for size in shape) + ")"


def _words(dtype_kind: str) -> str:
    names = {"b": "bool", "i": "int", "u": "unsigned int", "f": "float", "U": "str"}
    return " or ".join(names.get(kind, kind) for kind in dtype_kind)
