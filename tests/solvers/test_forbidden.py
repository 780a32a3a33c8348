"""Costs of +inf: entries that no solution may use, where a solver takes them."""

import re
from pathlib import Path

import pytest
import torch

from combgrad.errors import InfeasibleError, SolverInputError
from combgrad.solvers import Solver
from combgrad.solvers.function import FunctionSolver
from combgrad.solvers.spending import spent
from contract import ROWS


class Cheapest(Solver):
    """The first cheapest entry of each row, forbidden ones last."""

    forbids = True

    def _solve(self, costs):
        return torch.nn.functional.one_hot(costs.argmin(dim=1), costs.shape[1]).to(costs.dtype)


class Plain(Cheapest):
    """The same without a word on inf."""

    forbids = False


INF = float("inf")

#: Where the page of exactness says which solvers take no cost of inf.
PAGE = Path(__file__).parents[2] / "docs" / "exactness.md"


def test_a_solver_that_forbids_gets_the_entries_and_answers_without_them():
    costs = torch.tensor([[INF, 2.0, 1.0], [3.0, INF, INF]])
    assert Cheapest()(costs).tolist() == [[0, 0, 1], [1, 0, 0]]


def test_instances_without_a_solution_are_named():
    costs = torch.tensor([[1.0, 2.0], [INF, INF], [INF, INF]])
    with pytest.raises(InfeasibleError, match=r"batch index 1 \(2 of 3 instances"):
        Cheapest()(costs)


@pytest.mark.parametrize("value", [float("nan"), -INF])
def test_other_values_stay_refused(value):
    costs = torch.tensor([[1.0, INF], [2.0, value]])
    with pytest.raises(SolverInputError, match=r"batch index 1 contain NaN or -inf \(1 of 2"):
        Cheapest()(costs)


def test_other_solvers_refuse_inf():
    with pytest.raises(SolverInputError, match=r"batch index 0 contain NaN or inf \(1 of 1"):
        Plain()(torch.tensor([[1.0, INF]]))


def test_a_sum_that_overflows_forbids_nothing():
    assert Plain()(torch.full((1, 3), 3e38)).tolist() == [[1, 0, 0]]


def test_entries_that_are_not_used_cost_nothing():
    costs = torch.tensor([[1.0, INF], [INF, 2.0]])
    solution = torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    assert spent(costs, solution).tolist() == [1.0, INF]


def test_the_page_names_all_solvers_that_do_not_forbid():
    text = " ".join(PAGE.read_text().split())
    (sentence,) = re.findall(r"forbids an entry \(in all but ([^;]+) and your own", text)
    named = set(re.findall(r"`(\w+)`", sentence))
    solvers = [row.solver for row in ROWS.values()]
    found = {type(solver).__name__ for solver in solvers if not solver.forbids}
    assert named == found - {FunctionSolver.__name__}
    assert "`GraphMatching(full=True)`" in sentence
