"""Handwritten digits: what is read, how it is split, and what is refused."""

import gzip
import hashlib
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch

from combgrad.data.digits import images
from combgrad.data.digits.datamodule import Digits
from combgrad.data.files.download import DownloadError
from combgrad.data.files.npy import DataFileError

REAL = os.environ.get("COMBGRAD_DATA", "/nonexistent")
TRAIN, TEST = images.MNIST_FILES


def loaded(**changes):
    data = Digits(**changes)
    data.setup()
    return data


def enlarged(small, side):
    """Bilinear interpolation of (n, n) at the centres of side x side pixels, entry by entry."""
    n = len(small)
    large = np.zeros((side, side))
    for i in range(side):
        for j in range(side):
            for row, a in weights(i, n, side):
                for column, b in weights(j, n, side):
                    large[i, j] += a * b * small[row, column]
    return large


def weights(place, n, side):
    centre = min(max((place + 0.5) * n / side - 0.5, 0), n - 1)
    low = int(centre)
    return [(low, low + 1 - centre), (min(low + 1, n - 1), centre - low)]


def test_the_stand_in_is_the_optical_digits_enlarged_into_a_margin():
    with np.load(images.STAND_IN) as archive:
        small = archive["images"]
    found = images.stand_in().view(-1, 28, 28)
    assert found.shape == (1797, 28, 28)
    for chosen in (0, 1796):
        expected = np.pad(enlarged(small[chosen] / 16, 20), 4)
        np.testing.assert_allclose(found[chosen].numpy(), expected, atol=1e-6)
    assert float(found.min()) == 0
    assert float(found.max()) == 1


@pytest.mark.parametrize(("split", "parts"), [("60-10", 1), ("50-10-10", 2)])
def test_the_last_seventh_tests_and_nothing_is_trained_and_tested(split, parts):
    data = loaded(split=split)
    everything = images.stand_in()
    assert torch.equal(data.images["test"], everything[-256:])
    assert torch.equal(data.images["train"], everything[: 1797 - parts * 256])
    first = 1797 - parts * 256
    assert torch.equal(data.images["val"], everything[first : first + 256])
    assert data.validates_on_test == (split == "60-10")


def test_sizes_are_bounds_and_batches_follow_seed_and_epoch():
    data = loaded(train_size=250, eval_size=30, order_seed=2)
    loader = data.train_dataloader()

    def epoch(number):
        loader.sampler.set_epoch(number)
        return torch.cat([batch["images"] for batch in loader])

    first = epoch(0)
    assert torch.equal(first, epoch(0))
    assert not torch.equal(first, epoch(1))
    assert sorted(first.tolist()) == sorted(images.stand_in()[:250].tolist())
    assert [len(batch["images"]) for batch in loader] == [100, 100, 50]
    for loader in (data.val_dataloader(), data.test_dataloader()):
        found = torch.cat([batch["images"] for batch in loader])
        assert torch.equal(found, images.stand_in()[-256:-226])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"source": "other"}, "stand-in, original"),
        ({"source": "original"}, "COMBGRAD_DATA"),
        ({"split": "70"}, "60-10, 50-10-10"),
        ({"train_size": 0}, "train_size"),
    ],
)
def test_bad_arguments_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        Digits(**changes)


@pytest.fixture
def idx_files(monkeypatch):
    """Two small idx files as bytes, taken for the published ones, and their pixels."""
    rng = np.random.default_rng(0)
    pixels = [rng.integers(0, 256, (count, 784), dtype=np.uint8) for count in (12, 2)]
    contents = {
        name: np.array([2051, len(part), 28, 28], ">i4").tobytes() + part.tobytes()
        for name, part in zip((TRAIN, TEST), pixels, strict=True)
    }

    def md5(content):
        return hashlib.md5(content).hexdigest()

    packed = {name: gzip.compress(content, mtime=0) for name, content in contents.items()}
    checksums = {name: (md5(packed[name]), md5(contents[name])) for name in contents}
    monkeypatch.setattr(images, "MNIST_FILES", checksums)
    return contents, packed, np.concatenate(pixels)


def test_mnist_is_found_plain_or_packed_and_scaled(tmp_path, idx_files):
    contents, packed, pixels = idx_files
    raw = tmp_path / "mnist" / "MNIST" / "raw"
    raw.mkdir(parents=True)
    (raw / f"{TRAIN}.gz").write_bytes(packed[TRAIN])
    (tmp_path / "mnist" / TEST).write_bytes(contents[TEST])
    data = loaded(source="original", path=str(tmp_path))
    np.testing.assert_allclose(data.images["train"].numpy(), pixels[:12] / 255, rtol=1e-6)
    np.testing.assert_allclose(data.images["test"].numpy(), pixels[12:] / 255, rtol=1e-6)
    assert data.data_fingerprint != loaded().data_fingerprint


