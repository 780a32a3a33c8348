"""Handwritten digits of 28 x 28 pixels from one of their two sources."""

import gzip
import hashlib
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate, pad

from combgrad.data.base import sha256_of_file
from combgrad.data.files.download import DownloadError, download
from combgrad.data.files.npy import DataFileError
from combgrad.data.files.web import check_address, within
from combgrad.files.locking import locked
from combgrad.files.writing import move_into_place
from combgrad.guards.torchvision import ensure_torchvision

SIDE = 28

#: What MNIST's writers fitted their digits into; the rest is a margin.
DIGIT_SIDE = 20

#: The published MD5 of each file of images, and of what lies packed in it.
MNIST_FILES = {
    "train-images-idx3-ubyte": (
        "f68b3c2dcbeaaa9fbdd348bbdeb94873",
        "6bbc9ace898e44ae57da46a324031adb",
    ),
    "t10k-images-idx3-ubyte": (
        "9fb629c4189551a2d022fa330f9573f3",
        "2646ac647ad5339dbf082846283269ea",
    ),
}

#: The same of the files of labels.
MNIST_LABELS = {
    "train-labels-idx1-ubyte": (
        "d53e105ee54ea40749a09fcbcd1e9432",
        "a25bea736e30d166cdddb491f175f624",
    ),
    "t10k-labels-idx1-ubyte": (
        "ec29112dd5afa0611ce80d1b7f02629c",
        "27ae3e4e09519cfbb04c329615203637",
    ),
}

#: More than the larger of the files has, 9.9 MB packed.
MNIST_LIMIT_BYTES = 20 * 10**6

#: As the address: whoever has torchvision knows where MNIST is.
TORCHVISION = "torchvision"

#: Where they may lie below the given folder; the last is where a download goes.
MNIST_FOLDERS = ("", "raw", "MNIST/raw", "mnist", "mnist/raw", "mnist/MNIST/raw")

STAND_IN = Path(__file__).with_name("optical_digits.npz")
STAND_IN_LABELS = Path(__file__).with_name("optical_digit_labels.npy")


def stand_in() -> Tensor:
    """The 1,797 optical digits (N, 784) in [0, 1], enlarged from 8 x 8 to MNIST's size."""
    with np.load(STAND_IN, allow_pickle=False) as archive:
        small = torch.from_numpy(archive["images"]).to(torch.float32) / 16
    large = interpolate(small.unsqueeze(1), (DIGIT_SIDE, DIGIT_SIDE), mode="bilinear")
    margin = (SIDE - DIGIT_SIDE) // 2
    return pad(large, [margin] * 4).flatten(1)


def stand_in_labels() -> np.ndarray:
    """Which digit each image of `stand_in` shows, (N,) int64."""
    return np.load(STAND_IN_LABELS, allow_pickle=False).astype(np.int64)


def stand_in_digest() -> str:
    """A sha256 of what `stand_in` reads."""
    return sha256_of_file(STAND_IN)


def find_mnist(path: Path, url: str | None = None) -> list[Path]:
    """MNIST's two files of images (training, test) at or below `path`, plain or as .gz.

    A missing one is fetched from the folder `url` of a web server, or by torchvision where `url`
    is that word. Raises DataFileError, or DownloadError.
    """
    return [_find(path, name, url, md5) for name, (md5, _) in MNIST_FILES.items()]


def find_mnist_labels(path: Path, url: str | None = None) -> list[Path]:
    """MNIST's two files of labels, found as `find_mnist` finds those of images."""
    return [_find(path, name, url, md5) for name, (md5, _) in MNIST_LABELS.items()]


def _find(path: Path, name: str, url: str | None, md5: str) -> Path:
    for folder in MNIST_FOLDERS:
        for file in (path / folder / f"{name}.gz", path / folder / name):
            if file.is_file():
                return file
    target = path / MNIST_FOLDERS[-1] / f"{name}.gz"
    if url == TORCHVISION:
        return _by_torchvision(path, target)
    if url is not None:
        check_address(url)
        address = within(url, target.name)
        return download(address, target, checksum=f"md5:{md5}", limit_bytes=MNIST_LIMIT_BYTES)
    raise DataFileError(
        f"{target}: no such file, nor anywhere else MNIST may lie below {path}. Put the files of "
        f"MNIST there, or let torchvision do so (data.url=torchvision), or give data.url=<the web "
        f"folder that has {target.name}>. data=digits needs no files."
    )


def _by_torchvision(path: Path, target: Path) -> Path:
    torchvision = ensure_torchvision()
    if torchvision is None:
        raise DownloadError("data.url=torchvision needs torchvision: pip install torchvision.")
    home = path / "mnist"
    try:
        with locked(home / "MNIST"):
            # Another process may have finished while this one waited for the lock.
            if target.is_file():
                return target
            # torchvision writes under the final names, where others would read half a file.
            with tempfile.TemporaryDirectory(dir=home, prefix=".MNIST-") as private:
                torchvision.datasets.MNIST(private, download=True)
                target.parent.mkdir(parents=True, exist_ok=True)
                for file in sorted((Path(private) / "MNIST" / "raw").iterdir()):
                    move_into_place(file, target.with_name(file.name))
    except (RuntimeError, OSError) as error:
        raise DownloadError(
            f"{target}: torchvision could not download MNIST ({error}). Try again later, or put "
            f"the files there by hand."
        ) from error
    return target


def read_mnist(files: list[Path]) -> Tensor:
    """All images of the files, one after another, (N, 784) in [0, 1]; raises DataFileError."""
    # An idx file starts with a magic number and three sizes, 4 bytes each, right by the md5.
    parts = [torch.tensor(_read(file, MNIST_FILES, 16)).view(-1, SIDE * SIDE) for file in files]
    return torch.cat(parts).to(torch.float32).div_(255)


def read_mnist_labels(files: list[Path]) -> np.ndarray:
    """Which digits the images of `read_mnist` show, (N,) int64; raises DataFileError."""
    return np.concatenate([_read(file, MNIST_LABELS, 8) for file in files]).astype(np.int64)


def _read(file: Path, checksums: Mapping[str, tuple[str, str]], header: int) -> np.ndarray:
    """The bytes of an idx file after its header, (N,) uint8."""
    content = file.read_bytes()
    packed, plain = checksums[file.name.removesuffix(".gz")]
    expected = packed if file.suffix == ".gz" else plain
    found = hashlib.md5(content, usedforsecurity=False).hexdigest()
    if found != expected:
        raise DataFileError(
            f"{file}: its md5 is {found}, not the published {expected}. Delete it and get it again."
        )
    if file.suffix == ".gz":
        content = gzip.decompress(content)
    return np.frombuffer(content, dtype=np.uint8, offset=header)
