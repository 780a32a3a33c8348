"""Reviews with one rating of the beer, and the words that a published model chose of others."""

import gzip
import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import scipy.linalg
from hypothesis import given, settings
from hypothesis import strategies as st

from combgrad.data.files.npy import DataFileError
from combgrad.data.reviews.datamodule import Reviews
from combgrad.data.reviews.overall import encode, find, read_rated, read_rationales, words_of
from combgrad.data.reviews.summary import summary
from combgrad.data.reviews.vectors import RAREST, SMOOTHING, WIDTH, WINDOW, word_vectors
from combgrad.data.reviews.vocabulary import SPECIAL

COMMAS = "," * 31
HEAD = f"product_name,product_review,user_rating{COMMAS}\n"
FIRST = [
    f'A Beer by B,"Pours brown, I\x00\x99ve had worse.",4{COMMAS}\n',
    f'"C, D",a nose of pine-tar and 7.5% pine,2.5{COMMAS}\n',
    f"E,,5{COMMAS}\n",
    f'F,"the \x00\x9cbest\x00? of beers\x00?,1{COMMAS}\n',
]
LAST = "".join(f"G{i},pine beer number {i} is n't brown,{i / 2}{COMMAS}\n" for i in range(9))

SMELL = """Review:
\tthe beer was n't brown
------------
Rationale:
\t__ beer __ __ __


Review:
\ta nose of pine
------------
Rationale:
\t__ nose __ __
"""
OTHERS = {
    "palate": SMELL.replace("\t__ beer __ __ __", "\t__ __ was n't __"),
    "appearance": SMELL.replace("\t__ beer __ __ __", "\t__ __ __ __ brown"),
}


def broken(text):
    """As in the file: a typographic character has lost its first bytes."""
    return text.encode("latin-1").replace(b"\0", b"?")


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "beer_reviews").mkdir()
    (tmp_path / "beer_rationales").mkdir()
    content = broken(HEAD + "".join(FIRST) + LAST)
    (tmp_path / "beer_reviews" / "some.csv.gz").write_bytes(gzip.compress(content))
    for name, text in {"smell": SMELL, **OTHERS}.items():
        path = tmp_path / "beer_rationales" / f"{name}.txt.gz"
        path.write_bytes(gzip.compress(text.encode()))
    return tmp_path


def words(text):
    return [word.encode() for word in text.split()]


def test_each_line_is_a_review_with_its_stars_as_a_share(folder):
    found = list(read_rated(folder / "beer_reviews" / "some.csv.gz"))
    # The third has no word, and of the fourth the closing quote is lost.
    assert [rating for rating, _ in found[:3]] == pytest.approx([0.8, 0.5, 0.2])
    assert found[0][1] == words("pours brown , i 've had worse .")
    assert found[1][1] == words("a nose of pine-tar and 7.5 % pine")
    assert found[2][1] == words("the ' best ? ? of beers ? ?")
    assert len(found) == 12
    assert found[11] == (0.8, words("pine beer number 8 is n't brown"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Wasn't it I'm they'd 'x'", "was n't it i 'm they 'd ' x '"),
        ("Malt/hops, 1,000 IBU... (ok)_", "malt/hops , 1,000 ibu ... ( ok ) _"),
        ("Kölsch\n\tnot", "kölsch not"),
    ],
)
def test_words_are_cut_as_in_the_rationales(text, expected):
    assert words_of(text) == words(expected)


@given(st.text())
def test_cutting_loses_nothing_but_blanks(text):
    joined = b"".join(words_of(text)).decode("utf-8", "surrogatepass")
    assert joined == "".join(text.lower().split())


def test_a_rationale_says_which_words_were_chosen(folder):
    found = list(read_rationales(folder / "beer_rationales" / "palate.txt.gz"))
    assert [review for review, _ in found] == [
        words("the beer was n't brown"),
        words("a nose of pine"),
    ]
    assert found[0][1].tolist() == [False, False, True, True, False]


