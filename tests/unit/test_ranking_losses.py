"""Learning to rank over a pool: the formulas in plain loops, and where each is least."""

import math

import pytest
import torch

from combgrad import CombinatorialLayer, IncompatibleError
from combgrad.gradients import Identity
from combgrad.labels import Labels
from combgrad.losses import ListwiseRanking, PairwiseRanking, PointwiseRanking, SolutionPool
from combgrad.projections import Std
from combgrad.solvers import BruteForceTSP, TopK

KINDS = (PointwiseRanking, PairwiseRanking, ListwiseRanking)


def random(*shape, seed=0):
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def plain(solver):
    return CombinatorialLayer(solver, Identity())


def fixed(solver, number=20):
    pool = SolutionPool(0.0)
    pool.add(solver(random(number, 10, seed=3)))
    return pool


def pointwise(w, c, pool):
    return sum(float(w @ y - c @ y) ** 2 for y in pool) / len(pool)


def pairwise(w, c, pool, margin):
    best = min(range(len(pool)), key=lambda i: float(c @ pool[i]))
    others = [pool[i] for i in range(len(pool)) if i != best]
    return sum(max(0.0, margin + float(w @ pool[best] - w @ y)) for y in others) / len(others)


def listwise(w, c, pool, tau):
    def shares(costs):
        weights = [math.exp(-float(costs @ y) / tau) for y in pool]
        return [weight / sum(weights) for weight in weights]

    return -sum(p * math.log(q) for p, q in zip(shares(c), shares(w), strict=True))


@pytest.mark.parametrize("solver", [TopK(3), BruteForceTSP()])
@pytest.mark.parametrize(
    ("make", "formula"),
    [
        (PointwiseRanking, pointwise),
        (lambda pool: PairwiseRanking(pool, 0.4), lambda w, c, pool: pairwise(w, c, pool, 0.4)),
        (PairwiseRanking, lambda w, c, pool: pairwise(w, c, pool, 0.0)),
        (lambda pool: ListwiseRanking(pool, 2.5), lambda w, c, pool: listwise(w, c, pool, 2.5)),
    ],
)
def test_they_equal_their_formulas_in_a_plain_loop(make, formula, solver):
    costs, true, pool = random(4, 10).requires_grad_(), random(4, 10, seed=5), fixed(solver)
    loss = make(pool)(plain(solver), costs, Labels(true_costs=true)).loss
    loss.backward()
    members = list(pool.solutions)

    def mean(w):
        return sum(formula(row, c, members) for row, c in zip(w, true, strict=True)) / 4

    assert float(loss.detach()) == pytest.approx(mean(costs.detach()))
    for seed in range(4):
        along, step = random(4, 10, seed=10 + seed), 1e-6
        up, down = (mean(costs.detach() + s * along) for s in (step, -step))
        expected = float((costs.grad * along).sum())
        assert (up - down) / (2 * step) == pytest.approx(expected, abs=1e-6)
    assert float(costs.grad.abs().sum()) > 0.1


@pytest.mark.parametrize("kind", KINDS)
def test_true_costs_are_the_best_ones_and_the_solver_is_asked_by_the_pool(kind):
    solver, true = TopK(3), random(4, 10, seed=5)
    labels, loss = Labels(true_costs=true), kind()
    first = float(loss(plain(solver), random(4, 10), labels).loss)
    assert solver.calls == 1
    assert first > float(loss(plain(solver), true, labels).loss)
    before = len(loss.pool)
    loss(plain(solver), true, Labels(solver(true), true))
    assert len(loss.pool) == before  # solutions that are known


@pytest.mark.parametrize("kind", KINDS)
def test_they_project_the_true_costs_as_they_do_the_predicted_ones(kind):
    costs, true, solver = random(4, 10), random(4, 10, seed=5), TopK(3)
    layer = CombinatorialLayer(solver, Identity(), Std())
    found = kind(fixed(solver))(layer, costs, Labels(true_costs=true)).loss
    inside = kind(fixed(solver))(plain(solver), Std()(costs), Labels(true_costs=Std()(true))).loss
    torch.testing.assert_close(found, inside)


def test_a_pool_of_one_has_no_pairs():
    pool, costs = fixed(TopK(3), 1), random(4, 10).requires_grad_()
    loss = PairwiseRanking(pool, 0.4)(plain(TopK(3)), costs, Labels(true_costs=random(4, 10))).loss
    loss.backward()
    assert (float(loss.detach()), float(costs.grad.abs().sum())) == (0, 0)


@pytest.mark.parametrize("kind", KINDS)
def test_true_costs_that_forbid_an_entry_are_refused(kind):
    true = random(4, 10, seed=5)
    true[2, 3] = torch.inf
    with pytest.raises(IncompatibleError, match=r"costs of \+inf give .* a loss without a pool"):
        kind(fixed(TopK(3)))(plain(TopK(3)), random(4, 10), Labels(true_costs=true))


def test_values_out_of_range_are_refused():
    with pytest.raises(ValueError, match=r"loss\.margin is -1"):
        PairwiseRanking(margin=-1)
    with pytest.raises(ValueError, match=r"loss\.tau is 0"):
        ListwiseRanking(tau=0)
