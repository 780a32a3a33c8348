"""Beer reviews as a data set: rows, splits, fingerprints and the cache."""

import inspect
import json
import os
import warnings

import numpy as np
import pytest
import torch
from hydra.utils import instantiate
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf

from combgrad.data.base import sha256_of_file
from combgrad.data.files.npy import DataFileError
from combgrad.data.reviews import checksums, sources, stand_in
from combgrad.data.reviews.checksums import RECORD
from combgrad.data.reviews.datamodule import Reviews, halves
from combgrad.data.reviews.files import ASPECTS, find
from combgrad.data.reviews.stand_in import Recipe, write_stand_in
from combgrad.runs.configuration import CONFIG_FOLDER

SMALL = {"train_size": 60, "eval_size": 20, "annotated_size": 15, "length": 100}


def small(**changes):
    return Reviews(**({"aspect": "aroma"} | SMALL | changes))


def loaded(**changes):
    data = small(**changes)
    data.setup()
    return data


@pytest.fixture
def written(tmp_path):
    """A folder with made-up reviews for two aspects, to be read as if they were the published."""
    folder = tmp_path / "data"
    for aspect in (1, 3):
        write_stand_in(folder / "beer", Recipe(aspect, 60, 41, 15, seed=4))
    return folder


def tables(data):
    """Everything a run could read from the data, by name."""
    parts = {f"{s}/{n}": t for s, part in data.reviews.items() for n, t in part.items()}
    marks = {f"annotated/{n}": t for n, t in (data.annotated or {}).items()}
    return parts | marks | {"embeddings": data.embeddings}


def equal(one, other):
    one, other = tables(one), tables(other)
    return one.keys() == other.keys() and all(torch.equal(one[n], other[n]) for n in one)


def lines_of(path):
    """Ratings and words of each line, read in the plainest way."""
    for line in path.read_text().split("\n")[:-1]:
        before, text = line.split("\t")
        yield [float(number) for number in before.split(" ")], text.split(" ")


def row_of(words, ids, length=100):
    """The ids of a review in a row: padded in front, or its end."""
    row = [ids.get(word, 2) for word in words]
    return [0] * (length - len(row)) + row if len(row) < length else row[len(row) - length :]


@pytest.mark.parametrize("aspect", ["aroma", "taste"])
@pytest.mark.parametrize("train_size", [60, 7])
def test_rows_are_the_lines_of_the_files(written, aspect, train_size):
    data = loaded(aspect=aspect, source="original", path=str(written), train_size=train_size)
    column = {"aroma": 1, "taste": 3}[aspect]
    files = find(written, column)
    train = list(lines_of(files.train))[:train_size]
    ids = {}
    for _, words in train:
        for word in words:
            ids.setdefault(word, 3 + len(ids))
    assert data.words == ["<pad>", "<start>", "<unknown>", *ids]
    assert data.aspect_index == column
    heldout = list(lines_of(files.heldout))
    order = np.random.RandomState(0).permutation(41)
    splits = {
        "train": train,
        "test": [heldout[n] for n in order[:21]][:20],
        "val": [heldout[n] for n in order[21:]],
    }
    for split, chosen in splits.items():
        columns = data.columns(split)
        assert columns["tokens"].dtype == torch.int32
        assert columns["tokens"].tolist() == [row_of(words, ids) for _, words in chosen]
        expected = torch.tensor([ratings[column] for ratings, _ in chosen])
        torch.testing.assert_close(columns["rating"], expected)


def test_vectors_stand_in_the_rows_of_their_words(written):
    data = loaded(source="original", path=str(written))
    vectors = {}
    for line in find(written, 1).embeddings.open():
        word, *values = line.split()
        vectors[word] = [float(value) for value in values]
    assert data.embeddings.dtype == torch.float32
    assert data.embeddings.shape == (len(data.words), 200)
    for word, row in zip(data.words, data.embeddings, strict=True):
        torch.testing.assert_close(row, torch.tensor(vectors.get(word, [0.0] * 200)))
    assert not data.embeddings[:3].any()


def test_annotations_stay_on_their_words(written):
    data = loaded(source="original", path=str(written), length=60)
    ids = {word: number for number, word in enumerate(data.words) if number > 2}
    records = [json.loads(line) for line in find(written, 1).annotations.open()]
    for number, record in enumerate(records):
        assert data.annotated["tokens"][number].tolist() == row_of(record["x"], ids, 60)
        marked = {place for start, end in record["1"] for place in range(start, end)}
        row = [place in marked for place in range(len(record["x"]))][-60:]
        row = [False] * (60 - len(row)) + row
        assert data.annotated["relevant"][number].tolist() == row
        assert data.annotated["rating"][number] == pytest.approx(record["y"][1])
    assert any(len(record["x"]) > 60 for record in records)


