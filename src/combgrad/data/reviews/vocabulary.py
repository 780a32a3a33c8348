"""Words as numbers, and reviews as rows of equal length."""

import numpy as np

#: Ids 0, 1 and 2; a word of the reviews has an id from 3 on.
SPECIAL = ("<pad>", "<start>", "<unknown>")
PAD, START, UNKNOWN = range(len(SPECIAL))


class Vocabulary:
    """Ids of words as bytes, from 3 on in the order in which `learn` meets them."""

    def __init__(self) -> None:
        self.ids: dict[bytes, int] = {}

    def learn(self, tokens: list[bytes]) -> list[int]:
        """The ids of tokens, with new ones for new words."""
        ids = self.ids
        return [ids.setdefault(token, len(ids) + len(SPECIAL)) for token in tokens]

    def look_up(self, tokens: list[bytes]) -> list[int]:
        """The ids of tokens, UNKNOWN for words that were not learnt."""
        return [self.ids.get(token, UNKNOWN) for token in tokens]


def ragged(starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """The ranges of `lengths` (N,) numbers from `starts` (N,) on, one after another."""
    ends = np.cumsum(lengths)
    return np.repeat(starts - (ends - lengths), lengths) + np.arange(lengths.sum())


def rows(flat: np.ndarray, lengths: np.ndarray, width: int) -> np.ndarray:
    """Sequences that lie in `flat` one after another as rows (N, width), the last of each entry.

    A shorter one is padded with zeros in front, of a longer one the front is cut off.
    """
    ends = np.cumsum(lengths)
    kept = np.minimum(lengths, width)
    table = np.zeros((len(lengths), width), dtype=flat.dtype)
    into = ragged(np.arange(1, len(lengths) + 1) * width - kept, kept)
    table.reshape(-1)[into] = flat[ragged(ends - kept, kept)]
    return table
