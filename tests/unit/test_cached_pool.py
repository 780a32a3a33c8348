"""`Cached` with a pool of known solutions: what gradient methods see of it, and its layer."""

import copy

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from combgrad import CombinatorialLayer, IncompatibleError, Labels
from combgrad.errors import SolverInputError, WrongAnswerError
from combgrad.gradients import (
    IMLE,
    LPGD,
    AdaptiveIMLE,
    Blackbox,
    Identity,
    Perturbed,
    RegularisedFrankWolfe,
)
from combgrad.losses import NoiseContrastive, SPOPlus
from combgrad.losses import SolutionPool as PoolOfLosses
from combgrad.sampling import SumOfGamma
from combgrad.solvers import Assignment, BruteForceTSP, Cached, ShortestPath, SolutionPool, TopK

KEYS = ["pool._extra_state"]


def random(*shape, seed=0):
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def knowing(known, ratio=0.0, inner=None, **options):
    """A cache before TopK(3) with a pool of these solutions, which draws its own numbers."""
    pool = SolutionPool(ratio, generator=torch.Generator().manual_seed(7))
    if len(known):
        pool.add(known)
    return Cached(inner or TopK(3), pool=pool, **options)


def cheapest(costs, known):
    """Of each row of costs the known solution of the least cost, in a plain loop."""
    found = []
    for w in costs.tolist():
        spent = [sum(a * b for a, b in zip(w, y, strict=True)) for y in known.tolist()]
        found.append(known[spent.index(min(spent))])
    return torch.stack(found)


@given(st.integers(0, 1000), st.integers(1, 6), st.integers(1, 5))
def test_with_ratio_0_no_solver_is_asked_and_the_cheapest_known_one_answers(seed, known, batch):
    solutions, costs = TopK(3)(random(known, 8, seed=seed)), random(batch, 8, seed=seed + 1)
    solver = knowing(solutions)
    assert torch.equal(solver(costs), cheapest(costs, solver.pool.solutions))
    assert torch.equal(solver.solve_near(costs, costs), cheapest(costs, solver.pool.solutions))
    assert (solver.solver.calls, solver.hit_rate) == (0, 1.0)
    assert (solver.calls, solver.solved) == (2, 2 * batch)


def test_with_ratio_1_it_answers_as_the_solver_through_the_cache_and_the_pool_grows():
    solver, costs = knowing([], 1.0), random(5, 8)
    for _ in range(3):
        assert torch.equal(solver(costs), TopK(3)(costs))
    assert solver.solver.solved == 5
    assert {*map(tuple, solver.pool.solutions.tolist())} == {*map(tuple, TopK(3)(costs).tolist())}


def test_a_call_asks_the_solver_as_often_as_the_ratio_says():
    solver = knowing(TopK(3)(random(1, 8)), 0.3)
    for step in range(1000):
        solver(random(2, 8, seed=step))
    assert abs(solver.solver.calls - 300) < 5 * (1000 * 0.3 * 0.7) ** 0.5


def test_changing_an_answer_changes_no_known_solution():
    for ratio in (0.0, 1.0):
        solver = knowing(TopK(3)(random(2, 8)), ratio)
        solver(random(2, 8)).zero_()
        assert solver.pool.solutions.sum(dim=1).tolist() == [3, 3]


def test_evaluation_of_the_layer_is_exact_draws_nothing_and_keeps_nothing():
    solver, costs = knowing(TopK(3)(random(2, 8, seed=1)), 0.5), random(6, 8)
    layer = CombinatorialLayer(solver, Blackbox(10.0))
    exact = TopK(3)(costs)
    before, state = solver.pool.solutions.clone(), solver.pool.generator.get_state()
    layer.eval()
    assert torch.equal(layer(costs), exact)
    assert torch.equal(solver(costs), exact)
    assert torch.equal(solver.pool.solutions, before)
    assert torch.equal(solver.pool.generator.get_state(), state)
    layer.train()
    solver.pool.ratio = 0.0
    assert torch.equal(layer(costs), cheapest(costs, before))
    assert not torch.equal(layer(costs), exact)


