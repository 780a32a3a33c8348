"""Plans: which runs a table or a figure of a paper needs (configs/table, configs/figure)."""

import dataclasses
import itertools
import warnings
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from combgrad.errors import CombgradError
from combgrad.files.installation import program
from combgrad.results.heads import words_of
from combgrad.results.identity import signature
from combgrad.results.layout import Layout, read_layout
from combgrad.results.paper import paper_values
from combgrad.results.plan_names import plan_name, told
from combgrad.results.record import RunRecord
from combgrad.results.selection import Selection
from combgrad.results.series import Sketch, read_sketch
from combgrad.results.tables import Table, make_tables
from combgrad.runs.compositions import compose_many
from combgrad.runs.configuration import CONFIG_FOLDER, profile_names, scientific
from combgrad.runs.places import checked_configs

KINDS = ("table", "figure")

#: Figures that no run has a part in.
EXAMPLES = ("figure2", "figure8a", "figure9")

#: What a point is: the overrides of one cell, such as {"experiment": "tsp5", "margin.alpha": 0.1}.
Point = dict[str, Any]


class PlanError(CombgradError, ValueError):
    """A plan that does not exist, or a file that is none."""


@dataclass(frozen=True)
class Plan:
    """A table or a figure: its title, its default profile and seeds, its points and its layout.

    `layout` is the rest of the YAML: metrics, labels and where a point stands.
    """

    name: str
    title: str
    profile: str
    seeds: int
    points: tuple[Point, ...]
    layout: dict[str, Any]


def names(kind: str, folder: Path = CONFIG_FOLDER) -> list[str]:
    """The names of all plans of a kind, such as `table6` and `table_values1`, sorted."""
    return sorted(_files(kind, folder))


def _files(kind: str, folder: Path) -> dict[str, Path]:
    return {_name(path): path for path in (checked_configs(folder) / kind).glob("*.yaml")}


def _name(path: Path) -> str:
    """table6 of table/table6.yaml, table_values1 of table/values1.yaml."""
    named = path.stem.startswith(KINDS)
    return path.stem if named else plan_name(path.parent.name, path.stem)


def load_plans(kind: str, which: str, folder: Path = CONFIG_FOLDER) -> list[Plan]:
    """The plans `table=6` or `figure=4` (all of 4a, 4b, 4c) means; PlanError if there is none."""
    files = _files(kind, folder)
    wanted = plan_name(kind, told(str(which))[1] if str(which).startswith(kind) else str(which))
    exact = [name for name in files if name == wanted]
    parts = sorted(name for name in files if name[:-1] == wanted)
    if wanted in EXAMPLES:
        word = told(wanted)[1]
        raise PlanError(
            f"{kind} {word} is computed as it is drawn and needs no runs: "
            f"{program(f'{kind}s')} {word}."
        )
    if not exact and not parts:
        there = ", ".join(told(name)[1] for name in sorted(files))
        raise PlanError(f"there is no {kind} {which!r}; there are {there}.")
    return [load_plan(files[name]) for name in exact or parts]


def load_plan(path: Path) -> Plan:
    """One plan; PlanError names the file and what it lacks."""
    document = OmegaConf.to_container(OmegaConf.load(path), resolve=True)
    if not isinstance(document, dict):
        raise PlanError(f"{path} is no plan: it must be a mapping.")
    needed = ("title", "profile", "seeds", "grids")
    missing = [key for key in needed if key not in document]
    if missing:
        raise PlanError(f"{path} is no plan: it lacks {', '.join(missing)}.")
    title, profile, seeds, grids = (document.pop(key) for key in needed)
    points = [point for grid in grids for point in expand(grid)]
    if len({str(sorted(point.items(), key=str)) for point in points}) < len(points):
        raise PlanError(f"{path} has the same point twice.")
    layout = {str(key): value for key, value in document.items()}
    return Plan(_name(path), str(title), str(profile), int(seeds), tuple(points), layout)