def test_a_damaged_file_is_named(tmp_path, idx_files):
    _, packed, _ = idx_files
    for name in (TRAIN, TEST):
        (tmp_path / f"{name}.gz").write_bytes(packed[name])
    (tmp_path / f"{TEST}.gz").write_bytes(packed[TEST][:-1])
    with pytest.raises(DataFileError, match=rf"{TEST}.gz: its md5 is .* get it again"):
        loaded(source="original", path=str(tmp_path))


def test_a_missing_file_is_named_before_anything_is_trained(tmp_path):
    data = Digits(source="original", path=str(tmp_path))
    with pytest.raises(DataFileError, match=rf"{TRAIN}.gz: no such file.*data.url"):
        _ = data.data_fingerprint


@pytest.mark.parametrize("query", ["", "?token=1"])
def test_a_missing_file_is_fetched_where_an_address_is_given(tmp_path, monkeypatch, query):
    asked = []

    def fake(url, target, *, checksum, limit_bytes):
        asked.append((url, target, checksum))
        assert 9_912_422 < limit_bytes < 100_000_000
        return target

    monkeypatch.setattr(images, "download", fake)
    images.find_mnist(tmp_path, f"http://somewhere/mnist/{query}")
    raw = tmp_path / "mnist" / "MNIST" / "raw"
    assert asked == [
        (
            f"http://somewhere/mnist/{name}.gz{query}",
            raw / f"{name}.gz",
            f"md5:{images.MNIST_FILES[name][0]}",
        )
        for name in (TRAIN, TEST)
    ]


def test_torchvision_downloads_what_is_missing(tmp_path, idx_files, monkeypatch):
    _, packed, pixels = idx_files

    def fake(root, download):
        assert download
        raw = Path(root) / "MNIST" / "raw"
        raw.mkdir(parents=True, exist_ok=True)
        for name in packed:
            (raw / f"{name}.gz").write_bytes(packed[name])

    monkeypatch.setattr("torchvision.datasets.MNIST", fake)
    data = loaded(source="original", path=str(tmp_path), url="torchvision")
    np.testing.assert_allclose(data.images["train"].numpy(), pixels[:12] / 255, rtol=1e-6)


def test_of_a_download_by_torchvision_no_half_is_ever_seen(tmp_path, idx_files, monkeypatch):
    """While one process downloads a second one waits; what is cut off leaves nothing behind."""
    _, packed, pixels = idx_files
    begun, go_on, calls = threading.Event(), threading.Event(), []

    def slow(root, download):
        calls.append(root)
        raw = Path(root) / "MNIST" / "raw"
        raw.mkdir(parents=True, exist_ok=True)
        for name in packed:
            (raw / f"{name}.gz").write_bytes(packed[name][:5])
        begun.set()
        if len(calls) == 1:
            raise KeyboardInterrupt
        go_on.wait(20)
        for name in packed:
            (raw / f"{name}.gz").write_bytes(packed[name])

    monkeypatch.setattr("torchvision.datasets.MNIST", slow)
    with pytest.raises(KeyboardInterrupt):
        images.find_mnist(tmp_path, "torchvision")
    begun.clear()
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(images.find_mnist, tmp_path, "torchvision")
        assert begun.wait(20)
        second = pool.submit(images.find_mnist, tmp_path, "torchvision")
        with pytest.raises(TimeoutError):
            second.result(0.3)
        go_on.set()
        found = [images.read_mnist(one.result(20)) for one in (first, second)]
    for pictures in found:
        np.testing.assert_allclose(pictures.numpy(), pixels / 255, rtol=1e-6)
    assert len(calls) == 2


def test_torchvision_without_a_network_says_what_to_do(tmp_path, monkeypatch):
    def fails(root, download):
        raise RuntimeError("Error downloading train-images-idx3-ubyte.gz")

    monkeypatch.setattr("torchvision.datasets.MNIST", fails)
    with pytest.raises(DownloadError, match=r"could not download MNIST \(Error .* by hand"):
        images.find_mnist(tmp_path, "torchvision")


@pytest.mark.real_data
@pytest.mark.skipif(not (Path(REAL) / "mnist").exists(), reason="COMBGRAD_DATA has no mnist")
def test_mnist_has_the_published_sizes_mean_and_deviation():
    data = loaded(source="original", path=REAL)
    assert data.images["train"].shape == (60_000, 784)
    assert data.images["test"].shape == (10_000, 784)
    # The constants with which MNIST's training images are commonly normalised.
    assert float(data.images["train"].mean()) == pytest.approx(0.1307, abs=5e-5)
    assert float(data.images["train"].double().std()) == pytest.approx(0.3081, abs=5e-5)