def test_the_gradient_of_blackbox_through_a_pool_is_that_of_a_plain_loop():
    solver = knowing(TopK(3)(random(5, 8, seed=1)))
    costs, slope = random(4, 8, seed=2), random(4, 8, seed=3)
    known = solver.pool.solutions.clone()
    watched = costs.clone().requires_grad_()
    found = CombinatorialLayer(solver, Blackbox(3.0))(watched)
    found.backward(slope)
    first, second = cheapest(costs, known), cheapest(costs + 3.0 * slope, known)
    assert torch.equal(found.detach(), first)
    torch.testing.assert_close(watched.grad, (second - first) / 3.0)
    exact = (TopK(3)(costs + 3.0 * slope) - TopK(3)(costs)) / 3.0
    assert bool(watched.grad.any())
    assert not torch.equal(watched.grad, exact)


def test_the_samples_of_perturbed_are_answered_by_the_pool():
    solver, costs = knowing(TopK(3)(random(5, 8, seed=1))), random(4, 8, seed=2)
    method = Perturbed(0.5, 6, generator=torch.Generator().manual_seed(3))
    found = CombinatorialLayer(solver, method)(costs)
    noise = torch.randn(6, 4, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    each = [cheapest(costs + 0.5 * eps, solver.pool.solutions) for eps in noise]
    torch.testing.assert_close(found, torch.stack(each).mean(dim=0))
    assert solver.solver.calls == 0


@pytest.mark.parametrize(
    "make",
    [
        Identity,
        lambda: Blackbox(2.0),
        lambda: LPGD(2.0),
        lambda: IMLE(2.0, SumOfGamma(k=5, tau=1.0), 3),
        lambda: AdaptiveIMLE(SumOfGamma(k=5, tau=1.0), 3),
        lambda: Perturbed(0.5, 4),
        lambda: RegularisedFrankWolfe(1.0),
    ],
)
def test_a_pool_of_all_solutions_stands_for_the_solver_of_every_method(make):
    tours, found = BruteForceTSP()(random(2000, 10, seed=1)), []
    pooled = knowing(tours, inner=BruteForceTSP())
    for solver in (BruteForceTSP(), pooled):
        torch.manual_seed(0)
        costs = random(4, 10).requires_grad_()
        solution = CombinatorialLayer(solver, make())(costs)
        solution.backward(random(4, 10, seed=2))
        found.append((solution.detach(), costs.grad))
    assert len(pooled.pool) == 12
    assert pooled.solver.calls == 0
    torch.testing.assert_close(found[1], found[0])


def test_a_loss_of_the_costs_without_a_pool_of_its_own_sees_the_pool_of_the_solver():
    solver, loss = knowing(BruteForceTSP()(random(2000, 10, seed=1)), inner=BruteForceTSP()), []
    true = random(4, 10, seed=5)
    labels = Labels(BruteForceTSP()(true), true)
    for one in (BruteForceTSP(), solver):
        loss.append(SPOPlus()(CombinatorialLayer(one, Identity()), random(4, 10), labels).loss)
    torch.testing.assert_close(loss[1], loss[0])
    assert solver.solver.calls == 0


def test_the_known_solutions_are_part_of_the_state_of_the_layer():
    layer, other = (CombinatorialLayer(knowing(TopK(3)(random(n, 8))), Identity()) for n in (5, 1))
    assert list(layer.state_dict()) == KEYS
    other.load_state_dict(copy.deepcopy(layer.state_dict()))
    assert torch.equal(other.solver.pool.solutions, layer.solver.pool.solutions)
    costs = random(6, 8, seed=1)
    assert torch.equal(other(costs), layer(costs))
    with pytest.raises(RuntimeError, match=r"pool\._extra_state"):
        layer.load_state_dict({})
    twin = copy.deepcopy(layer)
    assert twin.pool is twin.solver.pool is not layer.pool
    learns = CombinatorialLayer(knowing([], 1.0), AdaptiveIMLE())
    assert sorted(learns.state_dict()) == sorted(["_extra_state", *KEYS])


def test_a_layer_without_a_pool_has_the_keys_and_words_that_it_had():
    for solver in (TopK(3), Cached(TopK(3))):
        layer = CombinatorialLayer(solver, Identity())
        assert list(layer.state_dict()) == []
        assert list(layer.modules()) == [layer]
        words = f"CombinatorialLayer(solver={solver!r}, gradient=Identity())"
        assert repr(layer) == words
    assert repr(Cached(TopK(3))) == "Cached(solver=TopK(k=3))"
    with_pool = Cached(TopK(3), pool=SolutionPool(0.1))
    assert repr(with_pool) == "Cached(solver=TopK(k=3), pool=SolutionPool(ratio=0.1))"


def test_the_checks_of_answers_take_those_of_a_pool_for_what_they_are(monkeypatch):
    monkeypatch.setenv("COMBGRAD_CHECK", "1")
    costs = random(6, 3, 3).abs()
    path = torch.zeros(1, 3, 3, dtype=torch.float64)
    path[0, [0, 1, 2], [0, 1, 2]] = 1.0
    solver = knowing(path, inner=ShortestPath())
    assert torch.equal(solver(costs), path.expand(6, 3, 3))
    assert solver.optimum(costs) is None
    solver.pool.eval()
    assert torch.equal(solver.optimum(costs), ShortestPath().optimum(costs))
    assert torch.equal(solver(costs), ShortestPath()(costs))
    wrong = knowing(1.0 - path, inner=ShortestPath())
    with pytest.raises(WrongAnswerError, match=r"index 0 is not feasible, .*what pool\.add was"):
        wrong(costs)


def test_a_cache_before_a_pool_is_refused_and_a_pool_before_a_cache_is_not():
    with pytest.raises(IncompatibleError, match="give the pool to the outer one"):
        Cached(knowing([]))
    solver = knowing(TopK(3)(random(1, 8)), 1.0, inner=Cached(TopK(3)))
    assert torch.equal(solver(random(4, 8)), TopK(3)(random(4, 8)))


def test_instances_of_sets_of_their_own_are_refused_in_training_alone():
    costs = random(2, 3, 3).abs()
    solver = knowing([], 1.0, inner=Assignment())
    forbidden = costs.masked_fill(torch.eye(3) > 0, torch.inf)
    valid = torch.ones(2, 3, 3, dtype=torch.bool)
    with pytest.raises(IncompatibleError, match=r"costs of \+inf .* a solver without one"):
        solver(forbidden)
    with pytest.raises(IncompatibleError, match="valid give instances"):
        solver(costs, valid=valid)
    solver.pool.eval()
    assert torch.equal(solver(forbidden), Assignment()(forbidden))
    assert torch.equal(solver(costs, valid=valid), Assignment()(costs, valid=valid))


def test_shared_arguments_other_than_those_of_the_first_call_are_refused():
    costs, solver = random(2, 4, 4).abs(), knowing([], 1.0, inner=ShortestPath())
    for _ in range(2):
        solver(costs, end=(3, 0))
    with pytest.raises(IncompatibleError, match=r"'end' .*one pool for each problem"):
        solver(costs, end=(0, 3))
    with pytest.raises(IncompatibleError, match="'end'"):
        solver(costs)


def test_an_empty_pool_that_may_not_ask_says_what_to_do_and_bad_costs_are_named():
    with pytest.raises(ValueError, match=r"no solution is known; add some, pool\.add"):
        knowing([])(random(2, 8))
    with pytest.raises(SolverInputError, match="batch index 1 contain NaN"):
        knowing(TopK(3)(random(1, 8)))(torch.tensor([[0.0] * 8, [torch.nan] * 8]))


def test_it_is_the_pool_of_the_losses_and_one_may_serve_both():
    assert PoolOfLosses is SolutionPool
    solver = knowing(TopK(3)(random(3, 8)))
    layer, loss = CombinatorialLayer(solver, Identity()), NoiseContrastive(solver.pool)
    outcome = loss(layer, random(2, 8, seed=1), Labels(TopK(3)(random(2, 8, seed=2))))
    assert torch.isfinite(outcome.loss)
    assert len(solver.pool) == 5
