"""The published maps of Warcraft, in a small copy made here, right and with every corruption."""

import hashlib
import os
import shutil
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from combgrad.data.files.download import DownloadError
from combgrad.data.files.npy import DataFileError
from combgrad.data.warcraft.datamodule import Warcraft
from combgrad.data.warcraft.files import load_split
from combgrad.data.warcraft.original import PUBLISHED, load_original
from combgrad.solvers import ShortestPath

DOI = "10.17617/3.YJCQ5S"
NAME = "warcraft_shortest_path_oneskin"
K = 4
SIZES = {"train": 7, "val": 3, "test": 4}
KINDS = ("maps", "vertex_weights", "shortest_paths")
REAL = Path(os.environ.get("COMBGRAD_DATA", "/nonexistent"))


def arrays(count, cells=K, seed=0):
    """Made-up maps, costs as half floats, and the cheapest paths."""
    rng = np.random.default_rng(seed)
    maps = rng.integers(0, 256, (count, 8 * cells, 8 * cells, 3), dtype=np.uint8)
    costs = rng.uniform(0.8, 9.2, (count, cells, cells)).astype(np.float16)
    paths = ShortestPath()(torch.from_numpy(costs.astype(np.float32))).numpy().astype(np.uint8)
    return dict(zip(KINDS, (maps, costs, paths), strict=True))


def write_set(root, cells=K, parts=(), name=NAME):
    """Write all files of one size, of `parts` the training file in two; return their folder."""
    folder = root / name / f"{cells}x{cells}"
    folder.mkdir(parents=True)
    for seed, (split, size) in enumerate(SIZES.items()):
        for kind, array in arrays(size, cells, seed).items():
            if split == "train" and kind in parts:
                np.save(folder / f"train_{kind}_part0.npy", array[:5])
                np.save(folder / f"train_{kind}_part1.npy", array[5:])
            else:
                np.save(folder / f"{split}_{kind}.npy", array)
    return folder


@pytest.fixture
def folder(tmp_path):
    """The folder of 4 x 4 cells in a right copy."""
    return write_set(tmp_path)


def whole(column):
    """All rows of a column, as an array."""
    return column[torch.arange(len(column))].numpy()


# The text of the data set names maps in two parts only; copies of it have all three kinds so.
@pytest.mark.parametrize("parts", [(), KINDS[:1], KINDS])
def test_right_folder_is_read_and_left_on_the_disk(tmp_path, parts):
    loaded = load_original(write_set(tmp_path, parts=parts).parent, K)
    assert list(loaded) == ["train", "val", "test"]
    for seed, (split, stored) in enumerate(loaded.items()):
        wanted = arrays(SIZES[split], seed=seed)
        assert len(stored) == SIZES[split]
        found = stored.columns(SIZES[split])
        for name, kind in zip(("maps", "true_costs", "target"), KINDS, strict=True):
            kept = np.uint8 if name == "maps" else np.float32
            np.testing.assert_array_equal(
                whole(found[name]), wanted[kind].astype(kept), strict=True
            )
        for array in (*stored.maps, *stored.costs, *stored.paths):
            assert isinstance(array, np.memmap)
            assert not array.flags.writeable


def test_parts_follow_each_other_in_their_order(tmp_path):
    split = load_split(write_set(tmp_path, parts=KINDS), "train", K)
    assert [len(part) for part in split.maps] == [5, 2]
    first = split.columns(6)
    np.testing.assert_array_equal(whole(first["maps"]), arrays(7)["maps"][:6])


@pytest.mark.parametrize(
    ("kind", "dtype"),
    [("vertex_weights", kind) for kind in ("f4", "f8", ">f4")]
    + [("shortest_paths", kind) for kind in ("bool", "i8", "f4", "f8")],
)
def test_other_number_types_are_accepted(folder, kind, dtype):
    path = folder / f"val_{kind}.npy"
    np.save(path, np.load(path).astype(dtype))
    columns = load_split(folder, "val", K).columns(3)
    wanted = arrays(3, seed=1)[kind].astype(np.float32)
    name = "true_costs" if kind == "vertex_weights" else "target"
    np.testing.assert_array_equal(whole(columns[name]), wanted, strict=True)


