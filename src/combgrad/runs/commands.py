"""Commands as they are written down: to be pasted into a shell, and without secrets."""

import shlex
from collections.abc import Iterable

from combgrad.errors import redacted
from combgrad.files.installation import program


def command(words: Iterable[str]) -> str:
    """What runs these words of a command line; addresses lose their passwords and queries."""
    return f"{program()} {in_shell(words)}"


def in_shell(words: Iterable[str]) -> str:
    """The words alone, quoted for a shell where they need it; addresses lose their secrets."""
    return shlex.join(map(redacted, words))
