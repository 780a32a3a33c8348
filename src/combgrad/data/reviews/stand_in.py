"""Made-up reviews whose ratings have a known cause, in the files of the published ones.

A beer has a quality in [-1, 1] for each aspect, and a sentence about an aspect is filled with words
whose sentiments lie near that quality. The rating of an aspect is
0.5 + 0.5 * (mean sentiment of the words that weigh in its sentences) + noise, clipped to [0, 1],
where "not" and "hardly" turn the sentiment of the next word round; the fifth rating is the mean of
the four. Sentences about anything else use words with a sentiment as well, which count for nothing.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.special import ndtr
from tqdm import tqdm

from combgrad.data.reviews.files import (
    ANNOTATIONS_FILE,
    ASPECTS,
    EMBEDDINGS_FILE,
    REVIEWS_FILE,
)
from combgrad.data.reviews.lexicon import MAYBE_NOT, OTHER, Lexicon, lexicon
from combgrad.data.reviews.vocabulary import ragged
from combgrad.files.writing import write_atomically

#: Part of every fingerprint; raise it when the generator changes what it makes.
GENERATOR_VERSION = 1

#: Reviews are drawn so many at a time, each time from a seed of its own, so that fewer reviews are
#: the first of more.
BLOCK = 500

#: Words of the longest review; sentences that do not fit are left out, those without aspect first.
LONGEST = 350

#: Between the qualities of a beer, before they are bent into the range of -REACH to REACH.
CORRELATION = 0.5
REACH = 0.8

#: Deviations of a word's sentiment from the quality, and of a rating from what the words say.
WORD_SPREAD = 0.35
RATING_NOISE = 0.05

#: Shares of the words with a sentiment that are turned round, and of common words misspelt.
NEGATED = 0.05
MISSPELT = 0.01

#: Sentences on average: of each aspect beyond its first, and about anything else. An aspect has at
#: most so many, and the smaller the shape, the more some writers say than others.
MORE_SENTENCES = 1.75
OTHER_SENTENCES = 1.6
MOST_SENTENCES = 7
TALK_SHAPE = 2.5

EMBEDDING_WIDTH = 200
TOPIC_LENGTH = 0.5
SENTIMENT_LENGTH = 0.5
NOISE_LENGTH = 0.7


@dataclass(frozen=True)
class Recipe:
    """What the files are made from: the aspect's index, how many reviews of each kind, the seed."""

    aspect: int
    train: int
    heldout: int
    annotated: int
    seed: int


@dataclass(frozen=True)
class Review:
    """Tokens, the five ratings, and for each token the aspect it weighs in, or -1."""

    tokens: list[str]
    ratings: list[float]
    weighs_in: list[int]

    def line(self) -> str:
        """The line of the review in a file of reviews."""
        return " ".join(f"{rating:.4f}" for rating in self.ratings) + "\t" + " ".join(self.tokens)

    def annotation(self) -> str:
        """The line of the review in the file of annotations."""
        record: dict[str, object] = {"x": self.tokens, "y": [round(r, 4) for r in self.ratings]}
        for aspect in range(len(ASPECTS)):
            marks = np.array([0, *(weight == aspect for weight in self.weighs_in), 0])
            edges = np.flatnonzero(np.diff(marks.astype(int)))
            record[str(aspect)] = edges.reshape(-1, 2).tolist()
        return json.dumps(record)


def write_stand_in(folder: Path, recipe: Recipe) -> None:
    """Write the four files of an aspect into `folder`."""
    for number, (split, count) in enumerate((("train", recipe.train), ("heldout", recipe.heldout))):
        name = REVIEWS_FILE.format(aspect=recipe.aspect, split=split)
        drawn = draw(count, [recipe.seed, number, recipe.aspect])
        _write(folder / name, (review.line() for review in drawn), count)
    drawn = draw(recipe.annotated, [recipe.seed, 2, 0])
    lines = (review.annotation() for review in drawn)
    _write(folder / ANNOTATIONS_FILE, lines, recipe.annotated)
    vectors = embeddings(lexicon(), np.random.default_rng([recipe.seed, 3]))
    _write(folder / EMBEDDINGS_FILE, _vector_lines(vectors), len(vectors))


def _write(path: Path, lines: Iterator[str], count: int) -> None:
    def write(temporary: Path) -> None:
        bar = tqdm(lines, desc=path.name, total=count, delay=2.0, disable=None)
        with temporary.open("w", encoding="utf-8", newline="\n") as file:
            file.writelines(line + "\n" for line in bar)

    write_atomically(path, write)


def _vector_lines(vectors: np.ndarray) -> Iterator[str]:
    known = lexicon()
    for index, (word, vector) in enumerate(zip(known.words, vectors, strict=True)):
        if index not in known.typos:
            yield word + " " + " ".join(f"{value:.5f}" for value in vector)


def embeddings(known: Lexicon, rng: np.random.Generator) -> np.ndarray:
    """Vectors (V, 200): the direction of a word's aspect, that of sentiment, and noise."""
    directions, _ = np.linalg.qr(rng.standard_normal((EMBEDDING_WIDTH, len(ASPECTS) + 1)))
    # The last row stands for no topic.
    topics = np.vstack([directions.T[:-1], np.zeros(EMBEDDING_WIDTH)])
    noise = rng.standard_normal((len(known.words), EMBEDDING_WIDTH)) / np.sqrt(EMBEDDING_WIDTH)
    sentiment = known.sentiments[:, None] * directions[:, -1]
    return TOPIC_LENGTH * topics[known.topics] + SENTIMENT_LENGTH * sentiment + NOISE_LENGTH * noise


