"""COMBGRAD_CHECK=1 finds infeasible and dear answers, and costs nothing when it is off."""

import pytest
import torch

from combgrad.errors import WrongAnswerError
from combgrad.solvers import TSP


class NoTour(TSP):
    """Answers with all edges."""

    def _solve(self, costs, warm=None):
        return torch.ones_like(costs)


class DearTour(TSP):
    """Answers with the longest tour."""

    def _solve(self, costs, warm=None):
        return super()._solve(-costs)


def test_wrong_answers_are_reported(monkeypatch):
    costs = torch.rand(4, 10)
    assert NoTour()(costs).sum() == 40
    monkeypatch.setenv("COMBGRAD_CHECK", "1")
    with pytest.raises(WrongAnswerError, match=r"NoTour: .*index 0 is not feasible"):
        NoTour()(costs)
    with pytest.raises(WrongAnswerError, match=r"DearTour: .*is possible"):
        DearTour()(costs)
    assert TSP()(costs).sum() == 20
    assert TSP()(torch.rand(4, 190), warm=torch.zeros(4, 190)).sum() == 80


def test_zero_switches_it_off(monkeypatch):
    monkeypatch.setenv("COMBGRAD_CHECK", "0")
    assert NoTour()(torch.rand(1, 10)).sum() == 10
