"""A word to the user while a solver's first call compiles."""

import contextlib
import sys
import threading
from collections.abc import Iterator

#: Seconds after which a user wonders.
PATIENCE_SECONDS = 4.0

_called: set[type] = set()


def first_call(solver: type) -> bool:
    """Whether a solver class has not finished a call in this process."""
    return solver not in _called


@contextlib.contextmanager
def notice_while_compiling(solver: type) -> Iterator[None]:
    """Say on stderr what is going on where the first call of a compiled solver takes long."""
    text = f"combgrad: compiling {solver.__name__}; later calls and later processes skip this\n"
    timer = threading.Timer(PATIENCE_SECONDS, sys.stderr.write, [text])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        _called.add(solver)
