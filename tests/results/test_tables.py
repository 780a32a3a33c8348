"""Tables from hand-made records: numbers, marks, and what never meets."""

import csv
import dataclasses
import io
import re
import warnings
from pathlib import Path

import pytest

from combgrad.results.heads import in_order, spans
from combgrad.results.identity import signature
from combgrad.results.layout import LayoutError, Metric, read_layout
from combgrad.results.paper import PaperValue
from combgrad.results.selection import counted
from combgrad.results.table_markup import to_html, to_latex
from combgrad.results.table_text import compared, ours, printed, to_csv, to_markdown
from combgrad.results.tables import Mark, make_tables
from made_tables import (
    ACCURACY,
    DOCUMENT,
    METRIC,
    POINTS,
    a_record,
    a_value,
    asked_for,
    cell_of,
    layout,
    make_cell,
    only,
)

#: A number of the paper's, for the first of the points.
PRINTED = PaperValue(frozenset({"6"}), POINTS[0], "test/accuracy", 50.0, 0.1, "50.00", 5, "Table 6")


def test_mean_and_population_std_of_a_cell():
    accuracies = [0.75, 0.5, 0.625]
    records = [a_record(POINTS[0], seed, accuracies[seed]) for seed in (2, 0, 1)]
    cell = cell_of(only(make_tables(layout(), asked_for(), records, [])), POINTS[0])
    total = squares = 0.0
    for accuracy in accuracies:
        total += 100 * accuracy
    for accuracy in accuracies:
        squares += (100 * accuracy - total / 3) ** 2
    assert cell.mean == pytest.approx(total / 3)
    assert cell.std == pytest.approx((squares / 3) ** 0.5)
    assert cell.values == (75.0, 50.0, 62.5)
    assert cell.seeds == (0, 1, 2)
    assert cell.runs == tuple(r.file_name for r in sorted(records, key=lambda r: r.seed))
    assert (ours(cell), cell.mark) == ("62.50 ± 10.21 (3)", Mark.NO_PAPER)


def test_one_seed_has_no_spread_and_no_run_no_mean():
    one = make_cell(POINTS[0], METRIC, [a_record(POINTS[0])], None)
    assert (one.mean, one.std, ours(one)) == (50.0, None, "50.00 (1)")
    none = make_cell(POINTS[0], METRIC, [], a_value(50, 1))
    assert (none.mean, none.difference, none.mark) == (None, None, Mark.NO_RUN)
    assert (ours(none), compared(none)) == ("not run", "")


def test_numbers_of_which_none_is_better_are_not_judged():
    minutes = dataclasses.replace(METRIC, best=None)
    cell = make_cell(POINTS[0], minutes, [a_record(POINTS[0], 0, 0.5)], a_value(50, 1))
    assert (cell.difference, cell.mark) == (0.0, Mark.NOT_COMPARED)
    assert compared(cell) == "0.00 not compared"


def test_printed_numbers_of_other_data_stand_beside_ours_and_are_not_compared():
    records = [a_record(POINTS[0])]
    given = layout(printed_on="Gigaword")
    table = only(make_tables(given, asked_for(), records, [a_value(50, 1, **POINTS[0])]))
    cell = cell_of(table, POINTS[0])
    assert (printed(cell), cell.difference, cell.mark) == ("50 ± 1 (?)", None, Mark.OTHER_DATA)
    assert compared(cell) == "other data"
    text = to_markdown(table)
    assert "of Gigaword, other data than ours, and are not compared" in text
    assert "Inside:" not in text


def test_tables_of_the_companion_paper_say_so():
    given = read_layout("table_values1", "A title", "paper", 3, DOCUMENT)
    value = a_value(50, 1, table="values1", **POINTS[0])
    table = only(make_tables(given, asked_for(), [a_record(POINTS[0])], [value]))
    assert table.id == "table_values1-paper-regenerated"
    assert cell_of(table, POINTS[0]).mark is Mark.INSIDE
    text = to_markdown(table)
    assert text.startswith("## The companion paper, Table 1: A title")
    assert "Paper: Differentiable Combinatorial Losses" in text


