"""The records as a DataFrame of pandas, one row a run, for notebooks and tables."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from combgrad.results.record import RunRecord
from combgrad.results.selection import COMMITTED, OWN
from combgrad.results.store import load_records

#: What the runs of a table's cell share; those that count share their `data_fingerprint` too.
CELL = ["signature", "profile", "data_source"]

#: Columns that no records have as well.
ALWAYS = ["key", *CELL, "data_fingerprint", "seed", "experiment", "finished", "file", "diverged"]


def frame(*folders: Path | str, records: Iterable[RunRecord] | None = None) -> pd.DataFrame:
    """A DataFrame with one row a run: what it is, its configuration and its numbers.

    Columns are the fields of `RunRecord`; those that hold several values are spread: metrics under
    their own name (`test/edge_accuracy`), others with their field in front (`config.grad.lam`,
    `choices.grad`, `seconds.train`), and `seconds.epoch` is that of the training divided by its
    epochs; `solves` is the mean of the curve `train/solves`. Curves stay lists. What a run lacks is
    NaN; metrics that it has, but whose value is NaN because it diverged, are named in its tuple
    `diverged`. A cell of a table is made of the runs of one group of CELL whose `counts` is true.

    Args:
        folders: of the records; `results/runs` and `results/own` below the working folder unless
            given.
        records: those already loaded, instead of folders; rows are in their order.
    """
    if records is None:
        records = load_records(*map(Path, folders or (COMMITTED, OWN)))
    rows = [_row(record) for record in records]
    runs = pd.DataFrame(rows, columns=None if rows else ALWAYS)
    return runs.assign(counts=runs.index.isin(_counting(runs)))


def _counting(runs: pd.DataFrame) -> pd.Index:
    """The rows that count in their cells.

    All that count in a cell share one data fingerprint: that with the most seeds, of equal ones
    that of the run finished last. Of several with the same seed the one finished last counts, so
    no seed counts twice.
    """
    same_data = [*CELL, "data_fingerprint"]
    runs = runs.sort_values(["finished", "file"])
    runs = runs.drop_duplicates([*same_data, "seed"], keep="last")
    seeds = runs.groupby(same_data).seed.transform("size")
    last = runs.groupby(same_data).finished.transform("max")
    runs = runs.assign(seeds=seeds, last=last).sort_values(["seeds", "last", "data_fingerprint"])
    chosen = runs.groupby(CELL).data_fingerprint.transform("last")
    return runs.index[runs.data_fingerprint == chosen]


def _row(record: RunRecord) -> dict[str, Any]:
    row: dict[str, Any] = {
        "key": record.key,
        "signature": record.signature,
        "file": record.file_name,
        "diverged": tuple(name for name, value in record.metrics.items() if value != value),
    }
    for name, value in vars(record).items():
        if name in ("metrics", "unknown", "path", "key", "signature"):
            continue
        row |= dict(_spread(name, value)) if isinstance(value, dict) else {name: value}
    row |= record.summarised
    # The columns that tables rely on are no metric's, whatever a record calls its own.
    return row | {k: float(value) for k, value in record.metrics.items() if k not in row}


def _spread(place: str, values: Mapping[str, Any]) -> Iterable[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _spread(f"{place}.{name}", value)
        else:
            yield f"{place}.{name}", value
