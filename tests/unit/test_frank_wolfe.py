"""Regularised Frank-Wolfe: known projections, finite differences, and PyEPO's recorded numbers."""

import pytest
import torch

from combgrad import CombinatorialLayer, IncompatibleError, solvers
from combgrad.gradients import RegularisedFrankWolfe
from combgrad.gradients.nearest_point import regularised_minimum
from combgrad.instances import NOTHING
from combgrad.labels import Labels
from combgrad.losses import FrankWolfeFenchelYoung
from contract import ROWS

#: Solvers that ignore the sign of costs, as the steps need.
ANY_SIGN = [name for name, row in ROWS.items() if row.signed and not row.instances(2)]


def random(*shape, seed=0):
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def layer_of(solver, lam=0.7, **options):
    return CombinatorialLayer(solver, RegularisedFrankWolfe(lam, **options))


def onto_capped_simplex(points, k):
    """The nearest point with entries in [0, 1] and sum k, by bisection."""
    low, high = torch.full((2, len(points), 1), 1e3, dtype=points.dtype)
    low = -low
    for _ in range(200):
        middle = (low + high) / 2
        much = (points - middle).clamp(0, 1).sum(dim=1, keepdim=True) > k
        low, high = torch.where(much, middle, low), torch.where(much, high, middle)
    return (points - low).clamp(0, 1)


@pytest.mark.parametrize("lam", [0.01, 0.7, 30.0])
def test_of_subsets_it_is_the_projection_onto_the_capped_simplex(lam):
    costs = random(8, 10)
    found = layer_of(solvers.TopK(3), lam)(costs)
    torch.testing.assert_close(found, onto_capped_simplex(-costs / lam, 3), atol=1e-6, rtol=0)


@pytest.mark.parametrize("name", ANY_SIGN)
def test_no_solution_is_any_better_along_the_slope(name):
    """The optimality condition: <w + lam mu, mu> is the least of <w + lam mu, y>."""
    row, lam = ROWS[name], 0.7
    costs = random(5, *row.shape)
    mu, vertices, shares = regularised_minimum(row.solver, costs, NOTHING, lam, 1000, 1e-10)
    torch.testing.assert_close(shares.sum(dim=1), torch.ones(5).double())
    assert float(shares.min()) >= 0
    mixed = torch.einsum("bk,bkn->bn", shares, vertices)
    torch.testing.assert_close(mixed, mu.flatten(1))
    members = torch.from_numpy(row.solutions.reshape(len(row.solutions), -1)).double()
    slope = costs.flatten(1) + lam * mu.flatten(1)
    gap = (slope * mu.flatten(1)).sum(1) - (slope @ members.T).amin(dim=1)
    assert float(gap.max()) < 1e-8


def test_it_says_that_its_steps_did_not_do(recwarn):
    costs = random(8, 10)
    exact = layer_of(solvers.TopK(3))(costs)
    assert not recwarn
    with pytest.warns(RuntimeWarning, match="after steps=2 solver calls .* tol=1e-08"):
        short = layer_of(solvers.TopK(3), steps=2)(costs)
    assert float((short - exact).abs().max()) > 1e-3


@pytest.mark.parametrize("solver", [solvers.TopK(3), solvers.BruteForceTSP()])
def test_its_gradient_is_that_of_finite_differences(solver):
    costs, upstream, step = random(6, 10), random(6, 10, seed=1), 1e-5
    layer = layer_of(solver, tol=1e-14)
    leaf = costs.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(layer(leaf), leaf, upstream)
    assert float(gradient.abs().sum()) > 1
    for seed in range(5):
        along = random(6, 10, seed=10 + seed)
        ahead, behind = (layer(costs + sign * step * along) for sign in (1, -1))
        expected = float(((ahead - behind) * upstream).sum() / (2 * step))
        assert float((gradient * along).sum()) == pytest.approx(expected, abs=1e-5)


def test_in_evaluation_it_is_the_solution_and_has_no_gradient():
    costs, solver = random(6, 10).requires_grad_(), solvers.TopK(3)
    layer = layer_of(solver).eval()
    assert torch.equal(layer(costs), solver(costs.detach()))
    with pytest.raises(IncompatibleError, match=r"call layer\.train\(\) before"):
        layer(costs).sum().backward()


def test_the_loss_equals_its_formula_and_its_differences_are_the_gradient():
    solver, costs, lam = solvers.BruteForceTSP(), random(4, 10).requires_grad_(), 0.7
    target = solver(random(4, 10, seed=5))
    layer = layer_of(solver)

    def value(w):
        return FrankWolfeFenchelYoung(lam, tol=1e-14)(layer, w, Labels(target)).loss

    loss = value(costs)
    (gradient,) = torch.autograd.grad(loss, costs)
    w, mu = costs.detach(), layer(costs.detach())
    expected = sum(
        float(w[b] @ y + lam / 2 * y @ y) * sign / 4
        for sign, points in ((1, target), (-1, mu))
        for b, y in enumerate(points)
    )
    assert float(loss.detach()) == pytest.approx(expected)
    torch.testing.assert_close(gradient, (target - mu) / 4, atol=1e-6, rtol=0)
    for seed in range(3):
        along, step = random(4, 10, seed=10 + seed), 1e-5
        slope = float(value(w + step * along) - value(w - step * along)) / (2 * step)
        assert float((gradient * along).sum()) == pytest.approx(slope, abs=1e-6)


def test_the_loss_is_least_at_the_target_and_there_it_is_0():
    solver = solvers.TopK(3)
    target, layer = solver(random(4, 10, seed=5)), layer_of(solver)
    loss = FrankWolfeFenchelYoung(0.7)
    assert float(loss(layer, random(4, 10), Labels(target)).loss) > 0.1
    assert float(loss(layer, 2 - 4 * target, Labels(target)).loss) == pytest.approx(0, abs=1e-9)


def test_huge_costs_and_equal_ones_end_soon():
    for costs in (1e12 * random(4, 10), torch.zeros(4, 10).double(), torch.ones(4, 10).double()):
        solver = solvers.TopK(3)
        found = layer_of(solver)(costs)
        assert solver.calls < 30
        torch.testing.assert_close(found.sum(1), torch.full((4,), 3.0).double())
    torch.testing.assert_close(found, torch.full((4, 10), 0.3).double())


@pytest.mark.parametrize(
    ("arguments", "word"), [((0.0,), "lam"), ((1.0, 0), "steps"), ((1.0, 10, 0.0), "tol")]
)
def test_values_out_of_range_are_refused(arguments, word):
    with pytest.raises(ValueError, match=rf"grad\.{word} is"):
        RegularisedFrankWolfe(*arguments)
    with pytest.raises(ValueError, match=rf"loss\.{word} is"):
        FrankWolfeFenchelYoung(*arguments)


def test_a_solver_whose_hull_is_curved_is_refused():
    portfolio = solvers.Portfolio(torch.diag(torch.tensor([0.1, 0.2, 0.3])), 0.06)
    for solver in (portfolio, solvers.Cached(portfolio)):
        with pytest.raises(IncompatibleError, match=r"is curved.* Use LPGD, Perturbed or the loss"):
            layer_of(solver)
