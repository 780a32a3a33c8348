"""Which pictures make a pair, and what is refused of the points in them."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from combgrad.data.files.npy import DataFileError
from combgrad.data.files.pictures import PictureFile
from combgrad.data.matching.marked import Annotation, gather
from combgrad.data.matching.pairs import EVERY_LABEL, DrawnPairs, GivenPairs

PLACES = np.arange(20.0).reshape(10, 2)


def marked(*labels, category=0):
    """A picture with points of these labels."""
    return Annotation(f"picture {labels}", category, PLACES[: len(labels)], np.array(labels))


def drawn(*pictures):
    table = gather(pictures)
    return DrawnPairs(np.arange(len(table)), table.category, table.marks, ("one", "two"))


def test_a_table_keeps_the_points_of_each_picture_together():
    table = gather([marked(3, 1), marked(), marked(-1, 63, 0, category=1)])
    assert table.names == ("picture (3, 1)", "picture ()", "picture (-1, 63, 0)")
    assert [table.rows(n).tolist() for n in range(3)] == [[0, 1], [], [2, 3, 4]]
    np.testing.assert_array_equal(table.points, PLACES[[0, 1, 0, 1, 2]].astype(np.float32))
    assert table.labels.tolist() == [3, 1, -1, 63, 0]
    assert table.category.tolist() == [0, 0, 1]
    assert table.marks.tolist() == [2**3 + 2**1, 0, 2**63 + 1]


def test_points_outside_of_the_picture_are_left_out():
    points = [(0, 0), (256, 256), (-0.1, 5), (5, 256.1), (256.000001, 3)]
    table = gather([Annotation("p", 0, np.array(points), np.arange(5))])
    assert table.labels.tolist() == [0, 1, 4]


@pytest.mark.parametrize(
    ("points", "labels", "message"),
    [
        ([(1, 2), (3, 4)], [5, 5], "p: has two points of the same name"),
        ([(1, 2), (3, float("nan"))], [0, 1], "p: has a point whose coordinates are no numbers"),
        ([(1, 2)], [64], "p: has a point labelled outside of -1 to 63"),
        ([(1, 2)], [-2], "p: has a point labelled outside of -1 to 63"),
        ([(1, 2)], [0, 1], "p: has 1 points and 2 labels"),
    ],
)
def test_wrong_points_are_refused_by_the_name_of_the_picture(points, labels, message):
    with pytest.raises(DataFileError, match=message):
        gather([Annotation("p", 0, np.array(points), np.array(labels))])


def test_a_set_needs_pictures_and_files_for_all_or_none(tmp_path):
    with pytest.raises(DataFileError, match="no pictures with marked points"):
        gather([])
    one = marked(1, 2)._replace(file=PictureFile(tmp_path / "a.png"))
    with pytest.raises(DataFileError, match="some pictures of the set have files"):
        gather([one, marked(1, 2)])


@given(
    st.lists(st.sets(st.integers(0, 5), max_size=6), min_size=1, max_size=8),
    st.integers(0, 2**32 - 1),
)
def test_drawn_pairs_are_just_those_that_share_two_labels(sets, seed):
    right = {
        (i, j)
        for i, j in itertools.permutations(range(len(sets)), 2)
        if len(sets[i] & sets[j]) >= 2
    }
    pictures = [marked(*sorted(labels)) for labels in sets]
    if not right:
        with pytest.raises(DataFileError, match=rf"one: none of its {len(sets)} pictures"):
            drawn(*pictures)
        return
    pool = drawn(*pictures)
    generator = np.random.default_rng(seed)
    found = [pool.draw(generator) for _ in range(40 * len(right))]
    assert {(pair.first, pair.second) for pair in found} <= right
    if len(right) <= 6:
        assert {(pair.first, pair.second) for pair in found} == right


def test_categories_are_as_likely_however_many_pictures_they_have():
    many = [marked(0, 1, 2) for _ in range(30)]
    pool = drawn(*many, marked(0, 1, category=1), marked(1, 0, category=1))
    generator = np.random.default_rng(0)
    found = [pool.draw(generator) for _ in range(2000)]
    assert all((pair.category == 1) == (pair.first >= 30) == (pair.second >= 30) for pair in found)
    # Five standard deviations of a fair coin.
    assert abs(sum(pair.category for pair in found) - 1000) < 5 * 500**0.5
    seen = [pair.first for pair in found if pair.category == 0]
    assert set(seen) == set(range(30))


def test_fixed_pairs_are_as_many_of_each_category_and_the_same_again():
    pool = drawn(*(marked(0, 1, category=c) for c in (0, 1, 0, 1, 0)))
    fixed, again, other = pool.fixed(7, (3,)), pool.fixed(7, (3,)), pool.fixed(7, (4,))
    assert fixed.category.tolist() == [0] * 7 + [1] * 7
    np.testing.assert_array_equal(fixed.pictures, again.pictures)
    assert not np.array_equal(fixed.pictures, other.pictures)
    assert (fixed.pictures[:, 0] != fixed.pictures[:, 1]).all()


def given_pairs(categories):
    numbers = np.arange(2 * len(categories)).reshape(-1, 2)
    return GivenPairs(numbers, np.full(len(numbers), EVERY_LABEL), np.array(categories))


def test_of_given_pairs_at_most_so_many_are_kept_in_their_order():
    pairs = given_pairs([5, 2, 5, 5, 5, 2])
    everything = pairs.fixed(4, (0,))
    assert everything.category.tolist() == [2, 2, 5, 5, 5, 5]
    np.testing.assert_array_equal(everything.pictures, pairs.pictures[[1, 5, 0, 2, 3, 4]])
    chosen = {tuple(pairs.fixed(2, (seed,)).pictures[2:, 0].tolist()) for seed in range(60)}
    assert chosen == set(itertools.combinations([0, 4, 6, 8], 2))


def test_given_pairs_are_drawn_by_category_first():
    pairs = given_pairs([4] * 98 + [1, 1])
    generator = np.random.default_rng(0)
    found = [pairs.draw(generator) for _ in range(2000)]
    assert abs(sum(pair.category == 1 for pair in found) - 1000) < 5 * 500**0.5
    assert all(pair.second == pair.first + 1 for pair in found)
    assert {pair.first for pair in found if pair.category == 1} == {196, 198}
