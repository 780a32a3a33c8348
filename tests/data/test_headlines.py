"""Sets of headlines, read from small files of their exact form, and the numbers made of them."""

import gzip
import itertools
import json
import os
from pathlib import Path

import pytest
import torch

from combgrad.data.base import Place
from combgrad.data.files.npy import DataFileError
from combgrad.data.headlines.datamodule import Headlines
from combgrad.data.headlines.generated import SLOTS, Generated
from combgrad.data.headlines.gigaword import Gigaword
from combgrad.data.headlines.pairs import HeadlineSet, Pair, words_of
from combgrad.data.headlines.reuters import AGNews, Reuters
from combgrad.data.headlines.vocabulary import Vocabulary
from combgrad.networks.headline import END, PAD, SPECIAL, UNKNOWN

REAL = Path(os.environ.get("COMBGRAD_DATA", "nowhere"))


def first(pairs, count=3):
    return list(itertools.islice(pairs, count))


def test_words_are_small_with_a_sign_for_each_digit():
    text = "U.S. <UAL.N> raised $1,250.75 -- Größe 3rd, 2nd-half"
    assert words_of(text) == [
        *("u", ".", "s", ".", "<", "ual", ".", "n", ">", "raised", "$", "#,###.##", "-", "-"),
        *("größe", "#", "rd", ",", "#", "nd", "-", "half"),
    ]
    assert words_of(" \n") == []


def write_reuters(folder, count=30):
    """As many pairs for training, three for the test, one of neither, one without a title."""
    splits = ["TRAIN"] * count + ["TEST"] * 3 + ["NOT-USED"]
    rows = [
        {"id": n, "split": split, "title": f"TITLE {'x' * n}", "first": f"It said so, {'y' * n}"}
        for n, split in enumerate(splits, 1)
    ]
    rows.insert(2, {"id": 0, "split": "TRAIN", "title": " ", "first": "Nothing"})
    path = folder / "reuters21578_title_first.jsonl.gz"
    path.write_bytes(gzip.compress("\n".join(map(json.dumps, rows)).encode()))
    return path


def test_reuters_gives_every_twelfth_article_for_training_to_validation(tmp_path):
    write_reuters(tmp_path)
    place = Place(tmp_path)
    found = {split: list(Reuters().pairs(place, split)) for split in ("train", "val", "test")}
    assert found["val"][0] == Pair(["it", "said", "so", ",", "y" * 12], ["title", "x" * 12])
    sizes = {split: [len(pair.title[1]) for pair in pairs] for split, pairs in found.items()}
    assert sizes["val"] == [12, 24]
    assert sizes["train"] == [n for n in range(1, 31) if n not in (12, 24)]
    assert sizes["test"] == [31, 32, 33]


def test_ag_news_is_a_second_test_of_what_reuters_taught(tmp_path):
    write_reuters(tmp_path)
    rows = '"3","A, quoted ""title""","Some\\text"\n"4","Short","A description"\n'
    (tmp_path / "ag_news_test.csv").write_text(rows)
    place = Place(tmp_path)
    assert first(AGNews().pairs(place, "test")) == [
        Pair(["some", "\\", "text"], ["a", ",", "quoted", '"', "title", '"']),
        Pair(["a", "description"], ["short"]),
    ]
    for split in ("train", "val"):
        ours, theirs = (list(s.pairs(place, split)) for s in (AGNews(), Reuters()))
        assert ours == theirs
    before = AGNews().fingerprint(place)
    assert before != Reuters().fingerprint(place)
    (tmp_path / "ag_news_test.csv").write_text(rows + rows)
    assert AGNews().fingerprint(place) != before


GIGAWORD = {
    "train.article.txt": "police arrested # men .\nshares <unk> fell\n\n",
    "train.title.txt": "police arrest men\nUNK down\nnothing\n",
    "valid.article.txt": "a report\n",
    "valid.title.txt": "report\n",
    "input.txt": "one article\n",
    "task1_ref0.txt": "one title\n",
}


def write_gigaword(folder, **changes):
    folder.mkdir(exist_ok=True)
    for name, text in (GIGAWORD | changes).items():
        (folder / name).write_text(text)


