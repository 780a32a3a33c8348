"""Alignment finds the path that a plain Needleman-Wunsch finds, and no padding disturbs it."""

import functools
from fractions import Fraction

import numpy as np
import pytest
import scipy
import torch
from hypothesis import given
from hypothesis import strategies as st

from combgrad.errors import SolverInputError
from combgrad.instances import Instances
from combgrad.projections import Norm
from combgrad.solvers.alignment import Alignment, move_costs, move_mask

STEPS = ((1, 1), (0, 1), (1, 0))

costs_of_any_sign = st.one_of(st.floats(-1e3, 1e3), st.integers(-2, 2).map(float))


def plain_alignment(costs, n, m):
    """The cheapest path's exact cost and moves [(i, j, move)], by recursion over lists."""

    @functools.cache
    def best(i, j):
        if (i, j) == (n, m):
            return Fraction(0), ()
        ways = []
        for move, (di, dj) in enumerate(STEPS):
            if i + di <= n and j + dj <= m:
                cost, path = best(i + di, j + dj)
                ways.append((Fraction(costs[i][j][move]) + cost, ((i, j, move), *path)))
        return min(ways, key=lambda way: way[0])

    return best(0, 0)


def all_paths(n, m, i=0, j=0):
    if (i, j) == (n, m):
        yield []
        return
    for move, (di, dj) in enumerate(STEPS):
        if i + di <= n and j + dj <= m:
            for path in all_paths(n, m, i + di, j + dj):
                yield [(i, j, move), *path]


def indicator(path, shape):
    solution = torch.zeros(shape, dtype=torch.float64)
    for entry in path:
        solution[entry] = 1
    return solution


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@st.composite
def grids(draw, most=5):
    n, m = draw(st.integers(0, most)), draw(st.integers(0, most))
    count = (n + 1) * (m + 1) * 3
    values = draw(st.lists(costs_of_any_sign, min_size=count, max_size=count))
    return torch.tensor(values, dtype=torch.float64).view(1, n + 1, m + 1, 3)


@given(costs=grids())
def test_the_path_is_that_of_the_plain_recursion(costs):
    solution = Alignment()(costs)
    assert bool(Alignment().feasible(solution))
    _, path = plain_alignment(costs[0].tolist(), costs.shape[1] - 1, costs.shape[2] - 1)
    assert torch.equal(solution[0], indicator(path, costs.shape[1:]))


@pytest.mark.parametrize(("n", "m"), [(0, 0), (1, 1), (3, 2), (2, 4), (4, 4)])
def test_the_path_is_the_best_of_all_paths(n, m):
    costs = random(30, n + 1, m + 1, 3, seed=n + m)
    paths = torch.stack([indicator(path, costs.shape[1:]) for path in all_paths(n, m)])
    best = (costs.flatten(1) @ paths.flatten(1).T).argmin(dim=1)
    assert torch.equal(Alignment()(costs), paths[best])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_every_dtype(dtype):
    costs = random(5, 8, 9, 3).to(dtype)
    solution = Alignment()(costs)
    assert solution.dtype == dtype
    assert torch.equal(solution.double(), Alignment()(costs.double()))


def test_padding_beyond_the_lengths_has_no_say():
    costs, lengths = random(6, 7, 9, 3), torch.tensor([[6, 8], [3, 5], [0, 4], [2, 0], [0, 0]])
    costs = costs[:5]
    exists = move_mask(lengths, 7, 9)
    solution = Alignment()(costs, lengths=lengths)
    assert bool(Alignment().feasible(solution, lengths=lengths).all())
    assert float(solution[~exists].sum()) == 0
    for value in (0.0, -1e30, 1e300, -1e308):
        padded = costs.masked_fill(~exists, value)
        assert torch.equal(Alignment()(padded, lengths=lengths), solution)
        tiny = (costs * 1e-300).masked_fill(~exists, value)
        assert torch.equal(Alignment()(tiny, lengths=lengths), solution)
    for b, (n, m) in enumerate(lengths.tolist()):
        alone = Alignment()(costs[b : b + 1, : n + 1, : m + 1])
        assert torch.equal(solution[b, : n + 1, : m + 1], alone[0])


