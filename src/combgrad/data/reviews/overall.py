"""Reviews of BeerAdvocate with one rating of the beer, and words that a model chose of others.

The folder `beer_reviews` holds CSV files (.csv or .csv.gz) of product_name, product_review and
user_rating, up to 5 stars, a review a line. `beer_rationales`, if it is there, holds other reviews
three times, in smell.txt, palate.txt and appearance.txt, plain or as .gz: words apart, and again
with `__` in place of every word that a published model (Lei, Barzilay and Jaakkola, 2016) did not
choose for that aspect. A word counts as relevant where it was chosen for any of the three.
"""

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from combgrad.data.files.npy import REMEDY, DataFileError
from combgrad.data.reviews.encoded import Encoded, Texts, joined_texts
from combgrad.data.reviews.files import RATINGS, lines_of, wrong_line
from combgrad.data.reviews.vectors import word_vectors
from combgrad.data.reviews.vocabulary import SPECIAL, Vocabulary

#: Part of the fingerprint; raise it when other reviews are made of the same files.
VERSION = 1

REVIEWS, RATIONALES = "beer_reviews", "beer_rationales"
CHOSEN_FOR = ("smell", "palate", "appearance")

HEAD = b"product_name,product_review,user_rating"
STARS = 5.0

#: Every so many-th review is held out; the files are sorted by beer, of 25 reviews each.
EVERY = 5

#: What a model did not choose.
HIDDEN = b"__"

#: Where the file's first byte of a typographic character was lost, as in I?\x99ve for I've.
MENDED = {
    b"?\x98": b"'",
    b"?\x99": b"'",
    b"?\x9c": b"'",
    b"?\x93": b"-",
    b"?\x94": b"-",
    b"?\xa6": b"...",
}

#: As in the rationales: was n't, i 'm, copper-brown, 7.5 %.
_TOKEN = re.compile(
    r"n't\b|\d+(?:[.,]\d+)+|[^\W_]+?(?=n't\b)|'(?:s|m|d|re|ve|ll)\b|[^\W_]+(?:[-/][^\W_]+)*|\.\.+|\S"
)


@dataclass(frozen=True)
class OverallFiles:
    """The files of reviews, and those of the rationales in the order of CHOSEN_FOR, or none."""

    reviews: tuple[Path, ...]
    rationales: tuple[Path, ...]

    def all(self) -> list[Path]:
        """Those that there are."""
        return [*self.reviews, *self.rationales]


def find(path: Path) -> OverallFiles:
    """The files below `path`; DataFileError where there are no reviews or not all rationales."""
    folder = path / REVIEWS
    reviews = sorted((*folder.glob("*.csv"), *folder.glob("*.csv.gz")))
    if not reviews:
        raise DataFileError(
            f"{folder}: holds no *.csv or *.csv.gz of reviews; set data.path=<the folder that "
            f"holds {REVIEWS}> (or COMBGRAD_DATA), see docs/beer-advocate.md. data=reviews needs "
            f"no files."
        )
    names = [(f"{aspect}.txt", f"{aspect}.txt.gz") for aspect in CHOSEN_FOR]
    files = [[path / RATIONALES / name for name in both] for both in names]
    rationales = [next(filter(Path.is_file, both), None) for both in files]
    found = tuple(file for file in rationales if file is not None)
    if found and len(found) < len(CHOSEN_FOR):
        raise DataFileError(
            f"{path / RATIONALES}: holds {len(found)} of the rationales for "
            f"{', '.join(CHOSEN_FOR)}; restore the others, or move the folder away."
        )
    return OverallFiles(tuple(reviews), found)


def words_of(text: str) -> list[bytes]:
    """A text in small letters as words, the way that the rationales are cut."""
    return [word.encode() for word in _TOKEN.findall(text.lower())]


