"""Words of a command line, as Hydra reads them and as a shell does."""

import re

from combgrad.runs.environment import literal


def quoted(text: str) -> str:
    """A text as a value that Hydra reads back as exactly that text."""
    # Inside quotes Hydra takes a backslash for itself unless a quote follows.
    text = re.sub(r"(\\*)'", lambda m: f"{2 * m.group(1)}\\'", literal(text))
    end = re.search(r"\\*$", text)
    return f"'{text}{end.group() if end else ''}'"
