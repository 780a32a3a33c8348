"""What may be written of an address: neither its password nor its query, which holds tokens."""

import re

#: scheme://, then a password (also one with a / of its own, which is no port), then what is kept.
_ADDRESS = re.compile(
    r"(?P<scheme>\b[A-Za-z][A-Za-z0-9+.-]*://)"
    r"(?:[^\s/?#:]*:(?!\d*(?:[/?#]|$))\S*@|[^\s/?#]*@)?"
    r"(?P<place>[^\s\"'<>?#]*)"
    r"(?:[?#][^\s\"'<>]*)?"
)


def redacted(text: str) -> str:
    """A text with every address in it cut down to scheme, host and path."""
    return _ADDRESS.sub(r"\g<scheme>\g<place>", text)
