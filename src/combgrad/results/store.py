"""Folders of run records: one JSON file a run, complete or absent."""

import itertools
import os
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path

from combgrad.files.writing import write_text_atomically
from combgrad.results.record import RunRecord

#: The pairs of files of one run that this process has told of.
_TOLD: set[tuple[Path, ...]] = set()


def save_record(record: RunRecord, folder: Path) -> Path:
    """Write a record into `folder` by atomic rename and return its path.

    It replaces an older record of the same run; any other file of its name is left alone.
    """
    first = Path(folder) / record.file_name
    others = (first.with_stem(f"{first.stem}-{number}") for number in itertools.count(2))
    paths = itertools.chain([first], others)
    path = next(path for path in paths if not path.exists() or _key_of(path) == record.key)
    return write_text_atomically(path, record.to_json())


def _key_of(path: Path) -> str | None:
    try:
        return load_record(path).key
    except ValueError:
        return None


def load_record(path: Path) -> RunRecord:
    """Read one record of any format; ValueError names the file and what is wrong with it."""
    path = Path(path)
    try:
        # A pipe would be waited for.
        if path.exists() and not path.is_file():
            raise ValueError("it is no file")
        return RunRecord.from_json(path.read_text(encoding="utf-8"), path)
    except (ValueError, OSError, RecursionError) as error:
        raise ValueError(
            f"{path} is no run record that can be read, and is left alone: {error}."
        ) from error


def load_records(*folders: Path) -> list[RunRecord]:
    """All records of some folders, sorted by file name, each key once.

    Of two with one key the one finished last counts. A file that cannot be read, and a record that
    another outdoes in the same folder, are named in a warning.
    """
    return Shelf(folders).records()


class Shelf:
    """The records of some folders by key; a file is read again only when it changed.

    Args:
        folders: where to look; one that does not exist holds nothing.
    """

    def __init__(self, folders: Iterable[Path]) -> None:
        self.folders = tuple(dict.fromkeys(map(Path, folders)))
        self._read: dict[Path, tuple[tuple[int, int, int], RunRecord | None]] = {}

    def records(self) -> list[RunRecord]:
        """All records, sorted by file name, each key once."""
        return sorted(self.by_key().values(), key=lambda record: (record.file_name, record.key))

    def find(self, key: str) -> RunRecord | None:
        """The record of a run, wherever it lies and whatever its file is called."""
        return self.by_key().get(key)

    def by_key(self) -> dict[str, RunRecord]:
        """All records, each under its key."""
        found: dict[str, RunRecord] = {}
        for record in self._all():
            known = found.setdefault(record.key, record)
            if known is record:
                continue
            newer, older = sorted((record, known), key=lambda r: r.finished, reverse=True)
            found[record.key] = newer
            self._tell_twice(newer, older)
        return found

    def _all(self) -> Iterator[RunRecord]:
        for folder in self.folders:
            for path in sorted(folder.glob("[!.]*.json")):
                record = self._of(path)
                if record is not None:
                    yield record

    def _of(self, path: Path) -> RunRecord | None:
        try:
            status = os.stat(path)
            stamp = (status.st_ino, status.st_mtime_ns, status.st_size)
        except OSError:
            stamp = (0, 0, 0)
        if path not in self._read or self._read[path][0] != stamp:
            try:
                self._read[path] = (stamp, load_record(path))
            except ValueError as error:
                self._read[path] = (stamp, None)
                warnings.warn(str(error), stacklevel=2)
        return self._read[path][1]

    def _tell_twice(self, newer: RunRecord, older: RunRecord) -> None:
        paths = [path for path in (newer.path, older.path) if path is not None]
        pair = tuple(paths)
        if len({path.parent for path in paths}) == 1 and pair not in _TOLD:
            _TOLD.add(pair)
            warnings.warn(
                f"{' and '.join(map(str, paths))} are records of the same run; the former, which "
                f"finished last, counts. Delete the other if you do not need it.",
                stacklevel=2,
            )
