"""Commands as they are written down: to be pasted into a shell, and without secrets."""

import shlex
from collections.abc import Iterable

from combgrad.errors import redacted


def command(words: Iterable[str]) -> str:
    """What runs these words of a command line; addresses lose their passwords and queries."""
    return shlex.join(["python", "train.py", *map(redacted, words)])
