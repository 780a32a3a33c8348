"""The report's list of runs: what each was asked, what came out, and where it is shown."""

import hashlib
import math
import os
import re
import shlex
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

from combgrad.results.record import RunRecord

#: Length and height of a curve in the units of its own picture, which is stretched to its place.
WIDTH, HEIGHT = 300, 100


@dataclass(frozen=True)
class About:
    """What the page's filter looks at; None fits every choice."""

    experiments: Sequence[str]
    profile: str | None
    source: str | None


@dataclass(frozen=True)
class Place:
    """Where a run is shown: a cell of a table or a figure, and whether it counts there."""

    id: str
    label: str
    counts: bool = True


def first_of(places: Sequence[Place]) -> Place:
    """The first of several places in one table, with how many more there are."""
    more = len(dict.fromkeys(places)) - 1
    first = places[0]
    return replace(first, label=f"{first.label} and {more} more") if more else first


class Setups:
    """The machines and the versions that runs were made with, each once."""

    def __init__(self) -> None:
        self.found: dict[tuple[str, str], str] = {}

    def of(self, run: RunRecord) -> str:
        """The id of a run's own; how busy the machine was is no part of it."""
        machine = {key: value for key, value in run.hardware.items() if key != "load"}
        both = _listed(machine), _listed(run.versions)
        return self.found.setdefault(both, f"setup-{len(self.found) + 1}")


#: The file name of a record -> where it is shown.
Places = Mapping[str, Sequence[Place]]


def group_id(record: RunRecord) -> str:
    """The id of the list of runs that differ from a run in nothing but the seed."""
    same = "\n".join((record.signature, record.profile, record.data_source))
    return f"group-{hashlib.sha256(same.encode()).hexdigest()[:12]}"


def run_id(record: RunRecord) -> str:
    """The id of one run."""
    return f"run-{record.file_name.removesuffix('.json')}"


def link_to(path: Path, folder: Path) -> str:
    """The address of a file for a page in `folder`."""
    place = Path(os.path.relpath(path, folder)).as_posix()
    return quote(place, errors="surrogateescape")


def natural(text: str) -> list[tuple[str, int]]:
    """A key that sorts by words, and tsp5 before tsp10."""
    return [(word, int(part or 0)) for word, part in re.findall(r"(\D*)(\d*)", text)]


def run_groups(
    records: Sequence[RunRecord],
    places: Places,
    folder: Path,
    own: Collection[str],
    setups: Setups,
) -> list[dict[str, Any]]:
    """All runs, those of one configuration together.

    `folder` is that of the page, `own` the keys of the user's own records; `setups` gathers what
    the runs were made with.
    """
    groups: dict[str, list[RunRecord]] = {}
    for record in sorted(records, key=lambda record: (natural(record.name), record.file_name)):
        groups.setdefault(group_id(record), []).append(record)
    shown = [runs for runs in groups.values() if _places_of(runs, places)]
    others = [runs for runs in groups.values() if not _places_of(runs, places)]
    return [_group(runs, places, folder, own, setups) for runs in shown + others]


def _places_of(runs: Sequence[RunRecord], places: Places) -> list[Place]:
    return list(dict.fromkeys(place for run in runs for place in places.get(run.file_name, ())))


def _group(
    runs: Sequence[RunRecord],
    places: Places,
    folder: Path,
    own: Collection[str],
    setups: Setups,
) -> dict[str, Any]:
    first = runs[0]
    count = f"{len(runs)} run{'s' if len(runs) > 1 else ''}"
    mine = sum(run.key in own for run in runs)
    count += f", {mine} of them your own" if mine else ""
    axis = _axis(runs)
    return {
        "id": group_id(first),
        "about": About([first.experiment], first.profile, first.data_source),
        "title": first.name.removesuffix(f"-seed{first.seed}"),
        "asked": asked_of(first.command),
        "facts": f"Profile {first.profile}, data {first.data_source}, {count}.",
        "places": [place for place in _places_of(runs, places) if place.counts],
        "runs": [
            _run(run, places.get(run.file_name, ()), axis, folder, own)
            | {"setup": setups.of(run), "load": run.hardware.get("load")}
            for run in runs
        ],
    }


def asked_of(command: str) -> str:
    """The words of a command but for its seed, for a shell: what its runs were asked for."""
    try:
        words = shlex.split(command)
    except ValueError:  # a record may come from anywhere
        words = command.split()
    asked = (word for word in words if "=" in word or word.startswith("~"))
    return shlex.join(word for word in asked if not word.startswith("seed="))


def _run(
    run: RunRecord,
    places: Sequence[Place],
    axis: tuple[float, float],
    folder: Path,
    own: Collection[str],
) -> dict[str, Any]:
    origin = "" if not own else "your own" if run.key in own else "committed"
    return {
        "id": run_id(run),
        "seed": run.seed,
        "headline": headline(run),
        "curve": _picture(run, axis),
        "duration": duration(run.seconds.get("train", 0.0)),
        "caption": _curve_words(run, axis),
        "command": run.command,
        "file": run.file_name,
        "address": link_to(run.path or Path(run.file_name), folder if run.path else Path()),
        "counts_in": [place for place in places if place.counts],
        "left_out_of": [place for place in places if not place.counts],
        "facts": _facts(run, origin),
        "metrics": _metrics(run),
    }


