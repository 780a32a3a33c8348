"""Articles and their headlines, as a LightningDataModule."""

import itertools
from collections.abc import Iterator, Mapping
from functools import cached_property

import numpy as np

from combgrad.data.base import Block, Place, cached
from combgrad.data.batches import Column, StoredRows
from combgrad.data.datamodule import TensorDataModule, check_collection, check_whole, user_path
from combgrad.data.files.npy import DataFileError
from combgrad.data.headlines.pairs import FREE, HeadlineSet, Pair
from combgrad.data.headlines.vocabulary import Vocabulary, padded
from combgrad.data.splits import SPLITS
from combgrad.networks.headline import SPECIAL

#: Pairs that are put into numbers at a time.
ROWS = 100_000

#: Part of the cache's key; raise it when the same pairs are put into other numbers.
VERSION = 1


class Headlines(TensorDataModule):
    """Articles and headlines as numbers of words.

    A batch has `article` (B, article_length) int64 with `article_size` (B,), how many of its words
    are there, `title` (B, title_length + 1) int64, which ends with END, with `title_size` (B,), END
    included, and `row` (B,) int64, the pair's number in its split. What is not there is PAD. A word
    that is not in the vocabulary of the training pairs is UNKNOWN.

    Args:
        collection: the set of articles and headlines.
        train_size, eval_size: at most so many pairs.
        title_words, article_words: at most so many words that titles have, the most frequent ones,
            and beside these so many that articles have.
        article_length, title_length: longer texts are cut off.
        batch_size: pairs of a training step, over all processes.
        order_seed: of the training order.
        path: the folder that holds the set.
        cache: folder for the numbers, or None to have them in memory.
        workers: processes that put batches together, beside the one that trains.

    Raises ValueError for a setting that cannot be; `setup` and `data_fingerprint` raise
    DataFileError where the files are not right.
    """

    eval_batch_size = 250

    def __init__(
        self,
        collection: HeadlineSet,
        train_size: int = 10**7,
        eval_size: int = 10**7,
        title_words: int = 20_000,
        article_words: int = 20_000,
        article_length: int = 50,
        title_length: int = 20,
        batch_size: int = 64,
        order_seed: int = 0,
        path: str | None = None,
        cache: str | None = None,
        workers: int = 0,
    ) -> None:
        super().__init__(train_size, eval_size, batch_size, order_seed, workers)
        for name, value in (("title", title_words), ("article", article_words)):
            check_whole(f"{name}_words", value, 1, 10**7)
        for name, value in (("article", article_length), ("title", title_length)):
            check_whole(f"{name}_length", value, 1, 10_000)
        self.files = Place(user_path(path), None, user_path(cache, "cache"), FREE)
        check_collection(collection, HeadlineSet, "articles and headlines", FREE)
        if collection.source == "original":
            self.files.check_given(collection, "headlines")
        self.collection, self.source = collection, collection.source
        self.title_words, self.article_words = title_words, article_words
        self.article_length, self.title_length = article_length, title_length
        self._columns: dict[str, Mapping[str, Column]] = {}

    @property
    def data_fingerprint(self) -> str:
        """Changes whenever a pair could; says at once that a file is missing."""
        return self.collection.fingerprint(self.files)

    def pairs(self, split: str) -> Iterator[Pair]:
        """The pairs of a split, as many as are asked for."""
        return itertools.islice(self.collection.pairs(self.files, split), self._size(split))

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """The words of the training pairs."""

        def make() -> Iterator[Block]:
            learnt = Vocabulary.learn(self.pairs("train"), self.title_words, self.article_words)
            titles, others = learnt.words[: learnt.in_titles], learnt.words[learnt.in_titles :]
            for name, words in (("titles", titles[len(SPECIAL) :]), ("others", others)):
                yield {name: np.frombuffer("\n".join(words).encode(), dtype=np.uint8)}

        stored = cached(self.files.cache, "headline-words", self._key("train"), make)
        lists = (stored[name].tobytes().decode() for name in ("titles", "others"))
        return Vocabulary(*(text.split("\n") if text else [] for text in lists))

    def _key(self, split: str) -> list[object]:
        sizes = (self.train_size, self.title_words, self.article_words)
        return [VERSION, self.data_fingerprint, sizes, split]

    def setup(self, stage: str | None = None) -> None:
        """Put all pairs into numbers, once."""
        del stage
        if not self._columns:
            self._columns = {split: self._encoded(split) for split in SPLITS}

    def _encoded(self, split: str) -> Mapping[str, Column]:
        lengths = (self.article_length, self.title_length)
        key = [*self._key(split), lengths, self._size(split)]
        arrays = cached(self.files.cache, "headlines", key, lambda: self._blocks(split))
        if not arrays:
            raise DataFileError(
                f"{type(self.collection).__name__}: its files hold no pair of texts for the "
                f"{split} split, see docs/headlines.md. Restore them from their source."
            )
        columns: dict[str, Column] = {
            name: StoredRows([array], np.int64) for name, array in arrays.items()
        }
        rows = np.arange(len(arrays["article"]))
        return {**columns, "row": StoredRows([rows], np.int64)}

    def _blocks(self, split: str) -> Iterator[Block]:
        words = self.vocabulary
        pairs = self.pairs(split)
        while some := list(itertools.islice(pairs, ROWS)):
            articles = [words.article(pair.article, self.article_length) for pair in some]
            titles = [words.title(pair.title, self.title_length) for pair in some]
            yield {
                "article": padded(articles, self.article_length),
                "article_size": np.array([*map(len, articles)], dtype=np.int32),
                "title": padded(titles, self.title_length + 1),
                "title_size": np.array([*map(len, titles)], dtype=np.int32),
            }

    def columns(self, split: str) -> Mapping[str, Column]:
        """The numbers of a split."""
        if not self._columns:
            raise RuntimeError("setup() must be called before batches are asked for")
        return self._columns[split]

    def texts(self, split: str) -> list[Pair]:
        """The words of the pairs of validation or test, none of them cut off or unknown."""
        return list(self.pairs(split))