def test_every_fifth_review_is_held_out_and_words_of_any_aspect_are_relevant(folder):
    found = encode(find(folder))
    assert (len(found.train.lengths), len(found.heldout.lengths)) == (10, 2)
    assert found.heldout.ratings[:, 4].tolist() == pytest.approx([0.1, 0.6])
    assert np.isnan(found.heldout.ratings[:, :4]).all()
    known = [word.decode() for word in found.words]
    assert known[:6] == [*SPECIAL, "pours", "brown", ","]
    held_out = ["pine", "beer", "number", "1", "is", "n't", "brown"]
    expected = [known.index(word) if word in known else 2 for word in held_out]
    assert found.heldout.ids[:7].tolist() == expected
    assert 2 in expected
    assert found.relevant.tolist() == [False, *[True] * 4, False, True, False, False]
    assert np.isnan(found.annotated.ratings).all()
    assert found.embeddings.shape == (len(known), WIDTH)
    # A word that stands there three times has a vector, one that stands there once has none.
    lengths = np.linalg.norm(found.embeddings, axis=1)
    assert lengths[known.index("brown")] == pytest.approx(1, abs=1e-5)
    assert not lengths[[0, 1, 2, known.index("pours")]].any()


def test_without_rationales_nothing_is_annotated(folder):
    for path in (folder / "beer_rationales").iterdir():
        path.unlink()
    assert encode(find(folder)).annotated is None


def information(reviews, known):
    """The positive pointwise mutual information of the known words, pair by pair."""
    near = Counter()
    for review in reviews:
        for i, left in enumerate(review):
            for right in review[i + 1 : i + 1 + WINDOW]:
                near[left, right] += 1
                near[right, left] += 1
    matrix = np.zeros((len(known), len(known)))
    of_word = {w: sum(near[w, other] for other in known) for w in known}
    smoothed = {w: of_word[w] ** SMOOTHING for w in known}
    for i, left in enumerate(known):
        for j, right in enumerate(known):
            if near[left, right]:
                share = smoothed[right] / sum(smoothed.values())
                matrix[i, j] = max(0, np.log(near[left, right] / (of_word[left] * share)))
    return matrix


def gram(rows):
    """The cosines of all pairs of rows, 0 for those without length."""
    lengths = np.sqrt(np.diag(rows))
    lengths[lengths < 1e-6] = np.inf
    return rows / np.outer(lengths, lengths)


@settings(deadline=None, max_examples=25)
@given(st.lists(st.lists(st.integers(3, 9), min_size=1, max_size=12), min_size=1, max_size=6))
def test_vectors_have_the_angles_of_the_root_of_the_information(reviews):
    ids = np.array([word for review in reviews for word in review], dtype=np.int32)
    found = word_vectors(ids, np.array([*map(len, reviews)]), 10)
    counts = Counter(ids.tolist())
    known = [word for word in range(3, 10) if counts[word] >= RAREST]
    # Rare words stand between others, but count as nobody's neighbours.
    matrix = information(reviews, known)
    root = scipy.linalg.sqrtm(matrix @ matrix.T).real if known else matrix
    assert found.dtype == np.float32
    np.testing.assert_allclose(found[known] @ found[known].T, gram(root), atol=2e-3)
    assert not found[[i for i in range(10) if i not in known]].any()


def test_of_more_words_the_largest_directions_are_kept():
    rng = np.random.default_rng(0)
    reviews = rng.integers(3, 240, (150, 40))
    found = word_vectors(reviews.ravel(), np.full(150, 40), 240)
    matrix = information(reviews.tolist(), list(range(3, 240)))
    left, values, _ = np.linalg.svd(matrix)
    rows = left[:, :WIDTH] * np.sqrt(values[:WIDTH])
    np.testing.assert_allclose(found[3:] @ found[3:].T, gram(rows @ rows.T), atol=1e-4)
    again = word_vectors(reviews.ravel(), np.full(150, 40), 240)
    np.testing.assert_array_equal(found, again)


def loaded(folder, **changes):
    settings = {"aspect": "overall", "source": "overall", "path": str(folder), "length": 8}
    data = Reviews(**settings | {"train_size": 20, "eval_size": 5} | changes)
    data.setup()
    return data