def draw(count: int, seed: list[int]) -> Iterator[Review]:
    """The first `count` reviews of a seed."""
    known = lexicon()
    words = np.array(known.words, dtype=object)
    for block in range(-(-count // BLOCK)):
        tokens, review, weighs_in, ratings = _block(known, np.random.default_rng([*seed, block]))
        ends = np.cumsum(np.bincount(review, minlength=BLOCK))
        for row in range(min(BLOCK, count - block * BLOCK)):
            part = slice(ends[row - 1] if row else 0, ends[row])
            yield Review(
                words[tokens[part]].tolist(), ratings[row].tolist(), weighs_in[part].tolist()
            )


def _block(known: Lexicon, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    """BLOCK reviews: tokens (n,), the review and aspect of each (n,), and ratings (BLOCK, 5)."""
    common = np.sqrt(CORRELATION) * rng.standard_normal((BLOCK, 1))
    own = np.sqrt(1 - CORRELATION) * rng.standard_normal((BLOCK, len(ASPECTS)))
    quality = REACH * (2 * ndtr(common + own) - 1)
    review, kind, rank = _sentences(rng)
    first, last = known.kinds[kind], known.kinds[kind + 1]
    chosen = first + (rng.random(len(kind)) * (last - first)).astype(int)
    lengths = known.lengths[chosen]
    # What other sentences are about is as good as it happens to be.
    any_quality = rng.uniform(-1, 1, len(kind))
    aimed = np.where(kind == OTHER, any_quality, quality[review, np.minimum(kind, OTHER - 1)])
    codes = known.codes[ragged(known.starts[chosen], lengths)]
    sentence = np.repeat(np.arange(len(kind)), lengths)
    tokens, effect = _filled(known, codes, aimed[sentence], rng)
    there = tokens >= 0
    # No rank comes near the size of a block.
    there &= _fits(review, rank + BLOCK * (kind == OTHER), sentence[there])[sentence]
    weighs = ~np.isnan(effect) & (kind[sentence] != OTHER)
    cell = (review * len(ASPECTS) + np.minimum(kind, OTHER - 1))[sentence]
    deciding = there & weighs & (codes != MAYBE_NOT)
    ratings = _ratings(cell[deciding], effect[deciding], rng)
    weighs_in = np.where(weighs, kind[sentence], -1)
    return tokens[there], review[sentence[there]], weighs_in[there], ratings


def _sentences(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The review, kind and rank within that kind of each sentence (S,), as the text has them."""
    talk = rng.gamma(TALK_SHAPE, 1 / TALK_SHAPE, (BLOCK, 1))
    means = talk * [*[MORE_SENTENCES] * len(ASPECTS), OTHER_SENTENCES]
    # Rounded up or down at random, which varies less between aspects than a Poisson count.
    counts = np.floor(means + rng.random(means.shape)).astype(int)
    counts[:, :OTHER] = np.minimum(1 + counts[:, :OTHER], MOST_SENTENCES)
    counts = counts.ravel()
    rank = ragged(np.zeros_like(counts), counts)
    review, kind = np.divmod(np.repeat(np.arange(len(counts)), counts), len(ASPECTS) + 1)
    order = np.lexsort((rng.random(len(kind)), review))
    return review[order], kind[order], rank[order]


def _filled(
    known: Lexicon, codes: np.ndarray, aimed: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """The word (n,) of each code, -1 for none, and its effect (n,) on a rating, NaN for none."""
    tokens, effect = codes.copy(), np.full(len(codes), np.nan)
    misspelt = np.where(codes >= 0, known.misspelt[codes], -1)
    typos = (misspelt >= 0) & (rng.random(len(codes)) < MISSPELT)
    tokens[typos] = misspelt[typos]
    for number, slot in enumerate(known.slots):
        places = np.flatnonzero(codes == -2 - number)
        if slot.sentiments is None:
            tokens[places] = rng.choice(slot.words, len(places))
            continue
        negated = rng.random(len(places)) < NEGATED
        sign = np.where(negated, -1.0, 1.0)
        chosen = _near(slot.sentiments, sign * aimed[places], rng)
        tokens[places] = slot.words[chosen]
        effect[places] = sign * slot.sentiments[chosen]
        before = places[negated] - 1
        tokens[before] = rng.choice(known.negations, len(before))
        effect[before] = effect[places[negated]]
    return tokens, effect


def _near(sentiments: np.ndarray, aimed: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """For each aim (n,) a random index into the sentiments (W,), mostly of one near the aim."""
    weights = np.exp(-0.5 * ((sentiments - aimed[:, None]) / WORD_SPREAD) ** 2)
    summed = np.cumsum(weights, axis=1)
    return (summed < rng.random((len(aimed), 1)) * summed[:, -1:]).sum(1)


def _ratings(cell: np.ndarray, effect: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Ratings (BLOCK, 5) by the effects of words, given the cell (review, aspect) of each word."""
    shape = (BLOCK, len(ASPECTS))
    sums, counts = np.bincount(cell, effect), np.bincount(cell)
    # Every cell has words: the first sentence of an aspect always fits.
    mean = (sums / counts).reshape(shape)
    ratings = np.clip(0.5 + 0.5 * mean + RATING_NOISE * rng.standard_normal(shape), 0, 1)
    return np.hstack([ratings, ratings.mean(1, keepdims=True)])


def _fits(review: np.ndarray, rank: np.ndarray, sentence: np.ndarray) -> np.ndarray:
    """Which sentences (S,) stay, given the `sentence` of each token: the first by rank, if long."""
    lengths = np.bincount(sentence, minlength=len(review))
    order = np.lexsort((rank, review))
    whole = np.bincount(review, lengths, minlength=BLOCK)
    before = (np.cumsum(whole) - whole)[review[order]]
    fits = np.empty(len(review), dtype=bool)
    fits[order] = np.cumsum(lengths[order]) - before <= LONGEST
    return fits
