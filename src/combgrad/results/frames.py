"""The records as a table of pandas, for notebooks: one row a run."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from combgrad.results.record import RunRecord
from combgrad.results.selection import COMMITTED, OWN
from combgrad.results.store import load_records


def frame(*folders: Path | str, records: Iterable[RunRecord] | None = None) -> pd.DataFrame:
    """A DataFrame with one row a run: what it is, its configuration and its numbers.

    Columns are the fields of `RunRecord`; those that hold several values are spread: metrics under
    their own name (`test/edge_accuracy`), others with their field in front (`config.grad.lam`,
    `choices.grad`, `seconds.train`). Curves stay lists. What a run lacks is NaN. A cell of a table
    are the runs of one `signature`, `profile`, `data_source` and `data_fingerprint`.

    Args:
        folders: of the records; `results/runs` and `results/own` below the working folder unless
            given.
        records: those already loaded, instead of folders.
    """
    if records is None:
        records = load_records(*map(Path, folders or (COMMITTED, OWN)))
    return pd.DataFrame([_row(record) for record in records])


def _row(record: RunRecord) -> dict[str, Any]:
    row: dict[str, Any] = {
        "key": record.key,
        "signature": record.signature,
        "file": record.file_name,
    }
    for name, value in vars(record).items():
        if name in ("metrics", "unknown", "path", "key", "signature"):
            continue
        row |= dict(_spread(name, value)) if isinstance(value, dict) else {name: value}
    return row | record.metrics


def _spread(place: str, values: Mapping[str, Any]) -> Iterable[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _spread(f"{place}.{name}", value)
        else:
            yield f"{place}.{name}", value