FILES = [f"{split}_{kind}.npy" for split in SIZES for kind in KINDS]


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("kept", [None, 0, 100, -1])
def test_missing_and_truncated_files_are_named(folder, name, kept):
    content = (folder / name).read_bytes()
    (folder / name).unlink()
    if kept is not None:
        (folder / name).write_bytes(content[:kept])
    with pytest.raises(
        DataFileError, match=r"(no such file|cut short).*Restore the file"
    ) as caught:
        load_original(folder.parent, K)
    assert str(folder / name) in str(caught.value)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("part", ["_part0", "_part1"])
def test_a_missing_part_is_named(tmp_path, kind, part):
    folder = write_set(tmp_path, parts=KINDS)
    (folder / f"train_{kind}{part}.npy").unlink()
    with pytest.raises(DataFileError, match=f"train_{kind}{part}.npy: no such file. Restore"):
        load_original(folder.parent, K)


def put(value, *place):
    """A change of one value."""

    def change(array):
        array = array.astype(np.float64)
        array[place] = value
        return array

    return change


def without_the_middle(paths):
    """Path 1 with its ends only."""
    paths[1] = 0
    paths[1, 0, 0] = paths[1, -1, -1] = 1
    return paths


@pytest.mark.parametrize(
    ("kind", "change", "match"),
    [
        ("maps", lambda a: a[:, :24, :24], r"expected .* \(any, 32, 32, 3\), found uint8 of shape"),
        ("maps", lambda a: a.transpose(0, 3, 1, 2), r"expected .* found .* \(3, 3, 32, 32\)"),
        ("maps", lambda a: a / 255, "expected unsigned int .* found float64"),
        ("maps", lambda a: a.astype(np.uint16), "expected uint8, found uint16"),
        ("maps", np.zeros_like, "holds maps without a picture"),
        ("vertex_weights", lambda a: a[:, :3], r"expected .* \(any, 4, 4\), found float16 of"),
        ("vertex_weights", lambda a: a.astype(str), "expected .* found <U"),
        ("vertex_weights", put(np.nan, 1, 2, 3), "instance 1 holds a cost that is no positive"),
        ("vertex_weights", put(np.inf, 2, 0, 0), "instance 2 holds a cost that is no positive"),
        ("vertex_weights", put(1e-310, 0, 0, 0), "instance 0 holds a cost that is no positive"),
        ("vertex_weights", put(1e300, 1, 0, 0), "instance 1 holds a cost that is no positive"),
        ("vertex_weights", put(-0.5, 0, 0, 0), "instance 0 holds a cost that is no positive"),
        ("vertex_weights", np.zeros_like, r"instance 0 holds a cost .* \(3 of 3 instances do\)"),
        ("shortest_paths", put(2, 1, 0, 0), "instance 1 holds values other than 0 and 1"),
        ("shortest_paths", put(np.nan, 1, 0, 2), "instance 1 holds values other than 0 and 1"),
        ("shortest_paths", put(0.5, 1, 0, 2), "instance 1 holds values other than 0 and 1"),
        ("shortest_paths", put(0, 2, 0, 0), "instance 2 has a path without its first or last cell"),
        ("shortest_paths", put(0, 2, 3, 3), "instance 2 has a path without its first or last cell"),
        ("shortest_paths", np.ones_like, r"instance 0 has a path that is not .* \(3 of 3"),
        ("shortest_paths", without_the_middle, "instance 1 has a path that is not the cheapest"),
        ("shortest_paths", lambda a: a[..., None], r"expected .* \(any, 4, 4\), found"),
    ],
)
def test_corrupt_values_are_named(folder, kind, change, match):
    path = folder / f"val_{kind}.npy"
    np.save(path, change(np.load(path)))
    with pytest.raises(DataFileError, match=f"{match}.*Restore the file") as caught:
        load_original(folder.parent, K)
    assert str(caught.value).startswith(str(path))


def test_a_wrong_row_far_behind_the_first_is_found(folder):
    size = 1200
    for kind, array in arrays(size).items():
        np.save(folder / f"val_{kind}.npy", array)
    load_split(folder, "val", K)
    path = folder / "val_vertex_weights.npy"
    np.save(path, put(np.nan, 1100, 2, 2)(np.load(path)))
    with pytest.raises(DataFileError, match=rf"instance 1100 .*\(1 of {size} instances do\)"):
        load_split(folder, "val", K)


