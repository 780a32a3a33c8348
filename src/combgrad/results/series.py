"""What a figure of the paper shows, as plain numbers: means, deviations and numbers of seeds."""

import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from combgrad import results
from combgrad.arguments import epochs_until
from combgrad.errors import CombgradError
from combgrad.results.curves import deviation_of, height_at, mean_of
from combgrad.results.layout import Layout, Metric, read_layout
from combgrad.results.record import RunRecord
from combgrad.results.selection import counted
from combgrad.results.tables import Asked, make_cell, numbers_of

#: What a plan's `draw` may be: a metric against a value of the points, or curves over the epochs.
KINDS = ("values", "curves")

#: Each point of a figure with its runs.
Cells = Sequence[tuple[Mapping[str, Any], list[RunRecord]]]


class FigureError(CombgradError, ValueError):
    """A figure whose plan or records do not fit together."""


@dataclass(frozen=True)
class Sketch:
    """A figure without its numbers.

    Attributes:
        layout: of a table with a row for each series and a column for each panel.
        kind: `values` or `curves`.
        asked: its cells, each a point and profile -> signature.
        x_key: what the values are drawn against; empty for curves.
        x_label: what a reader calls it.
    """

    layout: Layout
    kind: str
    asked: Sequence[Asked]
    x_key: str
    x_label: str

    @property
    def name(self) -> str:
        """That of its plan, such as `figure4a`."""
        return self.layout.name

    def label(self, point: Mapping[str, Any]) -> str:
        """The name of the series that a point belongs to."""
        ((row, _),) = self.layout.places(point, self.layout.metrics[0])
        return " ".join(row)

    def x(self, point: Mapping[str, Any]) -> float:
        """Where a point stands on the horizontal axis, by its label where it has one.

        Raises FigureError where that is no number.
        """
        value = point.get(self.x_key, self.layout.absent.get(self.x_key))
        value = self.layout.labels.get(self.x_key, {}).get(str(value), value)
        try:
            return float(value)
        except (TypeError, ValueError):
            raise FigureError(
                f"{self.name}: {self.x_key} is {value!r} in {dict(point)}; its x must be a number."
            ) from None


@dataclass(frozen=True)
class Series:
    """One line: mean and population standard deviation over so many seeds, at each x.

    `values` are those of the seeds at each x, for a metric against a value. `best` is where the
    best validation epoch lies on a curve, the mean of its seeds; no x at all means that nothing of
    it was run.
    """

    label: str
    x: tuple[float, ...] = ()
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    seeds: tuple[int, ...] = ()
    best: tuple[float, float] | None = None
    values: tuple[tuple[float, ...], ...] = ()


@dataclass(frozen=True)
class Panel:
    """One pair of axes: what stands at the vertical one, and its series."""

    label: str
    series: tuple[Series, ...]


@dataclass(frozen=True)
class FigureData:
    """A figure of one profile and one data source, in plain numbers.

    `margin_ends` are epochs after which a margin is off; `missing` names the cells without a run,
    `left_out` the files that do not count, `unfit` those without the numbers of the others;
    `source` is None where nothing was run and none was asked for; `own` counts the runs that are
    the user's, not committed; `band` is what is drawn around the lines, one of BANDS.
    """

    name: str
    title: str
    kind: str
    profile: str
    source: str | None
    x_label: str
    panels: tuple[Panel, ...]
    margin_ends: tuple[float, ...] = ()
    missing: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    unfit: tuple[str, ...] = ()
    own: int = 0
    band: str = "deviation"
    notes: tuple[str, ...] = ()

    @property
    def empty(self) -> bool:
        """Whether nothing of the figure was run."""
        return not any(series.x for panel in self.panels for series in panel.series)


