"""Distances to printed numbers and ratios of cells, against numbers worked out by hand."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from combgrad.results.comparisons import (
    combined_deviation,
    deviations_away,
    distances,
    paired_ratios,
    ratio_notes,
    reading_notes,
)
from combgrad.results.layout import LayoutError, read_layout
from combgrad.results.paper import PaperValue
from combgrad.results.tables import Cell, Mark, Table

METRIC = {"name": "x", "label": "right", "unit": "%", "digits": 1, "best": "max"}
TIMES = {"name": "seconds.train", "label": "training", "unit": "minutes"}
DOCUMENT = {"metrics": [METRIC], "rows": ["{grad}"], "columns": ["{alpha}"]}


def a_layout(**changes):
    return read_layout("table6", "A title", "paper", 3, DOCUMENT | changes)


def printed(mean, std=None):
    return PaperValue(frozenset({"6"}), {}, "x", mean, std, f"{mean}", None, "")


def a_cell(values, paper=None, layout=None, seeds=None, mark=Mark.INSIDE, **point):
    mean = sum(values) / len(values) if values else None
    std = None
    if len(values) > 1:
        std = math.sqrt(sum((value - mean) ** 2 for value in values) / len(values))
    metric = (layout or a_layout()).metrics[0]
    seeds = tuple(range(len(values)) if seeds is None else seeds)
    return Cell(point, metric, tuple(values), seeds, (), (), (), 0, mean, std, paper, mark)


def a_table(layout, cells):
    heads = tuple((str(number),) for number in range(len(cells)))
    return Table(layout, "paper", "regenerated", heads, (("c",),), tuple((c,) for c in cells))


def test_a_combined_deviation_is_the_root_of_both_squares():
    assert combined_deviation(a_cell([1.0, 7.0], printed(5, 4))) == pytest.approx(5)
    assert combined_deviation(a_cell([4.0], printed(5, 4))) == 4
    assert combined_deviation(a_cell([1.0, 7.0], printed(5))) == pytest.approx(3)
    assert combined_deviation(a_cell([4.0], printed(5, 0.0))) is None
    assert combined_deviation(a_cell([4.0])) is None


def test_a_cell_is_away_by_its_difference_in_combined_deviations():
    assert deviations_away(a_cell([1.0, 7.0], printed(14, 4))) == pytest.approx(-2)
    assert deviations_away(a_cell([4.0], printed(5))) is None
    assert deviations_away(a_cell([], printed(5, 1))) is None
    other = a_cell([1.0, 7.0], printed(14, 4), mark=Mark.OTHER_DATA)
    assert deviations_away(other) is None


PRINTED = [printed(90, 3), printed(80, 4), printed(70, 1)]


def two_readings(second):
    """Of a all three numbers, of b only those of the first two that are given."""
    layout = a_layout(readings="{grad}", labels={"grad": {"a": "one", "b": "other"}})
    first = [
        a_cell([m], paper, layout, grad="a") for m, paper in zip((93, 76, 0), PRINTED, strict=True)
    ]
    rest = [a_cell([m], paper, layout, grad="b") for m, paper in zip(second, PRINTED, strict=False)]
    rest += [a_cell([], PRINTED[2], layout, grad="b", mark=Mark.NO_RUN)]
    return a_table(layout, [*first, *rest])


def test_readings_are_compared_over_the_cells_that_all_of_them_have():
    table = two_readings([90, 72])
    one, other = distances(table, table.layout.metrics[0])
    assert (one.reading, one.cells, other.reading, other.cells) == ("one", 2, "other", 2)
    # Differences 3 and -4, of deviations 3 and 4; then 0 and -8.
    assert (one.units, one.deviations) == pytest.approx((math.sqrt(12.5), 1))
    assert (other.units, other.deviations) == pytest.approx((math.sqrt(32), math.sqrt(2)))
    said = " ".join(reading_notes(table))
    assert (
        "over the 2 cells that all readings with runs have: one 1.0 combined deviations, " in said
    )
    assert "3.5 percentage points; other 1.4 combined deviations, 5.7 percentage points" in said
    assert "Nearest in combined deviations: one; in percentage points: one." in said


def test_a_reading_that_meets_the_printed_numbers_is_the_nearest():
    said = " ".join(reading_notes(two_readings([90, 80])))
    assert "other 0.0 combined deviations, 0.0 percentage points" in said
    assert "Nearest in combined deviations: other; in percentage points: other." in said


def test_without_deviations_none_is_the_nearest_in_them():
    bare = [printed(90, None), printed(80, None)]
    layout = a_layout(readings="{grad}")
    cells = [
        a_cell([paper.mean + away], paper, layout, grad=grad)
        for grad, away in (("a", 2), ("b", 1))
        for paper in bare
    ]
    said = " ".join(reading_notes(a_table(layout, cells)))
    assert "a no combined deviations, 2.0 percentage points; b no combined" in said
    assert said.endswith("Nearest in percentage points: b.")


def test_a_reading_that_diverged_is_not_the_nearest():
    layout = a_layout(readings="{grad}")
    cells = [
        a_cell([mean], PRINTED[0], layout, grad=grad) for grad, mean in (("a", math.nan), ("b", 91))
    ]
    said = " ".join(reading_notes(a_table(layout, cells)))
    assert said.endswith("Nearest in combined deviations: b; in percentage points: b.")


def test_a_reading_without_runs_keeps_no_other_from_being_compared():
    table = two_readings([])
    (one,) = distances(table, table.layout.metrics[0])
    assert (one.cells, len(reading_notes(table))) == (3, 1)
    assert one.units == pytest.approx(math.sqrt((9 + 16 + 70**2) / 3))


def test_a_table_of_one_reading_says_nothing_of_them():
    assert reading_notes(a_table(a_layout(), [a_cell([1.0], printed(2, 1))])) == []
    none = a_layout(readings="{grad}")
    assert reading_notes(a_table(none, [a_cell([1.0], grad="a", mark=Mark.NO_PAPER)])) == []


@given(
    st.dictionaries(st.integers(0, 5), st.floats(0.5, 9)),
    st.dictionaries(st.integers(0, 5), st.floats(0.5, 9)),
)
def test_ratios_are_those_of_runs_of_one_seed(above, below):
    first = a_cell([*above.values()], seeds=[*above])
    second = a_cell([*below.values()], seeds=[*below])
    expected = [above[seed] / below[seed] for seed in above if seed in below]
    assert paired_ratios(first, second) == pytest.approx(expected)


def test_what_is_no_ratio_is_left_out():
    assert paired_ratios(a_cell([1.0, 2.0, math.nan]), a_cell([0.0, 4.0, 1.0])) == [0.5]


RATIO = {"of": "grad", "above": "a", "each": "{task}"}


def timed(cells):
    layout = a_layout(metrics=[TIMES], ratio=RATIO, labels={"grad": {"a": "A", "b": "B"}})
    return a_table(layout, [a_cell(v, p, layout, **point) for v, p, point in cells])


def test_ratios_stand_below_a_table_beside_the_printed_ones():
    table = timed(
        [
            ([2.0, 3.0], printed(30, 3), {"task": "tsp", "grad": "a"}),
            ([4.0, 4.0], printed(60, 8), {"task": "tsp", "grad": "b"}),
            ([2.0], None, {"task": "path", "grad": "a"}),
            ([1.0], None, {"task": "path", "grad": "b"}),
            ([2.0], None, {"task": "alone", "grad": "a"}),
            ([], None, {"task": "alone", "grad": "b"}),
        ]
    )
    spread = 0.5 * math.sqrt(0.1**2 + (8 / 60) ** 2)
    assert ratio_notes(table) == [
        "tsp, training: A over B 0.62 ± 0.12 (2 pairs of runs of one seed); the paper's is "
        f"0.50 ± {spread:.2f}.",
        "path, training: A over B 2.00 (1 pair of runs of one seed).",
    ]


def test_a_group_of_other_than_two_cells_has_no_ratio():
    point = {"task": "tsp"}
    three = [([1.0], None, {**point, "grad": grad}) for grad in "abc"]
    assert ratio_notes(timed(three)) == []
    assert ratio_notes(timed([([1.0], None, {**point, "grad": "a"})] * 2)) == []
    assert ratio_notes(a_table(a_layout(), [])) == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ratio": "grad"}, "ratio is 'grad'; give the key"),
        ({"ratio": {"of": "grad"}}, "its value in what is divided"),
        ({"printed_as": {"table": 6}}, "what their points have in place of ours"),
    ],
)
def test_what_cannot_be_compared_is_refused(changes, message):
    with pytest.raises(LayoutError, match=message):
        a_layout(**changes)


def test_a_point_is_shown_beside_another_one_as_its_table_says():
    there = {"table": 6, "grad": "identity", "experiment": {"willow": "voc"}}
    found = a_layout(printed_as=there, printed_on="other pictures").printed_as
    assert found.table == "6"
    assert found.point({"experiment": "willow", "grad": "none", "a": 1}) == {
        "experiment": "voc",
        "grad": "identity",
        "a": 1,
    }
    assert found.point({"experiment": "tsp5"})["experiment"] == "tsp5"
    # Numbers of the same data are compared.
    assert a_layout(printed_as={"table": 6, "grad": "identity"}).printed_on == ""
