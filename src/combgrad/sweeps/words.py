"""Words of a command line, as Hydra reads them and as a shell does."""

import re


def quoted(text: str) -> str:
    """A text as a value that Hydra reads back as exactly that text."""
    # Inside quotes Hydra takes a backslash for itself unless a quote follows; OmegaConf takes
    # `${` for an interpolation unless an odd number of backslashes stands before it.
    text = re.sub(r"(\\*)\$\{", lambda m: f"{2 * m.group(1)}\\${{", text)
    text = re.sub(r"(\\*)'", lambda m: f"{2 * m.group(1)}\\'", text)
    end = re.search(r"\\*$", text)
    return f"'{text}{end.group() if end else ''}'"