@pytest.mark.parametrize(
    ("accuracy", "std", "mark", "words"),
    [
        (0.5020, 0.10, Mark.INSIDE, "+0.20 inside"),
        (0.4980, 0.10, Mark.INSIDE, "-0.20 inside"),
        (0.50201, 0.10, Mark.OUTSIDE, "+0.20 outside"),
        (0.4979, 0.10, Mark.OUTSIDE, "-0.21 outside"),
        (0.50, 0.10, Mark.INSIDE, "0.00 inside"),
        (0.49999, 0.10, Mark.INSIDE, "0.00 inside"),
        (0.9, 0.0, Mark.NO_SPREAD, "+40.00 no spread printed"),
        (0.5, None, Mark.NO_SPREAD, "0.00 no spread printed"),
    ],
)
def test_marks_at_the_border(accuracy, std, mark, words):
    cell = make_cell(POINTS[0], METRIC, [a_record(POINTS[0], 0, accuracy)], a_value(50, std))
    assert cell.mark is mark
    assert compared(cell) == words


def test_a_stand_in_is_never_measured_against_the_paper():
    record = a_record(POINTS[0], data_source="stand-in")
    cell = make_cell(POINTS[0], METRIC, [record], PRINTED)
    assert (cell.mark, cell.difference) == (Mark.STAND_IN, None)
    assert (ours(cell), printed(cell), compared(cell)) == ("50.00 (1)", "50.00 (5)", "other data")
    (made,) = make_tables(layout(), asked_for(), [record], [PRINTED])
    text = to_markdown(made)
    assert "nothing here is a reproduction" in text
    assert re.search(r"\| paper \| 50.00 \(5\)", text)
    assert "outside" not in text
    assert "difference" not in text.split("|", 1)[1]


def test_published_data_that_the_paper_did_not_use_are_not_compared():
    record = a_record(POINTS[0], data_source="other")
    cell = make_cell(POINTS[0], METRIC, [record], a_value(50, 1))
    assert (cell.mark, cell.difference, compared(cell)) == (Mark.OTHER_DATA, None, "other data")
    (made,) = make_tables(layout(), asked_for(), [record], [PRINTED])
    assert "data other. The data are not the paper's" in to_markdown(made)


def test_a_run_that_lacks_the_metric_is_no_silent_gap():
    records = [a_record(POINTS[0], 0), a_record(POINTS[0], 1, metrics={"test/other": 1.0})]
    cell = make_cell(POINTS[0], METRIC, records[1:], a_value(50, 1))
    assert (cell.mean, cell.mark) == (None, Mark.NO_METRIC)
    assert ours(cell) == "no test/accuracy"
    assert cell.runs == (records[1].file_name,)
    # Nor does it hide the others, and what was left out is named.
    both = make_cell(POINTS[0], METRIC, records, a_value(50, 1))
    assert (both.mean, both.seeds, both.mark) == (50.0, (0,), Mark.INSIDE)
    assert (both.runs, both.lacking) == ((records[0].file_name,), (records[1].file_name,))
    text = to_markdown(only(make_tables(layout(), asked_for(), records, [])))
    assert f"because test/accuracy is not in the record: {records[1].file_name}." in text


def test_a_diverged_run_shows():
    runs = [a_record(POINTS[0], seed, value) for seed, value in enumerate((0.5, float("nan")))]
    table = only(make_tables(layout(), asked_for(), [*runs, a_record(POINTS[1])], []))
    cell = cell_of(table, POINTS[0])
    assert (ours(cell), cell.best) == ("nan ± nan (2)", False)
    infinite = make_cell(POINTS[0], METRIC, [a_record(POINTS[0], 0, float("inf"))], a_value(50, 1))
    assert (ours(infinite), infinite.mark) == ("inf (1)", Mark.OUTSIDE)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        runs = [a_record(POINTS[0], seed, value) for seed, value in enumerate((0.5, float("inf")))]
        assert ours(make_cell(POINTS[0], METRIC, runs, None)) == "inf ± nan (2)"


