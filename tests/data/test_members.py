"""Files within archives are read as they are, and what would be harmful is refused."""

import io
import zipfile

import numpy as np
import pytest

from archive_files import write_zip
from combgrad.data.files.members import load_npz, read_members
from combgrad.data.files.npy import DataFileError


def npy(array, **options):
    content = io.BytesIO()
    np.save(content, array, **options)
    return content.getvalue()


def test_what_is_asked_for_comes_back(tmp_path):
    write_zip(tmp_path / "a.zip", {"x/1.txt": b"one", "2.txt": b"two"})
    assert read_members(tmp_path / "a.zip", ["x/1.txt"], 100) == {"x/1.txt": b"one"}


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_arrays_are_those_that_numpy_reads(tmp_path, save):
    random = np.random.default_rng(0)
    arrays = {
        "a": random.normal(size=(3, 4)),
        "b": np.asfortranarray(random.normal(size=(2, 5)).astype(np.float32)),
        "c": np.arange(6),
        "d": np.zeros((0, 2)),
    }
    save(tmp_path / "a.npz", **arrays)
    wanted = {name: (array.shape, "if") for name, array in arrays.items()}
    found = load_npz(tmp_path / "a.npz", wanted, 10**6)
    for name, array in arrays.items():
        np.testing.assert_array_equal(found[name], array)
        assert found[name].dtype == array.dtype
        assert not found[name].flags.writeable


@pytest.mark.parametrize(
    ("files", "match"),
    [
        ({"b.npy": npy(np.zeros(2))}, r"holds no a\.npy \(1 of 1"),
        ({"a.npy": npy(np.zeros(3))}, r"expected float of shape \(2\), found float64 of .*\(3,\)"),
        ({"a.npy": npy(np.zeros(2, int))}, "expected float"),
        ({"a.npy": npy(np.array([{}, {}]), allow_pickle=True)}, "expected float"),
        ({"a.npy": npy(np.zeros(2))[:-1]}, "bytes are promised"),
        ({"a.npy": b"no array"}, "does not start like one"),
        ({"a.npy": npy(np.zeros(2)), "../b": b""}, "outside of the folder"),
        ({"a.npy": npy(np.zeros(2)), "b": bytes(2000)}, "over the limit of 1,000"),
    ],
)
def test_what_is_not_right_is_refused_by_name(tmp_path, files, match):
    write_zip(tmp_path / "a.npz", files)
    with pytest.raises(DataFileError, match=match) as caught:
        load_npz(tmp_path / "a.npz", {"a": ((2,), "f")}, 1000)
    assert "a.npz" in str(caught.value)


def test_a_bomb_is_not_unpacked(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as bundle:
        bundle.writestr("a.npy", bytes(10**7))
    with pytest.raises(DataFileError, match="over the limit"):
        read_members(tmp_path / "a.npz", ["a.npy"], 10**6)


def test_a_damaged_archive_is_named(tmp_path):
    write_zip(tmp_path / "a.zip", {"a": b"0123456789" * 10})
    content = bytearray((tmp_path / "a.zip").read_bytes())
    content[40] ^= 1
    (tmp_path / "b.zip").write_bytes(bytes(content))
    (tmp_path / "c.zip").write_bytes(content[:50])
    for name in ("b.zip", "c.zip"):
        with pytest.raises(DataFileError, match=rf"{name}: is damaged, cut short or no \.zip"):
            read_members(tmp_path / name, ["a"], 1000)
    with pytest.raises(DataFileError, match="no such file"):
        read_members(tmp_path / "d.zip", ["a"], 1000)
