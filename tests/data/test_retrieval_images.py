"""The data module of a retrieval: batches by class, parts of images, features, refusals."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch

from combgrad.data.base import Place
from combgrad.data.retrieval import features
from combgrad.data.retrieval.class_images import spread
from combgrad.data.retrieval.classified import Classified, ImageSet
from combgrad.data.retrieval.crops import middle, random_part
from combgrad.data.retrieval.datamodule import RetrievalImages
from combgrad.data.retrieval.digits import MNIST, OpticalDigits
from combgrad.networks.backbones import SmallCNN


@dataclass(frozen=True)
class Made(ImageSet):
    """Twelve classes of nine noisy images, of which seven train."""

    source = "regenerated"

    def read(self, place):
        labels = np.random.default_rng(1).permutation(np.repeat(np.arange(12), 9))
        pixels = np.random.default_rng(0).integers(0, 256, (108, 3, 10, 10), dtype=np.uint8)
        names = tuple(map(str, range(108)))
        return Classified(names, tuple("abcdefghijkl"), labels, labels < 7, pixels=pixels)


def made(**changes):
    settings = {"classes": 4, "samples": 3, "side": 10, "crop": 8}
    data = RetrievalImages(Made(), **settings | changes)
    data.setup()
    return data


def test_training_and_test_have_different_classes_and_all_images():
    data = made()
    whole = Made().read(Place(None))
    for split, rows in (("train", whole.trains), ("val", ~whole.trains), ("test", ~whole.trains)):
        table = data.table(split)
        batch = table[torch.arange(len(table))]
        assert batch["label"].tolist() == whole.labels[rows].tolist()
        assert np.array_equal(batch["images"].numpy(), whole.pixels[rows])


def test_a_training_batch_has_some_classes_with_some_images_of_each():
    batches = list(made(order_seed=3).train_dataloader())
    assert len(batches) == 63 // 12
    for batch in batches:
        _, counts = batch["label"].unique(return_counts=True)
        assert counts.tolist() == [3, 3, 3, 3]
    again = list(made(order_seed=3).train_dataloader())
    other = list(made(order_seed=4).train_dataloader())
    assert all(torch.equal(a["images"], b["images"]) for a, b in zip(batches, again, strict=True))
    assert not torch.equal(batches[0]["label"], other[0]["label"])


@pytest.mark.parametrize(
    ("most", "classes"), [(1, 1), (7, 2), (20, 5), (47, 11), (48, 12), (62, 12), (1000, 12)]
)
def test_fewer_images_are_spread_over_the_classes_that_then_have_four(most, classes):
    labels = Made().read(Place(None)).labels
    found = spread(labels, most)
    assert found.tolist() == sorted(found.tolist())
    assert len(found) == min(most, 108)
    counts = np.bincount(labels[found], minlength=12)
    assert np.flatnonzero(counts).tolist() == list(range(classes))
    counts = counts[:classes]
    assert counts.max() - counts.min() <= 1
    assert counts.min() >= min(4, most // 2) or most < 4
    for name in range(classes):
        own = np.flatnonzero(labels == name)
        assert found[labels[found] == name].tolist() == own[: counts[name]].tolist()


def test_the_middle_and_random_parts_are_parts_of_the_image():
    images = torch.arange(3 * 2 * 36).view(3, 2, 6, 6)
    assert torch.equal(middle(images, 4), images[:, :, 1:5, 1:5])
    assert torch.equal(middle(images, 6), images)
    seen = set()
    for seed in range(60):
        torch.manual_seed(seed)
        found = random_part(images, 5, mirror=True)
        for image, part in zip(images, found, strict=True):
            windows = {
                (top, left, turned): (w.flip(2) if turned else w)
                for top in range(2)
                for left in range(2)
                for turned in (False, True)
                for w in [image[:, top : top + 5, left : left + 5]]
            }
            (place,) = [key for key, window in windows.items() if torch.equal(window, part)]
            seen.add(place)
    assert len(seen) == 8
    torch.manual_seed(0)
    assert torch.equal(random_part(images, 6, mirror=False), images)


def test_features_of_a_frozen_backbone_are_those_of_the_middle_and_computed_once(
    tmp_path, monkeypatch
):
    torch.manual_seed(0)
    backbone = SmallCNN(4, frozen=True)
    found = made(backbone=backbone, cache=str(tmp_path)).columns("test")
    assert set(found) == {"label", "features"}
    whole = Made().read(Place(None))
    images = torch.from_numpy(whole.pixels[~whole.trains])
    torch.testing.assert_close(found["features"], backbone(middle(images, 8)).whole)
    monkeypatch.setattr(features, "_blocks", None)  # nothing is computed again
    again = made(backbone=backbone, cache=str(tmp_path)).columns("test")
    assert torch.equal(again["features"], found["features"])
    with pytest.raises(TypeError):
        made(backbone=backbone, cache=str(tmp_path), crop=7)
    assert "images" in made(backbone=SmallCNN(4)).columns("test")


def test_what_cannot_be_is_refused_before_anything_is_read():
    for changes, message in (
        ({"crop": 11}, r"data\.side is 10; it must be a whole number of at least 11"),
        ({"classes": 1}, r"data\.classes"),
        ({"samples": 1}, r"data\.samples"),
        ({"mirror": 1}, r"data\.mirror is 1; give true or false"),
        ({"backbone": torch.nn.Linear(1, 1)}, r"data\.backbone is of type Linear"),
        ({"url": "https://host/x"}, "downloads nothing"),
    ):
        with pytest.raises(ValueError, match=message):
            made(**changes)
    with pytest.raises(ValueError, match="give a set of images"):
        RetrievalImages("digits")
    with pytest.raises(ValueError, match=r"MNIST needs data\.path="):
        RetrievalImages(MNIST())
    assert RetrievalImages(MNIST(), path="there", url="torchvision").files.url == "torchvision"
    with pytest.raises(ValueError, match=r"data\.side is 10, and these images have 28"):
        RetrievalImages(OpticalDigits(), side=10, crop=8).setup()
    with pytest.raises(ValueError, match="8 classes, and there are 7"):
        made(classes=8).train_dataloader()
