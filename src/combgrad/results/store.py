"""The folder of run records: one JSON file a run, complete or absent."""

import warnings
from pathlib import Path

from combgrad.files import write_text_atomically
from combgrad.results.record import RunRecord


def save_record(record: RunRecord, folder: Path) -> Path:
    """Write a record into `folder` by atomic rename and return its path."""
    return write_text_atomically(Path(folder) / record.file_name, record.to_json())


def load_record(path: Path) -> RunRecord:
    """Read one record; ValueError names the file and what is wrong with it."""
    try:
        return RunRecord.from_json(Path(path).read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(
            f"{path} is no run record: {error}. Delete it and run its experiment again."
        ) from error


def load_records(folder: Path) -> list[RunRecord]:
    """All records of `folder`, sorted by file name; a broken file is skipped with a warning."""
    records = []
    for path in sorted(Path(folder).glob("[!.]*.json")):
        try:
            records.append(load_record(path))
        except ValueError as error:
            warnings.warn(str(error), stacklevel=2)
    return records
