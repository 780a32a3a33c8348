"""Assignment finds a matching as cheap as the best of all matchings."""

import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from combgrad.errors import SolverInputError
from combgrad.projections import Mean, Norm, Std
from combgrad.solvers.assignment import Assignment

costs_of_any_sign = st.one_of(
    st.floats(-1e3, 1e3),
    st.integers(-2, 2).map(float),
    st.sampled_from([0.0, 1.0, 1.0 + 1e-9, -1.0]),
)


@st.composite
def matrices(draw, most=5):
    n, m = draw(st.integers(1, most)), draw(st.integers(1, most))
    values = draw(st.lists(costs_of_any_sign, min_size=n * m, max_size=n * m))
    return torch.tensor(values, dtype=torch.float64).view(1, n, m)


def all_matchings(n, m):
    """Every matching of min(n, m) pairs, (number, n, m)."""
    if n > m:
        return all_matchings(m, n).transpose(1, 2)
    eye = torch.eye(m, dtype=torch.float64)
    return torch.stack([eye[list(columns)] for columns in itertools.permutations(range(m), n)])


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@given(costs=matrices())
def test_the_matching_is_as_cheap_as_the_best(costs):
    solution = Assignment()(costs)
    assert bool(Assignment().feasible(solution))
    best = (all_matchings(*costs.shape[1:]) * costs).sum(dim=(1, 2)).min()
    found = float((solution * costs).sum())
    assert found == pytest.approx(float(best), abs=1e-12 * float(costs.abs().sum()))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    ("n", "m"), [(1, 1), (2, 2), (4, 4), (8, 8), (16, 16), (32, 32), (70, 70), (1, 9), (9, 1)]
)
def test_without_ties_it_is_the_same_matching_as_scipy(n, m, dtype):
    check_against_scipy(random(20, n, m, seed=n + m).to(dtype))


@pytest.mark.parametrize(("n", "m"), [(3, 7), (7, 3), (12, 40), (40, 12), (20, 21)])
def test_rectangles_too(n, m):
    check_against_scipy(random(20, n, m, seed=n + m))


def check_against_scipy(costs):
    expected = torch.zeros_like(costs)
    for target, matrix in zip(expected, costs, strict=True):
        rows, columns = linear_sum_assignment(matrix.numpy())
        target[rows, columns] = 1
    assert torch.equal(Assignment()(costs), expected)


@pytest.mark.parametrize("n", [4, 9, 20])
def test_ties_cost_as_little_as_scipy_finds(n):
    costs = torch.randint(-3, 3, (50, n, n), generator=torch.Generator().manual_seed(n)).double()
    solution = Assignment()(costs)
    assert bool(Assignment().feasible(solution).all())
    assert torch.equal((solution * costs).sum(dim=(1, 2)), Assignment().optimum(costs))
    assert torch.equal(solution, Assignment()(costs))


@pytest.mark.parametrize("scale", [1e-300, 1e-30, 1e30, 1e300])
@pytest.mark.parametrize(("n", "m"), [(6, 6), (4, 7), (7, 4)])
def test_scale_does_not_matter(scale, n, m):
    costs = random(20, n, m)
    assert torch.equal(Assignment()(costs * scale), Assignment()(costs))


def test_denormal_and_largest_costs():
    whole = torch.randint(-50, 50, (20, 5, 5), generator=torch.Generator().manual_seed(0)).double()
    solution = Assignment()(whole)
    assert torch.equal(Assignment()(whole * 5e-324), solution)
    assert torch.equal(Assignment()(whole * 2.0**1017), solution)


def test_a_forbidding_cost_does_not_blur_the_others():
    costs = random(30, 6, 6)
    forbidden = torch.zeros(6, 6, dtype=torch.bool)
    forbidden[0, 1:] = forbidden[2:, 3] = True
    ordinary = Assignment()(costs.masked_fill(forbidden, 1e3))
    assert torch.equal(Assignment()(costs.masked_fill(forbidden, 1e30)), ordinary)


def test_constant_costs_are_answered_deterministically():
    for value in (0.0, 1.0, -3.0):
        solution = Assignment()(torch.full((2, 5, 7), value))
        assert bool(Assignment().feasible(solution).all())
        assert torch.equal(solution[0], solution[1])


@pytest.mark.parametrize("projection", [Mean(), Norm(), Std()])
@pytest.mark.parametrize(("n", "m"), [(6, 6), (4, 7), (7, 4)])
def test_shift_and_scale_do_not_matter(projection, n, m):
    costs = random(50, n, m)
    solution = Assignment()(costs)
    assert torch.equal(Assignment()(costs + 7), solution)
    assert torch.equal(Assignment()(costs * 7), solution)
    assert torch.equal(Assignment()(projection(costs)), solution)


@pytest.mark.parametrize(("n", "m"), [(3, 3), (2, 4), (4, 2)])
def test_it_is_constant_exactly_on_the_normals_it_says(n, m):
    u, v = random(n, 1, seed=1), random(1, m, seed=2)
    normals = [u + v, u.expand(n, m), v.expand(n, m), random(n, m), torch.ones(n, m).double()]
    verdicts = []
    for normal in normals:
        products = (all_matchings(n, m) * normal).sum(dim=(1, 2))
        truth = bool((products - products[0]).abs().max() < 1e-9)
        verdicts.append(truth)
        assert Assignment().is_constant_on(normal) == truth
    assert verdicts == [n == m, n <= m, n >= m, False, True]


def test_empty_batches_and_sides():
    assert Assignment()(torch.zeros(0, 5, 5)).shape == (0, 5, 5)
    assert Assignment()(torch.zeros(3, 0, 5)).shape == (3, 0, 5)


def test_rows_are_refused():
    with pytest.raises(SolverInputError, match="unsqueeze"):
        Assignment()(torch.rand(5, 5))


def test_the_check_sees_what_is_no_matching():
    solution = Assignment()(random(3, 4, 4))
    solution[1, 0] = 0
    assert Assignment().feasible(solution).tolist() == [True, False, True]
