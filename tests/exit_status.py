"""Running the `main` of a script in the process of a test."""

from collections.abc import Callable
from typing import Any


def status_of(main: Callable[[], None]) -> Any:
    """What the program would end with: 0, or what it gave to `sys.exit`."""
    try:
        main()
    except SystemExit as error:
        return error.code
    return 0
