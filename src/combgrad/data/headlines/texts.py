"""Text files below the folder for data, found by their names."""

from collections.abc import Sequence
from pathlib import Path

from combgrad.data.base import Place
from combgrad.data.files.npy import DataFileError


def look_for(place: Place, names: Sequence[str], what: str) -> Path:
    """The first of some files that is there; DataFileError, naming the set, where none is."""
    found = place.find(names)
    if found is None:
        raise DataFileError(
            f"{place.root}: none of {', '.join(names)} is there, which {what} is read from; put it "
            f"there, or choose {place.free}, which needs nothing."
        )
    return found
