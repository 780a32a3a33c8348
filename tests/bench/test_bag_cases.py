"""The rows of bags: two ways give the matching itself, the others nearly."""

import pytest
import torch

from benchmarks.bag_cases import bag_case, bag_costs
from benchmarks.cases import Findings, measure
from benchmarks.timing import Effort
from combgrad.solvers import Assignment


@pytest.mark.parametrize("size", [4, 12])
def test_every_way_answers_with_a_matching(size):
    case, findings = bag_case(size), Findings()
    assert case.costs.shape == (128 // size, size, size)
    measure(case, Effort(rounds=1, seconds=0.0), findings)
    rows = {row.impl: row for row in findings.rows}
    assert {"optimal value", "matching by Blackbox", "Sinkhorn, tau 0.1"} <= set(rows)
    assert rows["matching by Blackbox"].exact
    first, second, soft = (way.prepare(case.costs)() for way in case.implementations[:3])
    assert torch.equal(first, Assignment()(case.costs))
    torch.testing.assert_close(second, first)
    torch.testing.assert_close(soft.sum(dim=1), torch.ones(128 // size, size))


def test_an_image_likes_its_own_label():
    costs = bag_costs(4)
    own = costs.diagonal(dim1=1, dim2=2).mean()
    assert float(own) < float(costs.mean()) - 1