@pytest.mark.parametrize("scale", [1e-300, 1e-30, 1e30, 1e300, 1.6e307])
def test_scale_does_not_matter(scale):
    costs = random(20, 8, 9, 3)
    assert torch.equal(Alignment()(costs * scale), Alignment()(costs))
    assert torch.equal(Alignment()(Norm()(costs)), Alignment()(costs))


def test_denormal_costs_keep_their_order():
    whole = torch.randint(-9, 9, (20, 6, 6, 3), generator=torch.Generator().manual_seed(0)).double()
    assert torch.equal(Alignment()(whole * 5e-324), Alignment()(whole))


def test_ties_take_the_diagonal_then_the_gap_in_the_prediction():
    assert Alignment()(torch.zeros(1, 3, 4, 3)).nonzero()[:, 1:].tolist() == [
        [0, 0, 0],
        [1, 1, 0],
        [2, 2, 1],
    ]


def test_move_costs_price_gaps_by_the_match_that_leaves_the_node():
    match = random(1, 2, 3)
    costs = move_costs(match, gap=1.5)
    assert costs.shape == (1, 3, 4, 3)
    assert torch.equal(costs[:, :2, :3, 0], match)
    assert torch.equal(costs[:, :2, :3, 1], 1.5 * match)
    assert torch.equal(costs[:, :2, :3, 2], 1.5 * match)
    assert torch.equal(costs[:, 2, :3, 1], 1.5 * match[:, 1])
    assert torch.equal(costs[:, :2, 3, 2], 1.5 * match[:, :, 2])
    exists = move_mask(torch.tensor([[2, 3]]), 3, 4)
    assert float(costs[~exists].abs().sum()) == 0
    assert torch.equal(Alignment(gap=2.0).move_costs(match), move_costs(match, gap=2.0))


def test_the_gradient_counts_the_diagonal_and_the_priced_gaps():
    match = random(4, 5, 6).abs().requires_grad_()
    costs = move_costs(match)
    solution = Alignment()(costs)
    (costs * solution).sum().backward()
    expected = solution[:, :5, :6, 0] + 1.5 * solution[:, :5, :6, 1:].sum(dim=3)
    expected[:, 4] += 1.5 * solution[:, 5, :6, 1]
    expected[:, :, 5] += 1.5 * solution[:, :5, 6, 2]
    assert torch.equal(match.grad, expected)


def test_the_gradient_of_the_cheapest_value_matches_finite_differences():
    def value(match):
        costs = move_costs(match)
        return (costs * Alignment()(costs)).sum()

    assert torch.autograd.gradcheck(value, (random(1, 4, 3).requires_grad_(),))


def test_lengths_in_move_costs_equal_shorter_matrices():
    match, lengths = random(3, 5, 6), torch.tensor([[5, 6], [2, 4], [1, 1]])
    inside = (torch.arange(5)[:, None] < lengths[:, :1, None]) & (
        torch.arange(6) < lengths[:, 1:, None]
    )
    padded = match.masked_fill(~inside, float("nan")).requires_grad_()
    costs = Alignment().move_costs(padded, lengths=lengths)
    costs.sum().backward()
    assert bool(torch.isfinite(costs).all())
    assert float(padded.grad[~inside].abs().sum()) == 0
    for b, (n, m) in enumerate(lengths.tolist()):
        alone = torch.zeros_like(costs[b])
        alone[: n + 1, : m + 1] = move_costs(match[b : b + 1, :n, :m])[0]
        assert torch.equal(costs[b], alone)


def test_identical_sequences_align_on_the_diagonal():
    words = torch.tensor([3, 1, 4, 1, 5])
    match = 1.0 - torch.eye(6)[words] @ torch.eye(6)[words].T
    solution = Alignment()(move_costs(match.unsqueeze(0)))
    assert solution.nonzero()[:, 1:].tolist() == [[i, i, 0] for i in range(5)]