def read_sketch(
    name: str,
    title: str,
    profile: str,
    seeds: int,
    document: Mapping[str, Any],
    asked: Sequence[Asked],
) -> Sketch:
    """The figure in a plan's YAML and its cells; CombgradError names what is wrong with it."""
    rest = dict(document)
    kind, series, x = (rest.pop(key, None) for key in ("draw", "series", "x"))
    if kind not in KINDS:
        raise FigureError(f"{name}: draw is {kind!r}; choose one of {', '.join(KINDS)}.")
    if not series or (kind == "values") != isinstance(x, dict):
        raise FigureError(
            f"{name}: a figure needs `series`, a list, and where draw is values, only there, `x`."
        )
    if "records" in rest:
        raise FigureError(f"{name}: records is for tables; a figure draws those of results/runs.")
    heads = {"rows": series, "columns": ["{metric}"]}
    layout = read_layout(name, title, profile, seeds, rest | heads)
    if layout.band == "box" and kind != "values":
        raise FigureError(f"{name}: band is box; curves have none, so let draw be values.")
    words = x or {"key": "", "label": "epoch"}
    return Sketch(layout, kind, asked, str(words["key"]), str(words.get("label", words["key"])))


def groups(sketch: Sketch, records: Sequence[RunRecord]) -> list[tuple[str, str]]:
    """The pairs (profile, data source) of which a figure has records, sorted."""
    found = {(r.profile, r.data_source) for _, marks in sketch.asked for r in own(marks, records)}
    return sorted(found)


def own(marks: Mapping[str, str], records: Sequence[RunRecord]) -> list[RunRecord]:
    """The records that have one of the signatures, each in its own profile."""
    return [record for record in records if marks.get(record.profile) == record.signature]


def collect(
    sketch: Sketch,
    records: Sequence[RunRecord],
    profile: str,
    source: str | None,
    own_keys: Collection[str] = (),
) -> FigureData:
    """The numbers of a figure from the records of one profile and source.

    Raises FigureError where all records lack what is drawn, or two cells stand in one place; a
    record that lacks what others have is left out.
    """
    kept = [r for r in records if (r.profile, r.data_source) == (profile, source)]
    counting, left_out = counted(kept)
    cells = [(point, own(marks, counting)) for point, marks in sketch.asked]
    panels, drawn, unfit = [], set(), set()
    for metric in sketch.layout.metrics:
        lines, strange = fitting(sketch, cells, metric)
        series = value_series if sketch.kind == "values" else curve_series
        panels.append(Panel(metric.title, series(sketch, lines, metric)))
        drawn |= {record.key for _, runs in lines for record in runs}
        unfit |= set(strange)
    ends = {margin_end(record.config) for _, runs in cells for record in runs}
    return FigureData(
        name=sketch.name,
        title=sketch.layout.title,
        kind=sketch.kind,
        profile=profile,
        source=source,
        x_label=sketch.x_label,
        panels=tuple(panels),
        margin_ends=tuple(sorted(end for end in ends if end is not None)),
        missing=tuple(_cell_name(sketch, point) for point, runs in cells if not runs),
        left_out=tuple(r.file_name for _, marks in sketch.asked for r in own(marks, left_out)),
        unfit=tuple(sorted(unfit)),
        own=len(drawn & set(own_keys)),
        band=sketch.layout.band,
        notes=sketch.layout.notes,
    )


def fitting(sketch: Sketch, cells: Cells, metric: Metric) -> tuple[Cells, list[str]]:
    """The cells with the runs that can be drawn, and the file names of the others.

    Raises FigureError where there are only others.
    """
    fits = [(point, *fit(sketch.kind, metric, runs)) for point, runs in cells]
    lines = [(point, runs) for point, runs, _ in fits]
    strange = [record.file_name for _, _, others in fits for record in others]
    if strange and not any(runs for _, runs in lines):
        raise FigureError(
            f"{sketch.name}: {', '.join(strange)}: no {metric.name!r} in there; mend its name in "
            f"the plan, or delete the record and run it again."
        )
    return lines, strange


