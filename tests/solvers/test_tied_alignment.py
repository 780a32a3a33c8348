"""TiedAlignment is Alignment with the costs of `move_costs`, and exact where rounding misleads."""

import itertools
import os
import subprocess
import sys
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from combgrad import CombinatorialLayer
from combgrad.errors import SolverInputError
from combgrad.gradients import Identity
from combgrad.instances import Instances
from combgrad.labels import Labels
from combgrad.losses import OptimalValue
from combgrad.solvers import Alignment, TiedAlignment, move_costs
from combgrad.solvers.tied_alignment import align_exactly, pays_for_a_path

GAPS = st.sampled_from([1.5, 1.0, 0.25, 0.1, 3.0])
COSTS = st.one_of(st.floats(-1e3, 1e3), st.integers(-2, 2).map(float), st.just(0.1))


def random(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@st.composite
def matches(draw, most=3):
    n, m = draw(st.integers(1, most)), draw(st.integers(1, most))
    return [draw(st.lists(COSTS, min_size=m, max_size=m)) for _ in range(n)]


def all_paid(n, m, gap, i=0, j=0, paid=()):
    """What every path pays for, as {cell: factor}, by walking them all in the solver's order."""
    if (i, j) == (n, m):
        found = {}
        for cell, factor in paid:
            found[cell] = found.get(cell, Fraction(0)) + factor
        yield found
        return
    cell = (min(i, n - 1), min(j, m - 1))
    for di, dj, factor in ((1, 1, Fraction(1)), (0, 1, Fraction(gap)), (1, 0, Fraction(gap))):
        if i + di <= n and j + dj <= m:
            yield from all_paid(n, m, gap, i + di, j + dj, (*paid, (cell, factor)))


@given(matches(), GAPS)
def test_it_pays_the_least_that_any_path_does_and_the_first_of_equals(costs, gap):
    n, m = len(costs), len(costs[0])
    found = TiedAlignment(gap)(torch.tensor([costs], dtype=torch.float64))[0]

    def price(paid):
        return sum(factor * Fraction(costs[i][j]) for (i, j), factor in paid.items())

    best = min(all_paid(n, m, gap), key=price)
    expected = torch.zeros(n, m, dtype=torch.float64)
    for cell, factor in best.items():
        expected[cell] = float(factor)
    torch.testing.assert_close(found, expected)
    np.testing.assert_allclose(align_exactly(np.array(costs), gap), expected)


def first_of_the_cheapest(costs, gap):
    """What the best path pays for, (n, m), by loops over fractions."""
    n, m = costs.shape
    moves = ((1, 1, Fraction(1)), (0, 1, Fraction(gap)), (1, 0, Fraction(gap)))
    table = {(n, m): (Fraction(0), None)}
    for i, j in itertools.product(range(n, -1, -1), range(m, -1, -1)):
        price = Fraction(costs[min(i, n - 1), min(j, m - 1)])
        ways = [
            (factor * price + table[i + di, j + dj][0], (i + di, j + dj, float(factor)))
            for di, dj, factor in moves
            if i + di <= n and j + dj <= m
        ]
        if ways:
            table[i, j] = min(ways, key=lambda way: way[0])
    paid, node = np.zeros((n, m)), (0, 0)
    while node != (n, m):
        i, j, factor = table[node][1]
        paid[min(node[0], n - 1), min(node[1], m - 1)] += factor
        node = (i, j)
    return paid


TIED = {
    "tenths": lambda random, shape: random.integers(0, 4, shape) / 10,
    "thirds": lambda random, shape: random.integers(-1, 3, shape) / 3,
    "half zero": lambda random, shape: random.integers(0, 2, shape) * random.random(shape),
    "least": lambda random, shape: random.integers(-6, 7, shape) * 5e-324,
    "spread": lambda random, shape: random.choice([0.1, -1e-300, 1e300, 5e-324], shape),
}


@pytest.mark.parametrize("gap", [1.5, 1.1, 0.5, 1 / 3, 1e-300, 1e300])
@pytest.mark.parametrize("kind", TIED)
def test_what_float64_leaves_in_doubt_is_as_fractions_have_it(kind, gap):
    random = np.random.default_rng(0)
    costs = TIED[kind](random, (6, 11, 9))
    lengths = np.vstack([[[11, 9], [1, 9], [11, 1]], random.integers(1, (12, 10), (3, 2))])
    for dtype in (torch.float64, torch.float32) if 0.1 < gap < 10 else (torch.float64,):
        given = torch.from_numpy(costs).to(dtype).nan_to_num(posinf=3e38)
        found = TiedAlignment(gap)(given, lengths=lengths)
        for b, (n, m) in enumerate(lengths):
            expected = torch.zeros(11, 9, dtype=dtype)
            cells = given[b, :n, :m].double().numpy()
            expected[:n, :m] = torch.from_numpy(first_of_the_cheapest(cells, gap))
            assert torch.equal(found[b], expected)


@pytest.mark.parametrize("gap", [0.5, 2.0])
def test_ties_are_broken_as_alignment_breaks_those_of_the_move_costs(gap):
    """Products with these gaps are exact as doubles, sums of tenths are not."""
    costs = torch.from_numpy(TIED["tenths"](np.random.default_rng(1), (4, 20, 13)))
    costs.requires_grad_()
    moves = move_costs(costs, gap)
    (paid,) = torch.autograd.grad(moves, costs, Alignment(gap)(moves.detach()))
    assert torch.equal(TiedAlignment(gap)(costs.detach()), paid)


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (6, 1), (7, 8), (8, 7), (20, 13)])
@pytest.mark.parametrize("gap", [1.5, 0.6])
def test_value_and_gradient_are_those_of_move_costs_and_alignment(shape, gap):
    costs = (random(5, *shape) * 64).round() / 64 + 0.25
    found = {}
    for solver in (TiedAlignment(gap), Alignment(gap)):
        w = costs.clone().requires_grad_()
        moves = w if isinstance(solver, TiedAlignment) else move_costs(w, gap)
        layer = CombinatorialLayer(solver, Identity())
        loss = OptimalValue()(layer, moves, Labels()).loss
        loss.backward()
        found[type(solver)] = (loss.detach(), w.grad)
    for ours, theirs in zip(found[TiedAlignment], found[Alignment], strict=True):
        torch.testing.assert_close(ours, theirs)


