"""A pool of known solutions: what it keeps, when it asks the solver, and the losses over it."""

import copy

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from combgrad import CombinatorialLayer, IncompatibleError, SolverInputError
from combgrad.gradients import Identity
from combgrad.instances import NOTHING, Instances
from combgrad.labels import Labels
from combgrad.losses import (
    ContrastiveMAP,
    FenchelYoung,
    NoiseContrastive,
    PerturbationGradient,
    SolutionPool,
    SPOPlus,
)
from combgrad.projections import Std
from combgrad.solvers import Assignment, BruteForceTSP, Knapsack, TopK, from_function

SOLVER = TopK(3)


def random(*shape, seed=0):
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def seeded(seed=7):
    return torch.Generator().manual_seed(seed)


def plain(solver=SOLVER):
    return CombinatorialLayer(solver, Identity())


def rows_of(pool):
    return [tuple(row) for row in pool.solutions.flatten(1).tolist()]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.lists(st.lists(st.sampled_from([0.0, -0.0, 1.0]), min_size=3, max_size=3))))
def test_it_keeps_what_a_list_without_doubles_keeps_the_latest_five(batches):
    pool, expected = SolutionPool(size=5), []
    for batch in batches:
        if not batch:
            continue
        pool.add(torch.tensor(batch))
        for row in map(tuple, batch):
            if row not in expected:
                expected.append(row)
        expected = expected[-5:]
        assert rows_of(pool) == expected
        assert len(pool) == len(expected)


def test_shares_of_other_dtypes_are_known_by_what_they_are_and_kept_as_exact_as_they_came():
    thirds, pool = torch.tensor([[1 / 3, 2 / 3]], dtype=torch.float64), SolutionPool()
    solver = from_function(lambda costs: np.array([1 / 3, 2 / 3]))
    pool.add(thirds)
    pool.add(thirds.float())
    pool.add(torch.tensor([[0.5, 0.5]]).bfloat16())
    known = pool.known(solver, torch.rand(4, 2), NOTHING)
    assert torch.equal(known, torch.tensor([[1 / 3, 2 / 3], [0.5, 0.5]]))
    assert torch.equal(pool.solutions, torch.cat([thirds, torch.full((1, 2), 0.5).double()]))
    twin = SolutionPool()
    twin.load_state_dict(pool.state_dict())
    assert torch.equal(twin.solutions, pool.solutions)


def test_a_step_asks_the_solver_as_often_as_the_ratio_says():
    pool, solver = SolutionPool(0.3, generator=seeded()), TopK(3)
    pool.add(SOLVER(random(1, 10)))
    for step in range(1000):
        pool.solve(solver, random(2, 10, seed=step), NOTHING)
    assert abs(solver.calls - 300) < 5 * (1000 * 0.3 * 0.7) ** 0.5


@pytest.mark.parametrize(("ratio", "calls"), [(1.0, 20), (0.0, 0)])
def test_with_ratio_1_it_always_asks_and_with_0_never(ratio, calls):
    pool, solver = SolutionPool(ratio), TopK(3)
    pool.add(SOLVER(random(1, 10)))
    for step in range(20):
        pool.known(solver, random(2, 10, seed=step), NOTHING)
    assert solver.calls == calls


def test_the_first_step_asks_where_nothing_is_known():
    pool, costs = SolutionPool(1e-9), random(4, 10)
    assert torch.equal(pool.solve(SOLVER, costs, NOTHING), SOLVER(costs))
    assert len(pool) == len({tuple(row) for row in SOLVER(costs).tolist()})


def test_where_it_does_not_ask_it_answers_with_the_cheapest_known_one():
    pool, costs = SolutionPool(0.0), random(6, 10)
    pool.add(SOLVER(random(5, 10, seed=1)))
    found = pool.solve(SOLVER, costs, NOTHING)
    for w, y in zip(costs, found, strict=True):
        cheapest = min(pool.solutions, key=lambda known, w=w: float(w @ known))
        assert torch.equal(y, cheapest)
    assert not torch.equal(found, SOLVER(costs))


