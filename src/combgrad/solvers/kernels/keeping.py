"""Compiled code on disk, found again for the same sources only.

numba recompiles a function when its own file changes, but not when a function that it inlined from
another file does. So the compiled code lies in a folder that is named after all sources of this
room: what was compiled from other sources is never found, and nothing has to be deleted.
"""

import contextlib
import functools
import hashlib
import os
import tempfile
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numba
from numba.core.caching import FunctionCache

#: numba's settings are the process's.
_settings = threading.Lock()


def _new_lock() -> None:
    global _settings
    _settings = threading.Lock()


if hasattr(os, "register_at_fork"):
    # A thread that held it does not exist in the child.
    os.register_at_fork(after_in_child=_new_lock)


def digest_of(folder: Path) -> str:
    """A name for the sources of a folder, which changes with any of them."""
    digest = hashlib.sha256()
    for source in sorted(folder.glob("*.py")):
        content = source.read_bytes()
        digest.update(f"{source.name} {len(content)} ".encode() + content)
    return digest.hexdigest()[:16]


def _folders(here: Path) -> Iterator[Path]:
    """Where compiled code may lie, the best place first."""
    if numba.config.CACHE_DIR:  # type: ignore[attr-defined]
        yield Path(numba.config.CACHE_DIR).absolute()  # type: ignore[attr-defined]
    yield here / "__pycache__"
    home = Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"))
    if home.is_absolute():
        yield home / "combgrad"


def find_place(here: Path) -> Path | None:
    """The folder for the compiled code of the sources in `here`, or None, with a warning.

    A folder is named after the user too and must belong to the user, since to load compiled code is
    to run it.
    """
    user = os.getuid() if hasattr(os, "getuid") else None
    name = f"combgrad-{digest_of(here)}" + ("" if user is None else f"-{user}")
    for folder in _folders(here):
        own = folder / name
        with contextlib.suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
            own.mkdir(mode=0o700, exist_ok=True)
            if user is None or own.stat().st_uid == user:
                tempfile.TemporaryFile(dir=own).close()
                return own
    tried = ", ".join(map(str, _folders(here)))
    warnings.warn(
        f"combgrad: no folder for compiled code can be written (tried {tried}), so every process "
        f"compiles its solvers anew, which can take a minute; set NUMBA_CACHE_DIR to a folder of "
        f"your own.",
        RuntimeWarning,
        stacklevel=2,
    )
    return None


@functools.cache
def place() -> Path | None:
    """Where later processes find what this one compiles; None, after a warning, for nowhere."""
    return find_place(Path(__file__).parent)


@functools.cache
def _say_once(reason: str) -> None:
    warnings.warn(
        f"combgrad: compiled code is not kept: {reason}; free some space, or set NUMBA_CACHE_DIR "
        f"to another folder.",
        RuntimeWarning,
        stacklevel=2,
    )


class _Kept(FunctionCache):
    """numba's cache of one function, whose troubles with files are no troubles of the caller."""

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        try:
            return super().load_overload(sig, target_context)
        except Exception:
            # A file that was cut off: as if there were none, in the next process too.
            with contextlib.suppress(Exception):
                self.flush()
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        try:
            super().save_overload(sig, data)
        except Exception as error:
            _say_once(str(error))


def keep(dispatcher: Any, folder: Path) -> None:
    """Let numba keep the machine code of a function in `folder`."""
    with _settings, contextlib.suppress(RuntimeError, OSError):
        before = numba.config.CACHE_DIR  # type: ignore[attr-defined]
        numba.config.CACHE_DIR = str(folder)  # type: ignore[attr-defined]
        try:
            cache = _Kept(dispatcher.py_func)
        finally:
            numba.config.CACHE_DIR = before  # type: ignore[attr-defined]
        # Where numba cannot use this folder it takes another, in which old code would be found.
        if folder in Path(cache.cache_path).parents:
            dispatcher._cache = cache
