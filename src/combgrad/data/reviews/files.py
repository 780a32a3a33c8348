"""The files of rated reviews: where they may lie, and what stands on a line of each.

The published notebooks forget to strip the lines, so that the last word of every review keeps its
line break and becomes a word of its own that has no vector. This slip is not copied.
"""

import gzip
import json
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from combgrad.data.files.npy import REMEDY, DataFileError

#: In the order of the ratings on a line; a fifth one is of the beer as a whole.
ASPECTS = ("appearance", "aroma", "palate", "taste")
RATINGS = len(ASPECTS) + 1

REVIEWS_FILE = "reviews.aspect{aspect}.{split}.txt"
EMBEDDINGS_FILE = "review+wiki.filtered.200.txt"
ANNOTATIONS_FILE = "annotations.json"

#: The aspect that is the fifth rating.
OVERALL = "overall"

#: Bytes of a line and numbers of a vector: a packed file may hold any number in little room.
LONGEST_LINE = 10**7
WIDEST_VECTOR = 10_000

#: Lies beside made-up files that somebody may take for the published ones.
MADE_UP_FILE = "made-up.txt"

#: Where they may lie below the given folder.
FOLDERS = ("", "beer", "reviews", "l2x-data", "l2x-data/beer", "beer/reviews")


@dataclass(frozen=True)
class ReviewFiles:
    """The files that belong to one aspect; there may be no annotations."""

    train: Path
    heldout: Path
    embeddings: Path
    annotations: Path | None

    def all(self) -> list[Path]:
        """Those that there are."""
        found = (self.train, self.heldout, self.embeddings, self.annotations)
        return [path for path in found if path is not None]


@dataclass(frozen=True)
class Annotation:
    """A review, its ratings where known, and by aspect the [start, end) that people marked."""

    tokens: list[bytes]
    ratings: list[float] | None
    ranges: dict[int, list[tuple[int, int]]]


def is_made_up(path: Path) -> bool:
    """Whether the files at or below `path` say of themselves that they are made up."""
    return any((path / folder / MADE_UP_FILE).is_file() for folder in FOLDERS)


def find(path: Path, aspect: int) -> ReviewFiles:
    """The files of an aspect at or below `path`, plain or as .gz; raises DataFileError."""
    train, heldout = (
        _required(path, REVIEWS_FILE.format(aspect=aspect, split=split))
        for split in ("train", "heldout")
    )
    embeddings = _required(path, EMBEDDINGS_FILE)
    return ReviewFiles(train, heldout, embeddings, _find(path, ANNOTATIONS_FILE))


def _find(path: Path, name: str) -> Path | None:
    for folder in FOLDERS:
        for file in (path / folder / name, path / folder / f"{name}.gz"):
            if file.is_file():
                return file
    return None


def _required(path: Path, name: str) -> Path:
    found = _find(path, name)
    if found is None:
        folders = ", ".join(folder for folder in FOLDERS if folder)
        what = "the vectors of the words" if name == EMBEDDINGS_FILE else "reviews"
        raise DataFileError(
            f"{path / name}: no such file ({what}), nor {name}.gz, nor either in the folders "
            f"{folders} below {path}. The BeerAdvocate reviews are no longer public; "
            f"{REVIEWS_FILE.format(aspect='{0,1,2,3}', split='{train,heldout}')}, "
            f"{EMBEDDINGS_FILE} and {ANNOTATIONS_FILE} lay in the directory beer of T. Lei's page "
            f"at MIT CSAIL. If you have them, set data.path=<their folder> (or COMBGRAD_DATA); see "
            f"docs/beer-advocate.md. data=reviews needs no files."
        )
    return found


def read_reviews(path: Path) -> Iterator[tuple[list[float], list[bytes]]]:
    """The five ratings in [0, 1] and the tokens of each line; raises DataFileError.

    A line is five numbers, a tab, and at least one token; spaces lie between them.
    """
    for number, line in lines_of(path):
        before, tab, text = line.partition(b"\t")
        if not tab:
            raise wrong_line(path, number, "has no tab between the ratings and the text")
        tokens = text.split()
        if not tokens:
            raise wrong_line(path, number, "is a review without a word", "Delete the line.")
        yield _ratings(path, number, before.split()), tokens


