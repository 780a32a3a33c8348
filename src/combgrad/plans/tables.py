"""Print tables of the paper from the run records, every number beside the printed one."""

import argparse
import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path

from combgrad.files.writing import write_text_atomically
from combgrad.plans.grids import load_plans, names, tables_shown
from combgrad.plans.script import carry_out
from combgrad.results.record import SOURCES, RunRecord
from combgrad.results.selection import Selection, add_arguments, chosen
from combgrad.results.table_markup import to_html, to_latex
from combgrad.results.table_text import to_csv, to_markdown
from combgrad.results.tables import Table
from combgrad.runs.configuration import profile_names


def joined(render: Callable[[Table], str]) -> Callable[[list[Table]], str]:
    """A rendering of several tables, one below the other."""
    return lambda tables: "\n".join(render(table) for table in tables)


FORMATS: dict[str, Callable[[list[Table]], str]] = {
    "md": joined(to_markdown),
    "csv": to_csv,
    "latex": joined(to_latex),
    "html": joined(to_html),
}
SUFFIXES = {"latex": "tex"}


def arguments() -> argparse.Namespace:
    """The command line; argparse ends the program where it makes no sense."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tables", nargs="+", metavar="N", help="numbers of tables, or `all`")
    parser.add_argument("--format", choices=FORMATS, default="md", help="of what is printed: md")
    parser.add_argument("--profile", choices=profile_names(), help="only runs of this profile")
    parser.add_argument("--source", choices=SOURCES, help="only runs on such data")
    add_arguments(parser)
    parser.add_argument(
        "--save",
        action="store_true",
        help="instead of printing, write every format in UTF-8 into the folder `tables` beside the "
        "records, or among your own where some of them are shown",
    )
    found = parser.parse_args()
    if found.save and (found.profile or found.source):
        parser.error("--save writes whole tables; leave out --profile and --source.")
    found.selection = chosen(parser, found)
    return found


def made(asked: argparse.Namespace) -> Iterator[str | Path]:
    """The tables that the command line asks for, or the files that they are saved in."""
    selection: Selection = asked.selection

    def keeps(record: RunRecord) -> bool:
        sources = (None, record.data_source)
        return asked.profile in (None, record.profile) and asked.source in sources

    wanted = names("table") if "all" in asked.tables else asked.tables
    plans = [plan for which in wanted for plan in load_plans("table", which)]
    found = {}
    for plan in plans:
        plan = dataclasses.replace(plan, profile=asked.profile or plan.profile)
        found[plan.name] = tables_shown(plan, selection, keeps)
    if not asked.save:
        yield FORMATS[asked.format]([t for tables in found.values() for t in tables]).rstrip("\n")
        return
    for name, tables in found.items():
        for kind, render in FORMATS.items():
            file = f"{name}.{SUFFIXES.get(kind, kind)}"
            path = selection.home(asked.results) / "tables" / file
            yield write_text_atomically(path, render(tables))


def main() -> None:
    """Run the script."""
    carry_out(arguments, made)
