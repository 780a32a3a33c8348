"""The data module of key points: batches, their order, features, and what it refuses."""

import numpy as np
import pytest
import torch

from combgrad.data.datamodule import TensorDataModule
from combgrad.data.files.npy import DataFileError
from combgrad.data.files.pictures import SIDE, PictureFile
from combgrad.data.matching import appearance
from combgrad.data.matching.datamodule import KeyPointPairs
from combgrad.data.matching.graphs import delaunay_edges
from combgrad.data.matching.marked import Annotation, Collection, KeyPointSet, gather
from combgrad.data.matching.pairs import GivenPairs
from combgrad.data.matching.shape_context import shape_contexts
from combgrad.data.matching.synthetic import Synthetic
from combgrad.networks.backbones import SmallCNN, read_out

PIL = pytest.importorskip("PIL.Image")

SMALL = {"categories": 3, "pictures": 6, "points": 8, "channels": 6}


def made(collection=None, **changes):
    settings = {"train_size": 20, "eval_size": 5, "batch_size": 4} | changes
    data = KeyPointPairs(collection or Synthetic(**SMALL), **settings)
    data.setup()
    return data


def epoch_of(data, epoch):
    loader = data.train_dataloader()
    loader.sampler.set_epoch(epoch)
    return list(loader)


def equal(one, other):
    return [b.keys() for b in one] == [b.keys() for b in other] and all(
        torch.equal(a[name], b[name]) for a, b in zip(one, other, strict=True) for name in a
    )


def label_of(data, place):
    """The rows of the table that lie at a place (points of a made-up set are all elsewhere)."""
    rows = np.flatnonzero((data.collection.marked.points == place.numpy()).all(1))
    assert len(rows) == 1
    return int(rows[0])


@pytest.mark.parametrize("common", [True, False])
def test_a_batch_is_what_the_class_says(common):
    data = made(Synthetic(**SMALL, outliers=2), common_points=common)
    table = data.collection.marked
    padded = False
    for batch in epoch_of(data, 0):
        count = batch["points"].shape[2]
        assert {name: (part.dtype, tuple(part.shape)) for name, part in batch.items()} == {
            "points": (torch.float32, (4, 2, count, 2)),
            "present": (torch.bool, (4, 2, count)),
            "edges": (torch.int64, (4, 2, batch["edges"].shape[2], 2)),
            "target": (torch.float32, (4, count, count)),
            "category": (torch.int64, (4,)),
            "features": (torch.float32, (4, 2, count, 6)),
            "whole": (torch.float32, (4, 2, 6)),
        }
        assert batch["present"].sum(2).max() == count
        assert (batch["edges"] >= 0).all(3).sum(2).max() == batch["edges"].shape[2]
        for pair in range(4):
            rows = []
            for side in range(2):
                present = batch["present"][pair, side]
                nodes = int(present.sum())
                padded |= nodes < count
                assert present.tolist() == [True] * nodes + [False] * (count - nodes)
                points = batch["points"][pair, side]
                assert not points[nodes:].any()
                assert not batch["features"][pair, side, nodes:].any()
                own = [label_of(data, place) for place in points[:nodes]]
                rows.append(own)
                found = batch["features"][pair, side, :nodes].numpy()
                np.testing.assert_array_equal(found, table.features[own])
                edges = batch["edges"][pair, side]
                real = edges[edges[:, 0] >= 0]
                assert (edges[len(real) :] == -1).all()
                np.testing.assert_array_equal(real, delaunay_edges(points[:nodes].numpy()))
                picture = int(np.searchsorted(table.ends, own[0], side="right"))
                assert set(own) <= set(table.rows(picture).tolist())
                assert common or set(own) == set(table.rows(picture).tolist())
                assert table.category[picture] == batch["category"][pair]
                whole = batch["whole"][pair, side].numpy()
                np.testing.assert_array_equal(whole, table.whole[picture])
            wanted = np.zeros((count, count))
            for i, one in enumerate(rows[0]):
                for j, other in enumerate(rows[1]):
                    labels = table.labels[[one, other]]
                    wanted[i, j] = labels[0] == labels[1] != -1
            np.testing.assert_array_equal(batch["target"][pair].numpy(), wanted)
            if common:
                assert wanted.sum() == len(rows[0]) == len(rows[1]) >= 2
            else:
                assert len(rows[0]) > wanted.sum() >= 2
    assert padded


def test_points_come_in_random_order():
    data = made(Synthetic(categories=1, pictures=2, points=6, hidden=0.0))
    targets = torch.cat([batch["target"] for batch in epoch_of(data, 0)])
    assert (targets.sum(1) == 1).all()
    assert (targets.sum(2) == 1).all()
    orders = {tuple(row) for row in targets.argmax(2).tolist()}
    assert len(orders) > 15  # of 20 pairs and 720 orders


