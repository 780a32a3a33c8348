"""Files of which a checksum is known, so that another version does not pass unnoticed."""

import warnings
from pathlib import Path

from combgrad.data.base import sha256_of_file


def checked_sha256(path: Path, known: str) -> str:
    """The sha256 of a file; warns where it is not the one of the file that is known here."""
    found = sha256_of_file(path)
    if found != known:
        warnings.warn(
            f"{path}: its sha256 is {found}, and the file that the numbers of this project were "
            f"measured on has {known}; results need not compare.",
            stacklevel=2,
        )
    return found
