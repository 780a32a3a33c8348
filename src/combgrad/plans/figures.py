"""Draw figures of the paper from the records of runs, as SVG and PNG."""

import argparse
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from matplotlib.figure import Figure

from combgrad.errors import CombgradError
from combgrad.pictures.plots import draw_figure, save_plot
from combgrad.plans.example_8a import draw_8a
from combgrad.plans.example_regions import draw_2, draw_9
from combgrad.plans.grids import EXAMPLES, Plan, PlanError, load_plans, names, sketch_of
from combgrad.plans.script import carry_out
from combgrad.results.plan_names import plan_name, told
from combgrad.results.record import SOURCES
from combgrad.results.selection import add_arguments, chosen
from combgrad.results.series import collect, groups
from combgrad.runs.configuration import profile_names

#: What draws a figure of EXAMPLES.
DRAWN: dict[str, Callable[[], Figure]] = {
    "figure2": draw_2,
    "figure8a": draw_8a,
    "figure9": draw_9,
}


def chosen_figures(words: list[str]) -> tuple[list[str], list[Plan]]:
    """The examples and the plans that 4a, 4 (all of 4a, 4b, 4c) or all mean, each once."""
    if "all" in words:
        words = [*EXAMPLES, *names("figure")]
    asked = {word: plan_name(*told(f"figure{word.removeprefix('figure')}")) for word in words}
    examples = [name for name in EXAMPLES if name in asked.values() or name[:-1] in asked.values()]
    rest = [word for word, name in asked.items() if name not in EXAMPLES]
    found = [plan for word in rest for plan in load_plans("figure", word)]
    return examples, list({plan.name: plan for plan in found}.values())


def draw(plan: Plan, asked: argparse.Namespace) -> list[Path]:
    """Draw a plan once for each profile and data source that has records; the files written."""
    records, own = asked.selection.records, asked.selection.own
    wanted, folder = sketch_of(plan, records), asked.save_in
    shown = [
        (profile, source)
        for profile, source in groups(wanted, records)
        if asked.profile in (None, profile) and asked.source in (None, source)
    ]
    profile = asked.profile or plan.profile
    empty = "-".join((plan.name, profile, *([asked.source] if asked.source else []), "not-run"))
    if not shown:
        data = collect(wanted, records, profile, asked.source)
        return save_plot(draw_figure(data), folder, empty)
    written = []
    for pair in shown:
        data = collect(wanted, records, *pair, own)
        written += save_plot(draw_figure(data), folder, "-".join((plan.name, *pair)))
    for stale in folder.glob(f"{empty}.*"):
        stale.unlink()
    return written


def arguments() -> argparse.Namespace:
    """The command line; argparse ends the program where it makes no sense."""
    parser = argparse.ArgumentParser(description=__doc__)
    known = ", ".join(told(name)[1] for name in sorted([*EXAMPLES, *names("figure")]))
    parser.add_argument("figures", nargs="+", metavar="FIGURE", help=f"{known}, or all")
    parser.add_argument("--profile", choices=profile_names(), help="only runs of this profile")
    parser.add_argument("--source", choices=SOURCES, help="only runs on such data")
    add_arguments(parser)
    parser.add_argument(
        "--save-in",
        type=Path,
        metavar="FOLDER",
        help="where to: `figures` beside the records, or among your own where some are shown",
    )
    found = parser.parse_args()
    found.selection = chosen(parser, found)
    found.save_in = found.save_in or found.selection.home(found.results) / "figures"
    try:
        found.examples, found.figures = chosen_figures(found.figures)
    except PlanError as error:
        parser.error(str(error))
    return found


def drawn(asked: argparse.Namespace) -> Iterator[Path]:
    """The files of what is asked for; a figure that cannot be drawn does not stop the others."""
    failed = False
    examples = [partial(save_plot, DRAWN[name](), asked.save_in, name) for name in asked.examples]
    for make in (*examples, *(partial(draw, plan, asked) for plan in asked.figures)):
        try:
            yield from make()
        except (CombgradError, OSError) as error:
            failed = True
            print(f"error: {error}", file=sys.stderr)
    if failed:
        sys.exit(1)


def main() -> None:
    """Run the script."""
    carry_out(arguments, drawn)
