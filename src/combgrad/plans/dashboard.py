"""What a dashboard shows of a plan's runs; how a service draws it is that service's business."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from combgrad.files.installation import program
from combgrad.plans.grids import Plan, Point
from combgrad.results.plan_names import called, told
from combgrad.runs.configuration import CONFIG_FOLDER
from combgrad.runs.loggers import logged_name

#: Curves worth a look whatever the table reports; costs that vanish have collapsed.
HEALTH = ("train/loss", "train/cost_norm")
TIMES = ("seconds/train", "seconds/solver")

#: Metrics of test data alone, which have no curve.
ONLY_TESTED = frozenset({"column_cost_ratio", "nmi"})


@dataclass(frozen=True)
class Panel:
    """A picture of one logged value.

    Attributes:
        kind: `bar` for one value a run, `line` for one an epoch.
        metric: the name it is logged under.
        title: what a reader calls it.
    """

    kind: Literal["bar", "line"]
    metric: str
    title: str


@dataclass(frozen=True)
class Section:
    """The runs of one experiment of a plan and their panels.

    Attributes:
        title: the experiment, in the plan's words.
        experiment: as on the command line.
        keys: places in a run's logged configuration; runs that agree in all of them are one cell.
        panels: what is shown, each cell by its mean and spread.
    """

    title: str
    experiment: str
    keys: tuple[str, ...]
    panels: tuple[Panel, ...]


@dataclass(frozen=True)
class Dashboard:
    """A plan's dashboard: all sections show runs of one profile and one group (None: of any)."""

    title: str
    group: str | None
    profile: str
    notes: tuple[str, ...]
    sections: tuple[Section, ...]


def outline(
    plan: Plan,
    profile: str | None = None,
    any_group: bool = False,
    folder: Path = CONFIG_FOLDER,
) -> Dashboard:
    """The dashboard of a plan, a section for each of its experiments in the plan's order.

    A sweep does not repeat what another table's sweep has done; `any_group` shows those runs too.
    """
    metrics = {str(entry["name"]): str(entry.get("label", "")) for entry in plan.layout["metrics"]}
    words = plan.layout.get("labels", {}).get("experiment", {})
    panels = panels_of(metrics)
    by_experiment: dict[str, list[Point]] = {}
    for point in plan.points:
        by_experiment.setdefault(str(point["experiment"]), []).append(point)
    sections = tuple(
        Section(str(words.get(experiment, experiment)), experiment, keys_of(points, folder), panels)
        for experiment, points in by_experiment.items()
    )
    kind, number = told(plan.name)
    chosen = profile or plan.profile
    runs = "Runs of any group" if any_group else f"Runs of the group {plan.name}"
    notes = (
        f"{runs} with the profile {chosen}; the plan asks for {plan.seeds} seeds a cell. A bar or "
        "a line is the mean over the seeds of one cell. Runs on different data (original, "
        "regenerated, stand-in) are never averaged.",
        f"{program()} -m {kind}={number} profile={chosen} logger=wandb logger.wandb.offline=false",
        *map(str, plan.layout.get("notes", ())),
    )
    title = f"{called(plan.name, plan.layout)}: {plan.title}"
    return Dashboard(title, None if any_group else plan.name, chosen, notes, sections)


def panels_of(metrics: dict[str, str]) -> tuple[Panel, ...]:
    """The panels for a plan's metrics (name -> label), the curves behind them and the times."""
    found: dict[str, Panel] = {}

    def add(kind: Literal["bar", "line"], metric: str, title: str) -> None:
        found.setdefault(metric, Panel(kind, metric, title))

    for name, label in metrics.items():
        logged = logged_name(name)
        stage, _, rest = logged.partition("/")
        if stage in ("train", "val"):
            add("line", logged, label or logged)
            continue
        add("bar", logged, f"{label} ({logged})" if label else logged)
        if stage in ("test", "last") and rest not in ONLY_TESTED:
            add("line", f"val/{rest}", f"{label or rest}, validation")
    for name in HEALTH:
        add("line", name, name)
    for name in TIMES:
        add("bar", name, name)
    return tuple(found.values())


def keys_of(points: list[Point], folder: Path) -> tuple[str, ...]:
    """Where a run's configuration holds what tells an experiment's cells apart."""
    asked: dict[str, Any] = dict.fromkeys(key for point in points for key in point)
    asked.pop("experiment")
    places = [f"choices.{key}" if (folder / key).is_dir() else key for key in asked]
    # The cell's own digest also keeps apart what a user changed beyond the plan.
    return (*places, "data_source", "data_fingerprint", "cell")
