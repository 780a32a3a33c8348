"""The sentences that a report begins with, from tables whose numbers are made up here."""

import dataclasses

import pytest

from combgrad.results.layout import Ranked, read_layout
from combgrad.results.paper import PaperValue
from combgrad.results.story import distinct, findings
from combgrad.results.tables import Cell, Mark, Table, mark_of

EDGES = {"name": "test/edges", "label": "correct edges", "unit": "%", "digits": 2, "best": "max"}
COST = {"name": "test/cost", "label": "cost ratio", "digits": 1, "best": "min"}
SECONDS = {"name": "seconds.train", "label": "training", "unit": "s", "digits": 1}


def a_layout(metric=EDGES, rows=("{experiment}",), **more):
    document = {"metrics": [metric], "rows": list(rows), "columns": ["ξ = {alpha}"], **more}
    return read_layout("table6", "A title", "paper", 3, document)


def a_cell(layout, printed=None, source="original", values=(1.0,), **point):
    (metric,) = layout.metrics
    paper = printed and PaperValue(
        frozenset({"6"}), point, metric.name, *printed, f"{printed[0]} ± {printed[1]}", 3, "there"
    )
    runs = tuple(f"{point}-{seed}" for seed in range(len(values)))
    mean = sum(values) / len(values)
    cell = Cell(
        point, metric, values, tuple(range(len(values))), runs, (), (), 0, mean, None, paper,
        Mark.NO_RUN,
    )  # fmt: skip
    return dataclasses.replace(cell, mark=mark_of(cell, source))


def a_table(layout, cells, profile="paper", source="original"):
    places = [(*layout.places(cell.point, cell.metric), cell) for cell in cells]
    rows = tuple(dict.fromkeys(row for (row, _), _ in places))
    columns = tuple(dict.fromkeys(column for (_, column), _ in places))
    found = dict(places)
    grid = tuple(tuple(found.get((row, column)) for column in columns) for row in rows)
    return Table(layout, profile, source, rows, columns, grid)


def globe(layout, **changes):
    """Of each size the better of two is printed beside 90 and 80; one of four is 2 away at most."""
    point = {"grad": "identity", "proj": "std"} | changes
    return [
        a_cell(layout, (90.0, 1.0), values=(91.0, 93.0), experiment="tsp5", alpha=0.1, **point),
        a_cell(layout, (95.0, 1.0), values=(91.0,), experiment="tsp5", alpha=0.2, **point),
        a_cell(layout, (70.0, 1.0), values=(60.0,), experiment="tsp10", alpha=0.1, **point),
        a_cell(layout, (80.0, 1.0), values=(77.5,), experiment="tsp10", alpha=0.2, **point),
    ]


def test_of_no_table_nothing_is_said():
    assert findings([]) == []
    layout = a_layout()
    nothing = a_table(layout, [a_cell(layout, experiment="tsp5", alpha=1)])
    assert findings([nothing]) == []


def test_our_best_of_each_experiment_stand_beside_the_printed_ones():
    layout = a_layout()
    beside, inside = findings([a_table(layout, globe(layout))])
    assert beside == (
        "Identity with std at its best: 92.00 % correct edges in tsp5, ξ = 0.1, where the paper "
        "prints 90.0 ± 1.0; 77.50 in tsp10, ξ = 0.2, where it prints 80.0 ± 1.0."
    )
    assert inside == (
        "Of the 4 numbers that can be compared with printed ones, 1 lies within 2 of the printed "
        "standard deviations."
    )


def test_the_smaller_is_the_best_where_the_metric_says_so():
    layout = a_layout(COST, labels={"grad": {"imle": "I-MLE"}})
    cells = globe(layout, grad="imle", proj="none")
    assert findings([a_table(layout, cells)])[0] == (
        "I-MLE at its best: cost ratio 91.0 in tsp5, ξ = 0.2, where the paper prints 95.0 ± 1.0; "
        "60.0 in tsp10, ξ = 0.1, where it prints 70.0 ± 1.0."
    )


def test_a_number_that_diverged_is_no_best_one():
    layout = a_layout(COST)
    nan = a_cell(layout, (1.0, 1.0), values=(float("nan"),), experiment="tsp5", alpha=0)
    assert "ξ = 0.2" in findings([a_table(layout, [nan, *globe(layout)])])[0]


def test_a_method_that_the_heads_tell_is_not_told_twice():
    layout = a_layout(rows=["{experiment}", "{grad}"])
    said = findings([a_table(layout, globe(layout))])[0]
    assert said.startswith("The best numbers here: 92.00 % correct edges in tsp5, identity, ξ")


def test_full_training_comes_before_more_numbers():
    layout = a_layout()
    short = a_table(layout, globe(layout), profile="reduced")
    full = a_table(layout, globe(layout)[:1])
    beside, inside = findings([short, full])
    assert "tsp5" in beside
    assert "tsp10" not in beside
    assert "of the 1 that were trained as long as the paper's, 1." in inside
    alone = findings([short])
    assert alone[0].startswith("Identity with std at its best, by the shorter training of reduced:")
    assert "trained as long" not in alone[1]


def test_a_number_that_two_tables_show_counts_once():
    layout = a_layout()
    table = a_table(layout, globe(layout))
    twin = dataclasses.replace(table, layout=dataclasses.replace(layout, name="table6_readings"))
    assert findings([table, twin]) == findings([table])
    assert len(distinct(table)) == 4


@pytest.mark.parametrize("source", ["stand-in", "other"])
def test_numbers_on_other_data_are_held_against_nothing(source):
    layout = a_layout()
    cell = a_cell(layout, (1.0, 1.0), source, experiment="tsp5", alpha=1)
    assert findings([a_table(layout, [cell], source=source)]) == []


def test_times_are_held_against_nothing():
    layout = a_layout(SECONDS)
    assert (
        findings([a_table(layout, [a_cell(layout, (1.0, 1.0), experiment="tsp5", alpha=1)])]) == []
    )


def test_the_method_that_ranks_first_is_named():
    layout = dataclasses.replace(
        a_layout(COST, rows=["{grad}"]), ranking=Ranked("test/cost", "{grad}", "{experiment}")
    )
    # On each of six seeds a < b < c, and once c comes before b.
    numbers = {"a": [1.0] * 6, "b": [2.0] * 6, "c": [3.0] * 5 + [1.5]}
    cells = [
        a_cell(layout, values=tuple(values), experiment="tsp", alpha=1, grad=grad)
        for grad, values in numbers.items()
    ]
    (said,) = findings([a_table(layout, cells)])
    # b is second five times and third once, c the other way round. Of six pairs that all agree the
    # signed-rank test has p = 2/64, which three tests make 0.09.
    assert said == (
        "Table 6: over 18 runs a has the best mean rank of 3 methods by cost ratio, 1.00, before b "
        "(2.17) and c (2.83); a test tells it apart from 0 of the 2 others."
    )
    # Of a task that one method lacks no run is ranked.
    more = [
        a_cell(layout, values=(1.0,) * 4, experiment="maze", alpha=2, grad=grad) for grad in "ab"
    ]
    assert findings([a_table(layout, [*cells, *more])]) == [said]
