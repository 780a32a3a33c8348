"""Imports without the search for garbage, of which they make none."""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def no_collecting() -> Iterator[None]:
    """Keep Python from looking for garbage in here, and from then on among what was imported.

    Modules stay as long as the process. To look through the first ones again and again while the
    others are loaded takes a quarter of the time that torch and Lightning take to import.
    """
    if not gc.isenabled():
        yield
        return
    known = len(sys.modules)
    gc.disable()
    try:
        yield
    finally:
        # Only after an import, for nothing else that is frozen is ever freed if it has a cycle.
        if len(sys.modules) > known:
            gc.freeze()
        gc.enable()
