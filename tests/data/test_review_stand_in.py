"""Made-up reviews: repeatable, and rated by what they say."""

import json
import time
from collections import Counter
from itertools import islice, pairwise

import numpy as np
import pytest

from combgrad.data.reviews import stand_in
from combgrad.data.reviews.files import ASPECTS, find, read_annotations, read_reviews
from combgrad.data.reviews.lexicon import SOURCE, lexicon
from combgrad.data.reviews.stand_in import Recipe, draw, write_stand_in

SEED = [0, 0, 1]
COUNT = 2000


def listed():
    """The lines of each section of the lexicon, read in the plainest way."""
    sections, name = {}, None
    for line in SOURCE.read_text(encoding="utf-8").split("\n"):
        if line.startswith("["):
            name = line[1:-1]
            sections[name] = []
        elif line and line[0] != "#":
            sections[name].append(line)
    return sections


def sentiments_of(section):
    """The sentiment of each word of a section."""
    values = {}
    for line in listed()[section]:
        value, words = line.split(":")
        values |= {word: float(value) for word in words.split()}
    return values


SHARED = sentiments_of("shared adjectives")
OWN = {a: sentiments_of(f"{a} adjectives") | sentiments_of(f"{a} notes") for a in ASPECTS}
NOUNS = {a: set(" ".join(listed()[f"{a} nouns"]).split()) for a in ASPECTS}
NEGATIONS = {"not", "hardly"}


def aspect_of(sentence):
    """The aspect whose own words stand in a sentence, or None."""
    found = [a for a in ASPECTS if (OWN[a].keys() | NOUNS[a]) & set(sentence)]
    assert len(found) <= 1, sentence
    return found[0] if found else None


def reading(tokens):
    """By aspect the places of the words that weigh, with their "not", and their mean sentiment."""
    places, effects = {a: [] for a in ASPECTS}, {a: [] for a in ASPECTS}
    start = 0
    while start < len(tokens):
        end = tokens.index(".", start) + 1
        aspect = aspect_of(tokens[start:end])
        for place in range(start, end if aspect else start):
            value = (SHARED | OWN[aspect]).get(tokens[place])
            if value is None:
                continue
            if tokens[place - 1] in NEGATIONS:
                places[aspect].append(place - 1)
                value = -value
            places[aspect].append(place)
            effects[aspect].append(value)
        start = end
    return places, {a: sum(values) / len(values) for a, values in effects.items()}


@pytest.fixture(scope="module")
def drawn():
    return list(draw(COUNT, SEED))


def test_the_lexicon_tells_aspects_apart():
    every = [*OWN.values(), *NOUNS.values(), SHARED, NEGATIONS]
    assert max(Counter(word for words in every for word in words).values()) == 1
    weighs = {word for words in [*OWN.values(), SHARED, NEGATIONS] for word in words}
    for name, lines in listed().items():
        if "sentences" not in name and name != "every aspect":
            continue
        fixed = {word for line in lines for word in line.split()}
        assert fixed & weighs == set(), name
        others = {noun for a in ASPECTS if a not in name for noun in NOUNS[a]}
        assert fixed & others == set(), name
        assert all(line.split().index(".") == len(line.split()) - 1 for line in lines)
    assert all(-1 <= value <= 1 for words in [*OWN.values(), SHARED] for value in words.values())


def test_its_words_are_as_many_as_in_a_small_corpus():
    words = lexicon().words
    assert len(set(words)) == len(words)
    assert 1500 < len(words) < 2500


def test_without_noise_ratings_are_exactly_what_the_words_say(monkeypatch):
    monkeypatch.setattr(stand_in, "RATING_NOISE", 0.0)
    for review in draw(300, SEED):
        _, means = reading(review.tokens)
        expected = [0.5 + 0.5 * means[aspect] for aspect in ASPECTS]
        assert review.ratings == pytest.approx([*expected, sum(expected) / 4], abs=1e-12)


def test_sentences_that_do_not_fit_are_left_out_but_no_aspect_is(monkeypatch):
    monkeypatch.setattr(stand_in, "LONGEST", 80)
    for review in draw(500, SEED):
        assert len(review.tokens) <= 80
        assert {ASPECTS[a] for a in review.weighs_in if a >= 0} == set(ASPECTS)


def test_ratings_are_what_the_words_of_the_aspect_say_up_to_the_noise(drawn):
    misses = []
    for review in drawn:
        _, means = reading(review.tokens)
        expected = [min(max(0.5 + 0.5 * means[a], 0), 1) for a in ASPECTS]
        misses += [rating - e for rating, e in zip(review.ratings, expected, strict=False)]
        assert review.ratings[4] == pytest.approx(sum(review.ratings[:4]) / 4)
        assert all(0 <= rating <= 1 for rating in review.ratings)
    assert np.abs(misses).max() < 0.25  # five deviations
    assert np.std(misses) == pytest.approx(0.05, abs=0.002)
    assert np.mean(misses) == pytest.approx(0, abs=0.002)


def test_the_words_that_weigh_are_those_of_the_aspect_with_their_not(drawn):
    for review in drawn[:300]:
        places, _ = reading(review.tokens)
        for number, aspect in enumerate(ASPECTS):
            assert np.flatnonzero(np.array(review.weighs_in) == number).tolist() == places[aspect]


