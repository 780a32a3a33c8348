"""Which two pictures make a pair: drawn from those of a category, or given by the set."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, Protocol

import numpy as np

from combgrad.data.files.npy import DataFileError

#: Labels are bits of one number.
LABELS = 64

#: Two pictures with fewer labels in common are no pair (Rolinek et al. 2020, their code).
LEAST_COMMON = 2

EVERY_LABEL = np.uint64(2**64 - 1)


def bits(labels: np.ndarray) -> np.ndarray:
    """1 << label as uint64, for labels from 0 to 63."""
    return np.left_shift(np.uint64(1), labels.astype(np.uint64))


class Pair(NamedTuple):
    """Two pictures by number, the bits of the labels that they show, and their category."""

    first: int
    second: int
    shown: np.uint64
    category: int


class PairPool(Protocol):
    """The pairs of a split."""

    def draw(self, generator: np.random.Generator) -> Pair:
        """A pair: first its category, each as likely as the other, then one of that."""

    def fixed(self, most: int, seed: Sequence[int]) -> "GivenPairs":
        """At most so many pairs of each category, the same ones whenever asked for."""

    def said(self) -> tuple[np.ndarray, ...]:
        """What decides the pairs, for a fingerprint."""


@dataclass(frozen=True, eq=False)
class GivenPairs:
    """R pairs, one by one.

    Attributes:
        pictures: (R, 2) int64.
        shown: (R,) uint64, bits of the labels that the pair is about.
        category: (R,) int64.
    """

    pictures: np.ndarray
    shown: np.ndarray
    category: np.ndarray

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, row: int) -> Pair:
        first, second = self.pictures[row].tolist()
        return Pair(first, second, self.shown[row], int(self.category[row]))

    def said(self) -> tuple[np.ndarray, ...]:
        """Pictures, labels and categories of all pairs."""
        return self.pictures, self.shown, self.category

    @cached_property
    def rows(self) -> list[np.ndarray]:
        """The rows of each category that has any."""
        return [np.flatnonzero(self.category == c) for c in np.unique(self.category)]

    def draw(self, generator: np.random.Generator) -> Pair:
        """A category that has pairs, and one of its pairs."""
        rows = self.rows[generator.integers(len(self.rows))]
        return self[int(rows[generator.integers(len(rows))])]

    def fixed(self, most: int, seed: Sequence[int]) -> "GivenPairs":
        """Those pairs, or a random choice where there are more, in their order."""
        generator = np.random.default_rng(seed)
        kept = [np.sort(generator.permutation(rows)[:most]) for rows in self.rows]
        rows = np.concatenate(kept)
        return GivenPairs(self.pictures[rows], self.shown[rows], self.category[rows])


class DrawnPairs:
    """All pairs of two different pictures of one category that share LEAST_COMMON labels.

    Args:
        members: (n,) int64, the pictures of the split.
        category, marks: (P,) of all pictures, see MarkedPictures.
        categories: their names; each that has members must have a pair among them.

    Raises DataFileError for a category without a pair.
    """

    def __init__(
        self,
        members: np.ndarray,
        category: np.ndarray,
        marks: np.ndarray,
        categories: Sequence[str],
    ) -> None:
        self.marks = marks
        self.members = {
            int(c): members[category[members] == c] for c in np.unique(category[members])
        }
        for number, pictures in self.members.items():
            # A picture that goes with no other is never drawn, so that drawing comes to an end.
            kept = pictures[_partners(marks[pictures]) > 0]
            if not len(kept):
                raise DataFileError(
                    f"{categories[number]}: none of its {len(pictures)} pictures has "
                    f"{LEAST_COMMON} marked points in common with another."
                )
            self.members[number] = kept
        if not self.members:
            raise DataFileError("a split has no pictures.")

    def said(self) -> tuple[np.ndarray, ...]:
        """The pictures of each category."""
        return tuple(self.members.values())

    def draw(self, generator: np.random.Generator) -> Pair:
        """A category, and two of its pictures, as often as they have too little in common."""
        numbers = list(self.members)
        return self._of(numbers[generator.integers(len(numbers))], generator)

    def _of(self, category: int, generator: np.random.Generator) -> Pair:
        pictures = self.members[category]
        while True:
            one = int(generator.integers(len(pictures)))
            other = (one + 1 + int(generator.integers(len(pictures) - 1))) % len(pictures)
            first, second = int(pictures[one]), int(pictures[other])
            if np.bitwise_count(self.marks[first] & self.marks[second]) >= LEAST_COMMON:
                return Pair(first, second, EVERY_LABEL, category)

    def fixed(self, most: int, seed: Sequence[int]) -> GivenPairs:
        """As many pairs of each category, drawn with repetition, one category after another."""
        generator = np.random.default_rng(seed)
        pairs = [self._of(c, generator) for c in self.members for _ in range(most)]
        return GivenPairs(
            np.array([(pair.first, pair.second) for pair in pairs], dtype=np.int64),
            np.full(len(pairs), EVERY_LABEL),
            np.array([pair.category for pair in pairs], dtype=np.int64),
        )


def _partners(marks: np.ndarray) -> np.ndarray:
    """With how many of the others each of n pictures makes a pair, (n,)."""
    return np.array(
        [
            (np.bitwise_count(mark & marks) >= LEAST_COMMON).sum()
            - (np.bitwise_count(mark) >= LEAST_COMMON)
            for mark in marks
        ]
    )
