"""Locks between processes: one at a time, through no link, and none where there are none."""

import errno
import fcntl
import threading

import pytest

from combgrad.files.locking import HeldError, held, locked


def test_a_lock_is_held_by_one_at_a_time(tmp_path):
    order = []

    def second():
        with locked(tmp_path / "set"):
            order.append("second")

    thread = threading.Thread(target=second)
    with locked(tmp_path / "set"):
        thread.start()
        thread.join(0.2)
        order.append("first")
    thread.join()
    assert order == ["first", "second"]


def test_a_lock_is_not_taken_through_a_link(tmp_path):
    (tmp_path / "precious").write_text("precious")
    (tmp_path / ".set.lock").symlink_to("precious")
    with pytest.raises(OSError, match=r"\.set\.lock"), locked(tmp_path / "set"):
        pass
    assert (tmp_path / "precious").read_text() == "precious"


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_is_no_failure(tmp_path, monkeypatch, code):
    def refuse(handle, operation):
        raise OSError(code, "no locks")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with locked(tmp_path / "set"), locked(tmp_path / "set"):
        assert (tmp_path / ".set.lock").exists()


def test_a_lock_that_must_hold_needs_a_file_system_with_locks(tmp_path, monkeypatch):
    def refuse(handle, operation):
        raise OSError(errno.ENOLCK, "no locks")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(OSError, match="no locks"), held(tmp_path / "lock", patience=0):
        pass


@pytest.mark.parametrize("patience", [0, 0.2])
def test_patience_has_an_end(tmp_path, patience):
    with held(tmp_path / "lock"), pytest.raises(HeldError, match="another process holds"):
        held(tmp_path / "lock", patience).__enter__()
    with held(tmp_path / "lock", patience):
        assert (tmp_path / "lock").read_bytes() == b""


def test_any_other_failure_of_a_lock_is_one(tmp_path, monkeypatch):
    def refuse(handle, operation):
        raise OSError(errno.EIO, "broken")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(OSError, match="broken"), locked(tmp_path / "set"):
        pass
