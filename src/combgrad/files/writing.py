"""Writing files so that a crash leaves the old file or the new one, never half of it."""

import contextlib
import os
import secrets
import tempfile
from collections.abc import Callable
from pathlib import Path

#: Of a temporary file's name, so that it is allowed wherever the name of its target is.
_NAME_LENGTH = 40


def write_atomically(
    path: Path, write: Callable[[Path], None], previous: Path | None = None
) -> Path:
    """Let `write` fill a temporary file beside `path`, flush it to disk, then rename it to `path`.

    A new file has the permissions that the user's umask leaves it, and one that replaces another
    those of the other, which goes to `previous` where one is given. Raises OSError, naming the
    file, where the folder cannot be written or the disk is full; the old file is then untouched,
    and the temporary one is gone.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary, mode = _create_beside(path)
    except OSError as error:
        raise _cannot_write(path, error) from error
    try:
        write(temporary)
        with temporary.open("rb") as file:
            if mode is not None:
                temporary.chmod(mode)
            os.fsync(file.fileno())
        if previous is not None and path.exists():
            path.replace(previous)
        temporary.replace(path)
    except OSError as error:
        raise _cannot_write(path, error) from error
    finally:
        temporary.unlink(missing_ok=True)
    flush_folder(path.parent)
    return path


def _create_beside(path: Path) -> tuple[Path, int | None]:
    """An empty file in the folder of `path`, and the permissions of a `path` that is there."""
    mode = path.stat().st_mode & 0o777 if path.is_file() else None
    name = f".{path.stem[:_NAME_LENGTH]}-{secrets.token_hex(8)}{path.suffix[:_NAME_LENGTH]}"
    temporary = path.with_name(name)
    # Private while it is written where it replaces a file that may be; else as the umask has it.
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    os.close(os.open(temporary, flags, 0o666 if mode is None else 0o600))
    return temporary, mode


def _cannot_write(path: Path, error: OSError) -> OSError:
    return OSError(error.errno, f"cannot write {path}: {error.strerror or error}")


def flush_folder(folder: Path) -> None:
    """Flush the names in a folder to disk, where the file system knows how to."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def move_into_place(private: Path, target: Path) -> None:
    """Rename a private file to `target`, on the disk and with the permissions of a new file."""
    model, mode = _create_beside(target)
    try:
        with private.open("rb") as file:
            private.chmod(model.stat().st_mode & 0o777 if mode is None else mode)
            os.fsync(file.fileno())
        private.replace(target)
    finally:
        model.unlink(missing_ok=True)
    flush_folder(target.parent)


def write_text_atomically(path: Path, text: str) -> Path:
    """Write a text file in UTF-8 by `write_atomically`."""

    def write(temporary: Path) -> None:
        temporary.write_text(text, encoding="utf-8")

    return write_atomically(path, write)


def check_writable(folder: Path) -> None:
    """Raise OSError, naming the folder, where a file cannot be written into it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"?" * 4096)
    except OSError as error:
        raise OSError(
            error.errno, f"cannot write into {folder}: {error.strerror or error}"
        ) from error
