"""Publish the dashboard of a table or a figure as a W&B report, or print its specification."""

import argparse
from typing import Any

from combgrad.errors import CombgradError
from combgrad.files.installation import extra
from combgrad.plans.dashboard import Dashboard, Panel, Section, outline
from combgrad.plans.grids import KINDS, load_plans
from combgrad.runs.configuration import profile_names
from combgrad.runs.output import write_anywhere

#: W&B shows ten bars or lines unless told otherwise.
MOST = 100


class DashboardError(CombgradError, RuntimeError):
    """A dashboard that cannot be built or published."""


def reports() -> Any:
    """The package that builds W&B reports; DashboardError where it is not installed."""
    try:
        from wandb_workspaces.reports import v2
    except ImportError as error:
        raise DashboardError(
            f"building a dashboard needs wandb-workspaces ({error}): {extra('dashboard')}."
        ) from error
    return v2


def panel(shown: Panel) -> Any:
    """A bar for each cell, or a line over epochs, with the spread over its seeds."""
    wr = reports()
    common = {
        "title": shown.title,
        "groupby_aggfunc": "mean",
        "groupby_rangefunc": "stddev",
        "max_runs_to_show": MOST,
    }
    if shown.kind == "bar":
        return wr.BarPlot(metrics=[shown.metric], max_bars_to_show=MOST, **common)
    return wr.LinePlot(x="epoch", y=[shown.metric], title_x="epoch", **common)


def runs(dashboard: Dashboard, section: Section) -> Any:
    """The runs of a section, grouped into cells."""
    from wandb_workspaces import expr

    # The service keeps each entry of a configuration below `value`.
    filters = [
        expr.Config("profile.value") == dashboard.profile,
        expr.Config("choices.value.experiment") == section.experiment,
    ]
    if dashboard.group is not None:
        filters.insert(0, expr.Metric("Group") == dashboard.group)
    keys = [f"config.{key}" for key in section.keys]
    return reports().Runset(name=section.title, filters=expr.And(*filters), groupby=keys)


def grid(dashboard: Dashboard, section: Section) -> Any:
    """A section's panels over its own runs."""
    panels = [panel(shown) for shown in section.panels]
    return reports().PanelGrid(runsets=[runs(dashboard, section)], panels=panels)


def report(dashboard: Dashboard, entity: str, project: str) -> Any:
    """A dashboard as a W&B report; nothing is sent yet."""
    wr = reports()
    blocks = [wr.P(note) for note in dashboard.notes]
    for section in dashboard.sections:
        blocks += [wr.H2(section.title), grid(dashboard, section)]
    return wr.Report(
        entity=entity, project=project, title=dashboard.title, blocks=blocks, width="fluid"
    )


def specification(built: Any) -> str:
    """What would be sent, as JSON."""
    return str(built._to_model().model_dump_json(by_alias=True, exclude_none=True, indent=2))


def publish(built: Any) -> str:
    """Save a report and return its address; DashboardError where W&B does not take it."""
    import wandb
    from wandb.errors import UsageError

    try:
        wandb.Api()
    except UsageError as error:
        raise DashboardError(
            f"publishing needs a W&B account ({error}); `wandb login` once, or set WANDB_API_KEY, "
            f"or look at the specification with --print."
        ) from error
    # The client lets through errors of its own, of its helper process and of the network.
    except Exception as error:
        raise refused(error) from error
    try:
        return str(built.save().url)
    except Exception as error:
        raise refused(error) from error


def refused(error: Exception) -> DashboardError:
    """What to tell a user whose dashboard did not arrive."""
    return DashboardError(
        f"W&B did not take the dashboard ({type(error).__name__}: {error}); check the key, "
        f"--entity, --project and the network."
    )


def main() -> None:
    """Build the dashboards that the command line asks for."""
    write_anywhere()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("which", help="6 or table6 for Table 6, figure4a for Figure 4a")
    parser.add_argument("--entity", default="", help="the W&B account or team")
    parser.add_argument("--project", default="combgrad", help="where the runs are")
    parser.add_argument(
        "--profile",
        choices=[*profile_names(), "custom"],
        help="of the runs to show; the plan's unless given",
    )
    parser.add_argument("--any-group", action="store_true", help="not only this sweep's runs")
    parser.add_argument("--print", action="store_true", help="show the specification, send nothing")
    arguments = parser.parse_args()
    if not arguments.print and not arguments.entity:
        parser.error("publishing needs --entity, the account or team that owns the project.")
    kind = next((kind for kind in KINDS if arguments.which.startswith(kind)), "table")
    try:
        for plan in load_plans(kind, arguments.which):
            dashboard = outline(plan, arguments.profile, arguments.any_group)
            built = report(dashboard, arguments.entity, arguments.project)
            print(specification(built) if arguments.print else publish(built))
    except CombgradError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
