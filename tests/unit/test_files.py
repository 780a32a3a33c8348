"""Files are whole or not there, on the disk before they count, and as private as the user says."""

import os
import stat
from pathlib import Path

import pytest

from combgrad.files.writing import write_atomically, write_text_atomically


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def umask():
    """Sets the umask, and puts the old one back."""
    before = os.umask(0o022)
    yield os.umask
    os.umask(before)


@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o002, 0o664), (0o077, 0o600)])
def test_a_new_file_has_the_permissions_of_the_umask(tmp_path, umask, mask, mode):
    umask(mask)
    assert mode_of(write_text_atomically(tmp_path / "new" / "a.json", "text")) == mode


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o666, 0o444, 0o755])
def test_a_replaced_file_keeps_its_permissions(tmp_path, umask, mode):
    path = tmp_path / "a.json"
    path.write_text("old")
    path.chmod(mode)
    umask(0o027)
    seen = []

    def write(temporary):
        seen.append(mode_of(temporary))
        temporary.write_text("new")

    write_atomically(path, write)
    assert (path.read_text(), mode_of(path)) == ("new", mode)
    assert seen == [0o600]


@pytest.mark.parametrize("error", [OSError(28, "full"), RuntimeError("x"), KeyboardInterrupt()])
def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path, error):
    path = write_text_atomically(tmp_path / "a.json", "old")

    def write(temporary):
        temporary.write_text("half")
        raise error

    with pytest.raises(type(error)):
        write_atomically(path, write)
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.json"]


def test_the_content_is_on_the_disk_before_the_name_and_the_name_at_the_end(tmp_path, monkeypatch):
    steps = []
    fsync, replace = os.fsync, Path.replace

    def watched_fsync(handle):
        steps.append("folder" if stat.S_ISDIR(os.fstat(handle).st_mode) else "file")
        fsync(handle)

    def watched_replace(self, target):
        steps.append("rename")
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", watched_fsync)
    monkeypatch.setattr(Path, "replace", watched_replace)
    write_text_atomically(tmp_path / "a.json", "text")
    assert steps == ["file", "rename", "folder"]


def test_a_folder_that_cannot_be_flushed_is_no_failure(tmp_path, monkeypatch):
    fsync = os.fsync

    def refuse_folders(handle):
        if stat.S_ISDIR(os.fstat(handle).st_mode):
            raise OSError(22, "Invalid argument")
        fsync(handle)

    monkeypatch.setattr(os, "fsync", refuse_folders)
    assert write_text_atomically(tmp_path / "a.json", "text").read_text() == "text"


@pytest.mark.parametrize("name", ["a" * 255, "a" * 200 + "." + "b" * 54, "ä" * 127, ".hidden"])
def test_any_name_that_a_file_may_have_is_written(tmp_path, name):
    assert write_text_atomically(tmp_path / name, "text").read_text() == "text"
    assert os.listdir(tmp_path) == [name]


def test_a_link_is_replaced_and_what_it_leads_to_left_alone(tmp_path):
    (tmp_path / "other").write_text("precious")
    (tmp_path / "a.json").symlink_to("other")
    write_text_atomically(tmp_path / "a.json", "text")
    assert (tmp_path / "other").read_text() == "precious"
    assert (tmp_path / "a.json").read_text() == "text"