def test_sequences_of_different_length_are_as_each_alone_and_padding_is_not_read():
    solver, costs = TiedAlignment(), random(4, 5, 6)
    lengths = torch.tensor([[5, 6], [1, 6], [4, 1], [2, 3]])
    valid = torch.zeros(4, 5, 6, dtype=torch.bool)
    padded = torch.full_like(costs, -50.0)
    for row, (n, m) in enumerate(lengths.tolist()):
        valid[row, :n, :m] = True
        padded[row, :n, :m] = costs[row, :n, :m]
    found = solver(padded, lengths=lengths)
    for row, (n, m) in enumerate(lengths.tolist()):
        torch.testing.assert_close(found[row, :n, :m], solver(costs[row : row + 1, :n, :m])[0])
    assert float(found[~valid].abs().max()) == 0
    assert torch.equal(solver(padded, Instances(valid=valid)), found)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_threads_answer_the_same(dtype):
    costs = random(9, 12, 10).to(dtype)
    lengths = torch.tensor([[1 + b, 10 - b] for b in range(9)])
    one, three = (TiedAlignment(threads=n)(costs, lengths=lengths) for n in (1, 3))
    assert torch.equal(one, three)


def test_equal_sums_that_rounding_tells_apart_are_equal():
    """0.1 + 0.2 and 0.3 differ as doubles sum them; the exact sums of these doubles decide."""
    costs = torch.full((1, 3, 3), 0.1, dtype=torch.float64)
    costs[0, 1, 1] = 0.1 * (1 + 2**-52)
    found = TiedAlignment(0.1)(costs)[0].numpy()
    np.testing.assert_array_equal(found, align_exactly(costs[0].numpy(), 0.1))
    large = torch.tensor([[[1e16, 1.0], [1.0, 1e16]]], dtype=torch.float64)
    found = TiedAlignment(1.5)(large)[0].numpy()
    np.testing.assert_array_equal(found, align_exactly(large[0].numpy(), 1.5))


