"""Cell by cell: every printed number once for each place, its state, and the page as committed."""

import csv
import re
from collections import Counter
from types import SimpleNamespace

import pytest

from combgrad.plans import reproduction as plans
from combgrad.results.layout import read_layout
from combgrad.results.paper import PAPERS, PaperValue, paper_values
from combgrad.results.reproduction import (
    ReproductionError,
    Shown,
    State,
    read_explanations,
    reproduction,
)
from combgrad.results.reproduction_text import computing, share, to_page
from combgrad.results.selection import select
from combgrad.results.tables import Cell, Mark, Table
from combgrad.runs.configuration import CONFIG_FOLDER

ROOT = CONFIG_FOLDER.parent
PAGE = ROOT / "docs" / "reproduction.md"
RUNS = ROOT / "results" / "runs"

ACCURACY = {"name": "x", "label": "right", "unit": "%", "digits": 1, "best": "max"}
POINT = {"experiment": "tsp5", "grad": "identity"}


def printed(mean=90.0, std=1.0, tables="6", **point):
    number = f"{mean} ± {std}" if std is not None else f"{mean}"
    return PaperValue(frozenset(tables.split()), POINT | point, "x", mean, std, number, 5, "")


def layout(name="table6", **changes):
    document = {"metrics": [ACCURACY], "rows": ["{experiment}"], "columns": ["{grad}"]}
    return read_layout(name, "A title", "paper", 3, document | changes)


def a_table(value, mean, std=0.5, mark=Mark.INSIDE, profile="paper", source="original", **changes):
    of = layout(**changes)
    numbers = (mean - std, mean + std)
    cell = Cell(POINT, of.metrics[0], numbers, (0, 1), (), (), (), 0, mean, std, value, mark)
    return Table(of, profile, source, (("tsp5",),), (("identity",),), ((cell,),))


def a_plan(*tables, points=(POINT,), **changes):
    return Shown(layout(**changes), points, tables)


def state_of(value, *tables):
    (line,) = reproduction([a_plan(*tables)], [value])
    return line.state


@pytest.mark.parametrize(
    ("mean", "std", "expected"),
    [
        # Combined deviations of 1.25: the border lies at 2.5.
        (92.5, 0.75, State.REPRODUCED),
        (87.5, 0.75, State.REPRODUCED),
        (92.6, 0.75, State.OUTSIDE),
        # Of 5: 8 away is inside by our own spread, 11 is outside all the same.
        (98.0, 4.9, State.WIDER),
        (101.0, 4.9, State.OUTSIDE),
        # Three times as wide is just not too wide.
        (92.5, 3.0, State.REPRODUCED),
    ],
)
def test_a_number_is_reproduced_within_two_combined_deviations(mean, std, expected):
    assert state_of(printed(), a_table(printed(), mean, std)) is State.NOT_RUN
    value = printed()
    assert state_of(value, a_table(value, mean, std)) is expected


def test_without_a_printed_deviation_ours_alone_reproduces_nothing():
    value = printed(std=None)
    assert state_of(value, a_table(value, 90.0, 0.5, Mark.NO_SPREAD)) is State.WIDER
    assert state_of(value, a_table(value, 90.0, 0.0, Mark.NO_SPREAD)) is State.NOT_COMPARED


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"profile": "reduced"}, State.REDUCED_INSIDE),
        ({"profile": "smoke"}, State.REDUCED_INSIDE),
        ({"source": "regenerated"}, State.REPRODUCED),
        ({"mark": Mark.STAND_IN, "source": "stand-in"}, State.STAND_IN),
        ({"mark": Mark.OTHER_DATA}, State.OTHER_DATA),
        ({"mark": Mark.NOT_COMPARED}, State.NOT_COMPARED),
    ],
)
def test_what_was_run_otherwise_never_counts(changes, expected):
    value = printed()
    assert state_of(value, a_table(value, 90.0, **changes)) is expected


def test_the_run_that_says_most_is_shown():
    value = printed()
    stand_in = a_table(value, 1.0, mark=Mark.STAND_IN, source="stand-in")
    reduced = a_table(value, 90.0, profile="reduced")
    regenerated = a_table(value, 95.0, source="regenerated")
    original = a_table(value, 91.0)
    everything = [stand_in, reduced, regenerated, original]
    for number in range(1, 5):
        (line,) = reproduction([a_plan(*everything[:number])], [value])
        assert line.found.cell.mean == (1.0, 90.0, 95.0, 91.0)[number - 1]


def test_other_tables_lend_a_number_on_other_data_alone():
    value = printed(tables="4")
    own = Shown(layout("table4"), [POINT], [])
    changes = {
        "name": "table4_willow",
        "printed_on": "VOC",
        "printed_as": {"table": 4, "grad": "identity"},
    }
    for mark, found in ((Mark.OTHER_DATA, State.OTHER_DATA), (Mark.INSIDE, State.NOT_RUN)):
        other = a_plan(a_table(value, 90.0, mark=mark, **changes), **changes)
        (line,) = reproduction([own, other], [value])
        assert (line.table, line.state) == ("4", found)


def test_a_number_has_a_line_for_each_place_and_one_without_a_point_its_own():
    absent = printed(80.0, 1.0, grad="cvxpylayers")
    value = printed(margin="none")
    points = [POINT | {"margin": "none"}]
    plan = a_plan(
        points=points, columns=["{margin}", "{grad}"], shown_as={"margin": {"none": ["a", "b"]}},
        absent={"margin": "-"},
    )  # fmt: skip
    lines = reproduction([plan], [value, absent])
    assert [line.place for line in lines] == [
        "tsp5, a, identity", "tsp5, b, identity", "tsp5, -, cvxpylayers"
    ]  # fmt: skip


