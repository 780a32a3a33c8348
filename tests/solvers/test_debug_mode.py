"""COMBGRAD_CHECK=1 finds infeasible and dear answers, and costs nothing when it is off."""

import pytest
import torch

from combgrad.errors import WrongAnswerError
from combgrad.solvers import TSP, Assignment, Cached, Ranking, ShortestPath, Solver, TopK


class NoTour(TSP):
    """Answers with all edges."""

    def _solve(self, costs):
        return torch.ones_like(costs)


class DearTour(TSP):
    """Answers with the longest tour."""

    def _solve(self, costs):
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
    assert TSP().solve_near(torch.rand(4, 190), torch.zeros(4, 190)).sum() == 80


def test_zero_switches_it_off(monkeypatch):
    monkeypatch.setenv("COMBGRAD_CHECK", "0")
    assert NoTour()(torch.rand(1, 10)).sum() == 10


@pytest.mark.parametrize(
    ("solver", "costs", "valid", "expected"),
    [
        (TopK(1), [[3, 2, 1], [3, 2, 1]], [[1, 1, 0], [1, 1, 1]], [[0, 1, 0], [0, 0, 1]]),
        (Ranking(), [[3, 4, 1], [3, 2, 1]], [[1, 1, 0], [1, 1, 1]], [[2, 1, 0], [1, 2, 3]]),
        (
            Assignment(),
            [[[3, 1], [1, 0]], [[3, 1], [1, 3]]],
            [[[1, 0], [0, 0]], [[1, 1], [1, 1]]],
            [[[1, 0], [0, 0]], [[0, 1], [1, 0]]],
        ),
    ],
)
def test_what_is_cached_of_padded_batches_is_checked(solver, costs, valid, expected, monkeypatch):
    monkeypatch.setenv("COMBGRAD_CHECK", "1")
    cached, costs, valid = Cached(solver), torch.tensor(costs).float(), torch.tensor(valid) == 1
    for _ in range(2):
        assert cached(costs, valid=valid).tolist() == expected
    for key in cached._solutions:
        cached._solutions[key] = cached._solutions[key] * 0
    with pytest.raises(WrongAnswerError, match="batch index 0 is not feasible"):
        cached(costs, valid=valid)


class Weighted(Solver):
    """Chooses the entries whose weight, one for each of the n entries of all instances, is odd."""

    def _solve(self, costs, weights):
        return (weights % 2).to(costs).expand_as(costs).clone()

    def optimum(self, costs, weights):
        return (costs * self._solve(costs, weights)).sum(dim=1)


def test_an_argument_that_is_as_long_as_the_batch_is_not_cut(monkeypatch):
    monkeypatch.setenv("COMBGRAD_CHECK", "1")
    costs, weights = torch.rand(3, 3), torch.tensor([2, 3, 5])
    assert Weighted()(costs, weights=weights).tolist() == [[0, 1, 1]] * 3
    ends = torch.tensor([[3, 0], [0, 3], [3, 3]])
    assert ShortestPath()(torch.rand(3, 4, 4), end=ends)[
        torch.arange(3), ends[:, 0], ends[:, 1]
    ].all()
