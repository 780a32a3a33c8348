"""Words as numbers: first those that a headline may have, then others that only articles have."""

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np

from combgrad.data.headlines.pairs import Pair
from combgrad.networks.headline import END, PAD, SPECIAL, UNKNOWN


class Vocabulary:
    """The ids of words: SPECIAL first, then words of titles, then further words of articles.

    So the words that a network may choose from for a title are a prefix of those that it may read.

    Args:
        titles, others: the words, each once.
    """

    def __init__(self, titles: Sequence[str], others: Sequence[str]) -> None:
        self.words = (*SPECIAL, *titles, *others)
        self.in_titles = len(SPECIAL) + len(titles)
        self.ids = {word: number for number, word in enumerate(self.words)}

    @classmethod
    def learn(cls, pairs: Iterable[Pair], title_words: int, article_words: int) -> "Vocabulary":
        """The most frequent words of titles, and of articles those that are left then.

        Of words that are equally frequent those that come first in the alphabet are taken.
        """
        titles: Counter[str] = Counter()
        articles: Counter[str] = Counter()
        for pair in pairs:
            titles.update(pair.title)
            articles.update(pair.article)
        chosen = _most(titles, title_words, set(SPECIAL))
        return cls(chosen, _most(articles, article_words, {*SPECIAL, *chosen}))

    def article(self, words: Sequence[str], longest: int) -> list[int]:
        """The ids of the first words of an article."""
        return [self.ids.get(word, UNKNOWN) for word in words[:longest]]

    def title(self, words: Sequence[str], longest: int) -> list[int]:
        """The ids of the first words of a title, and END."""
        ids = (self.ids.get(word, UNKNOWN) for word in words[:longest])
        return [*(number if number < self.in_titles else UNKNOWN for number in ids), END]

    def text(self, ids: Iterable[int]) -> str:
        """The words of a title up to its END, with spaces between them."""
        words = []
        for number in ids:
            if number in (END, PAD):
                break
            words.append(self.words[number])
        return " ".join(words)


def _most(counts: Counter[str], size: int, without: set[str]) -> list[str]:
    ordered = sorted(counts, key=lambda word: (-counts[word], word))
    return [word for word in ordered if word not in without][:size]


def padded(rows: Sequence[Sequence[int]], width: int) -> np.ndarray:
    """Rows of ids as (N, width) int32, PAD at the end of shorter ones."""
    table = np.full((len(rows), width), PAD, dtype=np.int32)
    for place, row in enumerate(rows):
        table[place, : len(row)] = row
    return table
