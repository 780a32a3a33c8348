"""The record of one finished run: everything a table needs to quote its number honestly."""

import dataclasses
import json
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from combgrad.results.fields import checked
from combgrad.results.identity import run_key, signature
from combgrad.results.migrations import FORMAT, migrated

#: Where data can come from, the most faithful first; a table never averages over two of them.
SOURCES = ("original", "regenerated", "pictures", "other", "stand-in")

#: Written for whoever reads the file, but computed anew when it is loaded.
DERIVED = ("key", "format")

#: Attributes that are no fields of the file.
UNWRITTEN = ("path", "unknown")

#: Fields left out of the file where they say nothing, as few records have them.
SELDOM = ("curve_epochs",)


def file_name(name: str, key: str) -> str:
    """What the file of a new record is called."""
    return f"{name}-{key[:8]}.json"


@dataclass(frozen=True)
class RunRecord:
    """One run: what was asked, on which data, what came out, at what cost, by which code.

    Attributes:
        name: readable, unique together with the key's first digits.
        experiment: as on the command line, such as `tsp5`.
        choices: the chosen option of each config group.
        config: the resolved scientific config.
        profile: `paper`, `reduced` or `smoke`, or `custom` where its sizes were overridden.
        data_source: one of SOURCES.
        data_fingerprint: sha256 of what the data were made from.
        seed: of the training.
        metrics: final numbers; `test/...` at the best validation epoch, `last/...` at the last.
        best_epoch: the 0-based epoch that `test/...` was measured at.
        curves: metric -> one value an epoch, but for those in `curve_epochs`.
        curve_epochs: metric -> the 0-based epochs of its values where it has not one for each.
        seconds: wall time spent in `train`, `eval` and `solver` (solver counts in training).
        versions: package -> version.
        commit: of the code; ends in `+changes` where the tree had uncommitted ones.
        hardware: what it ran on.
        command: what reproduces the run.
        started, finished: UTC, ISO 8601.
        resumed_at: epochs at which an interrupted run went on.
        unknown: fields that this version does not know, kept as they were.
        path: the file it was read from, None for a record that was not.
    """

    name: str
    experiment: str
    choices: dict[str, str]
    config: dict[str, Any]
    profile: str
    data_source: str
    data_fingerprint: str
    seed: int
    metrics: dict[str, float]
    best_epoch: int
    curves: dict[str, list[float]]
    seconds: dict[str, float]
    versions: dict[str, str]
    commit: str
    hardware: dict[str, Any]
    command: str
    started: str
    finished: str
    resumed_at: list[int] = field(default_factory=list)
    curve_epochs: dict[str, list[int]] = field(default_factory=dict)
    unknown: dict[str, Any] = field(default_factory=dict)
    path: Path | None = field(default=None, compare=False)

    @cached_property
    def key(self) -> str:
        """What makes two runs the same: sha256 of the identity of `config`, and of the data."""
        return run_key(self.config, self.data_fingerprint)

    @cached_property
    def signature(self) -> str:
        """What it shares with the runs of its cell: a digest of the identity without the seed."""
        return signature(self.config)

    @property
    def summarised(self) -> dict[str, float]:
        """What curves and seconds say in one number, `seconds.epoch` and `solves`, where they do.

        Seconds of the training divided by its epochs, and the mean of the curve `train/solves`.
        """
        found = {}
        epochs = max((len(x) for x in self.curves.values() if isinstance(x, list)), default=0)
        seconds = self.seconds.get("train")
        if epochs and isinstance(seconds, int | float):
            found["seconds.epoch"] = seconds / epochs
        solves = self.curves.get("train/solves")
        if isinstance(solves, list) and solves and all(isinstance(x, int | float) for x in solves):
            found["solves"] = sum(solves) / len(solves)
        return found

    @property
    def file_name(self) -> str:
        """What its file is called."""
        return self.path.name if self.path else file_name(self.name, self.key)

    def epochs_of(self, curve: str) -> list[int]:
        """The 0-based epochs of the values of a curve; none where there is no such curve."""
        return self.curve_epochs.get(curve) or list(range(len(self.curves.get(curve, ()))))

    def to_json(self) -> str:
        """The record as JSON, one top-level field a line."""
        known = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        silent = {*UNWRITTEN, *(name for name in SELDOM if not known[name])}
        kept = {name: value for name, value in known.items() if name not in silent}
        written = {"key": self.key, **kept, "format": FORMAT, **self.unknown}
        lines = [
            f"{json.dumps(name)}: {json.dumps(value, sort_keys=True)}"
            for name, value in written.items()
        ]
        return "{\n" + ",\n".join(lines) + "\n}\n"

    @classmethod
    def from_json(cls, text: str, path: Path | None = None) -> "RunRecord":
        """The record of a JSON text of any format so far; ValueError says what is wrong with it."""
        try:
            values = json.loads(text)
        except (json.JSONDecodeError, RecursionError) as error:
            raise ValueError(f"it is not JSON ({error})") from error
        if not isinstance(values, dict):
            raise ValueError("it is not a JSON object")
        values = migrated(values)
        names = {f.name for f in dataclasses.fields(cls)} - set(UNWRITTEN)
        unknown = {k: v for k, v in values.items() if k not in names and k not in DERIVED}
        return cls(**checked(values, names), unknown=unknown, path=path)
