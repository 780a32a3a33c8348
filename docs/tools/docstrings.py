"""Docstrings as they are meant: `<w, y>` is no tag of HTML and `(B, *S)` no emphasis."""

import re
from typing import Any

import griffe

#: What stays as it is: code between backticks, and the names at the head of an argument's line.
KEPT = re.compile(r"(`[^`]*`|^ +[*\w, ]+: )", re.MULTILINE)


def plain(text: str) -> str:
    """A docstring in which Markdown finds nothing to format but code and paragraphs."""
    parts = KEPT.split(text)
    parts[::2] = [re.sub(r"([*_])", r"\\\1", part).replace("<", "&lt;") for part in parts[::2]]
    return "".join(parts)


class PlainText(griffe.Extension):
    """Has all docstrings of the package go through `plain`."""

    def on_object(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        """Called by griffe for everything it has read."""
        if obj.docstring is not None:
            obj.docstring.value = plain(obj.docstring.value)