def read_rated(path: Path) -> Iterator[tuple[float, list[bytes]]]:
    """The rating in [0, 1], stars / 5, and the words of each review; raises DataFileError.

    Each line is taken by itself, and what lies between its name and its rating is the review, as
    the quotes of some reviews are lost or too many. Those without a word are left out.
    """
    for number, line in lines_of(path):
        if number == 1:
            if not line.startswith(HEAD):
                raise wrong_line(path, number, f"does not begin with {HEAD.decode()}")
            continue
        for broken, whole in MENDED.items():
            line = line.replace(broken, whole)
        before, _, stars = line.decode(errors="replace").rstrip().rstrip(",").rpartition(",")
        try:
            fields = next(csv.reader([before]), [])
            rating = float(stars) / STARS
        except (ValueError, csv.Error) as error:
            raise wrong_line(path, number, f"is no review with a rating ({error})") from error
        if len(fields) < 2 or not 0 <= rating <= 1:
            raise wrong_line(path, number, "is no name, review and rating of 0 to 5")
        words = words_of(",".join(fields[1:]))
        if words:
            yield rating, words


def read_rationales(path: Path) -> Iterator[tuple[list[bytes], np.ndarray]]:
    """The words of each review, and which of them were chosen, bool; raises DataFileError.

    A line `Review:`, one of the words, and the same with `Rationale:`; what lies between is blank
    or dashes.
    """
    kind, words = b"", list[bytes]()
    for number, line in lines_of(path):
        text = line.strip()
        if text in (b"Review:", b"Rationale:"):
            if kind or (text == b"Rationale:") != bool(words):
                raise wrong_line(path, number, f"has {text.decode()} out of turn")
            kind = text
        elif kind == b"Review:" and text:
            kind, words = b"", text.split()
        elif kind == b"Rationale:" and text:
            shown = text.split()
            same = len(shown) == len(words)
            if not same or any(s not in (HIDDEN, w) for s, w in zip(shown, words, strict=True)):
                raise wrong_line(path, number, "is no rationale of the review before it")
            yield words, np.array([word != HIDDEN for word in shown])
            kind, words = b"", []
        elif text.strip(b"-"):
            raise wrong_line(path, number, "is part of no review and no rationale")
    if kind or words:
        raise DataFileError(f"{path}: ends within a review. {REMEDY}")


def encode(files: OverallFiles) -> Encoded:
    """All reviews as numbers; vectors are learnt from the words of the training reviews alone."""
    everything = [review for path in files.reviews for review in read_rated(path)]
    if len(everything) < 2 * EVERY:
        raise DataFileError(
            f"{files.reviews[0].parent}: has {len(everything)} reviews, and {2 * EVERY} are needed "
            f"to train, validate and test. {REMEDY}"
        )
    vocabulary = Vocabulary()
    held_out = [review for i, review in enumerate(everything) if i % EVERY == EVERY - 1]
    others = [review for i, review in enumerate(everything) if i % EVERY < EVERY - 1]
    train = _texts([(rating, vocabulary.learn(words)) for rating, words in others])
    heldout = _texts([(rating, vocabulary.look_up(words)) for rating, words in held_out])
    words = [*(word.encode() for word in SPECIAL), *vocabulary.ids]
    vectors = word_vectors(train.ids, train.lengths, len(words))
    encoded = Encoded(words, vectors, train, heldout, None, None)
    if not files.rationales:
        return encoded
    annotated, relevant = _annotated(files.rationales, vocabulary)
    return replace(encoded, annotated=annotated, relevant=relevant)


def _texts(reviews: list[tuple[float, list[int]]]) -> Texts:
    ids = [np.array(numbers, dtype=np.int32) for _, numbers in reviews]
    return joined_texts(ids, [_ratings(rating) for rating, _ in reviews])


def _ratings(overall: float) -> list[float]:
    """The five ratings of a review of which only the last is known."""
    return [*[float("nan")] * (RATINGS - 1), overall]


def _annotated(paths: tuple[Path, ...], vocabulary: Vocabulary) -> tuple[Texts, np.ndarray]:
    """The reviews of the rationales, and which of their words were chosen for any aspect."""
    first, *others = (list(read_rationales(path)) for path in paths)
    for path, other in zip(paths[1:], others, strict=True):
        if [words for words, _ in other] != [words for words, _ in first]:
            raise DataFileError(f"{path}: has other reviews than {paths[0].name}. {REMEDY}")
    marks = zip(*([chosen for _, chosen in one] for one in (first, *others)), strict=True)
    relevant = [np.any(of_review, axis=0) for of_review in marks]
    numbers = [(float("nan"), vocabulary.look_up(words)) for words, _ in first]
    return _texts(numbers), np.concatenate(relevant)