@given(matches(), GAPS)
def test_feasible_knows_what_paths_pay_for_and_nothing_else(costs, gap):
    solver, n, m = TiedAlignment(gap), len(costs), len(costs[0])
    right = solver(torch.tensor([costs], dtype=torch.float64))
    assert bool(solver.feasible(right))
    assert not bool(solver.feasible(right + 0.01))
    assert not bool(solver.feasible(torch.zeros_like(right)))
    known = {tuple(sorted(paid.items())) for paid in all_paid(n, m, gap)}
    twice = 2 * right[0]
    entries = {(i, j): Fraction(float(twice[i, j])) for i, j in np.argwhere(twice.numpy())}
    if tuple(sorted(entries.items())) not in known and gap in (1.5, 1.0, 0.25, 3.0):
        assert not pays_for_a_path(twice.numpy(), gap, 1e-9)


@given(st.integers(1, 3), st.integers(1, 3), GAPS, st.integers(0), st.integers(0))
def test_of_two_paths_laid_upon_each_other_feasible_knows_whether_they_are_one(
    n, m, gap, first, second
):
    known = list(all_paid(n, m, gap))
    dense = np.zeros((len(known), n, m))
    for row, paid in zip(dense, known, strict=True):
        for cell, factor in paid.items():
            row[cell] = float(factor)
    both = np.maximum(dense[first % len(known)], dense[second % len(known)])
    one = bool(np.isclose(dense, both).all(axis=(1, 2)).any())
    assert bool(TiedAlignment(gap).feasible(torch.from_numpy(both[None]))[0]) == one


def test_feasible_does_not_walk_all_paths():
    """Where a match costs what a gap does, all paths across a table of ones pay for what they meet;
    the steps of a staircase are one path, and with a cell beside it they are none."""
    stairs = torch.eye(12) + torch.diag(torch.ones(11), 1)
    beside = stairs.clone()
    beside[7, 2] = 1.0
    found = TiedAlignment(1.0).feasible(torch.stack([stairs, beside, torch.ones(12, 12)]))
    assert found.tolist() == [True, False, False]
    assert not bool(TiedAlignment(1.5).feasible(torch.full((1, 12, 12), 1.5)))


def test_what_it_cannot_align_is_refused():
    with pytest.raises(SolverInputError, match=r"pass the costs of matching n positions"):
        TiedAlignment()(torch.zeros(2, 3))
    with pytest.raises(SolverInputError, match=r"batch index 1 are \(0, 3\); .* between 1 and"):
        TiedAlignment()(torch.zeros(2, 3, 3), lengths=[[1, 1], [0, 3]])
    with pytest.raises(ValueError, match=r"solver\.gap is 0"):
        TiedAlignment(0)


def test_sums_that_overflow_lead_nowhere_beyond_the_sequences():
    """By the kernels as plain Python, where numpy checks each place; a match, then two gaps."""
    code = (
        "import torch; from combgrad.solvers import TiedAlignment\n"
        "for size in (1.0, 1.7e308):\n"
        "    costs = torch.full((1, 3, 1), size, dtype=torch.float64)\n"
        "    assert TiedAlignment()(costs).flatten().tolist() == [1.0, 1.5, 1.5]\n"
    )
    environment = os.environ | {"NUMBA_DISABLE_JIT": "1"}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True, timeout=120)
