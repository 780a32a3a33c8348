"""Headlines of Reuters-21578 and of AG News, from files of one pair a line."""

import csv
import gzip
import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from combgrad.data.base import Place, sha256_of_file
from combgrad.data.files.npy import DataFileError
from combgrad.data.headlines.pairs import HeadlineSet, Pair, words_of
from combgrad.data.splits import fingerprint

REUTERS = ("headlines/reuters21578_title_first.jsonl.gz", "reuters21578_title_first.jsonl.gz")
AG_NEWS = ("headlines/ag_news_test.csv", "ag_news_test.csv", "test.csv")

#: Of the articles for training every so many are for validation, evenly over their months.
EVERY = 12

#: Part of the fingerprint; raise it when other pairs are made of the same files.
VERSION = 1


def reuters(path: Path) -> Iterator[tuple[str, Pair]]:
    """The pairs of the file with their split: TRAIN and TEST of ModApte; raises DataFileError."""
    number = 0
    try:
        with gzip.open(path, "rt", encoding="utf-8") as file:
            for number, line in enumerate(file, 1):  # noqa: B007
                row = json.loads(line)
                yield row["split"], Pair(words_of(row["first"]), words_of(row["title"]))
    except (
        OSError,
        EOFError,
        zlib.error,
        ValueError,
        TypeError,
        KeyError,
        AttributeError,
    ) as error:
        raise DataFileError(
            f"{path}, line {number}: {type(error).__name__}: {error}; a line is a JSON object with "
            f"the texts split, first and title. Restore the file from its source."
        ) from error


def ag_news(path: Path) -> Iterator[Pair]:
    """The pairs of rows of class, a number, title and description; raises DataFileError."""
    number = 0
    try:
        with path.open(encoding="utf-8", newline="") as file:
            for number, row in enumerate(csv.reader(file), 1):
                given, title, description = row
                # Some copies have a first line with the names of the columns.
                if number > 1 or given.isdecimal():
                    yield Pair(words_of(description), words_of(title))
    except (OSError, ValueError, csv.Error) as error:
        raise DataFileError(
            f"{path}, line {number}: {type(error).__name__}: {error}; a row has class, title and "
            f"description. Restore the file from its source."
        ) from error


@dataclass(frozen=True)
class Reuters(HeadlineSet):
    """Titles of Reuters-21578 from the first sentence of their article, split as ModApte has it.

    Of the articles for training every twelfth is for validation; those of neither split are left
    out.
    """

    def _file(self, place: Place) -> Path:
        return place.look_for(REUTERS, "Reuters-21578")

    def pairs(self, place: Place, split: str) -> Iterator[Pair]:
        """The pairs of a split, in the order of the file."""
        wanted, number = "TEST" if split == "test" else "TRAIN", 0
        for given, pair in reuters(self._file(place)):
            if given == wanted and pair.article and pair.title:
                number += 1
                if split == "test" or (number % EVERY == 0) == (split == "val"):
                    yield pair

    def fingerprint(self, place: Place) -> str:
        """Of the file."""
        return fingerprint("reuters", VERSION, sha256_of_file(self._file(place)))


@dataclass(frozen=True)
class AGNews(Reuters):
    """A second test for what Reuters taught: the headlines of AG News from their descriptions."""

    def _second(self, place: Place) -> Path:
        return place.look_for(AG_NEWS, "AG News")

    def pairs(self, place: Place, split: str) -> Iterator[Pair]:
        """Pairs of Reuters for training and validation, those of AG News's test for the test."""
        if split != "test":
            yield from super().pairs(place, split)
            return
        for pair in ag_news(self._second(place)):
            if pair.article and pair.title:
                yield pair

    def fingerprint(self, place: Place) -> str:
        """Of both files."""
        return fingerprint(super().fingerprint(place), sha256_of_file(self._second(place)))
