"""The numbers that papers printed (*_tables.csv), found by what a run is asked for."""

import csv
import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from combgrad.errors import CombgradError


@dataclass(frozen=True)
class Paper:
    """A paper whose tables and figures are regenerated.

    Attributes:
        prefix: what the words for its tables and figures begin with, as `values` in
            `table=values1`; empty for the paper that the others stand beside.
        name: what headings call it.
        citation: who, what, where.
        file: its printed numbers, whose column `source` says which table they stand in.
    """

    prefix: str
    name: str
    citation: str
    file: Path


#: In the order of the report.
PAPERS = (
    Paper(
        "",
        "The paper",
        "Sahoo et al., Backpropagation through Combinatorial Algorithms: "
        "Identity with Projection Works, ICLR 2023",
        Path(__file__).with_name("paper_tables.csv"),
    ),
    Paper(
        "values",
        "The companion paper",
        "Differentiable Combinatorial Losses through Generalized Gradients of Linear Programs, "
        "ICLR 2021 submission",
        Path(__file__).with_name("values_tables.csv"),
    ),
)


def paper_of(number: str) -> Paper:
    """The paper that has the table or figure `6` or `values1`; the first where none says so."""
    return next((p for p in PAPERS if p.prefix and number.startswith(p.prefix)), PAPERS[0])


#: The columns that are no override.
FACTS = ("tables", "metric", "mean", "std", "restarts", "source")


class PaperError(CombgradError, ValueError):
    """A file of printed numbers that cannot be read, or that states two numbers for one cell."""


@dataclass(frozen=True)
class PaperValue:
    """One printed number.

    Attributes:
        tables: the words for the tables that show it, such as {"2", "4"} or {"values1"}.
        point: the overrides it holds for, such as {"experiment": "tsp5", "margin": "none"}.
        metric: the name of the record's number it is compared with.
        mean, std: in the paper's unit, percent for accuracies; std is None where it is not stated.
        text: the number as printed, such as `94.50 ± 10.53`.
        restarts: how many runs stand behind it, None where the paper does not say.
        source: which table it stands in, and what is uncertain about it.
    """

    tables: frozenset[str]
    point: Mapping[str, str | float]
    metric: str
    mean: float
    std: float | None
    text: str
    restarts: int | None
    source: str


def load_paper_values(path: Path) -> list[PaperValue]:
    """All printed numbers of a file; PaperError names the line that is none."""
    with Path(path).open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        missing = sorted(set(FACTS) - set(reader.fieldnames or ()))
        if missing:
            raise PaperError(f"{path} lacks the columns {', '.join(missing)}; restore it.")
        values = []
        for row in reader:
            try:
                values.append(_value(row))
            except (TypeError, ValueError) as error:
                raise PaperError(f"{path}, line {reader.line_num}: {error}; mend it.") from error
    return values


@functools.cache
def paper_values() -> tuple[PaperValue, ...]:
    """The printed numbers of all papers."""
    return tuple(value for paper in PAPERS for value in load_paper_values(paper.file))


def find_paper_value(
    values: Iterable[PaperValue], table: str, point: Mapping[str, Any], metric: str
) -> PaperValue | None:
    """The number that table `6` prints for a point, or None; PaperError where it prints two.

    A number holds for every point that agrees with all that the number states, so one that states
    no projection holds for any.
    """
    found = [
        value
        for value in values
        if table in value.tables
        and value.metric == metric
        and all(key in point and _same(point[key], wanted) for key, wanted in value.point.items())
    ]
    if len(found) > 1:
        raise PaperError(
            f"Table {table} has {len(found)} numbers for {dict(point)} and {metric}, "
            f"{' and '.join(value.text for value in found)}; keep one of them in "
            f"{paper_of(table).file.name}."
        )
    return found[0] if found else None


def _value(row: dict[str, str]) -> PaperValue:
    return PaperValue(
        tables=frozenset(row["tables"].split()),
        point={key: _plain(row[key]) for key in row if key not in FACTS and row[key]},
        metric=row["metric"],
        mean=float(row["mean"]),
        std=float(row["std"]) if row["std"] else None,
        text=f"{row['mean']} ± {row['std']}" if row["std"] else row["mean"],
        restarts=int(row["restarts"]) if row["restarts"] else None,
        source=row["source"],
    )


def _plain(text: str) -> str | float:
    try:
        return float(text)
    except ValueError:
        return text


def _same(ours: Any, printed: str | float) -> bool:
    return bool(ours == printed) if isinstance(printed, float) else str(ours) == printed
