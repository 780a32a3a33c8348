"""The benchmark: fair turns, right ratios, and an `exact` that notices wrong answers."""

import json
import os
import subprocess
import sys
from dataclasses import fields
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks import UnknownProblemError, first_minute, references, run
from benchmarks.cases import (
    Case,
    Findings,
    Implementation,
    Probe,
    Row,
    function,
    is_as_good,
    layer,
    measure,
)
from benchmarks.graph_matching_cases import graph_matching_case, joint_of, pairs_of_graphs
from benchmarks.grid_cases import terrain
from benchmarks.matching_cases import alignment_case, alignment_value_case, assignment_case
from benchmarks.order_cases import scores
from benchmarks.peers import missing_peers
from benchmarks.program_cases import knapsack_case, program_case, tree_case
from benchmarks.report import Report, draw, from_json, number, save, tables, to_json
from benchmarks.runner import PROBLEMS, collect
from benchmarks.timing import Effort, interleave, using_threads
from benchmarks.tsp_cases import collapse, noisy
from combgrad.errors import SolverUnavailableError
from combgrad.gradients import Blackbox
from combgrad.solvers.ranking import Ranking
from combgrad.solvers.shortest_path import ShortestPath
from combgrad.solvers.topk import TopK

SCRIPT = Path(__file__).parents[2] / "scripts" / "bench.py"
ONCE = Effort(rounds=1, seconds=0.0)


class FakeTime:
    """A clock that only moves when a fake function works."""

    def __init__(self):
        self.now = 0.0
        self.calls = []

    def clock(self):
        return self.now

    def worker(self, name, seconds, result=None):
        def work(*_):
            self.calls.append(name)
            self.now += seconds
            return result

        return work


def fake_case(time, wrong=False):
    costs = torch.tensor([[1.0, 2.0, 3.0], [3.0, 1.0, 2.0]])
    right = torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    other = torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]) if wrong else right
    return Case(
        "fake",
        3,
        costs,
        (
            function("slow", time.worker("slow", 0.4, right)),
            function("fast", time.worker("fast", 0.1, other)),
        ),
    )


def test_implementations_take_turns():
    time = FakeTime()
    calls = {"a": time.worker("a", 1.0), "b": time.worker("b", 1.0)}
    samples = interleave(calls, Effort(rounds=3, seconds=3.0), time.clock)
    assert time.calls == ["a", "b"] * 3
    assert samples["a"].seconds == (1.0, 1.0, 1.0)


def test_fast_calls_repeat_until_their_slice_is_used():
    time = FakeTime()
    calls = {"fast": time.worker("fast", 0.25), "slow": time.worker("slow", 2.0)}
    interleave(calls, Effort(rounds=2, seconds=2.0), time.clock)
    assert time.calls == (["fast"] * 4 + ["slow"]) * 2


def test_a_very_slow_call_stops_after_three_rounds():
    time = FakeTime()
    calls = {"slow": time.worker("slow", 100.0), "fast": time.worker("fast", 1.0)}
    samples = interleave(calls, Effort(rounds=7, seconds=7.0), time.clock)
    assert len(samples["slow"].seconds) == 3
    assert len(samples["fast"].seconds) == 7


def test_median_and_least_are_milliseconds():
    time = FakeTime()
    lengths = iter([0.001, 0.005, 0.002])

    def work():
        time.now += next(lengths)

    sample = interleave({"a": work}, Effort(rounds=3, seconds=0.0), time.clock)["a"]
    assert sample.ms_median == pytest.approx(2.0)
    assert sample.ms_min == pytest.approx(1.0)


def test_threads_are_set_around_and_restored(monkeypatch):
    monkeypatch.delenv("COMBGRAD_NUM_THREADS", raising=False)
    monkeypatch.setenv("COMBGRAD_CHECK", "1")
    before = torch.get_num_threads()
    with using_threads(1):
        assert os.environ["COMBGRAD_NUM_THREADS"] == "1"
        assert os.environ["COMBGRAD_CHECK"] == "0"
        assert torch.get_num_threads() == 1
    assert "COMBGRAD_NUM_THREADS" not in os.environ
    assert os.environ["COMBGRAD_CHECK"] == "1"
    assert torch.get_num_threads() == before