def test_lengths_ratings_and_counts_are_as_wanted(drawn):
    lengths = np.array([len(review.tokens) for review in drawn])
    assert lengths.mean() == pytest.approx(128, abs=7)
    assert lengths.std() == pytest.approx(55, abs=5)
    assert lengths.min() >= 25
    assert 330 <= lengths.max() <= 350
    weighs = np.array([np.bincount(np.array(r.weighs_in) + 1, minlength=5)[1:] for r in drawn])
    np.testing.assert_allclose(weighs.mean(0), 9.5, atol=0.7)
    assert ((weighs >= 3) & (weighs <= 20)).mean() > 0.97
    assert weighs.min() >= 2
    ratings = np.array([review.ratings for review in drawn])[:, :4]
    np.testing.assert_allclose(ratings.var(0), 0.05, atol=0.006)
    np.testing.assert_allclose(ratings.mean(0), 0.5, atol=0.03)
    between = np.corrcoef(ratings.T)[np.triu_indices(4, 1)]
    np.testing.assert_allclose(between, 0.42, atol=0.08)
    words = Counter(word for review in drawn for word in review.tokens)
    turned = sum(words[word] for word in NEGATIONS)
    assert 0.03 < turned / sum(words[w] for part in [*OWN.values(), SHARED] for w in part) < 0.07
    typos = [line.split("=")[0] for line in listed()["typos"]]
    assert 0 < sum(words[typo] for typo in typos) / words.total() < 0.01


def test_reviews_are_all_different_and_use_every_word_that_weighs(drawn):
    assert len({tuple(review.tokens) for review in drawn}) == COUNT
    used = {word for review in drawn for word in review.tokens}
    assert {word for words in [*OWN.values(), *NOUNS.values(), SHARED] for word in words} <= used


def test_fewer_reviews_are_the_first_of_more_and_seeds_differ(drawn):
    for count in (1, 499, 500, 501):
        assert list(draw(count, SEED)) == drawn[:count]
    for other in ([1, 0, 1], [0, 1, 1], [0, 0, 2]):
        assert next(draw(1, other)) != drawn[0]
    assert list(draw(0, SEED)) == []


def written(folder, **changes):
    sizes = {"aspect": 1, "train": 30, "heldout": 20, "annotated": 25, "seed": 0}
    write_stand_in(folder, Recipe(**(sizes | changes)))
    return {path.name: path.read_text() for path in folder.iterdir()}


def test_files_depend_on_the_recipe_alone_and_grow_at_their_end(tmp_path):
    first = written(tmp_path / "a")
    assert len(first) == 4
    assert written(tmp_path / "b") == first
    longer = written(tmp_path / "c", train=40, heldout=21, annotated=26)
    assert all(longer[name].startswith(text) for name, text in first.items())
    other = written(tmp_path / "d", seed=1)
    assert all(other[name] != text for name, text in first.items())


def test_the_files_read_back_as_they_were_drawn(tmp_path):
    written(tmp_path)
    files = find(tmp_path, 1)
    for path, seed, count in ((files.train, [0, 0, 1], 30), (files.heldout, [0, 1, 1], 20)):
        stored = list(read_reviews(path))
        made = list(draw(count, seed))
        assert [[t.decode() for t in tokens] for _, tokens in stored] == [r.tokens for r in made]
        for (ratings, _), review in zip(stored, made, strict=True):
            assert ratings == pytest.approx(review.ratings, abs=5.1e-5)
    vectors = files.embeddings.read_text().splitlines()
    assert {len(line.split()) for line in vectors} == {201}
    typos = {line.split("=")[0] for line in listed()["typos"]}
    assert {line.split()[0] for line in vectors} == set(lexicon().words) - typos


def test_annotations_mark_exactly_the_words_that_weigh(tmp_path):
    written(tmp_path)
    path = find(tmp_path, 1).annotations
    for line, annotation in zip(path.open(), read_annotations(path), strict=True):
        tokens = json.loads(line)["x"]
        places, means = reading(tokens)
        for number, aspect in enumerate(ASPECTS):
            ranges = annotation.ranges[number]
            marked = [place for start, end in ranges for place in range(start, end)]
            assert marked == places[aspect]
            assert {tokens[p] for p in marked} <= OWN[aspect].keys() | SHARED.keys() | NEGATIONS
            # Neighbours are one range.
            assert all(a[1] < b[0] for a, b in pairwise(ranges))
            assert abs(annotation.ratings[number] - (0.5 + 0.5 * means[aspect])) < 0.25


def test_vectors_have_directions_of_aspect_and_sentiment(tmp_path):
    written(tmp_path)
    lines = (line.split() for line in find(tmp_path, 1).embeddings.open())
    vectors = {word: np.array(values, dtype=float) for word, *values in lines}
    assert 0.6 < np.mean([np.linalg.norm(vector) for vector in vectors.values()]) < 1.1

    def mean(words):
        return np.mean([vectors[word] for word in words], axis=0)

    def cosine(a, b):
        return a @ b / np.linalg.norm(a) / np.linalg.norm(b)

    slopes = []
    for words in (*OWN.values(), SHARED):
        centre = mean(words)
        slopes.append(sum(value * (vectors[word] - centre) for word, value in words.items()))
    assert all(cosine(a, b) > 0.7 for a in slopes for b in slopes)
    topics = {a: mean(OWN[a]) for a in ASPECTS}
    for a in ASPECTS:
        assert cosine(topics[a], mean(NOUNS[a])) > 0.7
        assert all(abs(cosine(topics[a], topics[b])) < 0.3 for b in ASPECTS if b != a)
        assert abs(cosine(topics[a], mean(["waiter", "label", "price", "bottle"]))) < 0.4


def test_ten_thousand_reviews_take_seconds():
    started = time.process_time()
    assert sum(1 for _ in islice(draw(10_000, SEED), 10_000)) == 10_000
    assert time.process_time() - started < 10
