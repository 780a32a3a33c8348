"""LPGD: its three forms in a plain loop, Blackbox at rho 0, the proximal form against diffcp."""

import numpy as np
import pytest
import torch

from combgrad import CombinatorialLayer, solvers
from combgrad.gradients import LPGD, Blackbox
from combgrad.gradients.nearest_point import regularised_minimum
from combgrad.instances import NOTHING

SOLVER = solvers.BruteForceTSP()
FORMS = ("lower", "upper", "average")


def random(*shape, seed=0):
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def slope_of(method, costs, upstream, solver=SOLVER):
    leaf = costs.clone().requires_grad_()
    (slope,) = torch.autograd.grad(CombinatorialLayer(solver, method)(leaf), leaf, upstream)
    return slope


@pytest.mark.parametrize("form", FORMS)
def test_without_a_proximal_term_it_is_a_difference_of_solutions(form):
    costs, upstream, tau = random(6, 10), random(6, 10, seed=1), 0.7
    found = slope_of(LPGD(tau, form), costs, upstream)
    for w, g, slope in zip(costs, upstream, found, strict=True):
        here, ahead, behind = (SOLVER((w + s * g)[None])[0] for s in (0.0, tau, -tau))
        wanted = {
            "lower": (ahead - here) / tau,
            "upper": (here - behind) / tau,
            "average": (ahead - behind) / (2 * tau),
        }
        torch.testing.assert_close(slope, wanted[form])
    assert float(found.abs().sum()) > 0


def test_lower_is_blackbox_and_average_the_mean_of_both_sides():
    costs, upstream = random(6, 10), random(6, 10, seed=1)
    lower, upper, average = (slope_of(LPGD(0.7, form), costs, upstream) for form in FORMS)
    assert torch.equal(lower, slope_of(Blackbox(0.7), costs, upstream))
    torch.testing.assert_close(average, (lower + upper) / 2)


@pytest.mark.parametrize("rho", [0.05, 1.0, 20.0])
@pytest.mark.parametrize("form", ["lower", "upper"])
def test_the_proximal_point_is_the_best_of_the_hull(form, rho):
    """Its optimality condition: the objective's slope there is least over Y at the point itself."""
    costs, upstream, tau = random(6, 10), random(6, 10, seed=1), 0.7
    sign = 1 if form == "lower" else -1
    solution = SOLVER(costs)
    method = LPGD(tau, form, rho, tol=1e-14)
    point = solution + sign * tau * slope_of(method, costs, upstream)
    slope = costs + sign * tau * upstream + rho * (point - solution)
    best = (slope * SOLVER(slope)).sum(dim=1)
    torch.testing.assert_close((slope * point).sum(dim=1), best, atol=1e-6, rtol=0)


def test_a_strong_proximal_term_leaves_a_small_step_within_the_hull():
    """Where costs tie, the smallest step moves a little; without rho all the way."""
    costs = torch.zeros(1, 3, dtype=torch.float64)
    upstream, solver = torch.tensor([[3.0, 1.0, 0.0]], dtype=torch.float64), solvers.TopK(1)
    first = slope_of(LPGD(1e-3, "lower", 1.0, tol=1e-16), costs, upstream, solver)
    # From (1, 0, 0) to the nearest point of the simplex to (1 - 3t, -t, 0).
    wanted = torch.tensor([[-5.0, 1.0, 4.0]]).double() / 3
    torch.testing.assert_close(first, wanted, atol=1e-5, rtol=0)
    whole = slope_of(LPGD(1e-3, "lower"), costs, upstream, solver)
    torch.testing.assert_close(whole, torch.tensor([[-1e3, 0.0, 1e3]]).double())


def test_a_weak_proximal_term_is_not_rounded_away_beside_large_costs():
    """Two entries cost the same: whatever rho is, without a gradient the solution stays."""
    costs = torch.tensor([[100.0, 100.0, 200.0]])
    found = slope_of(LPGD(1.0, "lower", 3e-6), costs, torch.zeros(1, 3), solvers.TopK(1))
    assert found.tolist() == [[0.0, 0.0, 0.0]]
    costs, upstream = torch.full((1, 8), 1e5), random(1, 8).float()
    single, double = (
        slope_of(LPGD(1.0, "average", 0.02), w, g, solvers.TopK(2))
        for w, g in ((costs, upstream), (costs.double(), upstream.double()))
    )
    torch.testing.assert_close(single.double(), double, atol=1e-5, rtol=0)


def test_the_search_for_the_nearest_point_ends_where_costs_are_alike_and_large(recwarn):
    costs, upstream, solver = torch.full((1, 8), 1000.0), random(1, 8).float(), solvers.TopK(2)
    slope_of(LPGD(1.0, "average", 0.02), costs, upstream, solver)
    assert solver.calls < 30
    assert not recwarn.list


def test_forbidden_entries_have_no_slope():
    costs, upstream = random(4, 6), random(4, 6, seed=1)
    costs[:, 2] = torch.inf
    kept, solver = [0, 1, 3, 4, 5], solvers.TopK(2)
    for rho in (0.0, 0.8):
        method = LPGD(0.9, "average", rho)
        found = slope_of(method, costs, upstream, solver)
        assert float(found[:, 2].abs().sum()) == 0
        alone = slope_of(method, costs[:, kept], upstream[:, kept], solver)
        torch.testing.assert_close(found[:, kept], alone, atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    ("form", "mode"), [("lower", "lpgd_right"), ("upper", "lpgd_left"), ("average", "lpgd")]
)
def test_it_is_the_lpgd_of_diffcp(form, mode):
    """Of the matchings as a cone program, which is the authors' own implementation."""
    diffcp, sparse = pytest.importorskip("diffcp"), pytest.importorskip("scipy.sparse")
    n, tau, rho, solver = 3, 0.8, 0.5, solvers.Assignment()
    program = solver.relaxation(torch.Size((n, n)))
    rows = sparse.csc_matrix(sparse.vstack([program.matrix, -sparse.eye_array(n * n)]))
    sides = np.concatenate([program.upper, np.zeros(n * n)])
    for seed in range(3):
        w, g = random(1, n, n, seed=seed), random(1, n, n, seed=10 + seed)
        found = slope_of(LPGD(tau, form, rho, tol=1e-16), w, g, solver)
        result = diffcp.solve_and_derivative_internal(
            rows,
            sides,
            w.flatten().numpy(),
            {"z": program.matrix.shape[0], "l": n * n},
            P=sparse.csc_matrix((n * n, n * n)),
            solve_method="Clarabel",
            mode=mode,
            derivative_kwargs={"tau": tau, "rho": rho},
        )
        upstream = g.flatten().numpy(), np.zeros(len(sides)), np.zeros(len(sides))
        _, _, wanted = result["DT"](*upstream)
        assert found.flatten().numpy() == pytest.approx(wanted, abs=1e-4)


def test_settings_out_of_range_are_refused():
    for wrong in ({"tau": 0}, {"envelope": "both"}, {"rho": -1.0}, {"steps": 0}, {"tol": 0}):
        with pytest.raises(ValueError, match=f"grad.{next(iter(wrong))}"):
            LPGD(**({"tau": 1.0} | wrong))


def test_the_proximal_point_at_no_step_is_the_solution():
    costs, rho = random(6, 10), 2.0
    solution = SOLVER(costs)
    point, _, _ = regularised_minimum(SOLVER, costs - rho * solution, NOTHING, rho, 1000, 1e-12)
    torch.testing.assert_close(point, solution, atol=1e-6, rtol=0)