def test_in_evaluation_it_is_exact_draws_nothing_and_keeps_nothing():
    pool, costs = SolutionPool(0.0).eval(), random(6, 10)
    pool.add(SOLVER(random(5, 10, seed=1)))
    before, state = pool.solutions.clone(), torch.random.get_rng_state()
    assert torch.equal(pool.solve(SOLVER, costs, NOTHING), SOLVER(costs))
    assert torch.equal(pool.known(SOLVER, costs, NOTHING), before)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert torch.equal(pool.solutions, before)


def test_a_pool_of_all_solutions_is_as_good_as_the_solver():
    solver, costs = BruteForceTSP(), random(5, 10)
    pool = SolutionPool(0.0)
    pool.add(solver(random(2000, 10, seed=1)))
    assert len(pool) == 12  # tours of five cities
    assert torch.equal(pool.solve(solver, costs, NOTHING), solver(costs))


def test_its_solutions_are_part_of_the_state_of_the_loss():
    loss, other = NoiseContrastive(), NoiseContrastive()
    loss.pool.add(SOLVER(random(5, 10)))
    # What both know, the other found later than all else.
    other.pool.add(torch.cat([SOLVER(random(5, 10, seed=1)), loss.pool.solutions[1:3]]))
    other.load_state_dict(copy.deepcopy(loss.state_dict()))
    assert rows_of(other.pool) == rows_of(loss.pool)
    other.pool.add(loss.pool.solutions)
    assert len(other.pool) == len(loss.pool)
    other.load_state_dict(NoiseContrastive().state_dict())
    assert len(other.pool) == 0
    with pytest.raises(RuntimeError, match=r"pool\._extra_state"):
        other.load_state_dict({})


def test_an_empty_pool_that_may_not_ask_says_what_to_do():
    pool, costs = SolutionPool(0.0), random(2, 10)
    for call in (pool.solve, pool.known):
        with pytest.raises(ValueError, match=r"no solution is known; add some, pool\.add"):
            call(SOLVER, costs, NOTHING)
    with pytest.raises(ValueError, match="no solution is known"):
        NoiseContrastive().eval()(plain().eval(), costs, Labels(SOLVER(costs)))


def test_solutions_of_another_problem_are_refused():
    pool = SolutionPool(0.0)
    pool.add(SOLVER(random(5, 10)))
    with pytest.raises(ValueError, match=r"have shape \(9,\), and those known \(10,\)"):
        pool.add(random(2, 9))
    with pytest.raises(ValueError, match=r"shape \(10,\) and the costs \(9,\)"):
        pool.known(SOLVER, random(2, 9), NOTHING)


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
def test_solutions_that_are_not_finite_are_refused_and_leave_the_pool_as_it_was(value):
    pool = SolutionPool(0.0)
    pool.add(SOLVER(random(5, 10)))
    before, state = rows_of(pool), copy.deepcopy(pool.state_dict())
    bad = SOLVER(random(4, 10, seed=1))
    bad[2, 3] = value
    message = r"batch index 2 contains NaN or inf \(1 of 4 solutions do\).*a label .* or an answer"
    with pytest.raises(ValueError, match=message):
        pool.add(bad)
    assert rows_of(pool) == before
    loss = NoiseContrastive(pool)
    with pytest.raises(ValueError, match=message):
        loss(plain(), random(4, 10), Labels(bad))
    assert rows_of(pool) == before
    state["_extra_state"][0, 0] = value
    with pytest.raises(ValueError, match="batch index 0 contains"):
        pool.load_state_dict(state)


@pytest.mark.parametrize(
    ("costs", "instances", "word"),
    [
        (random(2, 3, 3), Instances(valid=torch.ones(2, 3, 3, dtype=torch.bool)), "valid"),
        (random(2, 3, 3), Instances({"lengths": [1, 2]}), "lengths"),
        (random(2, 3, 3).masked_fill(torch.eye(3) > 0, torch.inf), NOTHING, "costs of +inf"),
    ],
)
def test_instances_of_feasible_sets_of_their_own_are_refused(costs, instances, word):
    for call in (SolutionPool().known, SolutionPool(0.5).solve):
        with pytest.raises(IncompatibleError) as caught:
            call(Assignment(), costs, instances)
        assert word in str(caught.value)
        assert "take a loss without a pool" in str(caught.value)


