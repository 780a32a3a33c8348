"""SPair-71k from an archive in the form in which it was published."""

import json
from dataclasses import replace

import pytest

from archive_files import picture, points_of, write_tar
from combgrad.data.base import Place
from combgrad.data.files.npy import DataFileError
from combgrad.data.files.web import DownloadError
from combgrad.data.matching.spair import PUBLISHED, SPair


def pair_json(category, one, other, points):
    """An annotation of a pair; `points` has (number, (x, y) in one, (x, y) in the other)."""
    return json.dumps(
        {
            "filename": "f",
            "src_imname": one,
            "trg_imname": other,
            "src_imsize": [100, 50, 3],
            "trg_imsize": [100, 50, 3],
            "category": category,
            "src_kps": [a for _, a, _ in points],
            "trg_kps": [b for _, _, b in points],
            "kps_ids": [str(number) for number, _, _ in points],
            "mirror": 0,
        }
    ).encode()


CAT = [(2, [10, 20], [50, 5]), (0, [99, 1], [12, 13]), (7, [4, 40], [60, 30])]


@pytest.fixture
def spair_files():
    files = {}
    for category, names in (("cat", "abc"), ("dog", "ab")):
        for name in names:
            files[f"JPEGImages/{category}/{name}.jpg"] = picture(100, 50, "JPEG")
    back = [(number, other, one) for number, one, other in CAT]
    third = [(2, [10, 20], [1, 1]), (7, [4, 40], [2, 2])]
    pairs = {
        "trn/000001-a-b:cat": pair_json("cat", "a.jpg", "b.jpg", CAT),
        "trn/000002-b-a:cat": pair_json("cat", "b.jpg", "a.jpg", back[:2]),
        "trn/000003-a-c:cat": pair_json("cat", "a.jpg", "c.jpg", third[:1]),
        "val/000001-a-c:cat": pair_json("cat", "a.jpg", "c.jpg", third),
        "test/000001-a-b:dog": pair_json("dog", "a.jpg", "b.jpg", CAT),
    }
    files |= {f"PairAnnotation/{name}.json": content for name, content in pairs.items()}
    for split in ("trn", "val", "test"):
        lines = [name.partition("/")[2] for name in pairs if name.startswith(split)]
        files[f"Layout/large/{split}.txt"] = "\n".join([*lines, ""]).encode()
    return {f"SPair-71k/{name}": content for name, content in files.items()}


def spair(folder, files):
    write_tar(folder / "SPair-71k.tar.gz", files, "w:gz")
    return SPair().read(Place(folder))


def test_spair_has_its_pairs_with_their_points(tmp_path, spair_files):
    found = spair(tmp_path, spair_files)
    assert found.categories == ("cat", "dog")
    assert set(found.marked.names) == {
        "cat/a.jpg",
        "cat/b.jpg",
        "cat/c.jpg",
        "dog/a.jpg",
        "dog/b.jpg",
    }
    a, b = (found.marked.names.index(f"cat/{name}.jpg") for name in "ab")
    assert points_of(found, a) == {
        number: pytest.approx([x * 2.56, y * 5.12], abs=1e-4) for number, (x, y), _ in CAT
    }
    train = found.splits["train"]
    # The third pair has one point only.
    assert train.pictures.tolist() == [[a, b], [b, a]]
    assert train.shown.tolist() == [2**2 + 2**0 + 2**7, 2**2 + 2**0]
    assert train.category.tolist() == [0, 0]
    assert {split: len(pool) for split, pool in found.splits.items()} == {
        "train": 2,
        "val": 1,
        "test": 1,
    }
    assert found.splits["test"].category.tolist() == [1]


def test_as_many_files_are_unpacked_as_the_set_has(tmp_path, spair_files):
    # Pairs, with a picture, its annotation and its segmentation for each of 1,800.
    assert PUBLISHED.limit_members > 70_958 + 3 * 1_800
    write_tar(tmp_path / "SPair-71k.tar.gz", spair_files, "w:gz")
    with pytest.raises(DownloadError, match="is one of more than 5 files and folders"):
        replace(PUBLISHED, limit_members=5).find_or_download(tmp_path, url=None)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("JPEGImages/cat/a.jpg", None, r"cat.a\.jpg: no such picture"),
        ("JPEGImages/cat/a.jpg", b"x", r"cat.a\.jpg: is no picture"),
        ("Layout/large/val.txt", None, r"val\.txt: cannot be read"),
        ("Layout/large/val.txt", b"../trn/000001-a-b:cat", r"is no name of a pair"),
        ("Layout/large/val.txt", b"", r"val\.txt: lists no pair with 2 points"),
        ("Layout/large/val.txt", b"000009-x:cat", r"000009-x:cat\.json: cannot be read"),
        ("PairAnnotation/val/000001-a-c:cat.json", b"{", r"000001-a-c:cat\.json: cannot be read"),
        ("PairAnnotation/val/000001-a-c:cat.json", b"{}", r"000001-a-c:cat\.json: cannot be read"),
        (
            "PairAnnotation/val/000001-a-c:cat.json",
            pair_json("cat", "../cat/a.jpg", "c.jpg", CAT),
            r"names a picture, or numbers points, in a strange way",
        ),
        (
            "PairAnnotation/val/000001-a-c:cat.json",
            pair_json("cat", "a.jpg", "c.jpg", [(64, [1, 1], [1, 1]), (1, [2, 2], [2, 2])]),
            r"names a picture, or numbers points, in a strange way",
        ),
        (
            "PairAnnotation/val/000001-a-c:cat.json",
            pair_json("cat", "a.jpg", "c.jpg", [(2, [11, 20], [1, 1]), (7, [4, 40], [2, 2])]),
            r"point 2 of a\.jpg is elsewhere in another pair",
        ),
    ],
)
def test_wrong_files_of_spair_are_named(tmp_path, spair_files, name, content, message):
    changed = {**spair_files, f"SPair-71k/{name}": content}
    files = {key: value for key, value in changed.items() if value is not None}
    with pytest.raises(DataFileError, match=message):
        spair(tmp_path, files)