def test_a_data_module_reads_them_as_other_data(folder, tmp_path):
    data = loaded(folder, cache=str(tmp_path / "cache"))
    assert (data.source, data.aspect_index) == ("other", 4)
    assert data.columns("train")["rating"][:2].tolist() == pytest.approx([0.8, 0.5])
    assert {len(data.columns(split)["rating"]) for split in ("val", "test")} == {1}
    assert data.annotated["relevant"].sum() == 5
    assert "rating" not in data.annotated
    assert data.annotated["tokens"].shape == (2, 8)
    assert "10 for training, 2 held out, 2 annotated for overall" in " ".join(summary(data).split())
    again = loaded(folder, cache=str(tmp_path / "cache"))
    assert again.data_fingerprint == data.data_fingerprint
    assert (again.embeddings == data.embeddings).all()


def test_other_files_have_another_fingerprint(folder):
    before = loaded(folder).data_fingerprint
    (folder / "beer_rationales" / "smell.txt.gz").write_bytes(
        gzip.compress(OTHERS["palate"].encode())
    )
    assert loaded(folder).data_fingerprint != before


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"aspect": "aroma"}, "data.aspect is 'aroma'; choose one of overall"),
        ({"source": "stand-in"}, "data.aspect is 'overall'; choose one of appearance"),
        (
            {"path": None},
            "data=reviews_overall needs data.path=<the folder that holds beer_reviews>",
        ),
    ],
)
def test_settings_that_do_not_fit_are_refused(folder, changes, message):
    with pytest.raises(ValueError, match=message):
        loaded(folder, **changes)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("name,review,rating\n", "line 1: does not begin with product_name"),
        (HEAD + "A,some words\n", r"line 2: is no review with a rating"),
        (HEAD + "A,some words,good\n", r"line 2: is no review with a rating"),
        (HEAD + "A,some words,7\n", "line 2: is no name, review and rating of 0 to 5"),
        (HEAD + "A,4\n", "line 2: is no name, review"),
        (HEAD + "A,nan words,nan\n", "line 2: is no name, review"),
        (HEAD + FIRST[0] * 9, "has 9 reviews, and 10 are needed"),
    ],
)
def test_what_is_no_review_is_named_by_its_line(folder, content, message):
    (folder / "beer_reviews" / "some.csv.gz").write_bytes(gzip.compress(broken(content)))
    with pytest.raises(DataFileError, match=message):
        encode(find(folder))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("nose __ __\n", "nose __\n"), "line 12: is no rationale of the review before it"),
        (("\t__ nose", "\tsome nose"), "line 12: is no rationale"),
        (("Rationale:\n\t__ beer __ __ __\n", ""), "line 6: has Review: out of turn"),
        (("------------", "and so on"), "line 3: is part of no review and no rationale"),
        (("\t__ nose __ __\n", ""), "ends within a review"),
        (("a nose of pine", "a nose of malt"), r"palate.txt.gz: has other reviews than smell"),
    ],
)
def test_what_is_no_rationale_is_named_by_its_line(folder, change, message):
    text = SMELL.replace(*change)
    (folder / "beer_rationales" / "smell.txt.gz").write_bytes(gzip.compress(text.encode()))
    with pytest.raises(DataFileError, match=message):
        encode(find(folder))


def test_missing_files_are_named_with_where_they_should_be(folder):
    (folder / "beer_rationales" / "palate.txt.gz").unlink()
    with pytest.raises(DataFileError, match="beer_rationales: holds 2 of the rationales for smell"):
        find(folder)
    (folder / "beer_reviews" / "some.csv.gz").unlink()
    with pytest.raises(DataFileError, match=r"beer_reviews: holds no .*COMBGRAD_DATA"):
        find(folder)


@pytest.mark.real_data
def test_the_real_files_are_read_whole():
    path = Path(os.environ.get("COMBGRAD_DATA", "")) / "beer_reviews"
    if not path.is_dir():
        pytest.skip("COMBGRAD_DATA names no folder with beer_reviews")
    files = find(path.parent)
    found = [review for file in files.reviews for review in read_rated(file)]
    # 6,230 lines after the head, of which 26 have no text.
    assert len(found) == 6204
    assert all(0.2 <= rating <= 1 for rating, _ in found)
    if files.rationales:
        assert [len(list(read_rationales(file))) for file in files.rationales] == [994] * 3
