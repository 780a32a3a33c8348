"""Gigaword's headlines in their usual preprocessed form: one text a line, words apart."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from combgrad.data.base import Place, sha256_of_file
from combgrad.data.files.npy import DataFileError
from combgrad.data.headlines.pairs import HeadlineSet, Pair
from combgrad.data.splits import fingerprint
from combgrad.networks.headline import SPECIAL, UNKNOWN

#: Split -> the files of articles and of titles, by the names that they go by.
FILES = {
    "train": (("train.article.txt", "train.src.txt"), ("train.title.txt", "train.tgt.txt")),
    "val": (
        ("valid.article.filter.txt", "valid.article.txt", "dev.src.txt"),
        ("valid.title.filter.txt", "valid.title.txt", "dev.tgt.txt"),
    ),
    "test": (("input.txt", "test.src.txt"), ("task1_ref0.txt", "test.tgt.txt")),
}

#: Folders below that for data where they may lie.
FOLDERS = ("", "gigaword/", "sumdata/", "sumdata/train/", "Giga/", "sumdata/Giga/")

#: How the files write a word that their own preprocessing did not know.
UNKNOWN_WORDS = frozenset({"<unk>", "unk"})


def words_in(line: str) -> list[str]:
    """The words of a line, in small letters."""
    words = line.lower().split()
    return [SPECIAL[UNKNOWN] if word in UNKNOWN_WORDS else word for word in words]


@dataclass(frozen=True)
class Gigaword(HeadlineSet):
    """First sentences and headlines of the annotated Gigaword, as Rush et al. (2015) split it.

    3.8 million pairs for training, 189,651 for validation, 1,951 for the test, under a licence of
    the Linguistic Data Consortium. The texts come in small letters, cut into words, with # for
    digits; they are taken as they are.
    """

    def files(self, place: Place, split: str) -> tuple[Path, Path]:
        """The files of a split: articles, titles."""
        articles, titles = (
            place.look_for([folder + name for name in names for folder in FOLDERS], "Gigaword")
            for names in FILES[split]
        )
        return articles, titles

    def pairs(self, place: Place, split: str) -> Iterator[Pair]:
        """The pairs of a split, line by line; those with an empty text are left out."""
        articles, titles = self.files(place, split)
        with (
            articles.open(encoding="utf-8", errors="replace") as first,
            titles.open(encoding="utf-8", errors="replace") as second,
        ):
            for number, (article, title) in enumerate(itertools.zip_longest(first, second), 1):
                if article is None or title is None:
                    shorter = articles if article is None else titles
                    raise DataFileError(
                        f"{shorter}: ends before line {number}, which its partner has; line i of "
                        f"both is one pair. Restore the files from their source."
                    )
                pair = Pair(words_in(article), words_in(title))
                if pair.article and pair.title:
                    yield pair

    def fingerprint(self, place: Place) -> str:
        """Of all six files."""
        files = [path for split in FILES for path in self.files(place, split)]
        return fingerprint("gigaword", *map(sha256_of_file, files))