def test_wrong_shapes_and_lengths_are_refused():
    with pytest.raises(SolverInputError, match="move_costs"):
        Alignment()(torch.rand(2, 5, 5))
    with pytest.raises(SolverInputError, match="at least one position"):
        move_costs(torch.rand(2, 0, 5))
    costs = torch.rand(2, 4, 5, 3)
    with pytest.raises(SolverInputError, match="batch index 1"):
        Alignment()(costs, lengths=torch.tensor([[3, 4], [4, 4]]))
    with pytest.raises(SolverInputError, match="batch index 0"):
        Alignment()(costs, lengths=torch.tensor([[-1, 4], [3, 4]]))
    with pytest.raises(SolverInputError, match="integers"):
        Alignment()(costs, lengths=torch.tensor([[3.0, 4.0], [3.0, 4.0]]))
    with pytest.raises(SolverInputError, match=r"\(2, 2\)|integers \(2"):
        Alignment()(costs, lengths=torch.tensor([3, 4]))


def test_the_check_sees_what_is_no_path():
    solution = Alignment()(random(4, 4, 4, 3))
    solution[1, 0, 0] = 0
    solution[2, 3, 3, 1] = 1
    assert Alignment().feasible(solution).tolist() == [True, False, False, True]


@pytest.mark.parametrize("gap", [0.0, -1.5, float("nan"), "wide"])
def test_a_price_of_gaps_that_is_no_positive_number_is_refused(gap):
    with pytest.raises(ValueError, match=r"solver\.gap is"):
        Alignment(gap=gap)


@pytest.mark.parametrize(("n", "m"), [(0, 0), (0, 3), (2, 0), (1, 1), (3, 3), (2, 4)])
def test_the_corners_of_its_program_are_the_paths(n, m):
    costs = random(8, n + 1, m + 1, 3, seed=n + 5 * m)
    program = Alignment().relaxation(costs.shape[1:])
    assert np.array_equal(program.lower, program.upper)
    paths = np.array([indicator(path, costs.shape[1:]).flatten() for path in all_paths(n, m)])
    assert np.array_equal(
        paths @ program.matrix.toarray().T,
        np.broadcast_to(program.lower, (len(paths), (n + 1) * (m + 1) - 1)),
    )
    assert program.contains(paths).all()
    bounds = np.stack([program.least, program.most], axis=1)
    for w, solution in zip(costs.flatten(1), Alignment()(costs).flatten(1), strict=True):
        rows = {"A_eq": program.matrix, "b_eq": program.lower} if n + m else {}
        found = scipy.optimize.linprog(w.numpy(), **rows, bounds=bounds)
        assert found.fun == pytest.approx((paths @ w.numpy()).min(), abs=1e-9)
        assert found.x == pytest.approx(solution.numpy(), abs=1e-9)


def test_nothing_but_paths_is_whole_in_its_program():
    program = Alignment().relaxation(torch.Size((2, 2, 3)))
    everything = np.stack(np.unravel_index(np.arange(2**12), (2,) * 12), axis=1).astype(float)
    paths = {tuple(indicator(path, (2, 2, 3)).flatten().tolist()) for path in all_paths(1, 1)}
    found = everything[program.contains(everything)].tolist()
    assert {tuple(point) for point in found} == paths
    assert len(paths) == 3


def test_the_entries_of_an_instance_are_those_up_to_its_lengths():
    costs = random(3, 4, 3, 3)
    lengths = [[3, 1], [0, 2], [2, 0]]
    own = Alignment().own_entries(costs, Instances({"lengths": lengths}))
    for there, (n, m) in zip(own, lengths, strict=True):
        wanted = torch.zeros(4, 3, 3, dtype=torch.bool)
        wanted[: n + 1, : m + 1] = True
        assert torch.equal(there, wanted)
    whole = Instances({"lengths": [[3, 2]] * 3})
    assert Alignment().own_entries(costs, whole) is None
    assert Alignment().own_entries(costs, Instances(valid=own)) is own
    with pytest.raises(SolverInputError, match=r"lengths or valid, .* leave out valid"):
        Alignment().own_entries(costs, Instances({"lengths": lengths}, valid=own))
    with pytest.raises(SolverInputError, match=r"lengths of batch index 1 are \(4, 0\)"):
        Alignment().own_entries(costs, Instances({"lengths": [[3, 1], [4, 0], [1, 1]]}))
