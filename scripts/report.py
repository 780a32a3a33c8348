"""Write the report: every table, figure and run on one page that opens from disk."""

import argparse
import datetime
import os
import sys
import tempfile
import warnings
from pathlib import Path
from urllib.parse import quote

from combgrad import plans, provenance
from combgrad.errors import CombgradError
from combgrad.files import write_text_atomically
from combgrad.pictures.plots import draw_figure, save_plot
from combgrad.results import RunRecord, load_records
from combgrad.results.report import Drawing, Report, to_page
from combgrad.results.series import FigureError, Sketch, collect, groups


def arguments() -> argparse.Namespace:
    """The command line; argparse ends the program where it makes no sense."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--results",
        type=Path,
        nargs="+",
        default=[Path("results/runs"), Path("results/own")],
        metavar="FOLDER",
        help="the records: those committed in results/runs, and your own in results/own",
    )
    parser.add_argument(
        "--output", type=Path, default=Path("results/report/index.html"), metavar="FILE"
    )
    asked = parser.parse_args()
    if not any(folder.is_dir() for folder in asked.results):
        missing = ", ".join(map(str, asked.results))
        parser.error(f"there is no folder {missing}; python train.py makes records.")
    return asked


def drawing(wanted: Sketch, records: list[RunRecord], profile: str, source: str) -> Drawing:
    """A figure as SVG, or why it could not be drawn, on the page and as a warning."""
    try:
        data = collect(wanted, records, profile, source)
        figure = draw_figure(data)
    except FigureError as error:
        warnings.warn(str(error), stacklevel=2)
        return Drawing(wanted, profile, source, problem=str(error))
    with tempfile.TemporaryDirectory() as folder:
        svg, _ = save_plot(figure, Path(folder), "-".join((wanted.name, profile, source)))
        text = svg.read_text(encoding="utf-8")
        return Drawing(wanted, profile, source, text, unfit=data.unfit)


def make(asked: argparse.Namespace) -> Report:
    """The report on all records of a folder."""
    records = load_records(*asked.results)
    tables = [
        table
        for name in plans.names("table")
        for plan in plans.load_plans("table", name)
        for table in plans.tables_of(plan, records)
    ]
    figures = [
        plans.sketch_of(plan)
        for name in plans.names("figure")
        for plan in plans.load_plans("figure", name)
    ]
    shown = [(wanted, pair) for wanted in figures for pair in groups(wanted, records)]
    return Report(
        records=records,
        tables=tables,
        drawings=[drawing(wanted, records, *pair) for wanted, pair in shown],
        waiting=[wanted for wanted in figures if not groups(wanted, records)],
        folder=quote(Path(os.path.relpath(asked.results[0], asked.output.parent)).as_posix()),
        made=datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        commit=provenance.commit(),
    )


def main() -> None:
    """Run the script; an error that the user can mend is told in one line."""
    warnings.formatwarning = lambda message, *_, **__: f"warning: {message}\n"
    asked = arguments()
    try:
        path = write_text_atomically(asked.output, to_page(make(asked)))
    except (CombgradError, OSError) as error:
        sys.exit(f"error: {error}")
    print(path)


if __name__ == "__main__":
    main()
