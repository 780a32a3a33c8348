"""WILLOW-ObjectClass from its published archive and from the one of small pictures."""

import io
import json

import numpy as np
import pytest
from scipy.io import savemat

from archive_files import picture, points_of, write_tar, write_zip
from combgrad.data.base import Place
from combgrad.data.files.npy import DataFileError
from combgrad.data.files.pictures import SIDE
from combgrad.data.files.web import DownloadError
from combgrad.data.matching.cmu_house import CMUHouse
from combgrad.data.matching.pf_pascal import PFPascal
from combgrad.data.matching.spair import SPair
from combgrad.data.matching.voc import PascalVOC
from combgrad.data.matching.willow import CATEGORIES, Willow


def willow_files(pictures=5):
    """A .png and a .mat for each picture, as in the published archive; one has eight points."""
    files = {}
    for category in CATEGORIES:
        for number in range(pictures):
            stem = f"WILLOW-ObjectClass/{category}/060_{number:04}"
            files[f"{stem}.png"] = picture(100 + number, 50, "PNG")
            points = np.stack([np.linspace(5, 90, 10) + number / 2, np.linspace(1, 49, 10)])
            content = io.BytesIO()
            savemat(content, {"pts_coord": points})
            files[f"{stem}.mat"] = content.getvalue()
    content = io.BytesIO()
    savemat(content, {"pts_coord": np.ones((2, 8))})
    files["WILLOW-ObjectClass/Face/060_0001.mat"] = content.getvalue()
    return files


def test_willow_is_read_from_its_published_archive(tmp_path):
    write_zip(tmp_path / "WILLOW-ObjectClass_dataset.zip", willow_files())
    with pytest.warns(UserWarning, match="Face/060_0001 has 8 points and is left out"):
        found = Willow(train_pictures=2).read(Place(tmp_path))
    assert found.categories == CATEGORIES
    assert len(found.marked) == 24
    assert found.marked.names[:3] == ("Car/060_0000", "Car/060_0001", "Car/060_0002")
    for label, (x, y) in points_of(found, 2).items():
        assert x == pytest.approx((5 + 85 * label / 9 + 1) * SIDE / 102, abs=1e-4)
        assert y == pytest.approx((1 + 48 * label / 9) * SIDE / 50, abs=1e-4)
    members = {split: pool.members for split, pool in found.splits.items()}
    assert set(members) == {"train", "test"}
    assert members["train"][0].tolist() == [0, 1]
    assert members["test"][0].tolist() == [2, 3, 4]
    assert members["train"][2].tolist() == [10, 11]  # Face, without the one that was left out
    assert members["test"][2].tolist() == [12, 13]
    assert found.marked.files[0].size() == (100, 50)


@pytest.mark.filterwarnings("ignore:.*is left out")
def test_willow_at_256_pixels_is_read_from_its_tar(tmp_path):
    listed, files = {}, {}
    for category in CATEGORIES:
        for number in range(4):
            name = f"{category}/{number}.jpg"
            points = [[10.5 * i + number, 256 - i] for i in range(10)]
            listed[name] = {"points": points, "size": [352, 264]}
            files[f"willow_256/{name}"] = picture(SIDE, SIDE, "JPEG")
    files["willow_256/keypoints.json"] = json.dumps(listed).encode()
    (tmp_path / "willow").mkdir()
    write_tar(tmp_path / "willow" / "willow_256.tar", files)
    found = Willow(train_pictures=2).read(Place(tmp_path, cache=tmp_path / "cache"))
    assert len(found.marked) == 20
    assert points_of(found, 1) == {i: [10.5 * i + 1, 256 - i] for i in range(10)}
    assert found.marked.files[5].path.name == "1.jpg"
    assert found.marked.files[5].pixels().shape == (3, SIDE, SIDE)
    alone = Willow(train_pictures=2).read(Place(tmp_path))
    assert alone.fingerprint() == found.fingerprint()
    with pytest.raises(DataFileError, match="Car: has 4 pictures with 10 points"):
        Willow(train_pictures=3).read(Place(tmp_path, cache=tmp_path / "cache"))


def test_a_truncated_archive_is_named(tmp_path):
    archive = tmp_path / "WILLOW-ObjectClass_dataset.zip"
    write_zip(archive, willow_files())
    archive.write_bytes(archive.read_bytes()[:5000])
    with pytest.raises(DownloadError, match=r"dataset\.zip is damaged, cut short or no archive"):
        Willow().read(Place(tmp_path))
    archive = tmp_path / "willow_256.tar"
    write_tar(archive, {"willow_256/keypoints.json": b"{}" * 600})
    archive.write_bytes(archive.read_bytes()[:1000])
    with pytest.raises(DownloadError, match=r"willow_256\.tar is damaged, cut short"):
        Willow().read(Place(tmp_path, cache=tmp_path / "cache"))


def test_a_set_that_is_not_there_says_what_to_do(tmp_path):
    with pytest.raises(DownloadError, match=r"WILLOW-ObjectClass_dataset\.zip.*data=synthetic"):
        Willow().read(Place(tmp_path))
    with pytest.raises(DownloadError, match=r"SPair-71k\.tar\.gz.*data=synthetic"):
        SPair().read(Place(tmp_path))
    with pytest.raises(DownloadError, match=r"VOCtrainval_25-May-2011\.tar.*data=synthetic"):
        PascalVOC().read(Place(tmp_path))
    for name, one in (("house1", CMUHouse()), ("test_pairs.csv", PFPascal())):
        with pytest.raises(DataFileError, match=rf"{name}: no such file.*data=synthetic"):
            one.read(Place(tmp_path))
        with pytest.raises(DataFileError, match=r"needs data\.path="):
            one.read(Place(None))


def test_a_damaged_annotation_of_willow_is_named(tmp_path):
    files = willow_files()
    for change, message in (
        (b"no matrix", r"Duck.060_0003\.mat: cannot be read"),
        (None, r"Duck.060_0003\.png: no such picture"),
    ):
        folder = tmp_path / message[-9:-2]
        folder.mkdir()
        changed = {**files, "WILLOW-ObjectClass/Duck/060_0003.mat": change or b""}
        if change is None:
            changed = {k: v for k, v in files.items() if not k.endswith("Duck/060_0003.png")}
        write_zip(folder / "WILLOW-ObjectClass_dataset.zip", changed)
        with pytest.raises(DataFileError, match=message):
            Willow(train_pictures=2).read(Place(folder))
