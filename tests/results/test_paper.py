"""The printed numbers: all there, found by what a run is asked for, never two for one cell."""

import pytest

from combgrad.results.paper import (
    PAPERS,
    PaperError,
    find_paper_value,
    load_paper_values,
    paper_of,
    paper_values,
)

#: How many numbers each of the papers' tables shows; in Table 5 eight stand in two columns.
COUNTS = {"1": 15, "2": 36, "3": 16, "4": 72, "5": 56, "6": 12, "7": 6, "8": 20, "values1": 42}

HEAD = "tables,experiment,grad,margin,margin.alpha,metric,mean,std,restarts,source\n"


def noise(alpha):
    return {"margin": "noise", "margin.alpha": alpha}


def informed(alpha):
    return {"margin": "informed", "margin.alpha": alpha}


def softmax(loss):
    return {"loss": loss, "task.feeding": "softmax"}


NONE = {"margin": "none"}

#: (table, experiment, grad, proj, margin, metric) -> mean, std, restarts, as read in the paper.
PRINTED = [
    ("1", "l2x_k10", "identity", "std", {"aspect": "aroma"}, "last/mse", 2.47, 0.11, 10),
    ("1", "l2x_k15", "l2x", "none", {"aspect": "aroma"}, "last/mse", 7.71, 0.64, 10),
    ("2", "matching_voc", "blackbox", "norm", noise(1.0), "last/matching_accuracy", 81.2, 0.5, 5),
    ("3", "cub", "identity", "std", noise(0.1), "test/recall_at_1", 60.5, 0.4, None),
    (
        "4",
        "matching_spair",
        "blackbox",
        "none",
        informed(10.0),
        "last/matching_accuracy",
        68.6,
        20,
        5,
    ),
    ("4", "matching_voc", "identity", "none", NONE, "last/matching_accuracy", 77.2, 0.7, 5),
    ("5", "cub", "blackbox", "std", informed(0.01), "test/recall_at_1", 63.2, 0.3, None),
    ("5", "cub", "identity", "none", NONE, "test/recall_at_1", 13.9, 0.9, None),
    ("6", "tsp20", "identity", "std", noise(0.2), "test/edge_accuracy", 94.50, 10.53, None),
    ("6", "tsp5", "identity", "std", NONE, "test/edge_accuracy", 91.09, 0.07, None),
    ("7", "warcraft30", "blackbox", "none", NONE, "last/cost_ratio", 100.9, 0.1, None),
    ("7", "warcraft30", "identity", "norm", NONE, "last/cost_ratio", 101.2, 0.1, None),
    ("8", "tsp10", "blackbox", "std", noise(0.2), "seconds.train", 84.6, 0.7, None),
    ("8", "cub", "identity", "std", noise(0.01), "seconds.eval", 87.1, 3.8, None),
    (
        "values1",
        "headline",
        "blackbox",
        "none",
        softmax("solution_cost"),
        "test/rouge_1",
        33.94,
        0.31,
        5,
    ),
    (
        "values1",
        "headline",
        "identity",
        "none",
        softmax("optimal_value"),
        "seconds.epoch",
        17,
        None,
        5,
    ),
]


@pytest.mark.parametrize("wanted", PRINTED, ids=lambda wanted: "-".join(map(str, wanted[:4])))
def test_printed_numbers_are_found(wanted):
    table, experiment, grad, proj, more, metric, mean, std, restarts = wanted
    point = {"experiment": experiment, "grad": grad, "proj": proj, **more}
    value = find_paper_value(paper_values(), table, point, metric)
    assert (value.mean, value.std, value.restarts) == (mean, std, restarts)
    assert value.source


def test_every_table_is_complete():
    counts = {table: sum(table in value.tables for value in paper_values()) for table in COUNTS}
    assert counts == COUNTS
    assert len(paper_values()) == sum(COUNTS.values()) - COUNTS["2"] - COUNTS["3"]


def test_numbers_are_shown_as_printed():
    texts = {value.text for value in paper_values()}
    assert {"94.50 ± 10.53", "68.6 ± 20", "0.1 ± 0", "4.20 ± 0.11"} <= texts


def test_a_point_without_a_printed_number_has_none():
    point = {"experiment": "tsp5", "grad": "identity", "proj": "std", **noise(0.2)}
    assert find_paper_value(paper_values(), "6", point, "test/edge_accuracy") is not None
    for other in ({"margin.alpha": 0.3}, {"grad": "blackbox"}, {"margin": "informed"}):
        assert find_paper_value(paper_values(), "6", point | other, "test/edge_accuracy") is None
    assert find_paper_value(paper_values(), "6", point, "test/tour_accuracy") is None
    assert find_paper_value(paper_values(), "7", point, "test/edge_accuracy") is None


def test_an_alpha_matches_however_it_is_written(tmp_path):
    path = tmp_path / "numbers.csv"
    path.write_text(HEAD + "6,tsp5,identity,noise,1.0,x,99.5,,,here\n")
    (value,) = load_paper_values(path)
    assert (value.std, value.restarts, value.text) == (None, None, "99.5")
    for alpha in (1, 1.0):
        point = {"experiment": "tsp5", "grad": "identity", "margin": "noise", "margin.alpha": alpha}
        assert find_paper_value([value], "6", point, "x") is value


def test_a_table_has_the_paper_that_its_word_begins_with():
    papers = [paper_of(number) for number in ("6", "4_willow", "values1", "pto1")]
    assert papers == [PAPERS[0], PAPERS[0], PAPERS[1], PAPERS[0]]
    for paper in PAPERS:
        for value in load_paper_values(paper.file):
            assert {paper_of(number) for number in value.tables} == {paper}


def test_two_numbers_for_one_cell_are_refused(tmp_path):
    path = tmp_path / "numbers.csv"
    path.write_text(HEAD + "6,tsp5,,none,,x,1,,,a\n6,tsp5,identity,,,x,2,,,b\n")
    point = {"experiment": "tsp5", "grad": "identity", "margin": "none"}
    with pytest.raises(PaperError, match=r"Table 6 has 2 numbers .* 1 and 2"):
        find_paper_value(load_paper_values(path), "6", point, "x")


def test_a_line_that_is_no_number_is_named(tmp_path):
    path = tmp_path / "numbers.csv"
    path.write_text(HEAD + "6,tsp5,identity,none,,x,1.0,,,a\n6,tsp5,identity,none,,x,many,,,b\n")
    with pytest.raises(PaperError, match=r"numbers\.csv, line 3.*many"):
        load_paper_values(path)
    path.write_text("tables,mean\n6,1\n")
    with pytest.raises(PaperError, match="lacks the columns metric, restarts, source, std"):
        load_paper_values(path)
