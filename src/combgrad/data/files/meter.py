"""How far a download has come, on the terminal."""

import contextlib
import importlib
import sys
import time
from collections.abc import Callable, Iterator

REPORT_SECONDS = 5.0


@contextlib.contextmanager
def meter(
    name: str, done: int, total: int | None, shown: bool
) -> Iterator[Callable[[int], object]]:
    """Yield the function to call with the count of every few bytes that arrived.

    Where it is `shown`, it moves a bar, or prints a line now and then where tqdm is missing.
    """
    if not shown:
        yield lambda count: None
        return
    try:
        bar_class = importlib.import_module("tqdm").tqdm
    except ImportError:
        yield _line_printer(name, done, total)
        return
    with bar_class(desc=name, initial=done, total=total, unit="B", unit_scale=True) as bar:
        yield bar.update


def _line_printer(name: str, done: int, total: int | None) -> Callable[[int], object]:
    last = time.monotonic()
    whole = f" of {total / 1e6:,.1f}" if total is not None else ""

    def advance(count: int) -> None:
        nonlocal done, last
        done += count
        if time.monotonic() - last >= REPORT_SECONDS:
            last = time.monotonic()
            print(f"{name}: {done / 1e6:,.1f}{whole} MB", file=sys.stderr)

    return advance