def test_annotations_without_ratings_or_marks(written):
    path = find(written, 1).annotations
    records = [json.loads(line) for line in path.open()]
    del records[4]["y"]
    for record in records:
        del record["3"]
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    data = loaded(source="original", path=str(written))
    assert data.annotated.keys() == {"tokens", "relevant"}
    assert loaded(aspect="taste", source="original", path=str(written)).annotated is None
    path.unlink()
    assert loaded(source="original", path=str(written)).annotated is None


def test_a_review_of_one_word_has_padding_to_choose_from(written):
    path = find(written, 1).train
    path.write_text("0 0.25 0 0 0\tfine\n")
    data = loaded(source="original", path=str(written), length=5)
    assert data.columns("train")["tokens"].tolist() == [[0, 0, 0, 0, 3]]
    assert data.words[3:] == ["fine"]


def test_the_halves_are_scikit_learns():
    # numpy.random.RandomState(0).permutation(10), as printed in many a tutorial.
    order = [2, 8, 4, 9, 1, 6, 7, 3, 0, 5]
    val, test = halves(10, 0)
    assert (val.tolist(), test.tolist()) == (order[5:], order[:5])


@given(count=st.integers(2, 40), seed=st.integers(0, 2**32 - 1))
def test_the_halves_share_out_all_rows_with_the_odd_one_for_the_test(count, seed):
    val, test = halves(count, seed)
    assert sorted(torch.cat([val, test]).tolist()) == list(range(count))
    assert len(test) - len(val) == count % 2


def test_made_up_reviews_are_read_like_others(tmp_path):
    write_stand_in(tmp_path, Recipe(1, 60, 40, 15, seed=0))
    data = loaded()
    assert equal(data, loaded(source="original", path=str(tmp_path)))
    assert {s: len(part["rating"]) for s, part in data.reviews.items()} == {
        "train": 60,
        "val": 20,
        "test": 20,
    }
    assert len(data.annotated["relevant"]) == 15


def test_more_training_reviews_change_neither_the_first_nor_the_held_out():
    few, many = loaded(train_size=30), loaded()
    assert torch.equal(few.columns("train")["tokens"], many.columns("train")["tokens"][:30])
    assert few.words == many.words[: len(few.words)]
    known = many.columns("test")["tokens"]
    known = torch.where(known < len(few.words), known, 2)
    assert torch.equal(few.columns("test")["tokens"], known)


def test_batches_follow_seed_and_epoch():
    loader = loaded(order_seed=3, batch_size=25).train_dataloader()

    def epoch(number):
        loader.sampler.set_epoch(number)
        return torch.cat([batch["rating"] for batch in loader])

    assert torch.equal(epoch(0), epoch(0))
    assert not torch.equal(epoch(0), epoch(1))
    assert [len(batch["tokens"]) for batch in loader] == [25, 25, 10]


def test_the_split_seed_moves_held_out_reviews_only():
    one, other = loaded(), loaded(split_seed=1)
    assert torch.equal(one.columns("train")["tokens"], other.columns("train")["tokens"])
    assert not torch.equal(one.columns("test")["rating"], other.columns("test")["rating"])
    both = [
        sorted(torch.cat([data.columns(s)["rating"] for s in ("val", "test")]).tolist())
        for data in (one, other)
    ]
    assert both[0] == both[1]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"aspect": "smell"}, "data.aspect is 'smell'; choose one of appearance, aroma, palate"),
        ({"aspect": 1}, "data.aspect is 1"),
        ({"source": "other"}, "data.source is 'other'; choose one of stand-in, original"),
        ({"source": "original"}, "data=beer needs data.path.*COMBGRAD_DATA.*data=reviews"),
        ({"length": 0}, "data.length is 0"),
        ({"annotated_size": -1}, "data.annotated_size is -1"),
        ({"train_size": 0}, "data.train_size"),
    ],
)
def test_bad_arguments_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        small(**changes)


def test_a_missing_file_is_named_before_anything_is_trained(tmp_path):
    data = small(source="original", path=str(tmp_path))
    with pytest.raises(DataFileError, match=r"reviews.aspect1.train.txt: no such file"):
        _ = data.data_fingerprint


def test_without_annotations_there_are_none():
    assert loaded(annotated_size=0).annotated is None


def test_the_configurations_name_what_the_class_takes():
    config = OmegaConf.load(CONFIG_FOLDER / "data" / "reviews.yaml")
    assert set(config) - {"_target_"} <= set(inspect.signature(Reviews).parameters)
    around = {
        "aspect": "palate",
        "seed": 5,
        "size": {"train_size": 9, "eval_size": 4},
        "paths": {"data": None, "cache": None},
    }
    data = instantiate(OmegaConf.create(around | {"data": config}).data)
    assert (data.aspect, data.source, data.train_size, data.eval_size) == (
        "palate",
        *("stand-in", 9, 4),
    )
    assert (data.order_seed, data.split_seed, data.seed, data.length) == (5, 5, 0, 350)
    original = OmegaConf.load(CONFIG_FOLDER / "data" / "beer.yaml")
    assert original == {"defaults": ["reviews"], "source": "original"}
    assert [data.aspect_index for data in map(Reviews, ASPECTS)] == [0, 1, 2, 3]


