"""Where the cells of a table stand: heads of rows and columns made of what a run is asked for."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from combgrad.errors import CombgradError
from combgrad.results.heads import Head
from combgrad.results.plan_names import called, told

NEEDED = ("metrics", "rows", "columns")
KEYS = frozenset(
    {
        *(*NEEDED, "called", "labels", "absent", "shown_as", "printed_on", "printed_as", "band"),
        *("readings", "ratio", "notes", "ranking", "records"),
    }
)

#: What the band around the line of a figure may be.
BANDS = ("deviation", "interval", "box")


class LayoutError(CombgradError, ValueError):
    """A layout of a table that cannot be read, or that puts two cells into one place."""


@dataclass(frozen=True)
class Metric:
    """A number of a record, such as `test/edge_accuracy` or `seconds.train`, and how it is shown.

    Attributes:
        name: a column of `frame()`: a metric, or another of its numbers such as `seconds.train`.
        label: what a reader calls it.
        unit: printed behind the label.
        scale: what the record's number is multiplied by to be in the paper's unit.
        digits: after the decimal point.
        best: `max`, `min`, or None where no number is better than another.
    """

    name: str
    label: str
    unit: str = ""
    scale: float = 1.0
    digits: int = 2
    best: str | None = None

    @property
    def title(self) -> str:
        """The label with its unit."""
        return f"{self.label} in {self.unit}" if self.unit else self.label

    def format(self, value: float) -> str:
        """A number with the metric's digits."""
        text = f"{value:.{self.digits}f}"
        return text.removeprefix("-") if float(text) == 0 else text


class Ranked(NamedTuple):
    """Which methods a table ranks, by which metric, and on what.

    Attributes:
        metric: its name.
        methods, tasks: templates of the labels that tell them apart.
        left_out: where a method lacks a task, the `tasks` that some lack, or the `methods`.
    """

    metric: str
    methods: str
    tasks: str
    left_out: str = "tasks"


class PrintedAs(NamedTuple):
    """Where the numbers stand that a table shows beside its own.

    Attributes:
        table: the word for theirs.
        changes: key -> the value that their points have, or one for each value that ours has.
    """

    table: str
    changes: Mapping[str, Any]

    def point(self, point: Mapping[str, Any]) -> dict[str, Any]:
        """The point there that one of ours is shown beside."""
        found = dict(point)
        for key, there in self.changes.items():
            given = str(point.get(key))
            found[key] = there.get(given, given) if isinstance(there, Mapping) else there
        return found


class Ratio(NamedTuple):
    """Which cells of a table are divided by each other.

    Attributes:
        of: the key in which the two differ.
        above: its value in the cell that is divided by the other.
        each: the template of a label that both have, and no third cell of the same metric.
    """

    of: str
    above: str
    each: str


@dataclass(frozen=True)
class Layout:
    """A table without its numbers.

    Attributes:
        name: of the plan, such as `table6` or `table_values1`.
        called: its name in headings, such as `Table 6`.
        title: what it shows.
        profile: that its runs ought to have.
        seeds: how many runs a cell ought to have.
        metrics: the numbers it shows for every point.
        rows, columns: one template for each level of heads.
        labels: key -> value -> the word shown for it.
        absent: key -> what is shown where a point lacks the key.
        shown_as: key -> value -> the values in whose places a point with it stands.
        band: around a figure's lines, `deviation` over the seeds or 95 % `interval` of their mean;
            `box` has boxes over the seeds in place of lines.
        printed_on: the data that the printed numbers are of, where the runs are on others.
        printed_as: where those stand, None where it is in this very table.
        readings: the template of a label for each way to read what was printed, of which a note
            says how near it comes; empty where there is one alone.
        ratio: what a note divides by what; None where nothing is.
        notes: sentences below the table.
        ranking: what the text below the table ranks, None for nothing.
        records: of a table, the folder beside the committed records of those it alone is made of.
    """

    name: str
    called: str
    title: str
    profile: str
    seeds: int
    metrics: tuple[Metric, ...]
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    labels: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    absent: Mapping[str, str] = field(default_factory=dict)
    shown_as: Mapping[str, Mapping[str, list[str]]] = field(default_factory=dict)
    printed_on: str = ""
    band: str = "deviation"
    printed_as: PrintedAs | None = None
    readings: str = ""
    ratio: Ratio | None = None
    notes: tuple[str, ...] = ()
    ranking: Ranked | None = None
    records: str = ""

    @property
    def number(self) -> str:
        """What the paper calls the table, such as `6`, with the paper's prefix in `values1`."""
        return told(self.name)[1]

    @property
    def heading(self) -> str:
        """What stands above the table or figure."""
        return f"{self.called}: {self.title}"

    def places(self, point: Mapping[str, Any], metric: Metric) -> list[tuple[Head, Head]]:
        """The heads of the row and the column of each place in which a point's number stands."""
        shown = [dict(point)]
        for key, choices in self.shown_as.items():
            others = choices.get(str(point.get(key)))
            if others is not None:
                shown = [one | {key: other} for one in shown for other in others]
        return [
            (self.head(self.rows, one, metric), self.head(self.columns, one, metric))
            for one in shown
        ]

    def head(self, templates: tuple[str, ...], point: Mapping[str, Any], metric: Metric) -> Head:
        """Templates with the words of a point in them; LayoutError for a key that it lacks."""

        def word(match: re.Match[str]) -> str:
            key = match[1]
            if key == "metric":
                return metric.title
            if key in point:
                return self.labels.get(key, {}).get(str(point[key]), str(point[key]))
            if key in self.absent:
                return self.absent[key]
            raise LayoutError(
                f"{self.name}: the point {dict(point)} has no {key}, which {match.string!r} shows; "
                f"say under `absent` what stands there."
            )

        return tuple(re.sub(r"\{([^{}]+)\}", word, template).strip() for template in templates)