def test_training_pairs_depend_on_seed_and_epoch_alone():
    data = made(order_seed=3)
    first, second, third = (epoch_of(data, epoch) for epoch in range(3))
    assert not equal(first, second)
    assert equal(epoch_of(made(order_seed=3), 2), third)  # as a resumed run would see them
    assert equal(epoch_of(made(order_seed=3, seed=9), 0), first)
    assert not equal(epoch_of(made(order_seed=4), 0), first)
    torch.manual_seed(1)
    state = torch.get_rng_state()
    assert equal(epoch_of(data, 1), second)
    assert torch.equal(torch.get_rng_state(), state)


def test_pairs_of_validation_and_test_are_always_the_same():
    data, other = made(order_seed=0), made(order_seed=1)
    val, test = list(data.val_dataloader()), list(data.test_dataloader())
    assert equal(val, list(other.val_dataloader()))
    assert equal(test, list(other.test_dataloader()))
    assert equal(test, list(data.test_dataloader()))
    assert not equal(val, test)
    assert not equal(test, list(made(seed=1).test_dataloader()))
    categories = torch.cat([batch["category"] for batch in test]).tolist()
    assert categories == [0] * 5 + [1] * 5 + [2] * 5
    assert not data.validates_on_test


def test_columns_say_which_pictures_are_paired():
    data = made()
    batch = torch.cat([b["category"] for b in epoch_of(data, 0)])
    columns = data.columns("train")
    assert torch.equal(columns["category"], batch)
    assert columns["pictures"].shape == (20, 2)
    category = torch.from_numpy(data.collection.marked.category)
    assert torch.equal(category[columns["pictures"]], columns["category"][:, None].expand(-1, 2))


def test_processes_share_each_batch_and_see_other_pairs_than_each_other(monkeypatch):
    alone = epoch_of(made(), 1)
    shares = []
    for rank in range(2):
        data = made()
        monkeypatch.setattr(TensorDataModule, "_place", lambda self, rank=rank: (rank, 2))
        shares.append(epoch_of(data, 1))
    assert [len(share) for share in shares] == [5, 5]
    for whole, *parts in zip(alone, *shares, strict=True):
        for rank, part in enumerate(parts):
            assert torch.equal(part["category"], whole["category"][rank::2])
            # A part may need less padding than the whole.
            count = part["points"].shape[2]
            assert torch.equal(part["points"], whole["points"][rank::2, :, :count])


def test_workers_change_no_number():
    assert equal(epoch_of(made(workers=1), 1), epoch_of(made(), 1))


class Photographs(KeyPointSet):
    """Four pictures of noise with points of their own: a pair to train on, and one to test."""

    def __init__(self, folder, count=4, points=5):
        self.pictures = []
        for number in range(count):
            generator = np.random.default_rng((points, number))
            pixels = generator.integers(0, 256, (40 + number, 60, 3), dtype=np.uint8)
            file = folder / f"{number}.png"
            if not file.exists():
                PIL.fromarray(pixels).save(file)
            places = generator.uniform(0, SIDE, (points + number, 2))
            labels = np.arange(len(places))
            self.pictures.append(Annotation(str(number), 0, places, labels, PictureFile(file)))

    def read(self, place):
        pairs = [
            GivenPairs(np.array([pair]), np.full(1, 2**64 - 1, np.uint64), np.array([0]))
            for pair in ((0, 1), (2, 3))
        ]
        splits = {"train": pairs[0], "test": pairs[1]}
        return Collection(("noise",), gather(self.pictures), splits)


def with_pictures(folder, **changes):
    return made(Photographs(folder), path=str(folder), **changes)


def test_pictures_are_those_of_the_files_at_one_size(tmp_path):
    data = with_pictures(tmp_path)
    (batch,) = data.test_dataloader()
    assert batch["images"].dtype == torch.uint8
    assert tuple(batch["images"].shape) == (1, 2, 3, SIDE, SIDE)
    for side, number in enumerate((2, 3)):
        picture = PIL.open(tmp_path / f"{number}.png").resize((SIDE, SIDE), PIL.Resampling.BICUBIC)
        np.testing.assert_array_equal(
            batch["images"][0, side].permute(1, 2, 0).numpy(), np.asarray(picture)
        )
        np.testing.assert_array_equal(data.photographs("test", [0])[0, side], np.asarray(picture))
    assert made().photographs("test", [0]) is None
    assert data.validates_on_test
    assert equal(list(data.val_dataloader()), list(data.test_dataloader()))


