"""A lock on what several processes may make or fetch at once."""

import contextlib
import errno
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

#: What some network file systems answer.
_WITHOUT_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock on `path`; the kernel drops it with the process, so that none goes stale.

    Where the file system has no locks, nothing is held. Raises OSError, naming the file beside
    `path` that is locked, where that cannot be opened; a link in its place is not followed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # The empty file stays: to delete it would let a third process lock a new one of that name.
    handle = _open_lock(path.with_name(f".{path.name}.lock"))
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
        except OSError as error:
            if error.errno not in _WITHOUT_LOCKS:
                raise
        yield
    finally:
        os.close(handle)


def _open_lock(place: Path) -> int:
    flags = os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        return os.open(place, os.O_RDWR | os.O_CREAT | flags, 0o666)
    except PermissionError:
        return os.open(place, os.O_RDONLY | flags)  # that of another user, who let us read it
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        raise OSError(error.errno, f"{place} is a link, which is not followed; remove it") from None