def read_layout(
    name: str, title: str, profile: str, seeds: int, document: Mapping[str, Any]
) -> Layout:
    """The layout in a plan's YAML; LayoutError names the table and what is wrong."""
    missing = [key for key in NEEDED if not document.get(key)]
    unknown = sorted(map(str, document.keys() - KEYS))
    if missing or unknown:
        raise LayoutError(
            f"{name}: missing {missing}, unknown {unknown}; a layout has {', '.join(sorted(KEYS))}."
        )
    try:
        metrics = tuple(Metric(**entry) for entry in document["metrics"])
    except TypeError as error:
        raise LayoutError(f"{name}: a metric that is none: {error}.") from error
    wrong = [metric.name for metric in metrics if metric.best not in (None, "max", "min")]
    if wrong:
        raise LayoutError(f"{name}: best of {', '.join(wrong)} must be max, min or absent.")
    rows, columns = tuple(document["rows"]), tuple(document["columns"])
    if len(metrics) > 1 and not any("{metric}" in template for template in rows + columns):
        raise LayoutError(f"{name} has several metrics; let a row or column show {{metric}}.")
    band = str(document.get("band", BANDS[0]))
    if band not in BANDS:
        raise LayoutError(f"{name}: band is {band!r}; choose one of {', '.join(BANDS)}.")
    return Layout(
        name=name,
        called=called(name, document),
        title=title,
        profile=profile,
        seeds=seeds,
        metrics=metrics,
        rows=rows,
        columns=columns,
        labels={
            key: {str(value): str(text) for value, text in texts.items()}
            for key, texts in document.get("labels", {}).items()
        },
        absent={key: str(text) for key, text in document.get("absent", {}).items()},
        shown_as=document.get("shown_as", {}),
        printed_on=str(document.get("printed_on", "")),
        band=band,
        printed_as=_printed_as(name, document),
        readings=str(document.get("readings", "")),
        ratio=_ratio(name, document),
        notes=_notes(name, document),
        ranking=_ranking(name, document, metrics),
        records=str(document.get("records", "")),
    )


def _notes(name: str, document: Mapping[str, Any]) -> tuple[str, ...]:
    notes = tuple(document.get("notes", ()))
    for note in notes:
        if not isinstance(note, str):
            raise LayoutError(
                f"{name}: the note {note!r} is no text; one with a colon needs quotes."
            )
    return notes


def _ranking(name: str, document: Mapping[str, Any], metrics: tuple[Metric, ...]) -> Ranked | None:
    said = document.get("ranking")
    if said is None:
        return None
    needed, known = {"metric", "methods", "tasks"}, set(Ranked._fields)
    if not isinstance(said, dict) or not needed <= set(said) <= known:
        raise LayoutError(
            f"{name}: ranking is {said!r}; give a metric and what tells methods and tasks apart, "
            f"{{metric: test/regret, methods: '{{loss}}', tasks: '{{experiment}}'}}."
        )
    if said["metric"] not in [metric.name for metric in metrics if metric.best]:
        raise LayoutError(
            f"{name}: ranking by {said['metric']!r}; it must be a metric of the table whose best "
            f"is max or min."
        )
    if said.get("left_out", "tasks") not in ("tasks", "methods"):
        raise LayoutError(
            f"{name}: ranking.left_out is {said['left_out']!r}; where a method lacks a task, leave "
            f"out tasks or methods."
        )
    return Ranked(**{key: str(value) for key, value in said.items()})


def _printed_as(name: str, document: Mapping[str, Any]) -> PrintedAs | None:
    said = document.get("printed_as")
    if said is None:
        return None
    if not isinstance(said, dict) or not {"table"} < set(said):
        raise LayoutError(
            f"{name}: printed_as is {said!r}; give the table whose numbers stand beside these and "
            f"what their points have in place of ours, {{table: 5, experiment: cub}}."
        )
    changes = {str(key): there for key, there in said.items() if key != "table"}
    if "experiment" in changes and not document.get("printed_on"):
        raise LayoutError(f"{name}: printed_as needs printed_on, the data of those numbers.")
    return PrintedAs(str(said["table"]), changes)


def _ratio(name: str, document: Mapping[str, Any]) -> Ratio | None:
    said = document.get("ratio")
    if said is None:
        return None
    if not isinstance(said, dict) or set(said) != set(Ratio._fields):
        raise LayoutError(
            f"{name}: ratio is {said!r}; give the key, its value in what is divided, and a label "
            f'that both share, {{of: grad, above: identity, each: "{{experiment}}"}}.'
        )
    return Ratio(**{key: str(value) for key, value in said.items()})