def test_rows_and_ratios():
    time, findings = FakeTime(), Findings()
    measure(fake_case(time), Effort(rounds=2, seconds=0.8), findings, time.clock)
    slow, fast = findings.rows
    assert (slow.what, slow.size, slow.batch, slow.impl, slow.threads) == ("fake", 3, 2, "slow", 1)
    assert slow.ms_median == pytest.approx(400)
    assert slow.ratio_to_reference == 1
    assert fast.ratio_to_reference == pytest.approx(0.25)
    assert slow.exact is True
    assert fast.exact is True


def test_what_the_first_call_costs_extra_is_kept():
    time, findings = FakeTime(), Findings()
    solution = torch.ones(1, 2)
    lengths = iter([3.0, 1.0])

    def compiled(costs):
        time.now += next(lengths)
        return solution

    case = Case("fake problem", 2, torch.zeros(1, 2), (function("ours", compiled),))
    measure(case, ONCE, findings, time.clock)
    assert findings.cold_seconds == {"fake: ours": 2.0}


def test_exact_detects_a_wrong_implementation():
    time, findings = FakeTime(), Findings()
    measure(fake_case(time, wrong=True), ONCE, findings, time.clock)
    assert [row.exact for row in findings.rows] == [True, False]


@pytest.mark.parametrize("answer", [torch.zeros(2, 3), torch.zeros(3), torch.full((2, 3), np.nan)])
def test_exact_detects_answers_that_are_no_solutions(answer):
    time, findings = FakeTime(), Findings()
    case = fake_case(time)
    bad = function("bad", lambda costs: answer)
    measure(Case("fake", 3, case.costs, (case.implementations[0], bad)), ONCE, findings)
    assert findings.rows[1].exact is False


def unavailable(costs):
    raise SolverUnavailableError("no licence\nand no luck")


def test_an_unavailable_reference_is_a_note_and_leaves_the_ratio_open():
    time, findings = FakeTime(), Findings()
    case = fake_case(time)
    missing = function("licensed", unavailable)
    measure(Case("fake", 3, case.costs, (missing, case.implementations[1])), ONCE, findings)
    (row,) = findings.rows
    assert row.ratio_to_reference is None
    assert row.exact is None
    (note,) = findings.notes
    assert "no licensed" in note
    assert "no licence" in note
    assert "\n" not in note


def broken(costs):
    raise RuntimeError("broken")


def test_foreign_code_may_fail_and_ours_may_not():
    costs = torch.zeros(1, 2)
    findings = Findings()
    measure(Case("fake", 2, costs, (function("peer", broken, foreign=True),)), ONCE, findings)
    assert findings.rows == []
    assert "RuntimeError: broken" in findings.notes[0]
    with pytest.raises(RuntimeError, match="broken"):
        measure(Case("fake", 2, costs, (function("ours", broken),)), ONCE, findings)


def test_a_layer_is_timed_forward_and_backward():
    class Counting(TopK):
        made = 0

        def _solve(self, costs):
            Counting.made += 1
            return super()._solve(costs)

    costs = scores(4, 6)
    implementation = layer("ours", partial(Counting, 2), Blackbox(1.0), torch.ones(4, 6))
    solution = implementation.prepare(costs)()
    assert Counting.made == 2
    assert torch.equal(solution, TopK(2)(costs))


def test_unknown_names_are_refused_with_the_valid_ones(tmp_path):
    with pytest.raises(UnknownProblemError, match="sudoku") as error:
        run(["topk", "sudoku"], folder=tmp_path)
    assert all(name in str(error.value) for name in PROBLEMS)
    assert list(tmp_path.iterdir()) == []


