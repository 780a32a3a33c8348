"""Locks between processes, which the operating system drops with their holder: none goes stale."""

import contextlib
import errno
import fcntl
import math
import os
import time
from collections.abc import Iterator
from pathlib import Path

from combgrad.errors import CombgradError

#: What some network file systems answer.
_WITHOUT_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)

#: Seconds between two tries of who waits for a limited time.
_PAUSE = 0.05


class HeldError(CombgradError, TimeoutError):
    """Another process holds the lock."""


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock on `path`, which several processes may make or fetch at once.

    Where the file system has no locks, nothing is held. Raises OSError, naming the file beside
    `path` that is locked, where that cannot be opened; a link in its place is not followed.
    """
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(held(path.with_name(f".{path.name}.lock")))
        except OSError as error:
            if error.errno not in _WITHOUT_LOCKS:
                raise
        yield


@contextlib.contextmanager
def held(file: Path, patience: float = math.inf) -> Iterator[None]:
    """Hold the lock that is the file `file`; the empty file stays.

    Raises HeldError where another has held it for `patience` seconds, and OSError where the file
    cannot be opened or its file system has no locks; a link in its place is not followed.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    # To delete the file would let a third process lock a new one of that name.
    handle = _open(file)
    try:
        if patience == math.inf:
            fcntl.flock(handle, fcntl.LOCK_EX)
        else:
            _lock_within(handle, file, time.monotonic() + patience)
        yield
    finally:
        os.close(handle)


def _open(file: Path) -> int:
    flags = os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        return os.open(file, os.O_RDWR | os.O_CREAT | flags, 0o666)
    except PermissionError:
        return os.open(file, os.O_RDONLY | flags)  # that of another user, who let us read it
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        raise OSError(error.errno, f"{file} is a link, which is not followed; remove it") from None


def _lock_within(handle: int, file: Path, deadline: float) -> None:
    while True:
        try:
            return fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise HeldError(f"another process holds {file}") from None
        time.sleep(_PAUSE)