def _ratings(path: Path, number: int, given: Any) -> list[float]:
    if not isinstance(given, list) or len(given) != RATINGS:
        count = len(given) if isinstance(given, list) else "no list of"
        raise wrong_line(path, number, f"has {count} ratings, not {RATINGS}")
    try:
        ratings = [float(value) for value in given]
    except (TypeError, ValueError, OverflowError) as error:
        raise wrong_line(path, number, f"has a rating that is no number: {error}") from error
    outside = [value for value in ratings if not 0 <= value <= 1]
    if outside:
        raise wrong_line(path, number, f"has the rating {outside[0]:g}, outside [0, 1]")
    return ratings


def read_embeddings(path: Path, wanted: Mapping[bytes, int], count: int) -> np.ndarray:
    """The vectors (count, D) float32, each in the row that `wanted` has for its word, others 0.

    A line is a word and its D numbers; a first line of two integers, how many and D, is allowed.
    Raises DataFileError.
    """
    table: np.ndarray | None = None
    for number, line in lines_of(path):
        word, *values = line.split() or [b""]
        headed = number == 1 and len(values) == 1 and word.isdigit() and values[0].isdigit()
        if table is None:
            width = int(values[0][:9]) if headed else len(values)
            if width > WIDEST_VECTOR:
                raise wrong_line(
                    path, number, f"has vectors of more than {WIDEST_VECTOR:,} numbers"
                )
            table = np.zeros((count, width), dtype=np.float32)
        if headed:
            continue
        if len(values) != table.shape[1] or not values:
            expected = f"not {table.shape[1]}" if table.shape[1] else "not one"
            raise wrong_line(path, number, f"has {len(values)} numbers after the word, {expected}")
        if word in wanted:
            table[wanted[word]] = _vector(path, number, values)
    if table is None:
        raise DataFileError(f"{path}: is empty. {REMEDY}")
    return table


def _vector(path: Path, number: int, values: list[bytes]) -> np.ndarray:
    try:
        vector = np.array([float(value) for value in values])
    except ValueError as error:
        raise wrong_line(path, number, f"has an entry that is no number: {error}") from error
    if not np.isfinite(vector).all():
        raise wrong_line(path, number, "has an entry that is not finite")
    return vector


def read_annotations(path: Path) -> Iterator[Annotation]:
    """The annotated reviews, a JSON object each line; raises DataFileError.

    `x` has the tokens, `y` the five ratings, if known, and "0" to "3" lists of [start, end).
    """
    for number, line in lines_of(path):
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise wrong_line(path, number, f"is no JSON ({error})") from error
        tokens = record.get("x") if isinstance(record, dict) else None
        if not isinstance(tokens, list) or not all(isinstance(token, str) for token in tokens):
            raise wrong_line(path, number, 'is no object whose "x" is a list of words')
        if not tokens:
            raise wrong_line(path, number, "is a review without a word", "Delete the line.")
        ratings = _ratings(path, number, record["y"]) if "y" in record else None
        ranges = {
            aspect: _ranges(path, number, record.get(str(aspect), []), len(tokens))
            for aspect in range(len(ASPECTS))
        }
        # Words of the other files come as bytes; lone surrogates, which JSON allows, have none.
        yield Annotation([token.encode(errors="replace") for token in tokens], ratings, ranges)


def _ranges(path: Path, number: int, given: Any, length: int) -> list[tuple[int, int]]:
    ranges = []
    for pair in given if isinstance(given, list) else [given]:
        whole = isinstance(pair, list) and len(pair) == 2 and all(type(n) is int for n in pair)
        if not whole or not all(low <= high for low, high in pairwise([0, *pair, length])):
            problem = f"has the range {pair!r}, which is no [start, end) of its {length} words"
            raise wrong_line(path, number, problem)
        ranges.append((pair[0], pair[1]))
    return ranges


def wrong_line(path: Path, number: int, problem: str, remedy: str = REMEDY) -> DataFileError:
    """What to raise for a line that is not as it should be."""
    return DataFileError(f"{path}, line {number}: {problem}. {remedy}")


def lines_of(path: Path) -> Iterator[tuple[int, bytes]]:
    """The lines, numbered from 1, with a bar once they take a while."""
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as stream:
            lines = iter(lambda: stream.readline(LONGEST_LINE + 1), b"")
            bar = tqdm(lines, desc=path.name, unit=" lines", delay=2.0, disable=None)
            for number, line in enumerate(bar, start=1):
                if len(line) > LONGEST_LINE:
                    raise wrong_line(path, number, f"is longer than {LONGEST_LINE:,} bytes")
                yield number, line
    except (OSError, EOFError, zlib.error) as error:
        raise DataFileError(
            f"{path}: cannot be read, and may be cut short or damaged "
            f"({type(error).__name__}: {error}). {REMEDY}"
        ) from error