def test_costs_of_other_maps_are_found_in_the_part_they_belong_to(tmp_path):
    folder = write_set(tmp_path, parts=KINDS)
    paths = np.load(folder / "train_shortest_paths_part1.npy")
    costs = np.load(folder / "train_vertex_weights_part1.npy")
    np.save(folder / "train_vertex_weights_part1.npy", np.where(paths == 1, 9, costs / 9))
    with pytest.raises(DataFileError, match="not the cheapest one of its map") as caught:
        load_split(folder, "train", K)
    assert str(caught.value).startswith(str(folder / "train_shortest_paths_part1.npy"))


@pytest.mark.parametrize("kind", KINDS)
def test_files_of_different_lengths_are_named(folder, kind):
    path = folder / f"val_{kind}.npy"
    np.save(path, np.load(path)[:2])
    with pytest.raises(DataFileError, match=f"2 in {path}.*Restore") as caught:
        load_original(folder.parent, K)
    for other in set(KINDS) - {kind}:
        assert f"3 in {folder / f'val_{other}.npy'}" in str(caught.value)


def test_absent_size_is_named_with_the_others(tmp_path):
    write_set(tmp_path, cells=5)
    folder = write_set(tmp_path, cells=3).parent
    with pytest.raises(
        DataFileError, match=rf"32x32: no such .* are: 3x3, 5x5\..*data.cells.*{DOI}"
    ):
        load_original(folder, 32)


@pytest.mark.parametrize("below", ["", NAME, "datasets", f"datasets/{NAME}"])
def test_folder_is_found_at_and_below_root(tmp_path, below):
    # Laid out as <root>/datasets/<name>/<k>x<k>, and looked for from four places.
    stored = write_set(tmp_path / "datasets").parent
    root = {"": tmp_path, "datasets": tmp_path / "datasets"}.get(below, stored)
    assert PUBLISHED.find_or_download(root, url=None) == stored


def test_folders_of_other_things_are_not_found(tmp_path):
    (tmp_path / "icons" / "16x16").mkdir(parents=True)
    (tmp_path / "icons" / "16x16" / "save.png").write_text("x")
    write_set(tmp_path, name=".half-unpacked")
    with pytest.raises(DownloadError) as caught:
        PUBLISHED.find_or_download(tmp_path, url=None)
    for part in (DOI, "12x12/train_shortest_paths.npy", "data.path=", "COMBGRAD_DATA", "data.url="):
        assert part in str(caught.value)
    assert f"{tmp_path} holds neither {NAME}/ nor warcraft_maps.tar.gz" in str(caught.value)
    renamed = write_set(tmp_path, name="maps").parent
    assert PUBLISHED.find_or_download(tmp_path, url=None) == renamed


def archive_of(stored, archive, member=f"{NAME}/{K}x{K}"):
    """Pack the folder of one size into an archive, under the path `member` in it."""
    with tarfile.open(archive, "w:gz") as bundle:
        bundle.add(stored, arcname=member)
    return archive


def test_archive_put_there_by_hand_is_unpacked(tmp_path, folder):
    root = tmp_path / "root"
    root.mkdir()
    archive_of(folder, root / "warcraft_maps.tar.gz")
    found = PUBLISHED.find_or_download(root, url=None)
    assert len(load_original(found, K)["train"]) == SIZES["train"]
    assert PUBLISHED.find_or_download(root, url="http://127.0.0.1:1/unused") == found


@pytest.fixture
def offered(tmp_path, folder, server):
    """What is published, as if a small archive on the test's server were it."""
    server.handler.content = archive_of(folder, tmp_path / "made.tar.gz").read_bytes()
    digest = hashlib.md5(server.handler.content).hexdigest()
    return replace(PUBLISHED, checksum=f"md5:{digest}")


def test_archive_is_downloaded_and_resumed_after_a_cut(tmp_path, offered, server):
    server.plan += ["cut"]
    found = offered.find_or_download(tmp_path / "root", url=server.url)
    half = len(server.handler.content) // 2
    assert [request.get("Range") for request in server.seen] == [None, f"bytes={half}-"]
    assert len(load_original(found, K)["test"]) == SIZES["test"]
    assert offered.find_or_download(tmp_path / "root", url=server.url) == found
    assert len(server.seen) == 2