def test_a_column_of_words_is_no_metric():
    words = dataclasses.replace(METRIC, name="experiment")
    cell = make_cell(POINTS[0], words, [a_record(POINTS[0])], None)
    assert (ours(cell), cell.mark) == ("no experiment", Mark.NO_METRIC)


def test_a_diverged_run_is_none_that_lacks_the_metric():
    runs = [a_record(POINTS[0], 0, float("nan")), a_record(POINTS[0], 1, metrics={})]
    cell = make_cell(POINTS[0], METRIC, runs, None)
    assert (ours(cell), cell.seeds, cell.lacking) == ("nan (1)", (0,), (runs[1].file_name,))


def test_seconds_are_metrics_too():
    minutes = Metric("seconds.train", "training", "minutes", 1 / 60, 1)
    assert make_cell(POINTS[0], minutes, [a_record(POINTS[0])], None).mean == pytest.approx(1.5)


def test_profiles_and_sources_never_meet():
    point = POINTS[0]
    asked = [(point, {p: signature(a_record(point).config) for p in ("paper", "smoke")})]
    records = [
        a_record(point, 0, 0.1),
        a_record(point, 1, 0.2, data_source="original"),
        a_record(point, 2, 0.3, profile="smoke"),
        a_record(point, 3, 0.4, profile="custom"),
    ]
    tables = make_tables(layout(), asked, records, [])
    found = {table.id: [cell.values for _, _, cell in table.cells()] for table in tables}
    assert found == {
        "table6-paper-original": [(20.0,)],
        "table6-paper-regenerated": [(10.0,)],
        "table6-smoke-regenerated": [(30.0,)],
    }
    assert [table.strangers for table in tables] == [(records[3].file_name,)] * 3


def test_what_ran_on_data_of_one_source_alone_is_not_missing_in_the_table_of_another():
    both, here, there, never = POINTS[:4]
    records = [
        a_record(both),
        a_record(both, 1, data_source="original"),
        a_record(here),
        a_record(there, data_source="original"),
    ]
    tables = make_tables(layout(), asked_for(), records, [])
    runs = {table.id: {str(c.point): len(c.runs) for _, _, c in table.cells()} for table in tables}
    rest = {str(point): 0 for point in [never, *POINTS[4:]]}
    assert runs == {
        "table6-paper-original": {str(both): 1, str(there): 1, **rest},
        "table6-paper-regenerated": {str(both): 1, str(here): 1, **rest},
    }


def test_own_runs_on_other_data_than_the_committed_ones_stand_for_none_of_them():
    ours = a_record(POINTS[0], 1)
    theirs = [a_record(POINTS[0], data_source="original"), a_record(POINTS[1])]
    shown = make_tables(layout(), asked_for(), [ours, *theirs], [], {ours.key})
    alone = {table.id: table for table in make_tables(layout(), asked_for(), theirs, [])}
    replaced = frozenset(record.file_name for record in theirs)
    for table in shown:
        table = dataclasses.replace(table, replaced=replaced, committed=alone[table.id])
        assert "stand for" not in to_markdown(table)


def test_only_what_stands_beside_a_paper_is_said_to_be_other_than_the_papers():
    asked = [(POINTS[0], {p: signature(a_record(POINTS[0]).config) for p in ("paper", "smoke")})]
    records = [
        a_record(POINTS[0], 0, 0.1),
        a_record(POINTS[0], 1, 0.2, data_source="original"),
        a_record(POINTS[0], 2, 0.3, profile="smoke"),
    ]
    for printed_ones, said in (([PRINTED], True), ([], False)):
        found = make_tables(layout(), asked, records, printed_ones)
        texts = {table.id.removeprefix("table6-"): to_markdown(table) for table in found}
        assert ("not the paper's" in texts["paper-regenerated"]) is said
        assert ("shorter or smaller" in texts["smoke-regenerated"]) is said
        assert "not the paper's" not in texts["paper-original"]
        assert "shorter or smaller" not in texts["paper-original"]


