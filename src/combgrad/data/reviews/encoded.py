"""Reviews as numbers, kept in the cache."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from combgrad.data.base import cached
from combgrad.data.files.npy import REMEDY, DataFileError
from combgrad.data.reviews.files import (
    RATINGS,
    Annotation,
    ReviewFiles,
    read_annotations,
    read_embeddings,
    read_reviews,
)
from combgrad.data.reviews.vocabulary import SPECIAL, Vocabulary

#: Part of the key of every cached entry; raise it when `encode` changes what it makes.
ENCODING_VERSION = 1


@dataclass(frozen=True, eq=False)
class Texts:
    """N reviews: their ids one after another, int32, lengths (N,) and ratings (N, 5) float32.

    Unknown ratings are NaN.
    """

    ids: np.ndarray
    lengths: np.ndarray
    ratings: np.ndarray

    def first(self, count: int) -> "Texts":
        """At most the first `count` reviews."""
        lengths = self.lengths[:count]
        return Texts(self.ids[: lengths.sum()], lengths, self.ratings[:count])


@dataclass(frozen=True, eq=False)
class Encoded:
    """All reviews of one aspect, their words (V,), as bytes, and vectors (V, D) float32.

    `relevant` has a bool for each word of the annotated reviews; both are None without any.
    """

    words: list[bytes]
    embeddings: np.ndarray
    train: Texts
    heldout: Texts
    annotated: Texts | None
    relevant: np.ndarray | None


def encode(files: ReviewFiles, aspect: int) -> Encoded:
    """Read all files of an aspect; raises DataFileError."""
    vocabulary = Vocabulary()
    train = _texts(files.train, vocabulary.learn)
    heldout = _texts(files.heldout, vocabulary.look_up)
    if len(heldout.lengths) < 2:
        raise DataFileError(
            f"{files.heldout}: has one review, which cannot both validate and test. {REMEDY}"
        )
    annotations = [] if files.annotations is None else list(read_annotations(files.annotations))
    # An annotation of other aspects is none.
    marked = any(annotation.ranges[aspect] for annotation in annotations)
    words = [*(word.encode() for word in SPECIAL), *vocabulary.ids]
    return Encoded(
        words,
        read_embeddings(files.embeddings, vocabulary.ids, len(words)),
        train,
        heldout,
        _annotated(annotations, vocabulary) if marked else None,
        _relevant(annotations, aspect) if marked else None,
    )


def _texts(path: Path, number: Callable[[list[bytes]], list[int]]) -> Texts:
    ids, ratings = [], []
    for rating, tokens in read_reviews(path):
        ids.append(np.array(number(tokens), dtype=np.int32))
        ratings.append(rating)
    if not ids:
        raise DataFileError(f"{path}: is empty. {REMEDY}")
    return joined_texts(ids, ratings)


def joined_texts(ids: list[np.ndarray], ratings: list[list[float]]) -> Texts:
    """Reviews one after another, from the ids and the ratings of each."""
    lengths = np.array([len(part) for part in ids])
    return Texts(np.concatenate(ids), lengths, np.array(ratings, dtype=np.float32))


def _annotated(annotations: list[Annotation], vocabulary: Vocabulary) -> Texts:
    ids = [np.array(vocabulary.look_up(one.tokens), dtype=np.int32) for one in annotations]
    unknown = [float("nan")] * RATINGS
    return joined_texts(ids, [one.ratings or unknown for one in annotations])


def _relevant(annotations: Iterable[Annotation], aspect: int) -> np.ndarray:
    parts = []
    for annotation in annotations:
        part = np.zeros(len(annotation.tokens), dtype=bool)
        for start, end in annotation.ranges[aspect]:
            part[start:end] = True
        parts.append(part)
    return np.concatenate(parts)


def encoded_cached(
    folder: Path | None, name: str, key: Sequence[object], make: Callable[[], Encoded]
) -> Encoded:
    """What `make` makes, kept in `folder` under the name and the key."""
    return _from_arrays(cached(folder, name, key, lambda: [_to_arrays(make())]))


def _to_arrays(encoded: Encoded) -> dict[str, np.ndarray]:
    # Words hold no white space; as bytes they need neither a fixed width nor valid UTF-8.
    arrays = {
        "words": np.frombuffer(b"\n".join(encoded.words), dtype=np.uint8),
        "embeddings": encoded.embeddings,
    }
    for name in ("train", "heldout", "annotated"):
        texts = getattr(encoded, name)
        if texts is not None:
            arrays |= {f"{name}_{field}": value for field, value in vars(texts).items()}
    if encoded.relevant is not None:
        arrays["relevant"] = encoded.relevant
    return arrays


def _from_arrays(arrays: Mapping[str, np.ndarray]) -> Encoded:
    def texts(name: str) -> Texts:
        return Texts(*(arrays[f"{name}_{field}"] for field in ("ids", "lengths", "ratings")))

    annotated = "relevant" in arrays
    return Encoded(
        arrays["words"].tobytes().split(b"\n"),
        arrays["embeddings"],
        texts("train"),
        texts("heldout"),
        texts("annotated") if annotated else None,
        arrays["relevant"] if annotated else None,
    )
