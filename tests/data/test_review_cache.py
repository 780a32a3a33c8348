"""Beer reviews as a data set: what their fingerprint is of, and what is kept of them."""

import json
import os
import warnings

import pytest
import torch

from combgrad.data.reviews import datamodule, stand_in
from combgrad.data.reviews.checksums import RECORD
from combgrad.data.reviews.datamodule import Reviews
from combgrad.data.reviews.files import find
from combgrad.data.reviews.stand_in import Recipe, write_stand_in

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


def test_the_cache_is_used_again_and_heals_itself(tmp_path, monkeypatch):
    fresh = loaded(cache=str(tmp_path))
    (file,) = tmp_path.iterdir()
    with monkeypatch.context() as patch:
        patch.setattr(stand_in, "draw", None)
        assert equal(fresh, loaded(cache=str(tmp_path), split_seed=0))
    whole = file.read_bytes()
    middle = len(whole) // 2
    for damaged in (whole[:middle], b"", whole[:middle] + bytes(64) + whole[middle + 64 :]):
        file.write_bytes(damaged)
        with pytest.warns(UserWarning, match=rf"{file.name}: is damaged and made anew"):
            healed = loaded(cache=str(tmp_path))
        assert equal(fresh, healed)
        assert file.read_bytes() == whole
    assert equal(fresh, loaded())
    assert list(tmp_path.iterdir()) == [file]


def test_files_are_read_and_summed_once(written, tmp_path, monkeypatch):
    cache = tmp_path / "cache"
    settings = {"source": "original", "path": str(written), "cache": str(cache)}
    fresh = loaded(**settings)
    record = json.loads((cache / RECORD).read_text())
    assert len(record) == 4
    with monkeypatch.context() as patch:
        patch.setattr(datamodule, "encode", None)
        patch.setattr("hashlib.file_digest", None)
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


def test_a_file_that_changed_is_read_anew_with_a_warning(written, tmp_path):
    settings = {"source": "original", "path": str(written), "cache": str(tmp_path / "cache")}
    before = loaded(**settings)
    path = find(written, 1).train
    path.write_text("0 0.25 0 0 0\tfine\n")
    with pytest.warns(UserWarning, match=rf"{path.name}: its sha256 was .* do not compare"):
        after = loaded(**settings)
    assert after.data_fingerprint != before.data_fingerprint
    assert len(after.columns("train")["rating"]) == 1
