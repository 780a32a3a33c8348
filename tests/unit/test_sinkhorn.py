"""The entropic matching against a plain loop, its bounds, and its gradient."""

import math
import warnings

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from combgrad import CombinatorialLayer
from combgrad.errors import IncompatibleError, SolverInputError
from combgrad.gradients import Identity
from combgrad.labels import Labels
from combgrad.losses import OptimalValue, Sinkhorn
from combgrad.projections import Std
from combgrad.solvers import Assignment, Cached, ShortestPath, TiedAlignment, from_function

LAYER = CombinatorialLayer(Assignment(), Identity())


def random(*shape, seed=0, dtype=torch.float64):
    return torch.randn(shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def value_of(costs, tau, layer=LAYER, **settings):
    return Sinkhorn(tau, **settings)(layer, costs, Labels()).loss


def by_loops(costs, tau, times=2000):
    """The matrix of row and column sums 1 that is diag(u) exp(-w / tau) diag(v), entry by entry."""
    n = len(costs)
    kernel = [[math.exp(-float(costs[i][j]) / tau) for j in range(n)] for i in range(n)]
    u, v = [1.0] * n, [1.0] * n
    for _ in range(times):
        u = [1 / sum(kernel[i][j] * v[j] for j in range(n)) for i in range(n)]
        v = [1 / sum(kernel[i][j] * u[i] for i in range(n)) for j in range(n)]
    return [[u[i] * kernel[i][j] * v[j] for j in range(n)] for i in range(n)]


@pytest.mark.parametrize("tau", [0.3, 1.0, 5.0])
def test_it_is_the_value_of_the_soft_matching_that_a_loop_finds_and_that_its_gradient(tau):
    costs = random(3, 4, 4).requires_grad_()
    loss = value_of(costs, tau, iterations=5000, tolerance=1e-12)
    (gradient,) = torch.autograd.grad(loss, costs)
    plans = torch.tensor([by_loops(matrix, tau) for matrix in costs.tolist()], dtype=torch.float64)
    torch.testing.assert_close(gradient, plans / 3)
    values = (costs.detach() * plans + tau * plans * plans.log()).sum(dim=(1, 2))
    torch.testing.assert_close(loss.detach(), values.mean())


def test_differences_of_the_value_are_the_gradient():
    costs, along, step = random(2, 5, 5), random(2, 5, 5, seed=1), 1e-5
    exact = {"iterations": 10_000, "tolerance": 1e-13}
    w = costs.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(value_of(w, 0.5, **exact), w)
    ahead, behind = (value_of(costs + sign * step * along, 0.5, **exact) for sign in (1, -1))
    assert float((ahead - behind) / (2 * step)) == pytest.approx(float((gradient * along).sum()))


@given(st.integers(1, 7), st.floats(0.5, 3.0), st.integers(0, 5))
def test_it_lies_below_the_optimal_value_by_at_most_the_entropy(n, tau, seed):
    costs = random(2, n, n, seed=seed)
    best = float(OptimalValue()(LAYER, costs, Labels()).loss)
    found = float(value_of(costs, tau, iterations=20_000, tolerance=1e-8))
    assert best - tau * n * math.log(n) - 1e-6 <= found <= best + 1e-6


def test_a_low_temperature_gives_the_matching_itself():
    clear = torch.eye(6, dtype=torch.float64)[torch.tensor([3, 0, 5, 1, 2, 4])]
    costs = (random(4, 6, 6) - 4 * clear).requires_grad_()
    (gradient,) = torch.autograd.grad(value_of(costs, 0.05, iterations=5000), costs)
    torch.testing.assert_close(gradient, Assignment()(costs.detach()) / 4, atol=1e-3, rtol=0)


def test_rows_that_are_far_from_one_are_told_of():
    costs = random(3, 8, 8) * 5
    with pytest.warns(
        RuntimeWarning, match=r"iterations=3 a row .* raise loss\.iterations, or loss"
    ):
        value_of(costs, 0.01, iterations=3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        value_of(costs, 1.0, iterations=1000)


def test_in_evaluation_it_is_the_optimal_value():
    costs = random(4, 6, 6)
    loss, solution = Sinkhorn(0.5).eval()(LAYER, costs, Labels())
    expected = OptimalValue()(LAYER, costs, Labels())
    torch.testing.assert_close(loss, expected.loss)
    assert torch.equal(solution, expected.solution)


def test_the_projection_holds():
    costs = random(3, 4, 4).requires_grad_()
    layer = CombinatorialLayer(Assignment(), Identity(), Std())
    (gradient,) = torch.autograd.grad(value_of(costs, 0.5, layer), costs)
    assert float(gradient.abs().sum()) > 0.01
    torch.testing.assert_close(gradient.sum(dim=(1, 2)), torch.zeros(3, dtype=torch.float64))
    along = (gradient * costs.detach()).sum(dim=(1, 2))
    torch.testing.assert_close(along, torch.zeros(3, dtype=torch.float64))


def test_huge_and_equal_costs_are_no_trouble():
    for costs in (1e6 * random(2, 4, 4, dtype=torch.float32), torch.zeros(2, 4, 4)):
        costs.requires_grad_()
        (gradient,) = torch.autograd.grad(value_of(costs, 0.1), costs)
        torch.testing.assert_close(gradient.sum(dim=1), torch.full((2, 4), 0.5))
    nothing = torch.zeros(0, 4, 4).requires_grad_()
    (gradient,) = torch.autograd.grad(value_of(nothing, 0.1), nothing)
    assert gradient.shape == (0, 4, 4)


def test_what_cannot_be_is_refused():
    for name, value in (("tau", 0.0), ("iterations", 0), ("iterations", 1.5), ("tolerance", -1)):
        with pytest.raises(ValueError, match=rf"loss\.{name}"):
            Sinkhorn(**{"tau": 0.1, name: value})
    with pytest.raises(SolverInputError, match=r"\(2, 3, 4\); it is for square matrices"):
        value_of(random(2, 3, 4), 0.1)
    forbidden = random(2, 3, 3)
    forbidden[1, 1, 2] = torch.inf
    with pytest.raises(SolverInputError, match=r"batch index 1 contain .* use OptimalValue\(\)"):
        value_of(forbidden, 0.1)


@pytest.mark.parametrize("solver", [ShortestPath(), TiedAlignment(1.5), Cached(ShortestPath())])
def test_solvers_of_other_solutions_are_refused_though_their_costs_are_square(solver):
    layer = CombinatorialLayer(solver, Identity())
    name = type(getattr(solver, "solver", solver)).__name__
    with pytest.raises(IncompatibleError, match=rf"of {name} are others; use solver=assignment"):
        Sinkhorn(0.5)(layer, torch.rand(2, 4, 4), Labels())


def test_an_assignment_of_ones_own_or_behind_a_cache_has_the_same_value():
    costs, loss = torch.rand(2, 4, 4, dtype=torch.float64), Sinkhorn(0.5)
    solvers = (Assignment(), Cached(Assignment()), from_function(lambda w: w))
    values = [float(loss(CombinatorialLayer(s, Identity()), costs, Labels()).loss) for s in solvers]
    assert values == [values[0]] * 3
