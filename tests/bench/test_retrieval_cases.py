"""The rows of a retrieval: what is timed answers the same in every way."""

import pytest
import torch

from benchmarks import retrieval_cases
from benchmarks.cases import Findings, measure
from benchmarks.retrieval_cases import (
    evaluation_case,
    recall_case,
    relevance,
    retrieval_plans,
)
from benchmarks.timing import Effort
from combgrad.gradients import Blackbox, Identity

ONCE = Effort(rounds=1, seconds=0.0)


@pytest.mark.parametrize("gradient", [Identity(), Blackbox(2.0)])
def test_both_losses_have_the_same_gradient(gradient):
    case = recall_case((24, 23), gradient)
    calls = [impl.prepare(case.costs) for impl in case.implementations]
    found = [call() for call in calls]
    assert bool(found[0].any())
    torch.testing.assert_close(*found)
    findings = Findings()
    measure(case, ONCE, findings)
    assert [row.exact for row in findings.rows] == [True, True]


def test_every_query_has_relevant_candidates():
    found = relevance(8, 7)
    assert found.sum(dim=1).tolist() == [4] * 4 + [3] * 4
    assert found[5].tolist() == [0] * 4 + [1] * 3


def test_both_evaluations_agree(monkeypatch):
    monkeypatch.setattr(retrieval_cases, "EVALUATED", 600)
    case = evaluation_case()
    shares = [float(impl.decode(impl.prepare(case.costs)())[0, 0]) for impl in case.implementations]
    assert 0.1 < shares[0] < 0.9999
    assert shares[1] == pytest.approx(shares[0])


def test_a_quick_run_has_the_loss_alone():
    assert [plan.title for plan in retrieval_plans(2) if plan.quick] == [
        "recall loss 512x512 Identity",
        "recall loss 512x512 Blackbox",
    ]
