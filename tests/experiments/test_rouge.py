"""ROUGE of the library against a plain loop and against values that others published."""

import itertools
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from combgrad.experiments.rouge import rouge


def f1(hits, found, true):
    if not hits:
        return 0.0
    precision, recall = hits / found, hits / true
    return 2 * precision * recall / (precision + recall)


def grams(words, n):
    return Counter(tuple(words[i : i + n]) for i in range(len(words) - n + 1))


def common(a, b):
    """The length of the longest common subsequence, by all subsequences of a."""
    for length in range(min(len(a), len(b)), 0, -1):
        for chosen in itertools.combinations(a, length):
            rest = iter(b)
            if all(word in rest for word in chosen):
                return length
    return 0


def plain(found, true):
    found, true = found.split(), true.split()
    values = []
    for n in (1, 2):
        ours, theirs = grams(found, n), grams(true, n)
        hits = sum(min(count, theirs[gram]) for gram, count in ours.items())
        values.append(f1(hits, sum(ours.values()), sum(theirs.values())))
    return [*values, f1(common(found, true), len(found), len(true))]


TEXTS = st.lists(st.sampled_from(["a", "b", "c", "#", "<"]), max_size=7).map(" ".join)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(TEXTS, TEXTS.filter(bool)), min_size=1, max_size=4))
def test_it_is_that_of_a_plain_loop(pairs):
    found, true = zip(*pairs, strict=True)
    values = rouge(found, true)
    each = [plain(*pair) for pair in pairs]
    expected = [sum(column) / len(pairs) for column in zip(*each, strict=True)]
    names = ("rouge_1", "rouge_2", "rouge_l")
    assert [float(values[name]) for name in names] == pytest.approx(expected, abs=1e-6)
    assert float(values["rouge_total"]) == pytest.approx(sum(expected), abs=1e-5)


#: Found, true, and ROUGE-1, -2, -L: Lin 2004, section 3.1, and the tests of Google's rouge_score,
#: a second implementation; the former's values of ROUGE-L have beta = 1, as F1 has.
PUBLISHED = [
    ("police kill the gunman", "police killed the gunman", {"rouge_2": 1 / 3, "rouge_l": 3 / 4}),
    ("the gunman kill police", "police killed the gunman", {"rouge_2": 1 / 3, "rouge_l": 2 / 4}),
    ("the gunman police killed", "police killed the gunman", {"rouge_l": 2 / 4}),
    ("testing", "testing one two", {"rouge_1": 1 / 2}),
    ("testing one", "testing one two", {"rouge_1": 4 / 5, "rouge_2": 2 / 3, "rouge_l": 4 / 5}),
    ("testing two", "testing one two", {"rouge_l": 4 / 5}),
    ("", "testing one two", {"rouge_1": 0, "rouge_2": 0, "rouge_l": 0}),
]


@pytest.mark.parametrize(("found", "true", "expected"), PUBLISHED)
def test_it_has_the_values_that_others_published(found, true, expected):
    values = rouge([found], [true])
    assert {name: float(values[name]) for name in expected} == pytest.approx(expected)
