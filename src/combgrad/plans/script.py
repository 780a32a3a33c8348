"""How every script that shows records starts, and how it ends."""

import argparse
import sys
import warnings
from collections.abc import Callable, Iterable

from combgrad.errors import CombgradError
from combgrad.runs.output import write_anywhere


def carry_out(
    arguments: Callable[[], argparse.Namespace],
    make: Callable[[argparse.Namespace], Iterable[object]],
) -> None:
    """Print what is made of the command line, and on standard error what it leaves out.

    An error that the user can mend is told in one line and ends the program.
    """
    write_anywhere()
    warnings.formatwarning = lambda message, *_, **__: f"warning: {message}\n"
    asked = arguments()
    if asked.selection.hidden:
        print(f"note: {asked.selection.hidden}", file=sys.stderr)
    try:
        for line in make(asked):
            print(line)
    except (CombgradError, OSError) as error:
        sys.exit(f"error: {error}")
