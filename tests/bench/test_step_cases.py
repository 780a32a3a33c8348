"""The rows of training steps: the same steps by every solver, the same network in every form."""

import sys

import pytest
import torch

from benchmarks.cases import Findings, measure
from benchmarks.step_cases import (
    LAM,
    fresh_network,
    heapq_layer,
    network_case,
    our_layer,
    pyepo_layer,
    some_maps,
    standardised,
    step_case,
    step_plans,
    training_step,
)
from benchmarks.timing import Effort
from combgrad.solvers import ShortestPath

ONCE = Effort(rounds=1, seconds=0.0)
SIDE = 5


def slopes(layer, costs, upstream):
    given = costs.clone().requires_grad_()
    solution = layer(given)
    solution.backward(upstream)
    return solution.detach(), given.grad


@pytest.fixture
def costs():
    return torch.rand(6, SIDE, SIDE, generator=torch.Generator().manual_seed(0)) + 0.5


def upstream_of(costs):
    return (1 - 2 * ShortestPath()(costs.flip(0))) / (4 * LAM)


def test_heapq_stands_for_the_same_layer(costs):
    ours, theirs = (slopes(make(), costs, upstream_of(costs)) for make in (our_layer, heapq_layer))
    assert torch.equal(ours[0], theirs[0])
    assert torch.equal(ours[1], theirs[1])
    assert float(ours[1].abs().sum()) > 0


@pytest.mark.parametrize("backend", ["gurobi", "ortools"])
def test_pyepo_stands_for_the_same_layer(costs, backend):
    pytest.importorskip("pyepo.dsl")
    pytest.importorskip("gurobipy" if backend == "gurobi" else "ortools")
    ours = slopes(our_layer(), costs, upstream_of(costs))
    theirs = slopes(pyepo_layer(SIDE, backend), costs, upstream_of(costs))
    for mine, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-5, atol=1e-5)


def test_steps_stand_side_by_side_and_answer_alike(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyepo.dsl", None)
    findings = Findings()
    measure(step_case(SIDE), ONCE, findings)
    names = [row.impl for row in findings.rows]
    assert names == ["combgrad", "combgrad, the layer alone", "heapq"]
    assert all(row.exact for row in findings.rows)
    assert all(row.batch == 70 for row in findings.rows)
    share = findings.rows[1].ratio_to_reference
    assert 0 < share < 1
    assert [note.split(" (")[0].rsplit(", ")[-1] for note in findings.notes] == [
        "Gurobi", "OR-tools"
    ]  # fmt: skip


def test_a_step_works_and_leaves_the_weights_alone(costs):
    data = some_maps(SIDE)
    maps, target = torch.from_numpy(data.maps[0]), torch.from_numpy(data.paths[0]).float()
    seen = []

    def layer(answer):
        answer.register_hook(seen.append)
        return our_layer()(answer)

    step = training_step("ours", lambda: layer, maps, target).prepare(costs)
    first = step()
    assert torch.equal(first, step())
    assert torch.equal(first, ShortestPath()(fresh_network(SIDE)(standardised(maps))))
    assert float(seen[0].abs().sum()) > 0
    assert torch.equal(seen[0], seen[1])


def test_the_network_answers_alike_in_every_form():
    case = network_case(SIDE)
    forms = [impl for impl in case.implementations if "compiled" not in impl.name]
    assert len(forms) == len(case.implementations) - 1
    found = [impl.prepare(case.costs)() for impl in forms]
    torch.testing.assert_close(found[1], found[0], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(found[2], found[0], rtol=0.05, atol=0.05)
    assert not torch.equal(found[2], found[1])


def test_both_sizes_are_planned_and_none_is_quick():
    plans = step_plans(2)
    assert [plan.title for plan in plans] == ["step 12", "step 30", "network 12", "network 30"]
    assert not any(plan.quick for plan in plans)