def test_another_archive_than_the_published_one_is_refused(tmp_path, offered, server):
    assert PUBLISHED.checksum == "md5:acea5ea60a47664ff189923a84814e96"
    found = offered.checksum.removeprefix("md5:")
    with pytest.raises(DownloadError, match=f"md5 is {found}, not the acea5ea.*{DOI}"):
        PUBLISHED.find_or_download(tmp_path / "root", url=server.url)
    assert not list((tmp_path / "root").glob("[!.]*"))


def test_a_full_disk_is_named_before_the_download(tmp_path, offered, server, monkeypatch):
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage._replace(free=1000))
    with pytest.raises(DownloadError, match=f"bytes are needed and 1,000 free.*{DOI}"):
        offered.find_or_download(tmp_path / "root", url=server.url)


@pytest.mark.parametrize(("member", "match"), [("../evil", "outside"), ("other", "move it away")])
def test_archives_of_something_else_are_named(tmp_path, folder, server, member, match):
    box = tmp_path / "box"
    box.mkdir()
    archive = archive_of(folder / "val_maps.npy", tmp_path / "made.tar.gz", member)
    server.handler.content = archive.read_bytes()
    with pytest.raises(DownloadError, match=f"{match}.*{DOI}"):
        replace(PUBLISHED, checksum=None).find_or_download(box / "root", url=server.url)
    assert [path.name for path in box.iterdir()] == ["root"]


def original(root, **changes):
    """The data module on a small published folder."""
    sizes = {"train_size": 7, "eval_size": 3, "batch_size": 2}
    return Warcraft(K, source="original", path=str(root), **(sizes | changes))


def test_the_data_module_serves_the_published_maps(tmp_path, folder):
    data = original(tmp_path)
    data.setup()
    wanted = arrays(7)
    pixels = wanted["maps"].astype(np.float64)
    np.testing.assert_allclose(data.channel_mean, pixels.mean((0, 1, 2)), rtol=1e-6)
    np.testing.assert_allclose(data.channel_std, pixels.std((0, 1, 2)), rtol=1e-6)
    val = list(data.val_dataloader())
    found = np.concatenate([batch["maps"].numpy() for batch in val])
    np.testing.assert_array_equal(found, arrays(3, seed=1)["maps"], strict=True)


@pytest.mark.parametrize("sizes", [{"train_size": 8}, {"eval_size": 4}])
def test_more_maps_than_there_are_is_told(tmp_path, folder, sizes):
    name = next(iter(sizes))
    with pytest.raises(ValueError, match=f"data.{name} asks for {sizes[name]} instances, and the"):
        original(tmp_path, **sizes).setup()


def test_the_fingerprint_follows_the_content_and_not_the_place(tmp_path, folder):
    marks = {original(tmp_path).data_fingerprint}
    shutil.copytree(folder.parent, tmp_path / "copy" / "other name")
    assert original(tmp_path / "copy").data_fingerprint in marks
    for change in (
        ("train_maps", lambda a: 255 - a),
        ("test_maps", lambda a: 255 - a),
        ("val_vertex_weights", lambda a: 2 * a),
    ):
        path = folder / f"{change[0]}.npy"
        before = np.load(path)
        np.save(path, change[1](before).astype(before.dtype))
        marks.add(original(tmp_path).data_fingerprint)
        np.save(path, before)
    assert len(marks) == 4
    assert original(tmp_path, train_size=2).data_fingerprint in marks
    split = load_split(folder, "train", K)
    other = replace(split, paths=[1 - path for path in split.paths])
    assert other.fingerprint() != split.fingerprint()


@pytest.mark.real_data
@pytest.mark.parametrize("cells", [12, 18, 24, 30])
def test_the_published_maps_are_as_described(cells):
    try:
        folder = PUBLISHED.find_or_download(REAL, url=None)
    except DownloadError:
        pytest.skip("COMBGRAD_DATA has no maps of Warcraft")
    loaded = load_original(folder, cells)
    assert {split: len(part) for split, part in loaded.items()} == {
        "train": 10_000, "val": 1_000, "test": 1_000,
    }  # fmt: skip
    part = loaded["test"].columns(200)
    costs, paths = (part[name][torch.arange(200)] for name in ("true_costs", "target"))
    np.testing.assert_allclose(np.unique(costs), [0.8, 1.2, 5.3, 7.7, 9.2], rtol=1e-3)
    best = (costs * ShortestPath()(costs)).sum((1, 2))
    torch.testing.assert_close((costs * paths).sum((1, 2)), best, rtol=1e-3, atol=0)