def test_the_fingerprint_is_of_the_reviews_alone(tmp_path):
    base = small().data_fingerprint
    same = {"order_seed": 1, "split_seed": 1, "batch_size": 8, "cache": str(tmp_path), "length": 9}
    for name, value in same.items():
        assert small(**{name: value}).data_fingerprint == base
    other = {"seed": 1, "train_size": 61, "eval_size": 21, "annotated_size": 16, "aspect": "taste"}
    marks = {base, *(small(**{name: value}).data_fingerprint for name, value in other.items())}
    assert len(marks) == 1 + len(other)
    assert not list(tmp_path.iterdir())


def test_the_fingerprint_of_files_follows_their_content(written):
    def mark(**changes):
        return small(source="original", path=str(written), **changes).data_fingerprint

    first = mark()
    assert mark(seed=1, train_size=7) == first
    assert mark(aspect="taste") != first
    find(written, 1).annotations.unlink()
    assert mark() != first


def test_the_cache_is_used_again(tmp_path, monkeypatch):
    fresh = loaded(cache=str(tmp_path))
    with monkeypatch.context() as patch:
        patch.setattr(stand_in, "draw", None)
        assert equal(fresh, loaded(cache=str(tmp_path), split_seed=0))
    assert equal(fresh, loaded())
    assert len([path for path in tmp_path.iterdir() if path.name[0] != "."]) == 1


def test_files_are_read_and_summed_once(written, tmp_path, monkeypatch):
    cache = tmp_path / "cache"
    settings = {"source": "original", "path": str(written), "cache": str(cache)}
    fresh = loaded(**settings)
    record = json.loads((cache / RECORD).read_text())
    assert len(record) == 4
    with monkeypatch.context() as patch:
        patch.setattr(sources, "encode", None)
        patch.setattr("combgrad.data.reviews.checksums.sha256_of_file", None)
        again = loaded(**settings)
    assert equal(fresh, again)
    assert again.data_fingerprint == fresh.data_fingerprint
    # The same bytes at another time, and a damaged record, are nothing to warn of.
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        os.utime(find(written, 1).train, (1, 1))
        assert small(**settings).data_fingerprint == fresh.data_fingerprint
        (cache / RECORD).write_text("[")
        assert small(**settings).data_fingerprint == fresh.data_fingerprint


def test_checksums_that_another_process_writes_meanwhile_stay(written, tmp_path, monkeypatch):
    cache = tmp_path / "cache"
    mine, others = find(written, 1).all()[:2], find(written, 1).all()[2:]

    def sum_while_another_does(path):
        if path == mine[0]:
            checksums.checksums_of(others, cache)
        return sha256_of_file(path)

    monkeypatch.setattr(checksums, "sha256_of_file", sum_while_another_does)
    checksums.checksums_of(mine, cache)
    record = json.loads((cache / RECORD).read_text())
    assert set(record) == {str(path.resolve()) for path in (*mine, *others)}


def test_a_wrong_checksum_in_the_record_is_not_believed(written, tmp_path):
    settings = {"source": "original", "path": str(written), "cache": str(tmp_path / "cache")}
    mark = small(**settings).data_fingerprint
    record = tmp_path / "cache" / RECORD
    known = json.loads(record.read_text())
    for name, value in (("sha256", "0" * 64), ("size", 5), ("seal", ""), ("sha256", None)):
        changed = {path: entry | {name: value} for path, entry in known.items()}
        record.write_text(json.dumps(changed))
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert small(**settings).data_fingerprint == mark
        assert json.loads(record.read_text()) == known


def test_a_change_that_sets_the_time_back_is_seen(written, tmp_path):
    settings = {"source": "original", "path": str(written), "cache": str(tmp_path / "cache")}
    mark = small(**settings).data_fingerprint
    path = find(written, 1).train
    before, content = path.stat(), path.read_bytes()
    path.write_bytes(content.replace(b"0", b"1", 1))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.warns(UserWarning, match="do not compare"):
        assert small(**settings).data_fingerprint != mark


def test_a_file_that_changed_is_read_anew_with_a_warning(written, tmp_path):
    settings = {"source": "original", "path": str(written), "cache": str(tmp_path / "cache")}
    before = loaded(**settings)
    path = find(written, 1).train
    path.write_text("0 0.25 0 0 0\tfine\n")
    with pytest.warns(UserWarning, match=rf"{path.name}: its sha256 was .* do not compare"):
        after = loaded(**settings)
    assert after.data_fingerprint != before.data_fingerprint
    assert len(after.columns("train")["rating"]) == 1