@pytest.mark.parametrize("below", ["", "sumdata"])
def test_gigaword_is_read_from_its_six_files(tmp_path, below):
    write_gigaword(tmp_path / below)
    place = Place(tmp_path)
    unknown = SPECIAL[UNKNOWN]
    assert list(Gigaword().pairs(place, "train")) == [
        Pair(["police", "arrested", "#", "men", "."], ["police", "arrest", "men"]),
        Pair(["shares", unknown, "fell"], [unknown, "down"]),
    ]
    assert first(Gigaword().pairs(place, "val")) == [Pair(["a", "report"], ["report"])]
    assert first(Gigaword().pairs(place, "test")) == [Pair(["one", "article"], ["one", "title"])]
    before = Gigaword().fingerprint(place)
    write_gigaword(tmp_path / below, **{"task1_ref0.txt": "another\n"})
    assert Gigaword().fingerprint(place) != before


def test_files_that_are_missing_or_damaged_are_named(tmp_path):
    with pytest.raises(DataFileError, match=r"train\.article\.txt.*data=headlines_generated"):
        first(Gigaword().pairs(Place(tmp_path, free="data=headlines_generated"), "train"))
    with pytest.raises(DataFileError, match=r"none of headlines/reuters.*Reuters-21578"):
        Reuters().fingerprint(Place(tmp_path))
    write_gigaword(tmp_path, **{"train.title.txt": "police arrest men\n"})
    with pytest.raises(DataFileError, match=r"train\.title\.txt: ends before line 2"):
        list(Gigaword().pairs(Place(tmp_path), "train"))
    path = write_reuters(tmp_path)
    whole = path.read_bytes()
    for damage, told in (
        (whole[:-20], "EOFError"),
        (b"no gzip", "BadGzipFile"),
        (gzip.compress(b'{"split": "TRAIN", "title": "t"}'), "line 1: KeyError: 'first'"),
        (gzip.compress(b"{"), "line 1: JSONDecodeError"),
        (gzip.compress(b'{"split": "TRAIN", "title": 5, "first": "f"}'), "AttributeError"),
    ):
        path.write_bytes(damage)
        with pytest.raises(DataFileError, match=rf"{path.name}, line.*{told}|{told}"):
            list(Reuters().pairs(Place(tmp_path), "train"))
    write_reuters(tmp_path)
    (tmp_path / "ag_news_test.csv").write_text('"3","only a title"\n')
    with pytest.raises(DataFileError, match=r"ag_news_test\.csv, line 1: ValueError"):
        list(AGNews().pairs(Place(tmp_path), "test"))


@pytest.mark.parametrize(
    ("count", "splits", "missing"),
    [(11, ["TRAIN", "TEST"], "val"), (24, ["TRAIN"], "test"), (24, ["train", "test"], "train")],
)
def test_a_split_without_pairs_is_named(tmp_path, count, splits, missing):
    rows = [{"split": split, "title": "a", "first": "b"} for split in splits for _ in range(count)]
    path = tmp_path / "reuters21578_title_first.jsonl.gz"
    path.write_bytes(gzip.compress("\n".join(map(json.dumps, rows)).encode()))
    told = f"Reuters: its files hold no pair of texts for the {missing} split"
    with pytest.raises(DataFileError, match=told):
        Headlines(Reuters(), path=str(tmp_path)).setup()


def test_a_first_line_of_column_names_is_no_pair(tmp_path):
    rows = "3,Stocks up,Markets rose\n4,Title,Description\n"
    (tmp_path / "test.csv").write_text("Class Index,Title,Description\n" + rows)
    assert list(AGNews().pairs(Place(tmp_path), "test")) == [
        Pair(["markets", "rose"], ["stocks", "up"]),
        Pair(["description"], ["title"]),
    ]
    (tmp_path / "test.csv").write_text(rows)
    assert len(list(AGNews().pairs(Place(tmp_path), "test"))) == 2


def test_generated_headlines_follow_from_their_articles():
    pairs = first(Generated().pairs(Place(None), "train"), 2000)
    assert pairs == first(Generated().pairs(Place(None), "train"), 2000)
    assert pairs[:50] != first(Generated().pairs(Place(None), "test"), 50)
    assert pairs[:50] != first(Generated(seed=1).pairs(Place(None), "train"), 50)
    companies = set(SLOTS["company"].split())
    for article, title in pairs:
        assert companies & set(title) <= companies & set(article)
        assert len(companies & set(title)) == len([word for word in title if word in companies])
        assert not {"{", "(", "|"} & set("".join(article + title))
        if "earned" in article:
            assert title[-1] == "profit"
        if "lost" in article:
            assert title[-1] == "loss"
    vocabulary = {word for pair in pairs for part in pair for word in part}
    assert 100 < len(vocabulary) < 150
    assert max(len(pair.article) for pair in pairs) <= 30
    assert max(len(pair.title) for pair in pairs) <= 8