def sharing(weights, **others):
    return Instances(shared={"weights": weights, **others})


def test_shared_arguments_that_differ_between_calls_are_refused():
    """One item of weight 9 fits where all four of weight 1 did."""
    solver, pool, costs = Knapsack(None, 10), SolutionPool(0.0), -1 - random(2, 4).abs()
    pool.add(solver(costs, sharing([1, 1, 1, 1])))
    assert pool.solutions.tolist() == [[1, 1, 1, 1]]
    for _ in range(2):
        pool.solve(solver, costs, sharing([1, 1, 1, 1]))
    for call in (pool.solve, pool.known):
        for other in (sharing([9, 9, 9, 9]), sharing([1, 1, 1, 2]), NOTHING):
            with pytest.raises(IncompatibleError, match=r"'weights' .*one pool for each problem"):
                call(solver, costs, other)
    with pytest.raises(IncompatibleError, match="'capacity' of these"):
        pool.solve(solver, costs, sharing([1, 1, 1, 1], capacity=10))
    assert pool.eval().solve(solver, costs, sharing([9, 9, 9, 9])).sum(1).tolist() == [1, 1]


def test_tensors_of_equal_values_are_no_other_arguments():
    pool, costs = SolutionPool(0.5, generator=seeded()), -1 - random(2, 4).abs()
    for _ in range(10):
        pool.solve(Knapsack(None, 10), costs, sharing(torch.tensor([1, 1, 1, 1])))
    assert pool.solutions.tolist() == [[1, 1, 1, 1]]


def test_labels_of_another_problem_do_not_enter_the_pool_of_a_loss():
    solver, loss, costs = Knapsack(None, 10), NoiseContrastive(), -1 - random(2, 4).abs()
    light, heavy = ([weight] * 4 for weight in (1, 9))
    loss(plain(solver), costs, Labels(solver(costs, weights=light)), sharing(light))
    with pytest.raises(IncompatibleError, match="differs"):
        loss(plain(solver), costs, Labels(solver(costs, weights=heavy)), sharing(heavy))
    assert loss.pool.solutions.tolist() == [[1, 1, 1, 1]]


def test_arguments_that_the_solver_refused_are_not_those_of_the_first_use():
    solver, pool, costs = Knapsack(None, 10), SolutionPool(), -1 - random(2, 4).abs()
    with pytest.raises(SolverInputError):
        pool.solve(solver, costs, sharing([1, 1, 1]))
    assert pool.solve(solver, costs, sharing([1, 1, 1, 1])).sum() == 8


def test_after_a_checkpoint_the_first_use_says_what_is_shared():
    solver, costs, pool = Knapsack(None, 10), -1 - random(2, 4).abs(), SolutionPool(0.0)
    pool.add(solver(costs, weights=[4, 4, 4, 4]))
    pool.solve(solver, costs, sharing([4, 4, 4, 4]))
    pool.load_state_dict(SolutionPool().state_dict())
    pool.add(solver(costs, weights=[9, 9, 9, 9]))
    known = rows_of(pool)
    assert tuple(pool.solve(solver, costs, sharing([9, 9, 9, 9]))[0].tolist()) in known
    with pytest.raises(IncompatibleError, match="one pool for each problem"):
        copy.deepcopy(pool).solve(solver, costs, sharing([4, 4, 4, 4]))


def test_shared_arguments_that_cannot_be_compared_are_refused():
    solver, pool = from_function(lambda costs, rule: rule(costs)), SolutionPool()
    with pytest.raises(IncompatibleError, match=r"'rule' is a ufunc.*make it part of the solver"):
        pool.solve(solver, random(2, 4), Instances(shared={"rule": np.sign}))