EXPLAINED = [
    {"id": "all", "cells": {"table": 6}, "text": "of every\n  cell"},
    {"id": "missed", "cells": {"grad": ["identity", "imle"]}, "states": ["outside"], "text": "x"},
]


def test_explanations_hold_for_their_cells_in_their_states():
    value = printed()
    known = read_explanations(EXPLAINED)
    for mean, reasons in ((90.0, ("all",)), (99.0, ("all", "missed"))):
        (line,) = reproduction([a_plan(a_table(value, mean))], [value], known)
        assert line.reasons == reasons
        page = to_page([line], known, {"6": "Table 6: A title"}, [])
        assert "- **all**: of every cell" in page
        assert ("- **missed**: x" in page) == (mean == 99.0)
    idle = read_explanations([{"id": "idle", "cells": {"grad": "imle"}, "text": "x"}])
    with pytest.raises(ReproductionError, match="idle explains no printed number"):
        reproduction([a_plan()], [value], idle)


def test_the_hours_of_computing_are_those_of_training_and_evaluation():
    spent = {"paper": [{"train": 3600.0, "eval": 1800.0, "solver": 900.0}], "reduced": [{}] * 1200}
    records = [
        SimpleNamespace(profile=profile, seconds=seconds)
        for profile, runs in spent.items()
        for seconds in runs
    ]
    assert computing(records) == (
        "The 1,201 runs on record took 1.5 hours of training and evaluation, one after the other: "
        "1.5 for 1 of profile `paper`, 0.0 for 1,200 of profile `reduced`."
    )


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({}, "are no list"),
        (["beer"], "'beer' is no explanation; it needs id, cells and text"),
        ([{"id": "a", "cells": {}}], "it needs id, cells and text"),
        ([{**EXPLAINED[0], "state": "x"}], r"all: unknown keys \['state'\]"),
        ([{**EXPLAINED[0], "states": ["lost"]}], r"unknown states \['lost'\].*reproduced, outside"),
        ([{**EXPLAINED[0], "cells": []}], "cells is a mapping"),
        ([EXPLAINED[0]] * 2, "two explanations all"),
    ],
)
def test_what_is_no_explanation_is_named(entries, message):
    with pytest.raises(ReproductionError, match=message):
        read_explanations(entries)


def rows_of(page):
    """By table the cells of each row of the page, read as text."""
    found = {}
    for part in page.split("\n## ")[1:]:
        lines = [line for line in part.splitlines() if line.startswith("| ")]
        cells = [re.split(r"(?<!\\) ?\| ?", line)[1:-1] for line in lines]
        found[part.partition(":")[0]] = cells[2:]
    return found


@pytest.fixture(scope="module")
def committed():
    return PAGE.read_text(encoding="utf-8")


def test_the_committed_page_has_every_cell_that_was_printed(committed):
    printed_in = Counter()
    for paper in PAPERS:
        with paper.file.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                # Table 5 shows its runs without a margin in the columns of both.
                twice = "5" in row["tables"].split() and row.get("margin") == "none"
                for number in row["tables"].split():
                    printed_in[number] += 2 if twice and number == "5" else 1
    rows = rows_of(committed)
    names = {f"Table {number}": number for number in "12345678"}
    names |= {"The companion paper, Table 1": "values1"}
    assert {names[name]: len(found) for name, found in rows.items()} == printed_in
    assert sum(printed_in[number] for number in "12345678") == 241
    assert printed_in["values1"] == 42


def test_the_committed_page_counts_what_it_lists(committed):
    rows = rows_of(committed)
    for paper, number in (("the paper", 241), ("the companion paper", 42)):
        companion = paper != "the paper"
        states = [
            r[1] for name, some in rows.items() for r in some if ("comp" in name) == companion
        ]
        right = states.count("reproduced")
        said = (
            f"Of the {number} cells in the tables of {paper} {right} ({100 * right / number:.0f} %)"
        )
        assert len(states) == number
        assert said in committed.split("\n\n")[1 + companion]
    for name, some in rows.items():
        for _, state, data, profile, seeds, ours, *_, why in some:
            assert why or state == "reproduced", name
            assert bool(data) == bool(profile) == bool(seeds) == bool(ours) == (state != "not run")
            if state == "reproduced":
                assert (profile, data) in {("paper", "original"), ("paper", "regenerated")}


def test_the_committed_page_is_that_of_the_committed_records(committed):
    made = plans.page(select([RUNS]))
    assert made == committed, "docs/reproduction.md is stale: run python scripts/reproduction.py"


def test_the_share_of_a_paper_is_a_sentence():
    value = printed()
    lines = reproduction([a_plan(a_table(value, 90.0))], [value])
    lines += reproduction([a_plan(a_table(value, 99.0))], [value])
    assert share(PAPERS[0], lines) == (
        "Of the 2 cells in the tables of the paper 1 (50 %) are reproduced; of the others 1 were "
        "run by the same protocol and are outside."
    )


def test_the_script_writes_the_page_beside_other_records(tmp_path, run_script):
    (tmp_path / "runs").mkdir()
    status, said, errors = run_script("reproduction", "--results", tmp_path / "runs")
    assert (status, errors) == (0, "")
    path = tmp_path / "reproduction.md"
    assert said == f"{path}\n"
    assert "Of the 241 cells in the tables of the paper 0 (0 %)" in path.read_text(encoding="utf-8")
    assert all(row[1] == "not run" for some in rows_of(path.read_text()).values() for row in some)
    assert len(paper_values()) == 223