def test_a_frozen_backbone_gives_the_features_of_each_picture_alone(tmp_path, monkeypatch):
    torch.manual_seed(0)
    backbone = SmallCNN(width=4, frozen=True)
    monkeypatch.setattr(appearance, "BLOCK", 3)
    data = with_pictures(tmp_path, backbone=backbone, common_points=False)
    (batch,) = data.test_dataloader()
    assert "images" not in batch
    (plain,) = with_pictures(tmp_path, common_points=False).test_dataloader()
    for side in range(2):
        found = backbone(plain["images"][:, side])
        nodes = int(batch["present"][0, side].sum())
        read = read_out(found.maps, plain["points"][:, side, :nodes], SIDE)
        torch.testing.assert_close(batch["features"][:, side, :nodes], read, atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(batch["whole"][:, side], found.whole, atol=1e-5, rtol=1e-4)
    trained = with_pictures(tmp_path, backbone=SmallCNN(width=4, frozen=False))
    assert "images" in next(iter(trained.train_dataloader()))


def test_features_are_computed_once_for_the_same_weights_and_pictures(tmp_path, monkeypatch):
    cache = str(tmp_path / "cache")
    torch.manual_seed(0)
    backbone = SmallCNN(width=4, frozen=True)
    calls = []
    forward = SmallCNN.find
    monkeypatch.setattr(SmallCNN, "find", lambda self, x: (calls.append(1), forward(self, x))[1])

    def features(weights):
        data = with_pictures(tmp_path, backbone=weights, cache=cache)
        return next(iter(data.test_dataloader()))["features"]

    once = features(backbone)
    assert len(calls) == 1
    assert torch.equal(features(backbone), once)
    assert len(calls) == 1
    other = features(SmallCNN(width=4, frozen=True))
    assert len(calls) == 2
    assert not torch.equal(other, once)
    with PIL.open(tmp_path / "3.png") as picture:
        picture.rotate(180).save(tmp_path / "3.png")
    assert not torch.equal(features(backbone), once)
    assert len(calls) == 3


def test_geometry_only_makes_features_of_the_points_shown(tmp_path):
    data = with_pictures(tmp_path, geometry_only=True)
    (batch,) = data.test_dataloader()
    assert "images" not in batch
    for side in range(2):
        points = batch["points"][0, side].numpy()
        found = batch["features"][0, side].numpy()
        np.testing.assert_array_equal(found, shape_contexts(points))
        mean = found.mean(0)
        whole = batch["whole"][0, side].numpy()
        np.testing.assert_allclose(whole, mean / np.linalg.norm(mean), rtol=1e-6)


def test_a_picture_that_is_missing_or_cut_short_is_named(tmp_path):
    collection = Photographs(tmp_path)
    whole = (tmp_path / "2.png").read_bytes()
    (tmp_path / "2.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataFileError, match=r"2\.png: cannot be read as a picture"):
        made(collection, path=str(tmp_path))
    (tmp_path / "2.png").write_bytes(b"no picture")
    with pytest.raises(DataFileError, match=r"2\.png: is no picture"):
        made(collection, path=str(tmp_path))
    (tmp_path / "2.png").unlink()
    with pytest.raises(DataFileError, match=r"2\.png: no such picture"):
        made(collection, path=str(tmp_path))


def test_the_fingerprint_follows_points_pairs_and_pictures(tmp_path):
    def mark(**changes):
        collection = Photographs(tmp_path, **changes)
        return KeyPointPairs(collection, path=str(tmp_path)).data_fingerprint

    first = mark()
    assert mark() == first
    assert mark(points=6) != first
    with PIL.open(tmp_path / "0.png") as picture:
        picture.rotate(180).save(tmp_path / "0.png")
    assert mark() != first


def test_a_process_reads_equal_sets_once(monkeypatch):
    calls = []
    read = Synthetic.read
    monkeypatch.setattr(Synthetic, "read", lambda self, at: (calls.append(self), read(self, at))[1])
    settings = {"categories": 2, "pictures": 3, "noise": 0.125}
    first = made(Synthetic(**settings))
    assert made(Synthetic(**settings), order_seed=1).collection is first.collection
    assert made(Synthetic(**settings, seed=1)).collection is not first.collection
    assert len(calls) == 2


def test_settings_that_do_not_fit_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"data\.collection is a dict; give a set of key points"):
        KeyPointPairs({})
    with pytest.raises(ValueError, match=r"Photographs needs data\.path=<where .*key-points\.md>"):
        KeyPointPairs(Photographs(tmp_path))
    with pytest.raises(ValueError, match=r"Photographs has no archive of its own"):
        KeyPointPairs(Photographs(tmp_path), path=str(tmp_path), url="https://host/x")
    with pytest.raises(ValueError, match=r"data\.backbone is of type str; give a backbone, or nul"):
        KeyPointPairs(Synthetic(), backbone="vgg16_bn")
    with pytest.raises(ValueError, match=r"data\.url is given"):
        KeyPointPairs(Synthetic(), url="https://host/x")
