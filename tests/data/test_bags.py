"""Bags of images: labels in no order, splits within classes, CIFAR-100 from its archive, flags."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch

from archive_files import write_tar
from combgrad.data.bags.cifar import CIFAR100, RECORD
from combgrad.data.bags.datamodule import BagImages
from combgrad.data.bags.flags import Flags
from combgrad.data.base import Place
from combgrad.data.files.npy import DataFileError
from combgrad.data.files.web import DownloadError
from combgrad.data.retrieval.birds import CUB2010
from combgrad.data.retrieval.digits import MNIST, OpticalDigits

REAL = Path(os.environ.get("COMBGRAD_DATA", "nowhere"))


def made(collection=None, **changes):
    settings = {"bag_size": 4, "classes": 10, "split": "last", "side": 28, "crop": 28}
    data = BagImages(collection or OpticalDigits(), **settings | changes)
    data.setup()
    return data


def test_a_training_batch_has_bags_with_their_labels_in_rising_order():
    data = made(batch_images=22)
    batches = list(data.train_dataloader())
    assert {tuple(batch["images"].shape) for batch in batches[:-1]} == {(5, 4, 1, 28, 28)}
    whole = data.collection
    for batch in batches[:3]:
        assert torch.equal(batch["bag"], batch["label"].sort(dim=1).values)
        assert not torch.equal(batch["bag"], batch["label"])
        for images, labels in zip(batch["images"], batch["label"], strict=True):
            for image, label in zip(images, labels, strict=True):
                same = (whole.pixels == image.numpy()).all(axis=(1, 2, 3))
                assert whole.labels[same].tolist() == [int(label)]


def test_evaluations_have_single_images():
    (batch,) = list(made().test_dataloader())
    assert batch["images"].shape == (256, 1, 28, 28)
    assert set(batch) == {"images", "label"}


@pytest.mark.parametrize("split", ["own", "last", "within"])
def test_the_splits_are_apart_and_together_all(split):
    data = made(Flags(), classes=100, split=split, side=24, crop=24)
    parts = [data.numbers(name).tolist() for name in ("train", "val", "test")]
    assert sorted(np.concatenate(parts).tolist()) == list(range(6000))
    labels = data.collection.labels
    counts = [np.bincount(labels[part], minlength=100).tolist() for part in parts]
    if split == "last":
        assert parts[2] == list(range(6000 - 857, 6000))
    else:
        assert counts == [[36] * 100, [4] * 100, [20] * 100]
    if split == "within":
        assert parts[2][:3] == [2, 5, 8]
        assert parts[1][:2] == [13, 28]  # the tenth and the twentieth of the others
    same = made(Flags(), classes=100, split=split, side=24, crop=24, validation=0)
    assert same.numbers("val").tolist() == parts[2]
    assert len(same.numbers("train")) == 6000 - len(parts[2])


def test_a_validation_of_no_image_is_refused():
    """A flag has 40 images that are not for the test, so that no 41st of them validates."""
    data = made(Flags(), classes=100, split="own", side=24, crop=24, validation=41)
    with pytest.raises(ValueError, match=r"data\.validation=41 leaves no image for the val"):
        data.val_dataloader()


def test_fewer_images_are_spread_over_all_classes():
    data = made(Flags(), classes=100, split="own", side=24, crop=24, train_size=800, eval_size=400)
    assert np.bincount(data.columns("train")["label"]).tolist() == [8] * 100
    assert np.bincount(data.columns("test")["label"]).tolist() == [4] * 100


def test_what_is_looked_at_while_training_is_padded():
    data = made(pad=3, mirror=False)
    images = torch.full((200, 1, 28, 28), 9, dtype=torch.uint8)
    assert torch.equal(data.look(images, training=False), images)
    torch.manual_seed(0)
    found = data.look(images, training=True)
    assert found.shape == images.shape
    dark = (found == 0).flatten(1).sum(dim=1)
    assert int(dark.max()) == 28 * 28 - 25 * 25
    assert int((dark == 0).sum()) > 0


def test_what_cannot_be_is_refused():
    with pytest.raises(ValueError, match=r"data\.validation is 1, by which every image would"):
        made(Flags(), classes=100, validation=1)
    with pytest.raises(ValueError, match=r"data\.classes is 9, and the set has 10"):
        made(classes=9).train_dataloader()
    with pytest.raises(ValueError, match="16 rows of 12 different classes"):
        made(bag_size=16).train_dataloader()
    with pytest.raises(DataFileError, match=r"CIFAR100 needs data\.path=.*data=bags_flags"):
        BagImages(CIFAR100(), bag_size=4, classes=100)


def test_flags_are_the_same_everywhere_and_tell_their_classes_apart():
    found = Flags().read(Place(None))
    assert found.pixels.shape == (6000, 3, 24, 24)
    assert np.bincount(found.labels[found.trains]).tolist() == [40] * 100
    assert found.fingerprint()[:16] == "954536f32667fd9a"
    data = found.pixels.reshape(6000, -1).astype(float)
    means = np.stack([data[(found.labels == n) & found.trains].mean(axis=0) for n in range(100)])
    tests = data[~found.trains]
    distance = ((tests[:, None] - means[None]) ** 2).sum(axis=2)
    right = (distance.argmin(axis=1) == found.labels[~found.trains]).mean()
    assert 0.3 < right < 0.95


def cifar_files(train, test):
    names = [f"class_{number}" for number in range(100)]
    return {
        "cifar-100-binary/coarse_label_names.txt": b"coarse",
        "cifar-100-binary/fine_label_names.txt": ("\n".join(names) + "\n\n").encode(),
        "cifar-100-binary/train.bin": train.tobytes(),
        "cifar-100-binary/test.bin": test.tobytes(),
    }


def records(count, seed):
    found = np.random.default_rng(seed).integers(0, 256, (count, RECORD), dtype=np.uint8)
    found[:, 0], found[:, 1] = np.arange(count) % 20, np.arange(count) % 100
    return found


def test_cifar_is_read_from_its_binary_archive(tmp_path):
    train, test = records(230, 0), records(110, 1)
    write_tar(tmp_path / "cifar-100-binary.tar.gz", cifar_files(train, test), "w:gz")
    found = CIFAR100().read(Place(tmp_path))
    assert found.categories[:2] == ("class_0", "class_1")
    assert found.labels.tolist() == [*(n % 100 for n in range(230)), *(n % 100 for n in range(110))]
    assert found.trains.sum() == 230
    assert found.pixels.shape == (340, 3, 32, 32)
    # The 1024 reds of an image come first, row by row, then its greens.
    assert int(found.pixels[7, 0, 1, 3]) == int(train[7, 2 + 32 + 3])
    assert int(found.pixels[232, 1, 0, 5]) == int(test[2, 2 + 1024 + 5])
    with pytest.raises(DownloadError, match=r"cifar-100-binary\.tar\.gz.*data=bags_flags"):
        CIFAR100().read(Place(tmp_path / "empty"))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("train.bin", b"12345", r"train\.bin: has 5 bytes, not a multiple of 3074"),
        ("test.bin", bytes([0, 100]) + bytes(3072), r"test\.bin: has a label 100 of 100"),
        ("fine_label_names.txt", b"apple\nbear\n", r"names\.txt: names 2 classes, not 100"),
        ("test.bin", None, r"test\.bin: cannot be read"),
    ],
)
def test_damaged_files_of_cifar_are_named(tmp_path, name, content, message):
    folder = tmp_path / "cifar-100-binary"
    folder.mkdir()
    for path, made_of in cifar_files(records(3, 0), records(3, 1)).items():
        (tmp_path / path).write_bytes(made_of)
    (folder / name).unlink()
    if content is not None:
        (folder / name).write_bytes(content)
    with pytest.raises(DataFileError, match=message):
        CIFAR100().read(Place(tmp_path))


@pytest.mark.real_data
@pytest.mark.skipif(not (REAL / "cub200_2010").exists(), reason="COMBGRAD_DATA has no birds")
def test_species_of_birds_are_in_all_splits(tmp_path):
    data = BagImages(
        CUB2010(), 32, 200, split="within", side=16, crop=16, path=str(REAL), cache=str(tmp_path)
    )
    labels = data.collection.labels
    counts = [np.bincount(labels[data.numbers(name)]) for name in ("train", "val", "test")]
    everything = np.bincount(labels)
    assert (len(everything), everything.sum()) == (200, 6033)
    assert counts[2].tolist() == [n // 3 for n in everything]
    assert counts[1].tolist() == [(n - n // 3) // 10 for n in everything]
    assert sum(counts).tolist() == everything.tolist()


@pytest.mark.real_data
@pytest.mark.skipif(not (REAL / "mnist").exists(), reason="COMBGRAD_DATA has no mnist")
def test_mnist_keeps_its_own_test_images():
    data = made(MNIST(), path=str(REAL))
    assert data.numbers("test").tolist() == list(range(60_000, 70_000))
    ones = data.collection.labels[:60_000] == 1
    validates = data.numbers("val")
    assert int(ones[validates].sum()) == int(ones.sum()) // 10
    assert not set(validates) & set(data.numbers("train"))
