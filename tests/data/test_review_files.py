"""The files of rated reviews: how they are read and numbered, and what is refused."""

import gzip
import json
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from combgrad.data.files.npy import DataFileError
from combgrad.data.reviews.encoded import encode
from combgrad.data.reviews.files import find, read_annotations, read_embeddings, read_reviews
from combgrad.data.reviews.vocabulary import Vocabulary, rows

TRAIN = "reviews.aspect1.train.txt"
HELDOUT = "reviews.aspect1.heldout.txt"
VECTORS = "review+wiki.filtered.200.txt"
ANNOTATIONS = "annotations.json"

GOOD = {
    TRAIN: "0.1 0.2 0.3 0.4 0.5\ta nose of pine\n1 0 1 0 1\tpine and\u00a0pine\n",
    HELDOUT: "0 0.6 0 0 0\tsmells of pine\n0 0.7 0 0 0\tpine\n",
    VECTORS: "pine 1 2 3\nelsewhere 7 8 9\nof -1 0 0.5\n",
    ANNOTATIONS: '{"x": ["a", "new", "pine", "nose"], "y": [0, 0.9, 0, 0, 0], "0": [], '
    '"1": [[1, 3], [3, 4]], "2": [[0, 1]]}\n{"x": ["of"], "0": [], "1": [], "2": []}\n',
}


@pytest.fixture
def folder(tmp_path):
    for name, text in GOOD.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


def test_everything_is_numbered_by_first_appearance_in_training(folder):
    found = encode(find(folder, 1), 1)
    # The last word of a line is the same word as within it; a no-break space is part of a word.
    assert [word.decode() for word in found.words] == [
        *("<pad>", "<start>", "<unknown>"),
        *("a", "nose", "of", "pine", "and\u00a0pine"),
    ]
    assert found.train.ids.tolist() == [3, 4, 5, 6, 6, 7]
    assert found.train.lengths.tolist() == [4, 2]
    assert found.train.ratings[:, 1].tolist() == pytest.approx([0.2, 0])
    assert found.heldout.ids.tolist() == [2, 5, 6, 6]
    np.testing.assert_array_equal(found.embeddings[[5, 6]], [[-1, 0, 0.5], [1, 2, 3]])
    assert not found.embeddings[[0, 1, 2, 3, 4, 7]].any()
    assert found.embeddings.dtype == np.float32
    assert found.annotated.ids.tolist() == [3, 2, 6, 4, 5]
    assert found.relevant.tolist() == [False, True, True, True, False]
    assert found.annotated.ratings[0, 1] == pytest.approx(0.9)
    assert np.isnan(found.annotated.ratings[1]).all()


def test_an_aspect_that_nobody_marked_has_no_annotations(folder):
    for name in (TRAIN, HELDOUT):
        (folder / name.replace("1", "3")).write_text(GOOD[name])
    found = encode(find(folder, 3), 3)
    assert found.annotated is None
    assert found.relevant is None
    (folder / ANNOTATIONS).unlink()
    assert find(folder, 1).annotations is None
    assert encode(find(folder, 1), 1).annotated is None


@pytest.mark.parametrize("below", ["", "beer", "reviews", "l2x-data"])
def test_packed_files_below_the_folder_read_the_same(folder, tmp_path_factory, below):
    other = tmp_path_factory.mktemp("packed")
    (other / below).mkdir(exist_ok=True)
    for name, text in GOOD.items():
        (other / below / f"{name}.gz").write_bytes(gzip.compress(text.encode()))
    plain, packed = encode(find(folder, 1), 1), encode(find(other, 1), 1)
    assert plain.words == packed.words
    np.testing.assert_array_equal(plain.train.ids, packed.train.ids)
    np.testing.assert_array_equal(plain.embeddings, packed.embeddings)


