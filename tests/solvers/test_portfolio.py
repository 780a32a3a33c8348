"""Portfolio keeps its budget of risk, and weak duality proves that nothing cheaper does."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize

from combgrad.errors import SolverInputError
from combgrad.solvers import Portfolio


def gap(costs, covariance, budget, shares):
    """What <w, y> is above the best lower bound, over all prices of risk p >= 0, by the Lagrangian
    min over z in the simplex of <w, z> + p (z' S z - r) / 2 >= its linearisation at y."""
    risk = shares @ covariance @ shares
    moved = covariance @ shares

    def at(price):
        gradient = costs + price * moved
        return gradient @ shares - gradient.min() + 0.5 * price * (budget - risk)

    # Piecewise linear in the price: the least lies where two assets' gradients cross, or far out.
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        crossings = (costs[:, None] - costs) / (moved - moved[:, None])
    prices = crossings[np.isfinite(crossings) & (crossings > 0)]
    largest = np.diag(covariance).max() or 1.0
    return min(map(at, [0.0, 1e10 / largest, *prices]))


def check(solver, costs):
    """Feasible, and no other portfolio cheaper by more than 1e-8 of the spread of the costs."""
    shares = solver(torch.from_numpy(costs)).numpy()
    largest = solver.covariance.diagonal().max()
    assert (shares >= 0).all()
    assert abs(shares.sum(axis=1) - 1).max() < 1e-12
    risks = ((shares @ solver.covariance) * shares).sum(axis=1)
    assert (risks <= solver.risk_budget + 2e-9 * largest).all()
    for row, found in zip(costs, shares, strict=True):
        scale = np.ptp(row) or 1.0
        # A budget that is a little less, as the docstring says.
        lacking = 2e-9 * largest
        assert gap(row / scale, solver.covariance, solver.risk_budget - lacking, found) < 1e-8


def least_risk(covariance):
    """The risk of the least risky portfolio, by a budget that all portfolios keep."""
    n = len(covariance)
    solver = Portfolio(covariance, float(np.diag(covariance).max()))
    calm = solver(torch.ones(1, n, dtype=torch.float64))[0].numpy()
    return max(float(calm @ covariance @ calm), 0.0)


@st.composite
def covariances(draw):
    """Of full rank or not, with equal assets or not, of any size."""
    n, rank = draw(st.integers(1, 6)), draw(st.integers(0, 6))
    numbers = st.integers(-3, 3).map(float) | st.floats(-2, 2)
    factors = np.array(draw(st.lists(numbers, min_size=n * rank, max_size=n * rank)))
    own = draw(st.sampled_from([0.0, 1e-6, 0.1]))
    loadings = factors.reshape(n, rank)
    scale = draw(st.sampled_from([1e-6, 1.0, 1e4]))
    return scale * (loadings @ loadings.T + own * np.eye(n))


@given(covariance=covariances(), part=st.sampled_from([0.0, 1e-6, 0.1, 0.5, 1.0]), data=st.data())
def test_it_keeps_the_budget_and_nothing_cheaper_does(covariance, part, data):
    n = len(covariance)
    least, most = least_risk(covariance), float(np.diag(covariance).max())
    solver = Portfolio(covariance, least + part * (most - least))
    cost = st.integers(-2, 2).map(float) | st.floats(-1e3, 1e3)
    rows = data.draw(st.lists(st.lists(cost, min_size=n, max_size=n), min_size=1, max_size=4))
    check(solver, np.array(rows))


@pytest.mark.parametrize("assets", [2, 10, 50])
@pytest.mark.parametrize("part", [0.01, 0.2, 0.9])
def test_many_assets_are_as_cheap_as_the_bound_says(assets, part):
    random = np.random.default_rng(assets)
    loadings = random.normal(size=(assets, 5))
    covariance = loadings @ loadings.T / 100 + 0.01 * np.eye(assets)
    least = least_risk(covariance)
    solver = Portfolio(covariance, least + part * (np.diag(covariance).max() - least))
    check(solver, random.normal(size=(40, assets)))


def test_it_is_what_a_general_method_finds():
    random = np.random.default_rng(0)
    loadings = random.normal(size=(6, 3))
    covariance = loadings @ loadings.T + 0.1 * np.eye(6)
    budget = 1.5 * least_risk(covariance)
    solver, costs = Portfolio(covariance, budget), random.normal(size=(5, 6))
    found = solver(torch.from_numpy(costs)).numpy()
    for row, shares in zip(costs, found, strict=True):
        other = minimize(
            lambda y, row=row: row @ y,
            np.full(6, 1 / 6),
            jac=lambda y, row=row: row,
            bounds=[(0, 1)] * 6,
            constraints=[
                {"type": "eq", "fun": lambda y: y.sum() - 1},
                {"type": "ineq", "fun": lambda y: budget - y @ covariance @ y},
            ],
            method="SLSQP",
            options={"ftol": 1e-12, "maxiter": 500},
        )
        assert other.success
        np.testing.assert_allclose(shares, other.x, atol=1e-5)


def test_it_is_what_a_conic_solver_finds():
    cvxpy = pytest.importorskip("cvxpy")
    random = np.random.default_rng(1)
    loadings = random.normal(size=(20, 4))
    covariance = loadings @ loadings.T + 0.1 * np.eye(20)
    solver = Portfolio(covariance, 2 * least_risk(covariance))
    costs = random.normal(size=(3, 20))
    found = solver(torch.from_numpy(costs)).numpy()
    for row, shares in zip(costs, found, strict=True):
        y = cvxpy.Variable(20, nonneg=True)
        kept = [cvxpy.sum(y) == 1, cvxpy.quad_form(y, covariance) <= solver.risk_budget]
        best = cvxpy.Problem(cvxpy.Minimize(row @ y), kept).solve(solver="CLARABEL")
        assert row @ shares == pytest.approx(best, abs=1e-6)


def test_two_independent_assets_by_hand():
    # 0.04 a^2 + 0.01 (1 - a)^2 = 0.0212 has the roots 0.68 and -0.28.
    solver = Portfolio([[0.04, 0.0], [0.0, 0.01]], 0.04 * 0.68**2 + 0.01 * 0.32**2)
    costs = torch.tensor([[-2.0, -1.0], [-1.0, -2.0], [-1.0, -1.0]], dtype=torch.float64)
    expected = [[0.68, 0.32], [0.0, 1.0], [0.2, 0.8]]  # equal ones: shares by 1 / variance
    np.testing.assert_allclose(solver(costs).numpy(), expected, atol=1e-12)


def test_a_budget_for_all_risks_takes_the_cheapest_asset():
    costs = torch.randn(50, 7, generator=torch.Generator().manual_seed(0))
    cheapest = torch.nn.functional.one_hot(costs.argmin(dim=1), 7).float()
    assert torch.equal(Portfolio(torch.eye(7), 1.0)(costs), cheapest)
    assert torch.equal(Portfolio(torch.zeros(7, 7), 0.0)(costs), cheapest)


def test_answers_of_smaller_dtypes_are_feasible():
    generator = torch.Generator().manual_seed(0)
    solver = Portfolio(torch.eye(50) / 50, 0.002)
    for dtype in (torch.float32, torch.bfloat16, torch.float16):
        costs = torch.randn(20, 50, generator=generator).to(dtype)
        assert bool(solver.feasible(solver(costs)).all())


@pytest.mark.parametrize(
    ("covariance", "message"),
    [
        ([[1.0, 0.0]], r"covariance has shape \(1, 2\); pass one row an asset"),
        ([[]], "pass one row an asset"),
        ([["a"]], "covariance is no array of numbers"),
        ([[float("nan")]], "covariance contains NaN or inf"),
        ([[1.0, 0.5], [0.0, 1.0]], "covariance is not symmetric"),
        ([[1.0, 2.0], [2.0, 1.0]], "covariance has the eigenvalue -1"),
    ],
)
def test_what_is_no_covariance_is_refused(covariance, message):
    with pytest.raises(ValueError, match=message):
        Portfolio(covariance, 1.0)


@pytest.mark.parametrize("budget", [-1.0, float("nan"), float("inf"), None, True])
def test_what_is_no_budget_is_refused(budget):
    with pytest.raises(ValueError, match="risk_budget"):
        Portfolio(torch.eye(2), budget)


def test_a_budget_that_no_portfolio_keeps_is_refused():
    with pytest.raises(ValueError, match=r"least risky portfolio has a risk of 0\.25; allow"):
        Portfolio(torch.eye(4), 0.2)


def test_costs_of_another_number_are_refused():
    with pytest.raises(SolverInputError, match="3 costs and a covariance of 2 assets"):
        Portfolio(torch.eye(2), 1.0)(torch.zeros(1, 3))
