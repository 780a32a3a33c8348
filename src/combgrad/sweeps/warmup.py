"""Compile the solvers before they are needed, so that no first call has to wait."""

import argparse
import difflib
import importlib
import math
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

from numba.core import event

from combgrad.runs.output import write_anywhere
from combgrad.solvers import notices
from combgrad.solvers.kernels.keeping import place
from combgrad.sweeps.warm_calls import CALLS


class _Compiled(event.Listener):
    """How many functions were compiled, and what is told of the one that is being compiled."""

    def __init__(self, tell: Callable[[str], object]) -> None:
        self.count, self.tell = 0, tell

    def on_start(self, event: Any) -> None:
        self.tell(event.data["dispatcher"].py_func.__name__.strip("_"))

    def on_end(self, event: Any) -> None:
        self.count += not event.is_failed


class _Lines:
    """What tqdm does, where the bare library is without it: a line for each solver."""

    def __init__(self, total: int) -> None:
        self.total, self.done, self.name = total, 0, ""

    def __enter__(self) -> "_Lines":
        return self

    def __exit__(self, *reason: object) -> None:
        pass

    def set_description(self, name: str) -> None:
        """Name the solver whose turn it is."""
        if name != self.name:
            self.name = name
            print(f"{name} ({self.done} of {self.total})", file=sys.stderr, flush=True)

    def set_postfix_str(self, text: str) -> None:
        """Of single functions lines would be too many."""

    def update(self) -> None:
        """One call more is done."""
        self.done += 1


def _bar(total: int) -> Any:
    try:
        return importlib.import_module("tqdm").tqdm(total=total, unit="call", disable=None)
    except ImportError:
        return _Lines(total)


def calls(names: list[str]) -> Iterator[tuple[str, Callable[[], object]]]:
    """The calls that compile what these names stand for, each with its name."""
    for name in names:
        for call in CALLS[name]():
            yield name, call


def compile_all(names: list[str]) -> int:
    """Compile what these names stand for, with a progress bar; the number of compiled functions.

    Each is kept as soon as it is compiled. Raises KeyboardInterrupt, with the number of compiled
    functions, where it is interrupted.
    """
    notices.COMPILING_SECONDS = math.inf  # the bar says it
    wanted = list(calls(names))
    with _bar(len(wanted)) as bar:
        compiled = _Compiled(bar.set_postfix_str)
        try:
            with event.install_listener("numba:compile", compiled):
                for name, call in wanted:
                    bar.set_description(name)
                    call()
                    bar.update()
        except KeyboardInterrupt:
            raise KeyboardInterrupt(compiled.count) from None
    return compiled.count


def arguments() -> list[str]:
    """The names of the command line, all where it has none; argparse ends on a wrong one."""
    known = ", ".join(CALLS)
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"all, or some of: {known}")
    names: list[str] = parser.parse_args().names
    for name in names:
        if name not in CALLS:
            close = difflib.get_close_matches(name, CALLS, n=1)
            meant = f"Did you mean {close[0]}? " if close else ""
            parser.error(f"there is nothing to compile for {name!r}. {meant}There are {known}.")
    return list(dict.fromkeys(names)) or list(CALLS)


def main() -> None:
    """Compile what the command line names, and say how long it took and where it is kept."""
    write_anywhere()
    names = arguments()
    folder = place()
    if folder is None:
        sys.exit("error: there is no folder to keep compiled code in; set NUMBA_CACHE_DIR to one.")
    started = time.monotonic()
    try:
        count = compile_all(names)
    except KeyboardInterrupt as stopped:
        print(
            f"stopped: {stopped.args[0]} functions more are compiled and kept in {folder}; the "
            f"same command goes on with the rest.",
            file=sys.stderr,
        )
        sys.exit(130)
    seconds = f"{time.monotonic() - started:.0f} s"
    if count:
        print(f"compiled {count} functions in {seconds}; they are kept in {folder}")
    else:
        print(f"all was compiled already, and is kept in {folder} (looked at in {seconds})")