def test_the_first_line_of_vectors_may_say_how_many_there_are(folder):
    path = folder / VECTORS
    plain = read_embeddings(path, {b"of": 1}, 2)
    path.write_text("3 3\n" + GOOD[VECTORS])
    np.testing.assert_array_equal(read_embeddings(path, {b"of": 1}, 2), plain)
    path.write_text("3 4\n" + GOOD[VECTORS])
    with pytest.raises(DataFileError, match="line 2: has 3 numbers after the word, not 4"):
        read_embeddings(path, {}, 2)


def test_bytes_that_are_no_utf_8_are_words_too(folder):
    (folder / TRAIN).write_bytes(b"0 0 0 0 0\tpils caf\xe9 pils\n")
    assert encode(find(folder, 1), 1).words[3:] == [b"pils", b"caf\xe9"]


reviews = st.lists(st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=7), min_size=1)


@given(train=reviews, other=reviews, width=st.integers(1, 9))
def test_numbers_and_rows_agree_with_a_plain_loop(train, other, width):
    vocabulary = Vocabulary()
    learnt = [vocabulary.learn([word.encode() for word in review]) for review in train]
    looked_up = [vocabulary.look_up([word.encode() for word in review]) for review in other]
    order = []
    for review in train:
        for word in review:
            if word not in order:
                order.append(word)
    for texts, found in ((train, learnt), (other, looked_up)):
        flat = np.array([number for review in found for number in review])
        table = rows(flat, np.array([len(review) for review in found]), width)
        assert table.shape == (len(texts), width)
        for review, row in zip(texts, table.tolist(), strict=True):
            expected = [3 + order.index(word) if word in order else 2 for word in review]
            while len(expected) < width:
                expected.insert(0, 0)
            assert row == expected[len(expected) - width :]


@pytest.mark.parametrize("name", [TRAIN, HELDOUT, VECTORS])
def test_a_missing_file_is_named_with_where_it_was(folder, name):
    (folder / name).unlink()
    message = r"no such file.*no longer public.*MIT CSAIL.*docs/beer-advocate.md.*data=reviews"
    with pytest.raises(DataFileError, match=message) as caught:
        find(folder, 1)
    assert str(folder / name) in str(caught.value)
    assert ("vectors of the words" in str(caught.value)) == (name == VECTORS)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("0 0 0 0\tpine", "has 4 ratings, not 5"),
        ("0 0 0 0 0 0\tpine", "has 6 ratings, not 5"),
        ("0 0 0 0 0 pine", "has no tab"),
        ("", "has no tab"),
        ("0 0 0 x 0\tpine", "no number.*'x'"),
        ("0 0 0 1.5 0\tpine", r"rating 1.5, outside \[0, 1\]"),
        ("0 0 0 -0.1 0\tpine", r"rating -0.1, outside"),
        ("0 0 0 nan 0\tpine", r"rating nan, outside"),
        ("0 0 0 0 0\t ", "without a word. Delete the line"),
    ],
)
def test_a_bad_review_is_named_by_its_line(folder, line, message):
    path = folder / TRAIN
    path.write_text(GOOD[TRAIN] + line + "\n" + GOOD[TRAIN])
    with pytest.raises(DataFileError, match=f"{TRAIN}, line 3: .*{message}"):
        list(read_reviews(path))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("of 1 2", "has 2 numbers after the word, not 3"),
        ("", "has 0 numbers"),
        ("of 1 2 3 4", "has 4 numbers"),
        ("of 1 x 3", "no number.*'x'"),
        ("of 1 inf 3", "not finite"),
    ],
)
def test_a_bad_vector_is_named_by_its_line(folder, line, message):
    path = folder / VECTORS
    path.write_text("pine 1 2 3\n" + line + "\n")
    with pytest.raises(DataFileError, match=f"line 2: .*{message}"):
        read_embeddings(path, {b"of": 0}, 1)


@pytest.mark.parametrize("text", ["3 1000000000000\n", "9 " * 10_002 + "\n", "3 " + "9" * 5000])
def test_vectors_too_wide_for_any_memory_are_refused(folder, text):
    (folder / VECTORS).write_text(text)
    with pytest.raises(DataFileError, match="line 1: has vectors of more than 10,000 numbers"):
        read_embeddings(folder / VECTORS, {}, 1)