def fit(
    kind: str, metric: Metric, runs: list[RunRecord]
) -> tuple[list[RunRecord], list[RunRecord]]:
    """The runs of one cell that can be drawn together, and the others.

    Those have the metric; of curves, the epochs that most have, among equals the most epochs, and
    the best epoch no later than the last of them.
    """
    if kind == "values":
        usable = [runs[row] for row in numbers_of(results.frame(records=runs), metric).index]
    else:
        epochs = {id(run): tuple(run.epochs_of(metric.name)) for run in runs}
        usable = [run for run in runs if run.best_epoch <= max(epochs[id(run)], default=-1)]
        counts = Counter(epochs[id(run)] for run in usable)
        most = max(counts, key=lambda some: (counts[some], len(some), some), default=())
        usable = [run for run in usable if epochs[id(run)] == most]
    chosen = set(map(id, usable))
    return usable, [run for run in runs if id(run) not in chosen]


def margin_end(config: Mapping[str, Any]) -> float | None:
    """How many epochs have a margin; None where all or none have."""
    margin, trainer = config.get("margin") or {}, config.get("trainer") or {}
    until, epochs = margin.get("until"), trainer.get("max_epochs")
    # A record may come from anywhere, and so may what it says of its margin.
    if not (isinstance(until, int | float) and isinstance(epochs, int | float)):
        return None
    if margin.get("alpha") == 0:
        return None
    # Epoch 0 is the first.
    end = math.ceil(epochs_until(until, epochs))
    return float(end) if 0 < end < epochs else None


def value_series(sketch: Sketch, cells: Cells, metric: Metric) -> tuple[Series, ...]:
    """A series for each label, with the numbers that a table would have for each x."""
    lines: dict[str, dict[float, tuple[float, float, tuple[float, ...]]]] = {}
    taken = set()
    for point, runs in cells:
        label, x = sketch.label(point), sketch.x(point)
        if (label, x) in taken:
            raise FigureError(f"{sketch.name}: two cells are {label!r} at {x:g}; name them apart.")
        taken.add((label, x))
        cell = make_cell(point, metric, results.frame(records=runs), None)
        line = lines.setdefault(label, {})
        if cell.mean is not None:
            line[x] = (cell.mean, cell.std or 0.0, cell.values)
    return tuple(
        Series(
            label=label,
            x=tuple(sorted(line)),
            mean=tuple(line[x][0] for x in sorted(line)),
            std=tuple(line[x][1] for x in sorted(line)),
            seeds=tuple(len(line[x][2]) for x in sorted(line)),
            values=tuple(line[x][2] for x in sorted(line)),
        )
        for label, line in lines.items()
    )


def curve_series(sketch: Sketch, cells: Cells, metric: Metric) -> tuple[Series, ...]:
    """A series for each cell: mean and deviation of its seeds' curves at their epochs, from 1."""
    found: dict[str, Series] = {}
    for point, runs in cells:
        label = sketch.label(point)
        if label in found:
            raise FigureError(f"{sketch.name}: two cells are called {label!r}; name them apart.")
        found[label] = _mean_curve(label, runs, metric)
    return tuple(found.values())


def _mean_curve(label: str, runs: list[RunRecord], metric: Metric) -> Series:
    if not runs:
        return Series(label)
    curves = [[metric.scale * float(value) for value in run.curves[metric.name]] for run in runs]
    mean = tuple(map(mean_of, zip(*curves, strict=True)))
    at = mean_of([record.best_epoch + 1 for record in runs])
    x = tuple(float(epoch + 1) for epoch in runs[0].epochs_of(metric.name))
    return Series(
        label=label,
        x=x,
        mean=mean,
        std=tuple(map(deviation_of, zip(*curves, strict=True))),
        seeds=(len(runs),) * len(mean),
        best=(at, height_at(x, mean, at)),
    )


def _cell_name(sketch: Sketch, point: Mapping[str, Any]) -> str:
    label = sketch.label(point)
    return f"{label} at {sketch.x(point):g}" if sketch.kind == "values" else label
