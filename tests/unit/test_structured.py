"""The structured perceptron and hinge: formulas in plain loops over all solutions."""

import pytest
import torch

from combgrad import CombinatorialLayer
from combgrad.gradients import Identity
from combgrad.labels import Labels
from combgrad.losses import ContrastiveMAP, SolutionPool, StructuredPerceptron
from combgrad.margins import InformedMargin
from contract import ROWS

NAMES = ("tsp", "topk", "assignment")


def random(*shape, seed=0):
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def members_of(row):
    return torch.from_numpy(row.solutions.reshape(len(row.solutions), -1)).double()


@pytest.mark.parametrize("alpha", [0.0, 0.8])
@pytest.mark.parametrize("name", NAMES)
def test_it_equals_its_formula_over_all_solutions_and_with_a_margin_the_hinge(name, alpha):
    row, batch = ROWS[name], 5
    costs = random(batch, *row.shape).requires_grad_()
    target = row.solver(random(batch, *row.shape, seed=5))
    margin = InformedMargin(alpha) if alpha else None
    layer = CombinatorialLayer(row.solver, Identity(), margin=margin)
    outcome = StructuredPerceptron()(layer, costs, Labels(target))
    outcome.loss.backward()
    members, value = members_of(row), 0.0
    for b in range(batch):
        w, best = costs.detach()[b].flatten(), target[b].flatten()
        worth = [float(w @ y) - alpha / 2 * float((y - best).abs().sum()) for y in members]
        found = members[min(range(len(members)), key=worth.__getitem__)]
        value += (float(w @ best) - min(worth)) / batch
        torch.testing.assert_close(costs.grad[b].flatten(), (best - found) / batch)
        torch.testing.assert_close(outcome.solution[b].flatten(), found)
    assert float(outcome.loss.detach()) == pytest.approx(value)
    assert value > 0


def test_costs_of_0_are_as_good_as_any_but_with_a_margin():
    row = ROWS["tsp"]
    target, costs = row.solver(random(4, 10)), torch.zeros(4, 10).double()
    for margin, expected in ((None, 0.0), (InformedMargin(0.8), 0.4)):
        layer = CombinatorialLayer(row.solver, Identity(), margin=margin)
        loss = float(StructuredPerceptron()(layer, costs, Labels(target)).loss)
        furthest = (members_of(row) @ target.T).amin(dim=0)  # 5 edges each, shared ones counted
        assert loss == pytest.approx(expected * float((2 * (5 - furthest)).mean()))


def test_it_is_the_contrastive_loss_over_all_solutions():
    row, costs = ROWS["tsp"], random(6, 10)
    pool = SolutionPool(0.0)
    pool.add(members_of(row))
    layer, labels = (
        CombinatorialLayer(row.solver, Identity()),
        Labels(row.solver(random(6, 10, seed=5))),
    )
    found = StructuredPerceptron()(layer, costs, labels).loss
    torch.testing.assert_close(found, ContrastiveMAP(pool)(layer, costs, labels).loss)