@pytest.mark.parametrize("read", [read_reviews, read_annotations])
def test_a_packed_line_without_end_is_refused_with_little_memory(tmp_path, read):
    path = tmp_path / "bomb.gz"
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(bytes(100_000_000))
    tracemalloc.start()
    try:
        with pytest.raises(DataFileError, match=r"bomb\.gz, line 1: is longer than 10,000,000"):
            list(read(path))
        assert tracemalloc.get_traced_memory()[1] < 60_000_000
    finally:
        tracemalloc.stop()


def test_words_without_any_numbers_are_no_vectors(folder):
    (folder / VECTORS).write_text("pine\nof\n")
    with pytest.raises(DataFileError, match="line 1: has 0 numbers after the word, not one"):
        read_embeddings(folder / VECTORS, {}, 1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("{", "is no JSON"),
        ("[1]", 'no object whose "x"'),
        ({"x": "pine"}, 'no object whose "x"'),
        ({"x": ["pine", 1]}, 'no object whose "x"'),
        ({"x": []}, "without a word"),
        ({"y": [0, 0, 0]}, "has 3 ratings"),
        ({"y": 0.5}, "no list of ratings"),
        ({"y": [0, 0, 0, 2, 0]}, "rating 2, outside"),
        ({"y": [0, 0, 0, None, 0]}, "no number"),
        ({"1": [[0, 3]]}, r"range \[0, 3\].*its 2 words"),
        ({"1": [[-1, 1]]}, r"range \[-1, 1\]"),
        ({"1": [[2, 1]]}, r"range \[2, 1\]"),
        ({"1": [[0, 1, 2]]}, r"range \[0, 1, 2\]"),
        ({"1": [[0, 1.5]]}, r"range \[0, 1.5\]"),
        ({"2": 5}, "range 5"),
        ({"y": [0, 0, 0, 10**400, 0]}, "has a rating that is no number"),
        ("[" * 100_000, "is no JSON"),
    ],
)
def test_a_bad_annotation_is_named_by_its_line(folder, change, message):
    record = {"x": ["of", "pine"], "1": [[0, 2]]}
    line = change if isinstance(change, str) else json.dumps(record | change)
    (folder / ANNOTATIONS).write_text(json.dumps(record) + "\n" + line + "\n")
    with pytest.raises(DataFileError, match=f"{ANNOTATIONS}, line 2: .*{message}"):
        list(read_annotations(folder / ANNOTATIONS))


@pytest.mark.parametrize("damage", ["cut", "changed", "other"])
def test_a_damaged_archive_is_named(folder, damage):
    noise = np.random.default_rng(0).integers(0, 10, 2000)
    packed = gzip.compress(f"0 0 0 0 0\t{' '.join(map(str, noise))}\n".encode())
    middle = len(packed) // 2
    content = {
        "cut": packed[:middle],
        "changed": packed[:middle] + bytes(64) + packed[middle + 64 :],
        "other": b"no archive",
    }[damage]
    (folder / TRAIN).unlink()
    (folder / f"{TRAIN}.gz").write_bytes(content)
    with pytest.raises(DataFileError, match=rf"{TRAIN}.gz: cannot be read.*damaged"):
        encode(find(folder, 1), 1)


@pytest.mark.parametrize("name", [TRAIN, HELDOUT, VECTORS])
def test_an_empty_file_is_named(folder, name):
    (folder / name).write_text("")
    with pytest.raises(DataFileError) as caught:
        encode(find(folder, 1), 1)
    assert f"{folder / name}: is empty" in str(caught.value)


def test_one_held_out_review_is_too_few(folder):
    (folder / HELDOUT).write_text("0 0 0 0 0\tpine\n")
    with pytest.raises(DataFileError, match=f"{HELDOUT}: has one review"):
        encode(find(folder, 1), 1)
