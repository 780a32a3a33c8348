"""Rated beer reviews, published or made up, as a LightningDataModule."""

from typing import Literal

import numpy as np
import torch
from torch import Tensor

from combgrad.arguments import LARGEST_SEED
from combgrad.data.datamodule import (
    MOST_ROWS,
    TensorDataModule,
    check_choice,
    check_whole,
    choose,
    user_path,
)
from combgrad.data.reviews.encoded import ENCODING_VERSION, Encoded, Texts, encoded_cached
from combgrad.data.reviews.sources import Asked, Original, Overall, StandIn
from combgrad.data.reviews.vocabulary import SPECIAL, UNKNOWN, rows

SourceName = Literal["stand-in", "original", "overall"]
SOURCES: tuple[type[StandIn | Original | Overall], ...] = (StandIn, Original, Overall)


class Reviews(TensorDataModule):
    """Reviews of beers and how they rate one aspect of it.

    A batch has `tokens` (B, length) int32 and `rating` (B,) float32 in [0, 1]. A shorter review has
    zeros in front, and these can be chosen like words, so that k of them always can; of a longer
    one the front is cut off. Once set up, `words` (V) are the words by id and `embeddings` (V, D)
    float32 their vectors, zero where there is none; ids 0, 1 and 2 are padding, start and unknown.
    The words are those of the training reviews in use, so that every other word is unknown,
    wherever it stands. `annotated` has `tokens`, `relevant` (M, length) bool, what people marked as
    deciding, and `rating` if it is known; it is None where nobody marked the aspect.

    Args:
        aspect: `appearance`, `aroma`, `palate` or `taste`; `overall` with that source alone.
        source: `stand-in`, made-up reviews, `original`, those of the paper at or below `path`, or
            `overall`, others of the same site with one rating of the beer as a whole.
        train_size, eval_size: at most so many reviews for training, and each for validation and
            test, which share the held-out reviews half and half.
        batch_size: reviews of a training step, over all processes.
        length: words of a row.
        annotated_size: how many annotated reviews are made up.
        seed: of the made-up reviews.
        order_seed: of the training order.
        split_seed: of the halves of the held-out reviews.
        cache: folder for the reviews as numbers, or None.

    Raises ValueError for a setting that cannot be; `setup` raises DataFileError.
    """

    # The vectors of 500 reviews fill 140 MB, and the first layers several times that.
    eval_batch_size = 200

    def __init__(
        self,
        aspect: str,
        source: SourceName = "stand-in",
        train_size: int = 70_000,
        eval_size: int = 5_000,
        batch_size: int = 40,
        length: int = 350,
        annotated_size: int = 994,
        seed: int = 0,
        order_seed: int = 0,
        split_seed: int = 0,
        path: str | None = None,
        cache: str | None = None,
    ) -> None:
        super().__init__(train_size, eval_size, batch_size, order_seed)
        check_whole("length", length, 1, MOST_ROWS)
        check_whole("annotated_size", annotated_size, 0, MOST_ROWS)
        check_whole("seed", seed, 0, LARGEST_SEED)
        check_whole("split_seed", split_seed, 0, LARGEST_SEED)
        chosen = choose(SOURCES, source, path)
        check_choice("aspect", aspect, chosen.aspects)
        self.aspect, self.length = aspect, length
        self.seed, self.split_seed = seed, split_seed
        self.annotated_size = annotated_size
        self.cache = user_path(cache, "cache")
        sizes = train_size, eval_size, annotated_size
        asked = Asked(aspect, *sizes, seed, user_path(path), self.cache)
        self.aspect_index = asked.number
        self.origin = chosen(asked)
        self.source = self.origin.said
        self.words: list[str] = []
        self.embeddings = torch.zeros(0, 0)
        self.annotated: dict[str, Tensor] | None = None
        self.reviews: dict[str, dict[str, Tensor]] = {}

    @property
    def data_fingerprint(self) -> str:
        """Changes whenever the reviews could; cheap, but says at once that a file is missing."""
        return self.origin.fingerprint

    def checksums(self) -> dict[str, str]:
        """The sha256 of each file of the original, by path; raises DataFileError."""
        return self.origin.checksums()

    def encoded(self) -> Encoded:
        """All reviews as numbers, from the cache if they are there; raises DataFileError."""
        key = (ENCODING_VERSION, self.data_fingerprint)
        return encoded_cached(self.cache, f"reviews-{self.aspect}", key, self.origin.encode)

    def setup(self, stage: str | None = None) -> None:
        """Read or make up the reviews once, and split them."""
        del stage
        if self.reviews:
            return
        everything = self.encoded()
        train = everything.train.first(self.train_size)
        # Ids follow the order of the training reviews: those of fewer reviews come first.
        known = max(int(train.ids.max()) + 1, len(SPECIAL))
        self.words = [word.decode(errors="replace") for word in everything.words[:known]]
        self.embeddings = torch.from_numpy(everything.embeddings[:known].copy())
        if everything.annotated is not None and everything.relevant is not None:
            self.annotated = self._columns(everything.annotated, known)
            marks = rows(everything.relevant, everything.annotated.lengths, self.length)
            self.annotated["relevant"] = torch.from_numpy(marks)
            if self.annotated["rating"].isnan().any():
                del self.annotated["rating"]
        heldout = self._columns(everything.heldout, known)
        val, test = halves(len(heldout["rating"]), self.split_seed)
        self.reviews = {
            "train": self._columns(train, known),
            "val": {name: part[val[: self.eval_size]] for name, part in heldout.items()},
            "test": {name: part[test[: self.eval_size]] for name, part in heldout.items()},
        }

    def _columns(self, texts: Texts, known: int) -> dict[str, Tensor]:
        ids = np.where(texts.ids < known, texts.ids, UNKNOWN).astype(np.int32)
        return {
            "tokens": torch.from_numpy(rows(ids, texts.lengths, self.length)),
            "rating": torch.from_numpy(texts.ratings[:, self.aspect_index].copy()),
        }

    def columns(self, split: str) -> dict[str, Tensor]:
        """The reviews of a split."""
        return self.reviews[split]


def halves(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """The rows for validation and for test, as the paper's code drew them.

    That is scikit-learn's `train_test_split(test_size=0.5, random_state=seed)`, which takes the
    first ceil(count / 2) of a permutation for the test.
    """
    order = torch.from_numpy(np.random.RandomState(seed).permutation(count))
    tests = -(-count // 2)
    return order[tests:], order[:tests]
