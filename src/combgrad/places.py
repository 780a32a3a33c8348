"""Paths as they are meant: absolute, with `~` for the user's home."""

import os


def absolute(path: str, start: str) -> str:
    """A path as an absolute one; a relative one starts in the folder `start`."""
    return os.path.abspath(os.path.join(start, os.path.expanduser(path)))
