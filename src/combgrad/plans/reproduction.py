"""Write the page that tells of every number the papers printed whether it is reproduced."""

import argparse
from collections.abc import Iterable, Sequence
from pathlib import Path

from omegaconf import OmegaConf

from combgrad import results
from combgrad.files.writing import write_text_atomically
from combgrad.plans import grids
from combgrad.plans.grids import Plan
from combgrad.plans.script import carry_out
from combgrad.results.layout import Layout
from combgrad.results.paper import PAPERS, paper_values
from combgrad.results.reproduction import Explanation, Shown, read_explanations, reproduction
from combgrad.results.reproduction_text import share, to_page
from combgrad.results.selection import Selection, add_arguments, chosen
from combgrad.results.tables import Table

#: Why cells are what they are, in words.
EXPLANATIONS = Path(results.__file__).with_name("reproduction.yaml")

#: Where the page of the committed records lies, beside the folder `results`.
PAGE = Path("docs/reproduction.md")


def explanations() -> list[Explanation]:
    """Those of the project."""
    return read_explanations(OmegaConf.to_container(OmegaConf.load(EXPLANATIONS)))


def shown_as(plan: Plan, tables: Sequence[Table]) -> Shown:
    """A plan beside its tables."""
    return Shown(grids.layout_of(plan), plan.points, tables)


def is_beside_printed(layout: Layout) -> bool:
    """Whether a plan is a table of a paper, or shows the numbers of one beside other data."""
    own = any(layout.number in value.tables for value in paper_values())
    return own or bool(layout.printed_on)


def shown(selection: Selection) -> list[Shown]:
    """The plans that stand beside printed numbers, with their tables."""
    return [
        shown_as(plan, grids.tables_shown(plan, selection))
        for name in grids.names("table")
        for plan in grids.load_plans("table", name)
        if is_beside_printed(grids.layout_of(plan))
    ]


def page(selection: Selection) -> str:
    """The page on some records, as Markdown."""
    plans, known = shown(selection), explanations()
    titles = {one.layout.number: one.layout.heading for one in plans}
    return to_page(reproduction(plans, paper_values(), known), known, titles, selection.records)


def shares(plans: Iterable[Shown]) -> list[str]:
    """A sentence for each paper that some plans are of on how much of it is reproduced."""
    beside = [one for one in plans if is_beside_printed(one.layout)]
    lines = reproduction(beside, paper_values())
    return [share(paper, lines) for paper in PAPERS if any(line.paper is paper for line in lines)]


def place(selection: Selection, folders: Sequence[Path]) -> Path:
    """Where the page lies: among the documents if it is of committed records alone."""
    home = selection.home(folders)
    documents = home.parent / PAGE.parent
    alone = not selection.own and documents.is_dir()
    return (documents if alone else home) / PAGE.name


def arguments() -> argparse.Namespace:
    """The command line; argparse ends the program where it makes no sense."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_arguments(parser)
    parser.add_argument(
        "--output",
        type=Path,
        metavar="FILE",
        help=f"where to: {PAGE} for the committed records, else `reproduction.md` among your own",
    )
    asked = parser.parse_args()
    asked.selection = chosen(parser, asked)
    asked.output = asked.output or place(asked.selection, asked.results)
    return asked


def main() -> None:
    """Run the script."""
    carry_out(
        arguments,
        lambda asked: [write_text_atomically(asked.output, page(asked.selection))],
    )