def example_report():
    rows = [
        Row("a", 5, 2, "ours", 1, 0.00123, 0.001, 0.5, True),
        Row("a", 9, 2, "ours", 2, 1234.0, 99.94, None, None),
        Row("b", 5, 2, "theirs", 1, 1.0, 1.0, 1.0, False),
    ]
    header = {
        "machine": {"cores": 2},
        "notes": ["peer X: not installed"],
        "cold_seconds": {"a: ours": 1.5},
    }
    return Report(header, rows)


def test_json_round_trip():
    report = example_report()
    assert from_json(to_json(report)) == report
    assert set(json.loads(to_json(report))["rows"][0]) == {field.name for field in fields(Row)}


def test_tables_and_page_say_what_was_found(tmp_path):
    written = save(example_report(), tmp_path / "bench", tmp_path / "extra.json")
    assert {path.name for path in written} == {"bench.json", "bench.md", "bench.png", "extra.json"}
    page = (tmp_path / "bench" / "bench.md").read_text(encoding="utf-8")
    for expected in ("bench.png", "cores 2", "peer X: not installed", "a: ours: 1.500 s", "| NO"):
        assert expected in page
    lines = tables(example_report()).splitlines()
    assert len({len(line) for line in lines[2:6]}) == 1


def test_no_two_lines_of_a_panel_have_one_colour():
    committed = SCRIPT.parents[1] / "results" / "bench" / "bench.json"
    figure = draw(from_json(committed.read_text(encoding="utf-8")))
    panels = [axis for axis in figure.axes if axis.lines]
    for axis in panels:
        solid = [line.get_color() for line in axis.lines if line.get_linestyle() == "-"]
        assert len(set(solid)) == len(solid) >= 2, axis.get_title()
    assert len(panels) > 10


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (0.0012345, "0.00123"), (0.5, "0.500"), (12.34, "12.3"), (1234.4, "1234")],
)
def test_numbers_have_three_digits(value, text):
    assert number(value) == text


def test_grid_references_agree_with_the_solver():
    costs = terrain(6, batch=4)
    expected = ShortestPath()(costs)
    assert torch.equal(references.heapq_path(costs), expected)
    assert torch.equal(references.csgraph_path(costs), expected)


def test_order_references_agree_with_the_solvers():
    costs = scores(5, 30)
    assert torch.equal(references.torch_topk(costs, 4), TopK(4)(costs))
    assert torch.equal(references.double_argsort(costs), Ranking()(costs))


@pytest.mark.parametrize(
    "build",
    [
        partial(assignment_case, 5, threads=1),
        partial(alignment_case, 6),
        partial(alignment_value_case, 6),
        partial(tree_case, 6),
        partial(knapsack_case, 9),
        partial(program_case, 6),
    ],
)
def test_other_references_agree_with_the_solvers(build):
    findings = Findings()
    measure(build(), ONCE, findings)
    assert len(findings.rows) >= 2 or findings.notes
    assert all(row.exact for row in findings.rows)


def test_tsp_inputs_are_what_they_are_called():
    standard = noisy(6)
    assert standard.shape == (50, 15)
    assert torch.allclose(standard.mean(dim=1), torch.zeros(50), atol=1e-6)
    near = collapse(8, clusters=4).sort(dim=1).values
    assert bool((near[:, 3] - near[:, 0] < 0.1 * (near[:, 4] - near[:, 0])).all())


def test_every_implementation_of_every_case_has_its_own_label():
    for name, plans in PROBLEMS.items():
        if name in ("tsp", "peers"):
            continue
        for plan in plans(2):
            if isinstance(plan, Probe):
                continue
            labels = [impl.label for impl in plan.build().implementations]
            assert len(set(labels)) == len(labels), plan.title


def test_threads_belong_to_the_label():
    assert Implementation("a", broken, threads=2).label != Implementation("a", broken).label


def test_absent_peers_are_notes():
    assert all("not installed" in note for note in missing_peers())