def test_a_seed_counts_once_and_data_do_not_mix():
    def run(seed, data, day):
        path = Path(f"{seed}-{data}-{day}.json")
        day = f"2026-01-{day:02}T00:00:00+00:00"
        return a_record(POINTS[0], seed, data_fingerprint=data, finished=day, path=path)

    old, new = run(0, "a", 1), run(0, "a", 2)
    assert counted([new, old]) == ([new], [old])
    other = run(1, "b", 9)
    kept, left_out = counted([other, old, run(2, "a", 3), new])
    assert [(record.seed, record.data_fingerprint) for record in kept] == [(0, "a"), (2, "a")]
    assert {record.file_name for record in left_out} == {old.file_name, other.file_name}
    assert counted([old, other])[0] == [other]
    assert counted([]) == ([], [])
    table = only(make_tables(layout(), asked_for(), [old, new, other], []))
    assert old.file_name in to_markdown(table)


def test_without_a_record_there_is_one_empty_table():
    table = only(make_tables(layout(), [(p, {}) for p in POINTS], [], [a_value(50, 1)]))
    assert (table.id, table.profile, table.data_source) == ("table6-paper-none", "paper", None)
    assert {cell.mark for _, _, cell in table.cells()} == {Mark.NO_RUN}
    assert to_markdown(table).count("not run") == 8
    assert "no such run yet" in to_markdown(table)


def test_the_paper_stands_beside_its_own_point():
    values = [
        a_value(51, 1, restarts=5, **POINTS[0]),
        a_value(49, 1, "7", **POINTS[1]),
    ]
    records = [a_record(POINTS[0]), a_record(POINTS[1])]
    table = only(make_tables(layout(), asked_for(), records, values))
    first, second = cell_of(table, POINTS[0]), cell_of(table, POINTS[1])
    assert (first.difference, first.mark, printed(first)) == (-1.0, Mark.INSIDE, "51 ± 1 (5)")
    assert (second.paper, second.mark, printed(second)) == (None, Mark.NO_PAPER, "-")


def test_numbers_printed_for_another_experiment_stand_beside_those_of_other_data():
    values = [
        a_value(49, 1, "7", experiment="tsp20", grad="identity", margin="none"),
        a_value(99, 1, "6", **POINTS[0]),
        a_value(98, 1, "7", **POINTS[0]),
    ]
    document = layout(printed_on="<other> maps", printed_as={"table": 7, "experiment": "tsp20"})
    table = only(make_tables(document, asked_for(), [a_record(POINTS[0])], values))
    cell, unrun = cell_of(table, POINTS[0]), cell_of(table, POINTS[2])
    assert (printed(cell), cell.mark) == ("49 ± 1 (?)", Mark.OTHER_DATA)
    assert (printed(unrun), unrun.mark) == ("49 ± 1 (?)", Mark.NO_RUN)
    assert cell_of(table, POINTS[1]).paper is None
    assert "| paper, on \\<other> maps |" in to_markdown(table)
    assert "paper, on $<$other$>$ maps" in to_latex(table)
    assert ">paper, on &lt;other&gt; maps 49 &#177; 1 (?)</span>" in to_html(table)
    line = next(csv.DictReader(io.StringIO(to_csv([table]))))
    assert (line["paper_mean"], line["difference"], line["mark"]) == ("49", "", "other-data")


def test_a_table_without_printed_numbers_does_not_explain_them():
    printed = [a_value(49.0, 1.0, experiment="tsp5", grad="identity", margin="none")]
    for values in ([], printed):
        table = only(make_tables(layout(), asked_for(), [a_record(POINTS[0])], values))
        text = to_markdown(table)
        assert ("Inside: at most" in text) == ("Paper: " in text) == (values == printed)