def expand(grid: dict[str, Any]) -> list[Point]:
    """The product of a grid's lists, the last key varying fastest."""
    lists = [value if isinstance(value, list) else [value] for value in grid.values()]
    return [dict(zip(grid, values, strict=True)) for values in itertools.product(*lists)]


def point_signatures(point: Point) -> dict[str, str]:
    """Profile -> the signature that a record of this point has.

    Raises HydraException or OmegaConfBaseException if there can be none.
    """
    config = compose_many(words_of(point))
    found = {}
    for profile in profile_names():
        config.profile.name = profile
        found[profile] = signature(scientific(config))
    return found


def plan_signatures(plan: Plan, run: Collection[str] | None = None) -> list[dict[str, str]]:
    """The signatures of all points; empty, with a warning, for one that cannot be composed yet.

    Empty too for points of other experiments than those `run`, which no record can be of: to
    compose them would take a fifth of a second for each.
    """
    found: list[dict[str, str]] = []
    reasons: Counter[str] = Counter()
    known = {path.stem for path in (CONFIG_FOLDER / "experiment").glob("*.yaml")}
    for point in plan.points:
        experiment = point.get("experiment")
        if experiment is not None and experiment not in known:
            # Composing would say so too, in a tenth of a second for each of many cells.
            found.append({})
            reasons[f"there is no experiment {experiment}"] += 1
            continue
        if run is not None and experiment is not None and experiment not in run:
            found.append({})
            continue
        try:
            found.append(point_signatures(point))
        except (HydraException, OmegaConfBaseException) as error:
            found.append({})
            reasons[str(error).strip().partition("\n")[0]] += 1
    for reason, count in reasons.items():
        warnings.warn(
            f"{plan.name}: {count} of {len(plan.points)} cells count as not run, because they "
            f"cannot be configured: {reason}",
            stacklevel=2,
        )
    return found


def asked_of(plan: Plan, records: Sequence[RunRecord]) -> list[tuple[Point, dict[str, str]]]:
    """All points of a plan with the signatures that some records can have of them."""
    run = {record.experiment for record in records}
    return list(zip(plan.points, plan_signatures(plan, run), strict=True))


def layout_of(plan: Plan) -> Layout:
    """A plan's table without its numbers."""
    return read_layout(plan.name, plan.title, plan.profile, plan.seeds, plan.layout)


def tables_of(
    plan: Plan,
    records: Sequence[RunRecord],
    own: Collection[str] = (),
    replaced: Sequence[RunRecord] = (),
) -> list[Table]:
    """A plan's tables, one for each profile and data source among its records, or an empty one.

    `own` are the keys of records that are not committed, `replaced` the committed ones that some of
    these stand for.
    """
    layout = layout_of(plan)
    asked = asked_of(plan, records)
    tables = make_tables(layout, asked, records, paper_values(), own)
    if not replaced:
        return tables
    committed = [*(record for record in records if record.key not in own), *replaced]
    alone = {t.id: t for t in make_tables(layout, asked, committed, paper_values())}
    names = frozenset(record.file_name for record in replaced)
    return [dataclasses.replace(t, replaced=names, committed=alone.get(t.id)) for t in tables]


def tables_shown(
    plan: Plan, selection: Selection, keeps: Callable[[RunRecord], bool] = lambda record: True
) -> list[Table]:
    """A plan's tables of the records that a selection has for it, of those that are kept."""
    its = selection.apart(layout_of(plan).records)
    records = [record for record in its.records if keeps(record)]
    return tables_of(plan, records, own=its.own, replaced=its.replaced)


def sketch_of(plan: Plan, records: Sequence[RunRecord]) -> Sketch:
    """A figure without its numbers; warns of cells that cannot be composed yet."""
    asked = asked_of(plan, records)
    return read_sketch(plan.name, plan.title, plan.profile, plan.seeds, plan.layout, asked)
