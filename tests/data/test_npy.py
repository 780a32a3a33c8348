"""Reading .npy files that are damaged, of the wrong kind, or malicious."""

import io
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from combgrad.data.files.npy import (
    DataFileError,
    check_rows,
    load_array,
    load_object_array,
)

VALUES = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A saved (2, 3, 4) uint8 array."""
    np.save(tmp_path / "values.npy", VALUES)
    return tmp_path / "values.npy"


def write_pickle(path: Path, content: bytes, shape: tuple[int, ...] = (2,)) -> Path:
    """Write an object .npy file whose pickle is `content`."""
    header = {"descr": "|O", "fortran_order": False, "shape": shape}
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        file.write(content)
    return path


def rows_of(count: int) -> list[tuple[Any, ...]]:
    """Tuples of the kinds of values that the published countries have."""
    return [
        (f"Côte {row}", (float(row), np.float64(2.5)), np.full((2, 3), row, dtype=np.uint8))
        for row in range(count)
    ]


def as_tuples(rows: list[tuple[Any, ...]]) -> np.ndarray:
    """An object array (C,) of tuples."""
    array = np.empty(len(rows), dtype=object)
    array[:] = rows
    return array


def assert_rows(array: np.ndarray, rows: list[tuple[Any, ...]]) -> None:
    """Assert that rows read back are those that were written."""
    for found, wanted in zip(array, rows, strict=True):
        assert tuple(found)[:2] == wanted[:2]
        np.testing.assert_array_equal(found[2], wanted[2], strict=True)


@pytest.mark.parametrize("mmap", [False, True])
@pytest.mark.parametrize("shape", [None, (2, 3, 4), (None, 3, None)])
def test_right_array_is_returned(
    path: Path, mmap: bool, shape: tuple[int | None, ...] | None
) -> None:
    array = load_array(path, shape=shape, dtype_kind="iu", mmap=mmap)
    np.testing.assert_array_equal(array, VALUES, strict=True)
    assert isinstance(array, np.memmap) == mmap
    assert array.flags.writeable != mmap


@pytest.mark.parametrize("shape", [(2, 3), (2, 3, 5), (None, None), (2, 3, 4, 1), ()])
def test_wrong_shape_is_named(path: Path, shape: tuple[int | None, ...]) -> None:
    with pytest.raises(DataFileError, match=r"found uint8 of shape \(2, 3, 4\)") as caught:
        load_array(path, shape=shape, dtype_kind="u")
    assert str(path) in str(caught.value)


def test_expectation_is_named(path: Path) -> None:
    with pytest.raises(DataFileError, match=r"expected int or float of shape \(any, 3, 4\)"):
        load_array(path, shape=(None, 3, 4), dtype_kind="if")


@pytest.mark.parametrize("mmap", [False, True])
@pytest.mark.parametrize("kept", [0, 3, 40, 130, 151])
def test_truncated_file_is_named(path: Path, mmap: bool, kept: int) -> None:
    assert path.stat().st_size == 128 + 24
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(DataFileError, match=r"values\.npy: cannot be read .*cut short"):
        load_array(path, shape=None, dtype_kind="u", mmap=mmap)


@pytest.mark.parametrize("content", [b"<html>not here</html>", b"PK\x03\x04 and then what"])
def test_other_files_are_named(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(DataFileError, match=r"values\.npy: cannot be read"):
        load_array(path, shape=None, dtype_kind="u")


def test_header_that_asks_for_too_much_is_named(path: Path) -> None:
    content = path.read_bytes().replace(b"(2, 3, 4), }      ", b"(2**9, 99999), }  ")
    path.write_bytes(content)
    with pytest.raises(DataFileError, match=r"values\.npy: cannot be read"):
        load_array(path, shape=None, dtype_kind="u")


def test_archive_of_arrays_is_named(tmp_path: Path) -> None:
    with (tmp_path / "values.npy").open("wb") as file:
        np.savez(file, values=VALUES)
    with pytest.raises(DataFileError, match=r"is an \.npz archive"):
        load_array(tmp_path / "values.npy", shape=None, dtype_kind="u")


def test_objects_are_not_unpickled_for_a_plain_array(tmp_path: Path) -> None:
    np.save(tmp_path / "values.npy", as_tuples(rows_of(2)), allow_pickle=True)
    with pytest.raises(DataFileError, match="holds objects, which are not read here"):
        load_array(tmp_path / "values.npy", shape=None, dtype_kind="O")


@pytest.mark.parametrize(
    "load", [load_object_array, lambda p: load_array(p, shape=None, dtype_kind="u")]
)
def test_missing_file_is_named(tmp_path: Path, load: Callable[[Path], np.ndarray]) -> None:
    with pytest.raises(DataFileError, match=r"gone\.npy: no such file"):
        load(tmp_path / "gone.npy")


@pytest.mark.parametrize("shape", [as_tuples, lambda rows: np.array(rows, dtype=object)])
def test_object_array_is_returned(
    tmp_path: Path, shape: Callable[[list[tuple[Any, ...]]], np.ndarray]
) -> None:
    array = shape(rows_of(3))
    np.save(tmp_path / "rows.npy", array, allow_pickle=True)
    found = load_object_array(tmp_path / "rows.npy")
    assert found.shape == array.shape
    assert_rows(found, rows_of(3))


@pytest.mark.parametrize("protocol", [2, 3, 4])
@pytest.mark.parametrize("module", [b"numpy.core.multiarray", b"numpy._core.multiarray"])
def test_pickles_of_all_numpy_versions_are_read(
    tmp_path: Path, protocol: int, module: bytes
) -> None:
    rows = rows_of(2)
    content = pickle.dumps(as_tuples(rows), protocol=min(protocol, 3))
    content = content.replace(b"numpy._core.multiarray", module)
    if protocol == 4:
        content = pickle.dumps(as_tuples(rows), protocol=4).replace(
            b"\x8c\x16numpy._core.multiarray", b"\x8c" + bytes([len(module)]) + module
        )
        # The frame tells its own length, which the other name changes.
        change = len(module) - len(b"numpy._core.multiarray")
        length = int.from_bytes(content[3:11], "little") + change
        content = content[:3] + length.to_bytes(8, "little") + content[11:]
    assert module in content
    assert_rows(load_object_array(write_pickle(tmp_path / "rows.npy", content)), rows)


class Shell:
    """Runs a command where it is unpickled."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, (self.command,)


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
def test_malicious_pickle_is_refused_without_running(tmp_path: Path, protocol: int) -> None:
    mark = tmp_path / "mark"
    rows = as_tuples([("ok", (0.0, 0.0), Shell(f"touch {mark}"))])
    content = pickle.dumps(rows, protocol=protocol)
    path = write_pickle(tmp_path / "rows.npy", content, shape=(1,))
    with pytest.raises(DataFileError, match=r"rows\.npy.* names (posix|nt)\.system.*refused"):
        load_object_array(path)
    assert not mark.exists()
    np.load(path, allow_pickle=True)
    assert mark.exists(), "the pickle would have run"


