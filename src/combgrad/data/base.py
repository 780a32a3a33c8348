"""What data sets share: where their data come from, and the cache of what they make."""

import contextlib
import hashlib
import json
import os
import secrets
import shutil
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, TypeVar

import numpy as np

from combgrad.data.files.npy import DataFileError, load_array, write_header
from combgrad.data.splits import fingerprint
from combgrad.files.locking import locked
from combgrad.files.writing import flush_folder

P = TypeVar("P")

#: Part of every key; raise it when entries have another form.
CACHE_VERSION = 1

CONTENT = "content.json"

#: Arrays by name, each with the rows of the block first.
Block = Mapping[str, np.ndarray]


class Source(ABC):
    """One origin of a data set: what it is called, what it needs, and which data it has.

    A data module chooses one of its sources by name and takes from it what it has; in which form,
    is up to the two. Made without touching any data.
    """

    #: The word for `data.source` and for the record, such as `original`.
    name: ClassVar[str]

    #: How it is chosen on a command line.
    choice: ClassVar[str]

    #: What must lie at `data.path`, or None where nothing need.
    needs: ClassVar[str | None] = None

    #: Whether it can be downloaded from `data.url`, and the words that may stand for an address.
    downloads: ClassVar[bool] = False
    words: ClassVar[tuple[str, ...]] = ()

    @property
    @abstractmethod
    def fingerprint(self) -> str:
        """Changes whenever the data could; cheap, but says at once what is missing."""


def check_path(what: str, needs: str, path: P | None, free: str) -> P:
    """`path`; DataFileError where `what` has none to what it needs, as `free` would do without."""
    if path is None:
        raise DataFileError(
            f"{what} needs data.path=<{needs}>, or COMBGRAD_DATA set; {free} needs nothing."
        )
    return path


@dataclass(frozen=True)
class Place:
    """Where the files of a set are looked for, downloaded from, and unpacked to.

    `free` is a choice that needs none, for messages.
    """

    path: Path | None
    url: str | None = None
    cache: Path | None = None
    free: str = "data=synthetic backbone=none"

    @property
    def root(self) -> Path:
        """The folder for data; DataFileError where none is given."""
        return check_path("this set", "where its files lie", self.path, self.free)

    def check_given(self, collection: object, page: str) -> None:
        """Raise DataFileError, naming the page on a set's files, where no folder is given."""
        needs = f"where its files lie, see docs/{page}.md"
        check_path(type(collection).__name__, needs, self.path, self.free)

    def find(self, names: Iterable[str]) -> Path | None:
        """The first of some files that is there, by their names below the folder for data."""
        return next((self.root / name for name in names if (self.root / name).is_file()), None)

    def look_for(self, names: Iterable[str], what: str) -> Path:
        """The first of some files that is there; DataFileError, naming the set, where none is."""
        names = list(names)
        found = self.find(names)
        if found is None:
            raise DataFileError(
                f"{self.root}: none of {', '.join(names)} is there, which {what} is read from; put "
                f"it there, or choose {self.free}, which needs nothing."
            )
        return found


def cached(
    folder: Path | None, name: str, key: Iterable[object], make: Callable[[], Iterable[Block]]
) -> dict[str, np.ndarray]:
    """The arrays of all blocks that `make` yields, one after another, made once for each key.

    `key` holds all that decides what is made: settings, versions of the code, fingerprints of what
    it is made from. The arrays are kept in `folder`, in a folder named `name` and a digest of the
    key, and come from there memory-mapped and read-only, once their sha256 is right (a third of a
    second for 330 MB). An entry that is not what was written is made anew, with a warning. Only one
    block is in memory at a time, and only one process at a time makes an entry. With None for
    `folder` nothing is kept.

    Raises OSError, naming the entry, where the folder cannot be written or the disk is full.
    """
    if folder is None:
        return _joined(make())
    mark = fingerprint(CACHE_VERSION, *key)
    place = folder / f"{name}-{mark[:16]}"
    with contextlib.suppress(DataFileError):
        return _read(place, mark)
    # Of what the blocks are made from, for which their own words are the right ones.
    troubles: list[OSError] = []
    try:
        with locked(place):
            # Another process may have made it while this one waited for the lock.
            if place.exists():
                try:
                    return _read(place, mark)
                except DataFileError as error:
                    warnings.warn(f"{error} It is made anew.", stacklevel=2)
                    shutil.rmtree(place)
            _write(place, mark, _noting(make, troubles))
            return _read(place, mark)
    except OSError as error:
        if any(error is trouble for trouble in troubles):
            raise
        raise OSError(error.errno, f"cannot write {place}: {error.strerror or error}") from error