def test_the_vocabulary_has_the_words_of_titles_first():
    pairs = [
        Pair(["d", "c", "c", "x", "a"], ["b", "a", "a", "z"]),
        Pair(["x", "x", "e"], ["b", "e", "<unknown>"]),
    ]
    learnt = Vocabulary.learn(pairs, title_words=3, article_words=2)
    assert learnt.words == (*SPECIAL, "a", "b", "e", "x", "c")
    assert learnt.in_titles == 7
    assert learnt.article(["x", "d", "a", "b"], 3) == [7, UNKNOWN, 4]
    assert learnt.title(["x", "a", "b"], 2) == [UNKNOWN, 4, END]
    assert learnt.text([4, UNKNOWN, 6, END, 5]) == "a <unknown> e"
    assert learnt.text([5, PAD]) == "b"


@pytest.fixture
def module(tmp_path):
    write_reuters(tmp_path)
    return Headlines(
        Reuters(), 20, 5, title_words=9, article_words=9, article_length=4, title_length=2,
        batch_size=6, path=str(tmp_path), cache=str(tmp_path / "cache"),
    )  # fmt: skip


def test_batches_hold_ids_and_sizes(module):
    module.setup()
    words = module.vocabulary.words
    pairs = module.texts("val")
    (batch,) = module.val_dataloader()
    assert batch["row"].tolist() == [0, 1]
    assert batch["article"].shape == (2, 4)
    assert batch["title"].shape == (2, 3)
    for row, pair in enumerate(pairs):
        size = int(batch["title_size"][row])
        ids = batch["title"][row].tolist()
        assert ids[size - 1 :] == [END] + [PAD] * (3 - size)
        shown = [words[n] for n in ids[: size - 1]]
        assert shown[0] == pair.title[0] == "title"
        assert shown[1:] == [SPECIAL[UNKNOWN]]
        assert [words[n] for n in batch["article"][row]] == pair.article[:4]
        assert int(batch["article_size"][row]) == 4
    trained = torch.cat([b["row"] for b in module.train_dataloader()])
    assert sorted(trained.tolist()) == list(range(20))


def test_the_numbers_come_from_the_cache_and_are_made_anew_for_other_files(module, tmp_path):
    module.setup()

    def again():
        other = Headlines(
            Reuters(), 20, 5, title_words=9, article_words=9, article_length=4, title_length=2,
            path=str(tmp_path), cache=str(tmp_path / "cache"),
        )  # fmt: skip
        other.setup()
        return other

    entries = {path.name for path in (tmp_path / "cache").iterdir()}
    same = again()
    assert same.vocabulary.words == module.vocabulary.words
    rows = torch.arange(20)
    for name, column in module.columns("train").items():
        assert torch.equal(column[rows], same.columns("train")[name][rows])
    assert {path.name for path in (tmp_path / "cache").iterdir()} == entries
    before = module.data_fingerprint
    write_reuters(tmp_path, 40)
    assert again().data_fingerprint != before


def test_without_setup_and_without_a_set_it_says_so(module):
    with pytest.raises(RuntimeError, match="setup"):
        module.columns("train")
    with pytest.raises(ValueError, match=r"data\.collection is a int.*data=headlines_generated"):
        Headlines(5)
    with pytest.raises(DataFileError, match=r"Reuters needs data\.path"):
        Headlines(Reuters())
    assert isinstance(Generated(), HeadlineSet)


@pytest.mark.skipif(not (REAL / "headlines").is_dir(), reason="COMBGRAD_DATA has no headlines")
def test_the_real_files_have_the_pairs_of_the_protocol():
    place = Place(REAL)
    sets = {
        split: [(*map(" ".join, pair),) for pair in Reuters().pairs(place, split)]
        for split in ("train", "val", "test")
    }
    assert {split: len(pairs) for split, pairs in sets.items()} == {
        "train": 11325,
        "val": 1029,
        "test": 5227,
    }
    assert sets["test"][0][1] == "yugoslav workers may be angered by lost subsidies"
    assert sum(1 for _ in AGNews().pairs(place, "test")) == 7600
    known = set(sets["train"])
    seen = [sum(pair in known for pair in sets[split]) for split in ("val", "test")]
    page = Path(__file__).parents[2] / "docs" / "headlines.md"
    told = "{} pairs for validation and {} for the test are among those for training word for word"
    assert told.format(*seen) in page.read_text(encoding="utf-8")
