"""Knapsack packs as well as the best of all subsets."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from combgrad.errors import SolverInputError
from combgrad.projections import Norm
from combgrad.solvers.knapsack import Knapsack

costs_of_any_sign = st.one_of(
    st.floats(-1e3, 1e3), st.integers(-3, 3).map(float), st.sampled_from([0.0, -0.0, -1e-9])
)


def all_packings(weights, capacity):
    """Every subset within the capacity, (number, n)."""
    subsets = itertools.product((0.0, 1.0), repeat=len(weights))
    fitting = [
        s for s in subsets if sum(w * y for w, y in zip(weights, s, strict=True)) <= capacity
    ]
    return torch.tensor(fitting, dtype=torch.float64)


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@given(
    items=st.lists(st.tuples(costs_of_any_sign, st.integers(0, 12)), min_size=1, max_size=7),
    capacity=st.integers(0, 40),
    unit=st.sampled_from([1, 7, 10**15]),
)
def test_the_packing_is_as_good_as_the_best(items, capacity, unit):
    costs = torch.tensor([[cost for cost, _ in items]], dtype=torch.float64)
    weights = [weight * unit for _, weight in items]
    solver = Knapsack(weights, capacity * unit)
    solution = solver(costs)
    assert bool(solver.feasible(solution))
    best = float((all_packings(weights, capacity * unit) @ costs[0]).min())
    assert float((solution * costs).sum()) == pytest.approx(best, abs=1e-12)
    assert float(solution[costs >= 0].sum()) == 0


@pytest.mark.parametrize(("n", "capacity"), [(1, 1), (5, 12), (10, 30), (12, 200)])
def test_without_ties_it_is_the_same_packing(n, capacity):
    weights = torch.randint(0, 15, (n,), generator=torch.Generator().manual_seed(n))
    packings = all_packings(weights.tolist(), capacity)
    costs = random(100, n, seed=n)
    best = packings[(costs @ packings.T).argmin(dim=1)]
    assert torch.equal(Knapsack(weights, capacity)(costs), best)
    assert torch.equal(Knapsack(weights.numpy(), capacity)(costs.float()), best.float())


def test_no_room_means_only_what_weighs_nothing():
    costs = -torch.ones(2, 3)
    assert Knapsack([1, 0, 2], 0)(costs).tolist() == [[0, 1, 0]] * 2
    assert Knapsack([0, 0, 0], 5)(costs).tolist() == [[1, 1, 1]] * 2
    assert Knapsack([3, 3, 3], 2)(costs).tolist() == [[0, 0, 0]] * 2
    assert Knapsack([1, 1, 1], 10**18)(costs).tolist() == [[1, 1, 1]] * 2


def test_huge_weights_with_a_common_factor_are_fine():
    costs = random(20, 4)
    small = Knapsack([2, 3, 4, 5], 7)
    large = Knapsack([w * 10**12 for w in (2, 3, 4, 5)], 7 * 10**12 + 5)
    assert torch.equal(large(costs), small(costs))


@pytest.mark.parametrize("scale", [1e-300, 1e-30, 1e30, 1e300, 1e307])
def test_scale_does_not_matter(scale):
    solver = Knapsack([3, 4, 5, 6, 7, 8], 15)
    costs = random(50, 6)
    assert torch.equal(solver(costs * scale), solver(costs))
    assert torch.equal(solver(Norm()(costs)), solver(costs))


def test_denormal_costs_keep_their_order():
    solver = Knapsack([3, 4, 5, 6, 7, 8], 15)
    whole = torch.randint(-9, 3, (50, 6), generator=torch.Generator().manual_seed(0)).double()
    assert torch.equal(solver(whole * 5e-324), solver(whole))


def test_empty_batches_and_no_items():
    assert Knapsack([1, 2], 2)(torch.zeros(0, 2)).shape == (0, 2)
    assert Knapsack([], 2)(torch.zeros(3, 0)).shape == (3, 0)


@pytest.mark.parametrize(
    ("weights", "capacity", "message"),
    [
        ([1, -2], 3, "weight 1 is -2"),
        ([1, 2.5], 3, "weight 1 is 2.5"),
        ([1, 2], -1, "capacity is -1"),
        ([1, 2], 1.5, "capacity is 1.5"),
        ([1, "2"], 1, "weight 1 is '2'"),
        ([True, 2], 1, "weight 0 is True"),
        ([10**9, 10**9 + 1, 10**9 + 3], 2 * 10**9, "coarser units"),
    ],
)
def test_bad_weights_are_refused(weights, capacity, message):
    with pytest.raises(ValueError, match=message):
        Knapsack(weights, capacity)


def test_costs_that_do_not_fit_are_refused():
    with pytest.raises(SolverInputError, match="3 costs for 2 weights"):
        Knapsack([1, 2], 2)(torch.rand(2, 3))
    with pytest.raises(SolverInputError, match="flatten"):
        Knapsack([1, 2], 2)(torch.rand(2, 2, 2))


def test_the_check_sees_what_is_too_heavy():
    assert Knapsack([1, 2, 9], 2).feasible(
        torch.tensor([[1.0, 0, 0], [1, 1, 0], [0, 0, 1], [0.5, 0, 0]])
    ).tolist() == [True, False, False, False]


def test_an_item_without_weight_is_taken_beside_a_far_better_one():
    costs = torch.tensor([[-1e20, -1.0], [-1.0, -1e-20]], dtype=torch.float64)
    assert Knapsack([1, 0], 1)(costs).tolist() == [[1, 1], [1, 1]]
    assert Knapsack([2, 1, 1], 2)(-torch.tensor([[1e20, 1.0, 1e20]])).tolist() == [[0, 1, 1]]


@pytest.mark.parametrize("kind", [np.array, torch.tensor, list])
def test_whole_numbers_in_floats_are_weights(kind):
    costs = random(20, 2)
    solver = Knapsack(kind([3.0, 4.0]), 6.0)
    assert torch.equal(solver(costs), Knapsack([3, 4], 6)(costs))
    for wrong in (2.5, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="weight 1"):
            Knapsack(kind([3.0, wrong]), 6)


def test_weights_of_another_shape_are_refused():
    with pytest.raises(ValueError, match=r"shape \(1, 2\)"):
        Knapsack(np.array([[1, 2]]), 2)


def test_forbidden_items_are_left_out():
    assert Knapsack([1, 1], 2)(torch.tensor([[torch.inf, -1.0]])).tolist() == [[0, 1]]


def test_instances_may_have_weights_of_their_own():
    costs = random(6, 4)
    weights = torch.tensor([[2, 3, 4, 5], [5, 4, 3, 2], [2, 3, 4, 5]] * 2)
    solver = Knapsack(None, 7)
    found = solver(costs, weights=weights)
    alone = torch.cat([Knapsack(w, 7)(c[None]) for w, c in zip(weights, costs, strict=True)])
    assert torch.equal(found, alone)
    assert bool(solver.feasible(found, weights=weights).all())
    shared = solver(costs, weights=weights[0])
    assert torch.equal(shared, Knapsack(weights[0], 7)(costs))
    with pytest.raises(SolverInputError, match="has weights of its own"):
        Knapsack([1, 1, 1, 1], 7)(costs, weights=weights)
    assert solver.unrelaxed is not None
    assert Knapsack([1], 7).unrelaxed is None
    assert not solver.feasible(torch.ones(6, 4), weights=weights).any()


@pytest.mark.parametrize(
    ("weights", "match"),
    [
        (None, "no weights were given"),
        ([1, 2], "3 costs for 2 weights"),
        ([[1, 2, 3], [1, 2, -3]], "weight 2 is"),
        ([1.0, 2.0, 3.5], "Knapsack: weight 2 is 3.5"),
        ([[1, 2, 3], [1, 2.5, 3]], "Knapsack: batch index 1: weight 1 is 2.5"),
        ([[1, 2, 3], [1, 2]], r"cannot be made an array .*; pass \(n,\) or \(B, n\)"),
    ],
)
def test_weights_of_a_call_that_are_none_are_refused(weights, match):
    with pytest.raises(SolverInputError, match=match):
        Knapsack(None, 7)(torch.ones(2, 3), weights=weights)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_weights_of_a_call_may_be_in_half_precision_and_part_of_a_graph(dtype):
    costs, weights = torch.tensor([[-3.0, -4.0, -2.0]]), torch.tensor([3, 5, 4], dtype=dtype)
    assert Knapsack(None, 7)(costs, weights=weights.requires_grad_()).tolist() == [[1, 0, 1]]


def test_a_weight_of_any_size_is_only_too_heavy():
    costs = torch.tensor([[-9.0, -1.0, -2.0], [-1.0, -9.0, -2.0]])
    for weights in ([10**20, 1, 1], [[10**20, 1, 1], [1, 10**20, 1]]):
        expected = [[0, 1, 1], [0, 1, 1] if len(weights) == 3 else [1, 0, 1]]
        assert Knapsack(None, 2)(costs, weights=weights).tolist() == expected