def _noting(make: Callable[[], Iterable[Block]], troubles: list[OSError]) -> Iterable[Block]:
    """The blocks; an OSError of their making is put into `troubles` on its way."""
    try:
        yield from make()
    except OSError as error:
        troubles.append(error)
        raise


def _joined(blocks: Iterable[Block]) -> dict[str, np.ndarray]:
    parts: dict[str, list[np.ndarray]] = {}
    for block in blocks:
        for name, array in block.items():
            parts.setdefault(name, []).append(array)
    return {name: np.concatenate(arrays) for name, arrays in parts.items()}


def _read(place: Path, mark: str) -> dict[str, np.ndarray]:
    """The arrays of an entry; DataFileError where one is not what was written."""
    try:
        content = json.loads((place / CONTENT).read_text(encoding="utf-8"))
        digests = dict(content["sha256"])
        right = content["key"] == mark and {path.name for path in place.iterdir()} == {
            CONTENT,
            *(f"{name}.npy" for name in digests),
        }
        right = right and all(
            sha256_of_file(place / f"{name}.npy") == digests[name] for name in digests
        )
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise DataFileError(f"{place}: is damaged ({type(error).__name__}: {error}).") from error
    if not right:
        raise DataFileError(f"{place}: is damaged, its files are not those that were written.")
    return {
        name: load_array(place / f"{name}.npy", shape=None, dtype_kind="biuf", mmap=True)
        for name in digests
    }


def sha256_of_file(path: Path) -> str:
    """The sha256 of a file's content, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write(place: Path, mark: str, blocks: Iterable[Block]) -> None:
    """Write an entry beside its place, and rename it there once all is on the disk."""
    temporary = place.with_name(f".{place.name}-{secrets.token_hex(8)}")
    temporary.mkdir()
    try:
        names = _write_blocks(temporary, blocks)
        content = {
            "key": mark,
            "sha256": {n: sha256_of_file(temporary / f"{n}.npy") for n in names},
        }
        with (temporary / CONTENT).open("w", encoding="utf-8") as file:
            json.dump(content, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        flush_folder(temporary)
        with contextlib.suppress(FileExistsError):  # where nothing can be locked
            _rename(temporary, place)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    flush_folder(place.parent)


def _rename(folder: Path, place: Path) -> None:
    """Rename a folder; FileExistsError where another process was faster."""
    try:
        folder.rename(place)
    except OSError as error:
        if place.is_dir():
            raise FileExistsError(error.errno, f"{place} is there already") from error
        raise


def _write_blocks(folder: Path, blocks: Iterable[Block]) -> list[str]:
    """Append the arrays of each block to their files; the names of all."""
    shapes: dict[str, tuple[np.dtype, list[int]]] = {}
    with contextlib.ExitStack() as stack:
        files = {}
        for block in blocks:
            for name, array in block.items():
                if name not in files:
                    files[name] = stack.enter_context((folder / f"{name}.npy").open("w+b"))
                    shapes[name] = (array.dtype, [0, *array.shape[1:]])
                    write_header(files[name], *shapes[name])
                dtype, shape = shapes[name]
                shape[0] += len(array)
                # Not by a memory map: where the disk is full, that ends the whole process.
                files[name].write(np.ascontiguousarray(array, dtype=dtype).data)
        for name, file in files.items():
            file.seek(0)
            write_header(file, *shapes[name])  # the number of rows is known only now
            file.flush()
            os.fsync(file.fileno())
    return sorted(shapes)
