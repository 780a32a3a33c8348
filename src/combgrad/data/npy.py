"""The .npy files of other people, read without running what a pickle asks for, and our own."""

import pickle
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import IO, Any

import numpy as np

from combgrad.errors import CombgradError
from combgrad.files import write_atomically

REMEDY = "Restore the file from its source."


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
    _check_exists(path)
    try:
        array = np.load(path, mmap_mode="r" if mmap else None, allow_pickle=False)
    except Exception as error:
        # A header that is no Python literal, or a zip, fails in ways that numpy does not document.
        raise DataFileError(
            f"{path}: cannot be read as an .npy file, which may be cut short "
            f"({type(error).__name__}: {error}). {REMEDY}"
        ) from error
    if not isinstance(array, np.ndarray):
        array.close()
        raise DataFileError(f"{path}: is an .npz archive, not an .npy file. {REMEDY}")
    if array.dtype.kind not in dtype_kind or not _fits(array.shape, shape):
        raise DataFileError(
            f"{path}: expected {_words(dtype_kind)} of shape {_pattern(shape)}, "
            f"found {array.dtype} of shape {array.shape}. {REMEDY}"
        )
    return array


def check_rows(path: Path, array: np.ndarray, right: Any, problem: str) -> None:
    """Raise DataFileError about the first instance of `array` that is not `right`, (N,) bool."""
    wrong = np.flatnonzero(~right)
    if wrong.size:
        first = int(wrong[0])
        raise DataFileError(
            f"{path}: instance {first} {problem} ({wrong.size} of {len(array)} instances do). "
            f"{REMEDY}"
        )


def save_array(path: Path, array: np.ndarray) -> Path:
    """Write an .npy file, at once or not at all; raises OSError, naming the file."""
    return save_blocks(path, array.shape, array.dtype, [array])


def save_blocks(
    path: Path, shape: tuple[int, ...], dtype: np.dtype | type, blocks: Iterable[np.ndarray]
) -> Path:
    """`save_array` of `blocks` one after another, which together have the shape and dtype.

    Only one block is in memory at a time. Raises ValueError where they do not add up to the shape.
    """
    kind = np.dtype(dtype)

    def write(temporary: Path) -> None:
        rows = 0
        with temporary.open("wb") as file:
            header = {"descr": kind.str, "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(file, header)
            for block in blocks:
                # Not by a memory map: where the disk is full, that ends the whole process.
                file.write(np.ascontiguousarray(block, dtype=kind).data)
                rows += len(block)
        if rows != shape[0]:
            raise ValueError(f"{path}: {rows} rows were written where {shape[0]} were promised")

    return write_atomically(path, write)


def load_object_array(path: Path) -> np.ndarray:
    """Return the object array of an .npy file whose pickle holds plain values and arrays only.

    A pickle that names anything else is refused before that is looked up, let alone called.
    Raises DataFileError.
    """
    path = Path(path)
    _check_exists(path)
    try:
        with path.open("rb") as file:
            shape, dtype = _read_header(file)
            if not dtype.hasobject:
                raise DataFileError(f"{path}: expected objects, found {dtype}. {REMEDY}")
            array = _PlainUnpickler(file, encoding="latin1").load()
            if not isinstance(array, np.ndarray) or array.dtype != object:
                raise DataFileError(f"{path}: holds a {type(array).__name__} instead. {REMEDY}")
            return array.reshape(shape)
    except DataFileError:
        raise
    except Exception as error:
        # The pickle module documents that a damaged file may raise nearly any exception.
        raise DataFileError(
            f"{path}: cannot be read ({type(error).__name__}: {error}). {REMEDY}"
        ) from error


def _check_exists(path: Path) -> None:
    if not path.is_file():
        raise DataFileError(f"{path}: no such file. {REMEDY}")


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


def _read_header(file: IO[bytes]) -> tuple[tuple[int, ...], np.dtype]:
    version = np.lib.format.read_magic(file)
    readers: dict[tuple[int, int], Callable[..., Any]] = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    if version not in readers:
        raise ValueError(f"version {version} of the format is not known")
    shape, _, dtype = readers[version](file)
    return shape, dtype


def _encode_latin1(text: str, encoding: str) -> bytes:
    """Stand in for `_codecs.encode`, by which old pickles write bytes."""
    if encoding not in ("latin1", "latin-1"):
        raise pickle.UnpicklingError(f"the encoding {encoding!r} is refused")
    return text.encode("latin1")


def _allowed_globals() -> dict[tuple[str, str], Any]:
    # Taken from what numpy itself pickles, since the modules that hold them are private.
    rebuild = np.zeros(0).__reduce__()[0]
    scalar = np.float64(0).__reduce__()[0]
    allowed: dict[tuple[str, str], Any] = {
        ("numpy", "ndarray"): np.ndarray,
        ("numpy", "dtype"): np.dtype,
        ("_codecs", "encode"): _encode_latin1,
    }
    for module in ("numpy.core.multiarray", "numpy._core.multiarray"):
        allowed[module, "_reconstruct"] = rebuild
        allowed[module, "scalar"] = scalar
    return allowed


class _PlainUnpickler(pickle.Unpickler):
    """Unpickles numbers, strings, tuples, lists and numpy arrays, and nothing else."""

    _allowed = _allowed_globals()

    def find_class(self, module: str, name: str) -> Any:
        """Return an allowed global; raises UnpicklingError for every other."""
        if (module, name) not in self._allowed:
            raise pickle.UnpicklingError(f"the pickle names {module}.{name}, which is refused")
        return self._allowed[module, name]
