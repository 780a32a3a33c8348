"""CIFAR-100 in its binary version, which needs no pickle."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from combgrad.data.base import Place
from combgrad.data.files.npy import REMEDY, DataFileError
from combgrad.data.files.published import Published
from combgrad.data.retrieval.classified import Classified, ImageSet

CLASSES, SIDE = 100, 32

#: A coarse label, a fine one, and the colours of all pixels, one colour after another.
RECORD = 2 + 3 * SIDE * SIDE

PUBLISHED = Published(
    doi="none (Krizhevsky, 2009, www.cs.toronto.edu/~kriz/cifar.html)",
    folder="cifar-100-binary",
    archive="cifar-100-binary.tar.gz",
    mark="fine_label_names.txt",
    example="train.bin",
    limit_bytes=2 * 10**8,
    checksum="md5:03b5dce01913d631647c71ecec9e9cb8",
    instead="data=bags_flags",
)


@dataclass(frozen=True)
class CIFAR100(ImageSet):
    """60,000 photographs of 100 classes, 32 x 32 pixels, of which 50,000 train."""

    def read(self, place: Place) -> Classified:
        """All images with their fine labels; raises DataFileError or DownloadError."""
        folder = PUBLISHED.find_or_download(place.root, url=place.url)
        parts = [read_records(folder / name) for name in ("train.bin", "test.bin")]
        labels = np.concatenate([part[:, 1] for part in parts]).astype(np.int64)
        pixels = np.concatenate([part[:, 2:] for part in parts])
        return Classified(
            tuple(f"image {number}" for number in range(len(labels))),
            read_names(folder / "fine_label_names.txt"),
            labels,
            np.arange(len(labels)) < len(parts[0]),
            pixels=pixels.reshape(-1, 3, SIDE, SIDE),
        )


def read_records(file: Path) -> np.ndarray:
    """The records (N, RECORD) uint8 of a file; DataFileError where it does not hold such."""
    try:
        content = np.fromfile(file, dtype=np.uint8)
    except OSError as error:
        raise DataFileError(f"{file}: cannot be read ({error}). {REMEDY}") from error
    if len(content) == 0 or len(content) % RECORD:
        raise DataFileError(
            f"{file}: has {len(content)} bytes, not a multiple of {RECORD} as each image takes. "
            f"{REMEDY}"
        )
    records = content.reshape(-1, RECORD)
    if records[:, 1].max() >= CLASSES:
        raise DataFileError(f"{file}: has a label {records[:, 1].max()} of {CLASSES}. {REMEDY}")
    return records


def read_names(file: Path) -> tuple[str, ...]:
    """The names of the fine classes, one a line; DataFileError where there are not 100."""
    try:
        names = file.read_text(encoding="ascii").split()
    except (OSError, UnicodeDecodeError) as error:
        raise DataFileError(f"{file}: cannot be read ({error}). {REMEDY}") from error
    if len(names) != CLASSES:
        raise DataFileError(f"{file}: names {len(names)} classes, not {CLASSES}. {REMEDY}")
    return tuple(names)