@pytest.mark.parametrize(
    ("arguments", "word"), [((1.5,), "ratio"), ((-0.1,), "ratio"), ((1.0, 0), "size")]
)
def test_values_out_of_range_are_refused(arguments, word):
    with pytest.raises(ValueError, match=rf"^pool\.{word} is"):
        SolutionPool(*arguments)


def pools_answer(w, pool):
    return min((float(w @ y) for y in pool), default=None)


@pytest.mark.parametrize("solver", [SOLVER, BruteForceTSP()])
def test_the_contrastive_losses_equal_their_formulas_in_a_plain_loop(solver):
    costs, target = random(4, 10).requires_grad_(), solver(random(4, 10, seed=5))
    start, found = solver(random(6, 10, seed=6)), solver(costs.detach())
    gamma = {tuple(row) for row in torch.cat([start, target, found]).tolist()}
    gamma = [torch.tensor(row, dtype=torch.float64) for row in gamma]
    for kind in (NoiseContrastive, ContrastiveMAP):
        loss = kind()
        loss.pool.add(start)
        outcome = loss(plain(solver), costs, Labels(target))
        (gradient,) = torch.autograd.grad(outcome.loss, costs)
        value, slope = 0.0, torch.zeros(4, 10, dtype=torch.float64)
        for row in range(4):
            w, y = costs.detach()[row], target[row]
            dearer = [float(w @ y - w @ other) for other in gamma]
            if kind is NoiseContrastive:
                value += sum(dearer) / len(gamma) / 4
                slope[row] = (y - torch.stack(gamma).mean(0)) / 4
            else:
                value += max(dearer) / 4
                slope[row] = (y - gamma[dearer.index(max(dearer))]) / 4
        assert float(outcome.loss.detach()) == pytest.approx(value)
        torch.testing.assert_close(gradient, slope)
        assert {tuple(row) for row in loss.pool.solutions.tolist()} == {
            tuple(row.tolist()) for row in gamma
        }


def test_with_a_projection_a_pool_loss_is_one_of_the_projected_costs():
    costs, target = random(4, 10), SOLVER(random(4, 10, seed=5))
    layer = CombinatorialLayer(SOLVER, Identity(), Std())
    for kind in (NoiseContrastive, ContrastiveMAP):
        found = kind()(layer, costs, Labels(target)).loss
        torch.testing.assert_close(found, kind()(plain(), Std()(costs), Labels(target)).loss)


@pytest.mark.parametrize(
    "make",
    [
        lambda pool: SPOPlus(pool=pool),
        lambda pool: FenchelYoung(0.5, 4, generator=seeded(), pool=pool),
        lambda pool: PerturbationGradient(0.1, pool=pool),
    ],
)
def test_a_pool_of_all_solutions_stands_for_the_solver_of_other_losses(make):
    solver, true = BruteForceTSP(), random(4, 10, seed=5)
    labels, values = Labels(solver(true), true), []
    pool = SolutionPool(0.0)
    pool.add(solver(random(2000, 10, seed=1)))
    for known in (None, pool):
        costs, own = random(4, 10).requires_grad_(), BruteForceTSP()
        outcome = make(known)(plain(own), costs, labels)
        outcome.loss.backward()
        values.append((outcome.loss.detach(), costs.grad))
        assert own.calls == (1 if known is None else 0)
    torch.testing.assert_close(values[0], values[1])


@pytest.mark.parametrize("difference", ["backward", "forward"])
def test_what_a_pool_answers_is_not_said_to_be_the_solution(difference):
    pool, costs = SolutionPool(0.0), random(4, 10)
    pool.add(SOLVER(random(1, 10, seed=1)))
    loss = PerturbationGradient(0.1, difference, pool=pool)
    labels = Labels(true_costs=random(4, 10, seed=5))
    assert loss(plain(), costs, labels).solution is None
    loss.eval()
    assert torch.equal(loss(plain(), costs, labels).solution, SOLVER(costs))
