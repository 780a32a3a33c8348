"""Articles with their headlines: the one form that every set of them is read into."""

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import ClassVar, NamedTuple

from combgrad.data.base import Place

#: The only set that needs no files, for messages.
FREE = "data=headlines_generated"

_TOKEN = re.compile(r"[^\W\d_]+|#(?:[.,]?#)*|\S")


class Pair(NamedTuple):
    """The words of an article's beginning and of its headline."""

    article: list[str]
    title: list[str]


def words_of(text: str) -> list[str]:
    """A text in small letters, cut into words, numbers and other characters; # for every digit.

    As Gigaword's usual preprocessing does: `The U.S. 3.5 pct` is `the u . s . #.# pct`.
    """
    return _TOKEN.findall(re.sub(r"\d", "#", text.lower()))


class HeadlineSet(ABC):
    """A published or embedded set of articles with headlines.

    A subclass is a frozen dataclass.
    """

    #: Where the data come from, for the record.
    source: ClassVar[str] = "original"

    @abstractmethod
    def pairs(self, place: Place, split: str) -> Iterator[Pair]:
        """The pairs of `train`, `val` or `test`, one after another, always the same.

        An embedded set goes on for ever. Raises DataFileError, naming file and line, for files that
        are missing or not what they should be.
        """

    @abstractmethod
    def fingerprint(self, place: Place) -> str:
        """Changes whenever a pair could; says at once that a file is missing."""
