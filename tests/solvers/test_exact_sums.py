"""The integers behind exact solvers are right, and doubles serve only where they are exact."""

from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from combgrad.solvers import Alignment, Assignment, Knapsack, ShortestPath
from combgrad.solvers.alignment import align_exactly
from combgrad.solvers.assignment import _exact_matching
from combgrad.solvers.grid_fallback import exact_grid_path
from combgrad.solvers.kernels import kernel
from combgrad.solvers.kernels.exact_sums import (
    add_limbs,
    less_limbs,
    sums_are_exact,
    to_limbs,
    to_limbs_and_multiples,
    total_size,
)
from combgrad.solvers.kernels.knapsack import pack_exactly

finite = st.floats(allow_nan=False, allow_infinity=False, width=64)
like_predictions = st.floats(-10, 10, width=32)


@kernel()
def added(first, second, sign):
    target = np.empty_like(first)
    add_limbs(target, first, second, sign)
    return target


@kernel()
def is_less(first, second):
    return less_limbs(first, second)


def number(limbs):
    return sum(int(limb) << (60 * place) for place, limb in enumerate(limbs))


@given(costs=st.lists(finite, min_size=2, max_size=8))
def test_limbs_are_the_costs_in_one_unit_and_add_and_compare_like_them(costs):
    limbs = to_limbs(np.array(costs), len(costs))
    numbers = [number(row) for row in limbs]
    units = {Fraction(c) / n for c, n in zip(costs, numbers, strict=True) if n}
    assert len(units) <= 1
    assert all((c == 0) == (n == 0) for c, n in zip(costs, numbers, strict=True))
    assert number(added(limbs[0], limbs[1], 1)) == numbers[0] + numbers[1]
    assert number(added(limbs[0], limbs[1], -1)) == numbers[0] - numbers[1]
    assert is_less(limbs[0], limbs[1]) == (costs[0] < costs[1])
    total = limbs[0]
    for row in limbs[1:]:
        total = added(total, row, 1)
    assert number(total) == sum(numbers)


@given(
    costs=st.lists(finite, min_size=1, max_size=8),
    factor=st.sampled_from([1.5, 0.1, 1.0, 96.0, 5e-324, 1e300]) | st.floats(1e-9, 1e9),
)
def test_limbs_of_multiples_are_the_products_without_rounding(costs, factor):
    limbs = to_limbs_and_multiples(np.array(costs), factor, 3)
    exact = [Fraction(c) for c in costs] + [Fraction(factor) * Fraction(c) for c in costs]
    units = {value / number(row) for value, row in zip(exact, limbs, strict=True) if value}
    assert len(units) <= 1
    assert all((value == 0) == (number(row) == 0) for value, row in zip(exact, limbs, strict=True))
    for row in limbs:
        assert number(added(added(row, row, 1), row, 1)) == 3 * number(row)


@given(costs=st.lists(like_predictions | finite, min_size=1, max_size=8))
def test_sums_that_are_called_exact_are(costs):
    bound = total_size(np.array(costs))
    assert bound == np.inf or sum(Fraction(abs(cost)) for cost in costs) <= Fraction(bound)
    assume(sums_are_exact(np.array(costs), bound))
    for signs in ([1] * len(costs), [1, -1] * len(costs)):
        pairs = list(zip(signs, costs, strict=False))
        exact = sum(sign * Fraction(cost) for sign, cost in pairs)
        assert Fraction(sum(sign * cost for sign, cost in pairs)) == exact


def test_costs_of_single_precision_and_ordinary_spread_need_no_integers():
    costs = torch.randn(1000, generator=torch.Generator().manual_seed(0)).double().numpy()
    assert sums_are_exact(costs, total_size(costs))
    assert not sums_are_exact(np.append(costs, 1e-20), total_size(costs))
    assert sums_are_exact(np.append(np.abs(costs), 1e30), 100.0)
    assert not sums_are_exact(np.array([1e305]), 1e305)


KINDS = {
    "plain": lambda random, shape: random.normal(size=shape),
    "single": lambda random, shape: random.normal(size=shape).astype("f4").astype(float),
    "ties": lambda random, shape: random.integers(-3, 4, shape) * 0.1,
    "whole": lambda random, shape: random.integers(-3, 4, shape).astype(float),
    "large": lambda random, shape: np.where(
        random.random(shape) < 0.4, 10.0 ** random.integers(6, 18), random.normal(size=shape)
    ),
    "shifted": lambda random, shape: random.normal(size=shape) + 10.0 ** random.integers(3, 16),
    "mixed": lambda random, shape: (
        random.choice([-1.0, 1.0], shape) * 10.0 ** random.uniform(-300, 300, shape)
    ),
    "huge": lambda random, shape: random.normal(size=shape) * 2.0**1020,
    "denormal": lambda random, shape: random.integers(-9, 9, shape) * 5e-324,
}


def spent(costs, marks):
    return sum(Fraction(cost) for cost, mark in zip(costs.flat, marks.flat, strict=True) if mark)


@pytest.mark.parametrize("kind", KINDS)
@given(seed=st.integers(0, 2**32 - 1))
def test_the_fast_way_costs_what_integers_cost(kind, seed):
    """At sizes beyond all solutions: the answer may be another one only if it costs the same."""
    random = np.random.default_rng(seed)
    rows, columns = random.integers(1, 13, 2)
    costs = KINDS[kind](random, (rows, columns))
    weights = random.integers(0, 9, rows * columns)
    lengths = random.integers(0, (rows, columns))
    moves = KINDS[kind](random, (rows, columns, 3))
    start, end = random.integers(0, (rows, columns), (2, 2))
    pairs = [
        (Assignment(1), costs, {}, _exact_matching(costs)),
        (Knapsack(weights, 40, 1), costs.ravel(), {}, pack_exactly(costs.ravel(), weights, 40)),
        (Alignment(threads=1), moves, {"lengths": lengths[None]}, align_exactly(moves, lengths)),
        (
            ShortestPath(threads=1),
            np.abs(costs),
            {"start": start[None], "end": end[None]},
            exact_grid_path(np.abs(costs), start, end, 8),
        ),
    ]
    for solver, values, instance, exact in pairs:
        answer = solver(torch.from_numpy(values)[None], **instance)
        assert bool(solver.feasible(answer, **instance).all())
        assert spent(values, answer[0].numpy()) == spent(values, exact)
