"""A word to the user while a solver's first call compiles."""

import contextlib
import sys
import threading
from collections.abc import Iterator

#: Solver classes that were called before in this process.
_called: set[type] = set()

PATIENCE_SECONDS = 4.0


@contextlib.contextmanager
def notice_while_compiling(solver: type) -> Iterator[None]:
    """Say on stderr what is going on where the first call of a compiled solver takes long."""
    if solver in _called:
        yield
        return
    text = f"combgrad: compiling {solver.__name__}; later calls and later processes skip this\n"
    timer = threading.Timer(PATIENCE_SECONDS, sys.stderr.write, [text])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        _called.add(solver)