def monitored(run: RunRecord) -> str:
    """The metric by which the run's best epoch was chosen, such as `val/edge_accuracy`."""
    monitor = run.config.get("monitor")
    metric = monitor.get("metric") if isinstance(monitor, Mapping) else None
    return "no metric" if metric is None else str(metric)


def short_commit(commit: str) -> str:
    """A commit in twelve digits, and whether there were changes to it."""
    digits, changed, _ = commit.partition("+")
    return digits[:12] + (" with changes" if changed else "")


def headline(run: RunRecord) -> str:
    """The monitored metric on the test data."""
    name = f"test/{monitored(run).partition('/')[2]}"
    return f"{name} {run.metrics[name]:.6g}" if name in run.metrics else f"no {name}"


def duration(seconds: float) -> str:
    """Wall time in a unit that fits it."""
    for unit, size in (("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.1f} s"


def _curve(run: RunRecord) -> list[float]:
    return list(map(float, run.curves.get(monitored(run), ())))


def _axis(runs: Sequence[RunRecord]) -> tuple[float, float]:
    """One range for all curves of a group, so that they can be compared by eye."""
    values = [value for run in runs for value in _curve(run) if math.isfinite(value)]
    return (min(values), max(values)) if values else (0.0, 0.0)


def _picture(run: RunRecord, axis: tuple[float, float]) -> dict[str, Any] | None:
    """The lines of a curve in the units of its picture, broken where it is not finite."""
    curve, (low, high) = _curve(run), axis
    if not curve:
        return None
    # Halves, since the distance of two large numbers may be none.
    epochs = run.epochs_of(monitored(run))
    step, spread = WIDTH / max(epochs[-1], 1), high / 2 - low / 2
    pieces: list[list[str]] = [[]]
    for epoch, value in zip(epochs, curve, strict=True):
        if math.isfinite(value):
            pieces[-1].append(
                f"{epoch * step:.1f},{HEIGHT * ((high / 2 - value / 2) / (spread or 1)):.1f}"
            )
        else:
            pieces.append([])
    return {
        "width": WIDTH,
        "height": HEIGHT,
        "lines": [" ".join(piece) for piece in pieces if piece],
        "best": f"{run.best_epoch * step:.1f}" if run.best_epoch <= epochs[-1] else "",
    }


def _curve_words(run: RunRecord, axis: tuple[float, float]) -> str:
    curve = _curve(run)
    if not curve:
        return f"The record has no curve of {monitored(run)}."
    at = dict(zip(run.epochs_of(monitored(run)), curve, strict=True))
    strange = [epoch + 1 for epoch, value in at.items() if not math.isfinite(value)]
    some = ", as often as it was measured" if monitored(run) in run.curve_epochs else ""
    words = (
        f"{monitored(run)}: {curve[0]:.4g} after the first of {len(curve)} epochs{some}, "
        f"{curve[-1]:.4g} after the last"
    )
    if run.best_epoch in at:
        words += f"; dashed: the best epoch, {run.best_epoch + 1}, with {at[run.best_epoch]:.4g}"
    if strange:
        words += f"; not finite after {len(strange)} epochs, first after epoch {strange[0]}"
    return f"{words}. The picture reaches from {axis[0]:.4g} to {axis[1]:.4g}."


def _facts(run: RunRecord, origin: str) -> list[tuple[str, str]]:
    facts = {
        "From": origin,
        "Seed": str(run.seed),
        "Profile": run.profile,
        "Data": f"{run.data_source}, fingerprint {run.data_fingerprint[:12]}",
        "Seconds": _listed({name: f"{seconds:.6g}" for name, seconds in run.seconds.items()}),
        "Started": run.started,
        "Finished": run.finished,
        "Resumed after": ", ".join(f"epoch {epoch}" for epoch in run.resumed_at),
        "Commit": short_commit(run.commit),
    }
    return [(name, text) for name, text in facts.items() if text]


def _listed(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())


def _metrics(run: RunRecord) -> dict[str, Any]:
    """The heads of the columns, and each metric with its number in each of them."""
    heads = {"test": f"best epoch ({run.best_epoch + 1})", "last": "last epoch"}
    rows: dict[str, dict[str, str]] = {}
    for full, value in run.metrics.items():
        when, _, name = full.rpartition("/")
        rows.setdefault(name, {})[when] = f"{value:.6g}"
    columns = sorted({when for row in rows.values() for when in row} | {*heads}, reverse=True)
    return {
        "heads": [heads.get(when, when or "value") for when in columns],
        "rows": [(name, [row.get(when, "") for when in columns]) for name, row in rows.items()],
    }