@pytest.mark.parametrize(
    "name", ["builtins\neval", "builtins\ngetattr", "numpy\nload", "numpy.lib\nnpyio", "os\npopen"]
)
def test_other_globals_are_refused(tmp_path: Path, name: str) -> None:
    path = write_pickle(tmp_path / "rows.npy", f"c{name}\n.".encode())
    with pytest.raises(
        DataFileError, match=f"names {name.replace(chr(10), '.')}, which is refused"
    ):
        load_object_array(path)


def test_dotted_names_are_refused(tmp_path: Path) -> None:
    content = b"\x80\x04\x8c\x05numpy\x8c\x10ndarray.tofile.x\x93."
    path = write_pickle(tmp_path / "rows.npy", content)
    with pytest.raises(DataFileError, match=r"numpy\.ndarray\.tofile\.x, which is refused"):
        load_object_array(path)


def test_other_encodings_are_refused(tmp_path: Path) -> None:
    content = b"c_codecs\nencode\n(Vabc\nVrot13\ntR."
    with pytest.raises(DataFileError, match="the encoding 'rot13' is refused"):
        load_object_array(write_pickle(tmp_path / "rows.npy", content))


@pytest.mark.parametrize("kept", [0, 5, 60, 200, -1])
def test_truncated_object_array_is_named(tmp_path: Path, kept: int) -> None:
    stream = io.BytesIO()
    np.save(stream, as_tuples(rows_of(2)), allow_pickle=True)
    (tmp_path / "rows.npy").write_bytes(stream.getvalue()[:kept])
    with pytest.raises(DataFileError, match=r"rows\.npy: cannot be read"):
        load_object_array(tmp_path / "rows.npy")


def test_plain_array_in_place_of_objects_is_named(path: Path) -> None:
    with pytest.raises(DataFileError, match="expected objects, found uint8"):
        load_object_array(path)


@pytest.mark.parametrize(
    ("content", "match"),
    [
        ([1, 2], "holds a list"),
        (np.zeros(2), "holds a ndarray"),
        (as_tuples(rows_of(3)), r"promises the shape \(2,\), its pickle has \(3,\)"),
    ],
)
def test_pickle_that_breaks_its_header_is_named(tmp_path: Path, content: Any, match: str) -> None:
    path = write_pickle(tmp_path / "rows.npy", pickle.dumps(content, protocol=4))
    with pytest.raises(DataFileError, match=match):
        load_object_array(path)


def test_newer_format_is_named(tmp_path: Path) -> None:
    path = write_pickle(tmp_path / "rows.npy", b"N.")
    content = path.read_bytes()
    path.write_bytes(content[:6] + b"\x03\x00" + content[8:])
    with pytest.raises(DataFileError, match=r"version \(3, 0\) of the format is not known"):
        load_object_array(path)


def test_the_first_wrong_instance_is_named_and_the_others_counted(path: Path) -> None:
    check_rows(path, VALUES, np.array([True, True]), "is wrong")
    with pytest.raises(DataFileError, match=r"values\.npy: instance 1 is wrong \(2 of 4 inst"):
        check_rows(path, np.zeros(4), np.array([True, False, True, False]), "is wrong")