def test_the_best_of_each_experiment_is_marked():
    tsp5 = [p for p in POINTS if p["experiment"] == "tsp5"]
    tsp10 = next(p for p in POINTS if p["experiment"] == "tsp10")
    records = [a_record(p, 0, a) for p, a in zip(tsp5, (0.7, 0.70001, 0.6), strict=False)]
    records.append(a_record(tsp10, 0, 0.9))
    table = only(make_tables(layout(), asked_for(), records, []))
    assert [cell_of(table, p).best for p in tsp5] == [True, True, False, False]
    assert not cell_of(table, tsp10).best
    lower = layout(metrics=[ACCURACY | {"best": "min"}])
    table = only(make_tables(lower, asked_for(), records, []))
    assert [cell_of(table, p).best for p in tsp5] == [False, False, True, False]


def test_a_ranking_marks_the_best_of_each_of_its_tasks_whatever_the_experiment():
    ranking = {"metric": "test/accuracy", "methods": "{experiment}", "tasks": "{grad}"}
    points = [p for p in POINTS if p["margin"] == "none"]  # tsp5 and tsp10, each by two methods
    records = [a_record(p, 0, a) for p, a in zip(points, (0.5, 0.9, 0.6, 0.8), strict=True)]
    table = only(make_tables(layout(ranking=ranking), asked_for(points), records, []))
    assert [cell_of(table, p).best for p in points] == [False, True, True, False]


def test_heads_are_grouped_as_first_met():
    heads = [("a", "x"), ("b", "x"), ("a", "y"), ("b", "y"), ("a", "x")]
    assert in_order(heads) == [("a", "x"), ("a", "y"), ("b", "x"), ("b", "y")]
    assert spans(in_order(heads), 0) == [("a", 2), ("b", 2)]
    assert spans(in_order(heads), 1) == [("x", 1), ("y", 1), ("x", 1), ("y", 1)]


def test_a_point_can_stand_in_several_places():
    document = layout(
        columns=["{margin}", "{grad}"],
        rows=["{experiment} {margin.alpha}"],
        shown_as={"margin": {"none": ["noise", "informed"]}},
    )
    table = only(make_tables(document, asked_for(), [a_record(POINTS[0])], []))
    assert table.columns == (
        ("noise", "identity"),
        ("noise", "blackbox"),
        ("informed", "identity"),
        ("informed", "blackbox"),
    )
    assert table.grid[0][0] is table.grid[0][2]
    row = table.rows.index(("tsp10 0.1",))
    assert [cell is None for cell in table.grid[row]] == [False, False, True, True]


def test_metrics_can_be_heads():
    second = {"name": "seconds.train", "label": "training", "unit": "s"}
    document = layout(metrics=[ACCURACY, second], rows=["{metric}", "{experiment}"])
    table = only(make_tables(document, asked_for(), [a_record(POINTS[0])], []))
    assert [row[0] for row in table.rows] == ["right answers in %"] * 2 + ["training in s"] * 2
    assert [table.grid[row][0].mean for row in (0, 2)] == [50.0, 90.0]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"columns": ["{margin.alpha}"], "absent": {}}, "has no margin.alpha"),
        ({"columns": ["{margin}"]}, "the same place"),
        ({"rows": []}, r"missing \['rows'\]"),
        ({"collumns": []}, r"unknown \['collumns'\]"),
        ({"printed_as": "5"}, "printed_as is '5'; give the table whose numbers stand beside"),
        ({"printed_as": {"table": 5}, "printed_on": "x"}, "give the table whose numbers"),
        ({"printed_as": {"table": 5, "experiment": "cub"}}, "needs printed_on"),
        ({"metrics": [{"label": "x"}]}, "a metric that is none"),
        ({"metrics": [ACCURACY | {"best": "most"}]}, "best of test/accuracy"),
        ({"metrics": [ACCURACY, ACCURACY]}, "several metrics"),
        ({"notes": ["fine", {"of two": "parts"}]}, "the note {'of two': 'parts'} is no text"),
    ],
)
def test_a_layout_that_makes_no_sense_is_refused(changes, message):
    with pytest.raises(LayoutError, match=message):
        make_tables(layout(**changes), asked_for(), [], [])
