"""Write the report: every table, figure and run on one page that opens from disk."""

import argparse
import datetime
import re
import tempfile
import warnings
from pathlib import Path

from combgrad.files.writing import write_text_atomically
from combgrad.pictures.plots import draw_figure, reading, save_plot
from combgrad.plans import grids
from combgrad.plans.reproduction import place, shares, shown_as
from combgrad.plans.script import carry_out
from combgrad.results.drawings import Drawing
from combgrad.results.questions import PROTOCOLS, read_questions
from combgrad.results.report import Report, to_page
from combgrad.results.selection import Selection, add_arguments, chosen
from combgrad.results.series import FigureError, Sketch, collect, groups
from combgrad.runs import provenance

#: A number of more digits than a picture of any size needs, but for the scale of its letters.
LONG = re.compile(r"(?<!scale\()(?<![\d.])\d+\.\d{3,}")


def arguments() -> argparse.Namespace:
    """The command line; argparse ends the program where it makes no sense."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_arguments(parser)
    parser.add_argument(
        "--output",
        type=Path,
        metavar="FILE",
        help="where to: `report/index.html` beside the records, or among your own where some are "
        "shown",
    )
    asked = parser.parse_args()
    asked.selection = chosen(parser, asked)
    home = asked.selection.home(asked.results)
    asked.output = asked.output or home / "report" / "index.html"
    return asked


def drawing(wanted: Sketch, selection: Selection, profile: str, source: str) -> Drawing:
    """A figure as SVG, or why it could not be drawn, on the page and as a warning."""
    try:
        data = collect(wanted, selection.records, profile, source, selection.own)
        figure = draw_figure(data, words=False)
    except FigureError as error:
        warnings.warn(str(error), stacklevel=2)
        return Drawing(wanted, profile, source, problem=str(error))
    with tempfile.TemporaryDirectory() as folder:
        svg, _ = save_plot(figure, Path(folder), "-".join((wanted.name, profile, source)))
        text = LONG.sub(lambda number: f"{float(number[0]):.2f}", svg.read_text(encoding="utf-8"))
    return Drawing(
        sketch=wanted,
        profile=profile,
        source=source,
        svg=text,
        unfit=data.unfit,
        words=tuple(reading(data)),
        single=all(len(line.x) <= 1 for panel in data.panels for line in panel.series),
    )


def make(asked: argparse.Namespace) -> Report:
    """The report on the records that the command line asks for."""
    selection: Selection = asked.selection
    records = selection.records
    plans = [p for name in grids.names("table") for p in grids.load_plans("table", name)]
    tables = {plan.name: grids.tables_shown(plan, selection) for plan in plans}
    figures = [
        grids.sketch_of(plan, records)
        for name in grids.names("figure")
        for plan in grids.load_plans("figure", name)
    ]
    details = place(selection, asked.results)
    shown = [(wanted, pair) for wanted in figures for pair in groups(wanted, records)]
    return Report(
        records=records,
        tables=[table for of_plan in tables.values() for table in of_plan],
        drawings=[drawing(wanted, selection, *pair) for wanted, pair in shown],
        waiting=[wanted for wanted in figures if not groups(wanted, records)],
        page=asked.output,
        made=datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        commit=provenance.commit(),
        own=selection.own,
        hidden=selection.hidden,
        shares=shares(shown_as(plan, tables[plan.name]) for plan in plans),
        details=details if details.is_file() else None,
        questions=read_questions(),
        protocols=PROTOCOLS if PROTOCOLS.is_file() else None,
    )


def main() -> None:
    """Run the script."""
    carry_out(arguments, lambda asked: [write_text_atomically(asked.output, to_page(make(asked)))])
