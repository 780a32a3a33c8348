"""The words and sentences of the stand-in's reviews, and what each word is worth.

`lexicon.txt` has sections of words, of adjectives and notes with a sentiment in [-1, 1], and of
sentences. In a sentence `@` stands for a noun of its aspect, `*` for an adjective and `~` for a
note of it, `+` for an adjective that all aspects share, and `<place>` for a word of that section.
"""

import functools
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from combgrad.data.base import sha256_of_file
from combgrad.data.reviews.files import ASPECTS

SOURCE = Path(__file__).with_name("lexicon.txt")

#: The kind of a sentence is the index of its aspect, or this.
OTHER = len(ASPECTS)

#: Stands before every word that has a sentiment: the place where a "not" may be put.
MAYBE_NOT = -1

_SIGNS = {"@": "nouns", "*": "adjectives", "~": "notes"}
_Sections = dict[str, list[str]]


@dataclass(frozen=True, eq=False)
class Slot:
    """The words (W,) that may fill a place, and their sentiments (W,) where those decide."""

    words: np.ndarray
    sentiments: np.ndarray | None


@dataclass(frozen=True, eq=False)
class Lexicon:
    """All words (V), and the sentences (T) as codes.

    A code is the index of a word, MAYBE_NOT, or -2 - s for slot s. Sentence t is the `lengths[t]`
    codes from `starts[t]` on; those of kind a are the sentences `kinds[a]` to `kinds[a + 1]`.
    `sentiments` (V,) is 0 where a word has none, `topics` (V,) the aspect or -1 of a word, and
    `misspelt` (V,) the index of its misspelling or -1.
    """

    words: tuple[str, ...]
    sentiments: np.ndarray
    topics: np.ndarray
    misspelt: np.ndarray
    negations: np.ndarray
    slots: tuple[Slot, ...]
    codes: np.ndarray
    starts: np.ndarray
    lengths: np.ndarray
    kinds: np.ndarray

    @property
    def typos(self) -> frozenset[int]:
        """The indices of the misspelt words."""
        return frozenset(self.misspelt[self.misspelt >= 0].tolist())


def digest() -> str:
    """A sha256 of the lexicon's file."""
    return sha256_of_file(SOURCE)


@functools.cache
def lexicon() -> Lexicon:
    """The lexicon of the package, read once."""
    builder = _Builder(_sections(SOURCE.read_text(encoding="utf-8")))
    return builder.build()


def _sections(text: str) -> _Sections:
    sections: _Sections = {}
    for line in text.splitlines():
        if line.startswith("["):
            lines = sections.setdefault(line.strip("[]"), [])
        elif line and not line.startswith("#"):
            lines.append(line)
    beginnings, ends = (" ".join(sections.pop(f"name {part}")) for part in ("beginnings", "ends"))
    names = [first + second for first in beginnings.split() for second in ends.split()]
    return sections | {"name": [" ".join(names)]}


class _Builder:
    """Numbers words and slots as they come up."""

    def __init__(self, sections: _Sections) -> None:
        self.sections = sections
        self.words: dict[str, int] = {}
        self.sentiments: dict[int, float] = {}
        self.topics: dict[int, int] = {}
        self.slots: list[Slot] = []
        self.slot_codes: dict[str, int] = {}

    def build(self) -> Lexicon:
        sentences, kinds = self._sentences()
        lengths = np.array([len(sentence) for sentence in sentences])
        misspelt = {
            self._word(right): self._word(wrong)
            for wrong, right in (line.split("=") for line in self.sections["typos"])
        }
        negations = np.array([self._word(word) for word in self._listed("negations")])
        return Lexicon(
            tuple(self.words),
            self._spread(self.sentiments, 0.0),
            self._spread(self.topics, -1),
            self._spread(misspelt, -1),
            negations,
            tuple(self.slots),
            np.concatenate(sentences),
            np.cumsum(lengths) - lengths,
            lengths,
            np.array(kinds),
        )

    def _word(self, word: str) -> int:
        return self.words.setdefault(word, len(self.words))

    def _listed(self, section: str) -> list[str]:
        return " ".join(self.sections[section]).split()

    def _spread(self, values: dict[int, float] | dict[int, int], default: float) -> np.ndarray:
        """Values by word (V,), of the default's type."""
        return np.array([values.get(index, default) for index in range(len(self.words))])

    def _sentences(self) -> tuple[list[list[int]], list[int]]:
        """The codes of all sentences, by kind, and where each kind starts."""
        sentences: list[list[int]] = []
        kinds = [0]
        for aspect in ASPECTS:
            for line in self.sections["every aspect"] + self.sections[f"{aspect} sentences"]:
                sentences.append(self._codes(line, aspect))
            kinds.append(len(sentences))
        sentences += [self._codes(line, None) for line in self.sections["other sentences"]]
        return sentences, [*kinds, len(sentences)]

    def _codes(self, line: str, aspect: str | None) -> list[int]:
        codes: list[int] = []
        for part in line.split():
            if part == "+":
                codes += [MAYBE_NOT, self._slot("shared adjectives", None)]
            elif part.startswith("<"):
                codes.append(self._slot(part.strip("<>"), None))
            elif part not in _SIGNS:
                codes.append(self._word(part))
            else:
                weighs = [] if part == "@" else [MAYBE_NOT]
                codes += [*weighs, self._slot(f"{aspect} {_SIGNS[part]}", aspect)]
        return codes

    def _slot(self, section: str, aspect: str | None) -> int:
        """The code of a slot filled from `section`, which is read when it first comes up."""
        if section not in self.slot_codes:
            self.slots.append(self._read_slot(section, aspect))
            self.slot_codes[section] = -1 - len(self.slots)
        return self.slot_codes[section]

    def _read_slot(self, section: str, aspect: str | None) -> Slot:
        weighted: dict[int, float] = {}
        for line in self.sections[section]:
            value, colon, listed = line.rpartition(":")
            for word in listed.split():
                weighted[self._word(word)] = float(value) if colon else np.nan
        if aspect is not None:
            self.topics |= dict.fromkeys(weighted, ASPECTS.index(aspect))
        words, values = np.array([*weighted]), np.array([*weighted.values()])
        if np.isnan(values).all():
            return Slot(words, None)
        self.sentiments |= weighted
        return Slot(words, values)
