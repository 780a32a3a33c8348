"""Pictures read from their files, cropped, and brought to one size."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from combgrad.data.base import Block, cached
from combgrad.data.files.npy import DataFileError

#: Pixels of a side, as all of the published methods of matching have it.
SIDE = 256

#: Part of the cache's key; raise it when a file gives other pixels.
PIXELS_VERSION = 1

#: Pictures that are in memory at a time.
BLOCK = 64


@dataclass(frozen=True)
class PictureFile:
    """A file, and the part of its picture that is meant: (left, upper, right, lower), or all."""

    path: Path
    box: tuple[float, float, float, float] | None = None

    def state(self) -> tuple[str, int, int]:
        """Name, size and time of the file; DataFileError where it is not there."""
        try:
            found = self.path.stat()
        except OSError as error:
            raise DataFileError(_missing(self.path)) from error
        return self.path.name, found.st_size, found.st_mtime_ns

    def size(self) -> tuple[int, int]:
        """Width and height of the whole picture, of which only the header is read."""
        with _opened(self.path) as picture:
            return picture.size

    def pixels(self, side: int = SIDE) -> np.ndarray:
        """(3, side, side) uint8 in RGB, by bicubic interpolation whatever its proportions were."""
        with _opened(self.path) as picture:
            try:
                colours = picture.convert("RGB")
                small = colours.resize((side, side), Image.Resampling.BICUBIC, box=self.box)
            except (OSError, ValueError, SyntaxError) as error:
                problem = f"cannot be read as a picture, which may be cut short ({error})"
                raise DataFileError(f"{self.path}: {problem}. Restore it.") from error
        return np.asarray(small).transpose(2, 0, 1)


def _missing(path: Path) -> str:
    return f"{path}: no such picture, though the set lists it. Restore it from its source."


def _opened(path: Path) -> Image.Image:
    try:
        return Image.open(path)
    except FileNotFoundError as error:
        raise DataFileError(_missing(path)) from error
    except (OSError, Image.DecompressionBombError) as error:
        raise DataFileError(f"{path}: is no picture that can be read ({error}).") from error


def pixels_key(files: Sequence[PictureFile], side: int) -> tuple[object, ...]:
    """What decides the pixels of pictures; DataFileError, naming the file, where one is missing."""
    return (PIXELS_VERSION, side, *((file.state(), file.box) for file in files))


def all_pixels(
    files: Sequence[PictureFile], cache: Path | None, side: int = SIDE, name: str = "matching"
) -> np.ndarray:
    """(P, 3, side, side) uint8 of all pictures, read-only, kept in `cache` unless that is None.

    Raises DataFileError, naming the file.
    """
    key = pixels_key(files, side)
    return cached(cache, f"{name}-pixels", key, lambda: pixel_blocks(files, side))["pixels"]


def pixel_blocks(files: Sequence[PictureFile], side: int) -> Iterator[Block]:
    """The pixels (BLOCK, 3, side, side) of a few pictures after another."""
    for start in range(0, len(files), BLOCK):
        yield {"pixels": np.stack([file.pixels(side) for file in files[start : start + BLOCK]])}
