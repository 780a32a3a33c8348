"""The record of one finished run: everything a table needs to quote its number honestly."""

import dataclasses
import json
from dataclasses import dataclass, field
from typing import Any

FORMAT = 1

#: Where data can come from, the most faithful first; a table never averages over two of them.
SOURCES = ("original", "regenerated", "pictures", "stand-in")


def file_name(name: str, key: str) -> str:
    """Where the record of a run lies in its folder."""
    return f"{name}-{key[:8]}.json"


@dataclass(frozen=True)
class RunRecord:
    """One run: what was asked, on which data, what came out, at what cost, by which code.

    Attributes:
        key: sha256 of the scientific config and the data fingerprint.
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
        curves: metric -> one value an epoch.
        seconds: wall time spent in `train`, `eval` and `solver` (solver counts in training).
        versions: package -> version.
        commit: of the code; ends in `+changes` where the tree had uncommitted ones.
        hardware: what it ran on.
        command: what reproduces the run.
        started, finished: UTC, ISO 8601.
        resumed_at: epochs at which an interrupted run went on.
    """

    key: str
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
    format: int = FORMAT

    @property
    def file_name(self) -> str:
        """Where the record lies in its folder."""
        return file_name(self.name, self.key)

    def to_json(self) -> str:
        """The record as JSON, one top-level field a line."""
        lines = [
            f"{json.dumps(name)}: {json.dumps(value, sort_keys=True)}"
            for name, value in dataclasses.asdict(self).items()
        ]
        return "{\n" + ",\n".join(lines) + "\n}\n"

    @classmethod
    def from_json(cls, text: str) -> "RunRecord":
        """The record of a JSON text; ValueError says what is wrong with it."""
        try:
            values = json.loads(text)
        except json.JSONDecodeError as error:
            raise ValueError(f"not JSON ({error})") from error
        if not isinstance(values, dict):
            raise ValueError("not a JSON object")
        if values.get("format") != FORMAT:
            raise ValueError(f"format {values.get('format')!r}, and this version reads {FORMAT}")
        names = {f.name for f in dataclasses.fields(cls)}
        if names != values.keys():
            missing, unknown = sorted(names - values.keys()), sorted(values.keys() - names)
            raise ValueError(f"missing fields {missing}, unknown fields {unknown}")
        return cls(**values)
