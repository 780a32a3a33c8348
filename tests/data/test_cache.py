"""The cache of made data: made once for each key, whole or not there, and never just believed."""

import contextlib
import json
import os
import resource
import shutil
import threading
import warnings
from pathlib import Path

import numpy as np
import pytest

from combgrad.data import base
from combgrad.data.base import cached

BLOCKS = [
    {"a": np.arange(6, dtype=np.uint8).reshape(3, 2), "b": np.array([1.5, -2.0, np.nan])},
    {"a": np.arange(4, dtype=np.uint8).reshape(2, 2), "b": np.array([0.0, 7.0])},
]
WHOLE = {name: np.concatenate([block[name] for block in BLOCKS]) for name in ("a", "b")}


class Maker:
    """Makes BLOCKS and counts how often."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self):
        self.times += 1
        yield from BLOCKS


@pytest.fixture
def make():
    return Maker()


def entry_of(folder: Path) -> Path:
    (entry,) = [path for path in folder.iterdir() if path.name[0] != "."]
    return entry


def assert_whole(found):
    assert set(found) == set(WHOLE)
    for name, array in WHOLE.items():
        np.testing.assert_array_equal(found[name], array, strict=True)


def test_what_is_made_is_made_once_and_stays_on_the_disk(tmp_path, make):
    for _ in range(3):
        found = cached(tmp_path / "new", "set", ("key", 1), make)
        assert_whole(found)
        assert all(isinstance(array, np.memmap) for array in found.values())
        assert not any(array.flags.writeable for array in found.values())
    assert make.times == 1
    entry = entry_of(tmp_path / "new")
    assert entry.name.startswith("set-")
    assert sorted(path.name for path in entry.iterdir()) == ["a.npy", "b.npy", "content.json"]
    np.testing.assert_array_equal(np.load(entry / "a.npy"), WHOLE["a"], strict=True)


def test_without_a_folder_it_is_made_in_memory(make):
    assert_whole(cached(None, "set", (), make))
    assert_whole(cached(None, "set", (), make))
    assert make.times == 2


@pytest.mark.parametrize(
    "array",
    [np.zeros((0, 3), np.float32), np.ones(3, bool), np.arange(3, dtype=">f8"), np.ones((9, 1)).T],
)
def test_any_array_comes_back_as_it_was(tmp_path, array):
    found = cached(tmp_path, "set", (), lambda: [{"x": array}])
    np.testing.assert_array_equal(found["x"], array, strict=True)


def test_every_part_of_the_key_and_the_version_count(tmp_path, make, monkeypatch):
    keys = [("a", 1), ("a", 2), ("a",), ("a1",), (np.zeros(2),), (np.ones(2),)]
    for key in keys:
        cached(tmp_path, "set", key, make)
    cached(tmp_path, "other", keys[0], make)
    monkeypatch.setattr(base, "CACHE_VERSION", 0)
    cached(tmp_path, "set", keys[0], make)
    assert make.times == len(keys) + 2


def flip(path: Path, place: int) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


DAMAGES = {
    "one entry": lambda entry: flip(entry / "a.npy", -1),
    "the type": lambda entry: np.save(entry / "a.npy", WHOLE["a"].astype(np.int8)),
    "right shape, other content": lambda entry: np.save(entry / "a.npy", WHOLE["a"] + 1),
    "fewer rows": lambda entry: np.save(entry / "a.npy", WHOLE["a"][:2]),
    "cut": lambda entry: os.truncate(entry / "b.npy", 140),
    "empty": lambda entry: (entry / "b.npy").write_bytes(b""),
    "gone": lambda entry: (entry / "a.npy").unlink(),
    "one more": lambda entry: np.save(entry / "c.npy", WHOLE["a"]),
    "swapped": lambda entry: shutil.copy(entry / "a.npy", entry / "b.npy"),
    "no checksums": lambda entry: (entry / "content.json").unlink(),
    "checksums cut": lambda entry: os.truncate(entry / "content.json", 20),
    "checksums of nothing": lambda entry: (entry / "content.json").write_text("{}"),
    "checksums of other things": lambda entry: (entry / "content.json").write_text("[[1]]"),
    "a checksum": lambda entry: flip(entry / "content.json", -6),
    "the key": lambda entry: (entry / "content.json").write_text(
        json.dumps(json.loads((entry / "content.json").read_text()) | {"key": "other"})
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_an_entry_that_is_not_what_was_written_is_made_anew_with_a_word(tmp_path, make, damage):
    cached(tmp_path, "set", (), make)
    entry = entry_of(tmp_path)
    before = {path.name: path.read_bytes() for path in entry.iterdir()}
    DAMAGES[damage](entry)
    with pytest.warns(UserWarning, match=rf"{entry.name}: is damaged.* It is made anew"):
        assert_whole(cached(tmp_path, "set", (), make))
    assert make.times == 2
    assert {path.name: path.read_bytes() for path in entry.iterdir()} == before
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert_whole(cached(tmp_path, "set", (), make))


def test_an_original_that_cannot_be_read_is_blamed_itself(tmp_path):
    def make():
        yield {"x": np.zeros(2)}
        (tmp_path / "original.npy").read_bytes()

    with pytest.raises(FileNotFoundError) as caught:
        cached(tmp_path / "cache", "set", (), make)
    assert caught.value.filename == str(tmp_path / "original.npy")
    assert "cannot write" not in str(caught.value)


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt(), OSError(28, "full")])
def test_a_failure_in_the_middle_leaves_nothing(tmp_path, error):
    def fail():
        yield BLOCKS[0]
        raise error

    with pytest.raises(type(error)):
        cached(tmp_path, "set", (), fail)
    assert [path for path in tmp_path.iterdir() if path.suffix != ".lock"] == []


def test_a_disk_without_room_is_named(tmp_path):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    blocks = [{"a": np.zeros((1000, 100), np.uint8)}] * 3
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, before[1]))
        with pytest.raises(OSError, match=rf"cannot write {tmp_path}/set-.*: File too large"):
            cached(tmp_path, "set", (), lambda: blocks)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert [path for path in tmp_path.iterdir() if path.suffix != ".lock"] == []


def test_without_locks_the_first_of_several_counts(tmp_path, make, monkeypatch):
    monkeypatch.setattr(base, "locked", lambda place: contextlib.nullcontext())

    def slow():
        monkeypatch.undo()
        cached(tmp_path, "set", (), make)
        yield {"a": np.zeros(1)}

    assert_whole(cached(tmp_path, "set", (), slow))
    assert make.times == 1
    assert len([path for path in tmp_path.iterdir() if path.suffix != ".lock"]) == 1


def test_one_of_several_makes_it_and_the_others_wait(tmp_path):
    started, times = threading.Event(), []

    def slow():
        times.append(1)
        started.wait(0.2)
        yield from BLOCKS

    found = []
    threads = [
        threading.Thread(target=lambda: found.append(cached(tmp_path, "set", (), slow)))
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(times) == 1
    assert len(found) == 3
    for arrays in found:
        assert_whole(arrays)