def test_a_problem_without_a_quick_case_is_a_note():
    findings = collect(["step"], quick=True)
    assert not findings.rows
    assert findings.notes == ["step: no case of it is small enough for --quick"]


def test_a_first_call_is_timed_with_nothing_compiled_and_once_it_is(monkeypatch):
    asked, times = [], iter(("2.0", "0.5"))

    def process(*words, **variables):
        folder = Path(variables["NUMBA_CACHE_DIR"])
        asked.append((words[2:], folder, os.listdir(folder)))
        (folder / "code").touch()
        return next(times)

    monkeypatch.setattr(first_minute, "_process", process)
    (probe,) = [p for p in PROBLEMS["first_minute"](2) if p.title == "first call of tsp, 12 cities"]
    rows = probe.take()
    assert [(row.impl, row.ms_median, row.ratio_to_reference) for row in rows] == [
        ("nothing compiled", 2000.0, 1.0),
        ("compiled before", 500.0, 0.25),
    ]
    assert asked[0] == (("tsp", "2"), asked[0][1], [])
    assert asked[1] == (("tsp", "2"), asked[0][1], ["code"])


def test_quick_run_from_the_command_line(tmp_path):
    command = [sys.executable, str(SCRIPT), "--quick", "--only", "topk", "--out", str(tmp_path)]
    extra = tmp_path / "copy.json"
    done = subprocess.run(
        [*command, "--json", str(extra)], capture_output=True, text=True, check=True, timeout=200
    )
    assert "torch.topk" in done.stdout
    report = from_json(extra.read_text(encoding="utf-8"))
    assert report == from_json((tmp_path / "bench.json").read_text(encoding="utf-8"))
    assert {row.impl for row in report.rows} == {"torch.topk", "combgrad"}
    assert all(row.exact for row in report.rows)
    assert {"machine", "versions", "date", "commit", "threads"} <= set(report.header)
    assert (tmp_path / "bench.png").stat().st_size > 1000
    assert (tmp_path / "bench.md").exists()
    refused = subprocess.run(
        [sys.executable, str(SCRIPT), "--only", "sudoku"],
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert refused.returncode == 2
    assert "shortest_path" in refused.stderr


@pytest.mark.parametrize(("dearer", "good"), [(-0.1, True), (0.0009, True), (0.0011, False)])
def test_where_the_reference_is_not_exact_a_share_of_its_cost_decides(dearer, good):
    costs = torch.tensor([[-1.0, -1.0], [-2.0, -2.0]], dtype=torch.float64)
    reference = torch.ones_like(costs)
    solution = reference * (1 - dearer)
    case = Case("fake", 2, costs, (), slack=1e-3)
    assert is_as_good(case, solution, reference) is good


def test_matched_graphs_are_told_by_their_joint_vector():
    """The true matching, told by labels, costs what the plain sums over matches and edges say."""
    pairs = pairs_of_graphs(6, 2.0)
    costs, _ = pairs.joint()
    case = graph_matching_case(6, "easy")
    assert torch.equal(case.costs, costs)
    solution = case.implementations[-1].prepare(costs)()
    labels = [matrix.argmax(dim=1).tolist() for matrix in solution[:, :36].view(-1, 6, 6)]
    matched = solution[:, :36].view(-1, 6, 6).any(dim=2)
    labels = [
        [label if there else -1 for label, there in zip(row, present.tolist(), strict=True)]
        for row, present in zip(labels, matched, strict=True)
    ]
    assert torch.equal(joint_of(pairs, labels), solution)
    for row, (nodes, block, first, second) in enumerate(pairs.each()):
        total = sum(nodes[i, s] for i, s in enumerate(labels[row]) if s >= 0)
        for e, (i, j) in enumerate(first):
            for f, (s, t) in enumerate(second):
                total += block[e, f] * (labels[row][i] == s and labels[row][j] == t)
        assert float((costs[row] * solution[row]).sum()) == pytest.approx(total)
