"""Compiled inner loops: pure functions of arrays, cached on disk by numba.

numba recompiles a function when its own file changes, but not when a function that it inlined from
another file does. So the cached code of this folder is dropped whenever any of its files changed.
"""

import contextlib
import hashlib
from pathlib import Path

from combgrad.files import write_text_atomically


def forget_stale_code(folder: Path) -> bool:
    """Delete the cached code in `folder` if its sources are not those it was compiled from.

    Returns whether there was something to forget. A folder that cannot be written is left alone:
    what is installed there changes as a whole.
    """
    digest = hashlib.sha256()
    for source in sorted(folder.glob("*.py")):
        digest.update(source.name.encode() + source.read_bytes())
    cache = folder / "__pycache__"
    mark = cache / "sources.sha256"
    if mark.exists() and mark.read_text(encoding="utf-8") == digest.hexdigest():
        return False
    with contextlib.suppress(OSError):
        for compiled in cache.glob("*.nb[ic]"):
            compiled.unlink(missing_ok=True)
        write_text_atomically(mark, digest.hexdigest())
    return True


forget_stale_code(Path(__file__).parent)
