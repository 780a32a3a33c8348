"""The ranking of methods below a table, and what is left out of it."""

import pytest

from combgrad.results.layout import LayoutError
from combgrad.results.table_text import to_markdown
from combgrad.results.tables import make_tables
from made_tables import POINTS, a_record, asked_for, layout, only


def test_the_text_below_a_table_ranks_its_methods():
    ranking = {"metric": "test/accuracy", "methods": "{grad} {margin}", "tasks": "{experiment}"}
    points = [
        point for point in POINTS if "margin.alpha" not in point or point["grad"] == "identity"
    ]
    level = {("identity", "none"): 0.9, ("identity", "noise"): 0.8, ("blackbox", "none"): 0.7}
    records = [
        a_record(point, seed, level[point["grad"], point["margin"]] + 0.01 * seed)
        for point in points
        for seed in range(3)
    ]
    table = only(make_tables(layout(ranking=ranking), asked_for(points), records, []))
    text = to_markdown(table)
    assert "over the 6 pairs of a task and a seed that all 3 methods have" in text
    assert "identity none 1.00, identity noise 2.00, blackbox none 3.00" in text
    # Six blocks in one order: chi^2 = 12 on 2 degrees of freedom, p = exp(-6).
    assert "p = 0.0025." in text
    # 2.343 sqrt(3 4 / (6 6)), Demšar's table 5a.
    assert "more than 1.35 apart" in text
    # Six pairs of one sign: p = 2 / 2^6, times 3 by Holm for as many pairs of methods.
    assert "told apart from identity none: none; not told apart from it: identity noise" in text
    alike = ranking | {"methods": "{grad}"}
    with pytest.raises(LayoutError, match="two numbers of seed 0 for the method 'identity'"):
        to_markdown(only(make_tables(layout(ranking=alike), asked_for(points), records, [])))
    one = only(make_tables(layout(ranking=ranking), asked_for(points), records[:3], []))
    assert "No ranking by right answers: it takes three methods that share two runs" in to_markdown(
        one
    )


def test_a_method_without_a_task_may_be_left_out_of_a_ranking_by_name():
    ranking = {"metric": "test/accuracy", "methods": "{grad} {margin}", "tasks": "{experiment}"}
    points = [
        point for point in POINTS if tuple(point.values())[:3] != ("tsp5", "identity", "noise")
    ]
    records = [a_record(point, seed, 0.1 * n) for n, point in enumerate(points) for seed in (0, 1)]

    def text(**more):
        made = make_tables(layout(ranking=ranking | more), asked_for(points), records, [])
        return to_markdown(only(made))

    assert "over the 2 pairs of a task and a seed that all 4 methods have" in text()
    left = text(left_out="methods")
    assert "over the 4 pairs of a task and a seed that all 3 methods have" in left
    assert "Not ranked, as they lack a task: identity noise." in left


@pytest.mark.parametrize(
    ("ranking", "message"),
    [
        ("test/accuracy", "give a metric and what tells methods and tasks apart"),
        ({"metric": "test/accuracy"}, "give a metric and what tells methods and tasks apart"),
        (
            {"metric": "other", "methods": "", "tasks": ""},
            "must be a metric of the table whose best",
        ),
        (
            {"metric": "test/accuracy", "methods": "", "tasks": "", "left_out": "seeds"},
            "ranking.left_out is 'seeds'; where a method lacks a task, leave out tasks or methods",
        ),
    ],
)
def test_a_ranking_that_is_none_is_refused(ranking, message):
    with pytest.raises(LayoutError, match=message):
        layout(ranking=ranking)
