"""QPTL and the log barrier: optimality, finite differences, each other's limits, refusals."""

import copy

import numpy as np
import pytest
import torch

from combgrad import CombinatorialLayer, solvers
from combgrad.errors import IncompatibleError, SolverFailedError, SolverInputError
from combgrad.gradients import QPTL, CvxpyLayers, LogBarrier, RegularisedFrankWolfe
from combgrad.gradients.interior import interior_of
from contract import LADDER

PATHS = solvers.GraphShortestPath([*LADDER, (4, 5)], 6, 0, 5, directed=True)
SOLVERS = {
    "subsets": (solvers.TopK(3), (7,)),
    "one-of-one": (solvers.TopK(1), (1,)),
    "matchings": (solvers.Assignment(), (3, 3)),
    "wide-matchings": (solvers.Assignment(), (2, 4)),
    "paths": (PATHS, (10,)),
    "alignments": (solvers.Alignment(), (3, 2, 3)),
    "knapsack": (solvers.Knapsack([3, 1, 4, 1, 5], 7), (5,)),
    "tours": (solvers.TSP(), (10,)),
    "cached": (solvers.Cached(solvers.TopK(2)), (5,)),
}
#: Whose relaxation is the hull of their solutions.
HULLS = ("subsets", "matchings", "wide-matchings", "paths", "alignments")
every_solver = pytest.mark.parametrize("name", SOLVERS)


def name_of(part):
    return type(part).__name__


def random(*shape, seed=0):
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def answer_and_slope(method, solver, costs, upstream):
    leaf = costs.clone().requires_grad_()
    answer = CombinatorialLayer(solver, method)(leaf)
    return answer.detach(), torch.autograd.grad(answer, leaf, upstream)[0]


def by_differences(method, solver, costs, upstream, step):
    """The slope of <upstream, y(w)> in every entry of w."""
    layer, slope = CombinatorialLayer(solver, method), torch.zeros_like(costs)
    for entry in range(costs[0].numel()):
        moved = torch.zeros_like(costs).flatten(1)
        moved[:, entry] = step
        ends = (layer(costs + s * moved.view_as(costs)) * upstream for s in (1, -1))
        ahead, behind = (end.flatten(1).sum(dim=1) for end in ends)
        slope.flatten(1)[:, entry] = (ahead - behind) / (2 * step)
    return slope


@every_solver
@pytest.mark.parametrize("mu", [0.02, 0.5, 30.0])
def test_the_barriers_slope_is_that_of_finite_differences(name, mu):
    solver, shape = SOLVERS[name]
    costs, upstream = random(4, *shape), random(4, *shape, seed=1)
    _, slope = answer_and_slope(LogBarrier(mu), solver, costs, upstream)
    wanted = by_differences(LogBarrier(mu), solver, costs, upstream, 1e-4 * mu)
    torch.testing.assert_close(slope, wanted, atol=1e-5 / mu, rtol=1e-5)


@every_solver
def test_the_barriers_point_is_within_and_the_best(name):
    """Its optimality condition: the objective has no slope along any way that keeps equalities."""
    solver, shape = SOLVERS[name]
    costs, mu = random(4, *shape), 0.3
    found = CombinatorialLayer(solver, LogBarrier(mu))(costs).flatten(1)
    interior = interior_of(solver.relaxation(torch.Size(shape)))
    slack = interior.slack(found)
    assert bool((slack > 0).all())
    slope = costs.flatten(1) + mu * (1 / slack) @ interior.rows
    along = slope @ interior.basis
    torch.testing.assert_close(along, torch.zeros_like(along), atol=1e-6, rtol=0)


@pytest.mark.parametrize("name", HULLS)
def test_a_small_barrier_leads_to_the_solution_and_a_large_one_to_the_middle(name):
    solver, shape = SOLVERS[name]
    costs = random(3, *shape)
    near = CombinatorialLayer(solver, LogBarrier(1e-5))(costs)
    torch.testing.assert_close(near, solver(costs), atol=1e-2, rtol=0)
    middle = CombinatorialLayer(solver, LogBarrier(1e7))(costs)
    torch.testing.assert_close(middle, middle[:1].expand_as(middle), atol=1e-5, rtol=0)


def test_of_one_free_share_it_is_the_root_of_a_quadratic():
    """Of two items, y and 1 - y: w/mu = 2/y - 2/(1 - y), with w the difference of the costs."""
    costs = torch.tensor([[1.3, 0.4]], dtype=torch.float64)
    found = CombinatorialLayer(solvers.TopK(1), LogBarrier(0.5))(costs)
    w = 0.9 / 0.5
    roots = np.roots([w, -w - 4, 2])
    (y,) = roots[(roots > 0) & (roots < 1)]
    assert found[0].tolist() == pytest.approx([y, 1 - y])


def test_a_barrier_that_is_too_small_is_named():
    costs = 1e12 * random(2, 7)
    with pytest.raises(SolverFailedError, match=r"LogBarrier: Newton.* raise grad.mu, which is"):
        CombinatorialLayer(solvers.TopK(3), LogBarrier(1e-6, steps=5))(costs)
    # Where double precision holds no such point, no other is given out as one.
    for size, mu in ((1e30, 1.0), (1e200, 1.0), (1.0, 1e-20), (1.0, 1e-200)):
        with pytest.raises(
            SolverFailedError, match=r"LogBarrier: Newton.* raise grad.mu, which is"
        ):
            CombinatorialLayer(solvers.TopK(3), LogBarrier(mu))(size * random(2, 7))


@pytest.mark.parametrize("mu", [1e-4, 1e-8, 1e-12])
def test_of_two_entries_a_small_barrier_is_the_root_of_a_quadratic_too(mu):
    """y = (s, 1 - s) with d s^2 - (d + 4 mu) s + 2 mu = 0 for the difference d > 0 of the costs."""
    costs = torch.tensor([[0.9, 0.2]], dtype=torch.float64)
    d, upstream = 0.9 - 0.2, torch.tensor([[1.0, -1.0]], dtype=torch.float64)
    share = 4 * mu / (d + 4 * mu + (d * d + 16 * mu * mu) ** 0.5)
    _, slope = answer_and_slope(LogBarrier(mu), solvers.TopK(1), costs, upstream)
    moved = -1 / (2 * mu * (1 / share**2 + 1 / (1 - share) ** 2))
    assert float(slope[0, 0]) == pytest.approx(2 * moved, rel=1e-2)


def test_a_relaxation_without_an_end_is_refused():
    free = {"bounds": (-np.inf, np.inf), "integrality": 0}
    line = solvers.ILP(A_eq=[[1, 1]], b_eq=[5], **free)
    with pytest.raises(IncompatibleError, match="give its variables bounds"):
        CombinatorialLayer(line, LogBarrier(1.0))(random(2, 2))
    ray = solvers.ILP(A_ub=[[1]], b_ub=[5], **free)
    with pytest.raises(SolverFailedError, match="bound the program's variables"):
        CombinatorialLayer(ray, LogBarrier(1.0))(torch.ones(1, 1, dtype=torch.float64))


@pytest.mark.parametrize("method", [LogBarrier(0.2), QPTL(1.0), CvxpyLayers()], ids=name_of)
@pytest.mark.parametrize(
    "solver", [solvers.Alignment(), solvers.Cached(solvers.Alignment())], ids=name_of
)
def test_alignments_of_different_length_are_answered_as_alone(method, solver):
    if not isinstance(method, LogBarrier):
        pytest.importorskip("cvxpylayers")
    costs, upstream, method = random(5, 4, 4, 3), random(5, 4, 4, 3, seed=1), copy.deepcopy(method)
    lengths = [[3, 3], [1, 2], [0, 0], [1, 2], [0, 3]]
    leaf = costs.clone().requires_grad_()
    answer = CombinatorialLayer(solver, method)(leaf, lengths=lengths)
    (slope,) = torch.autograd.grad(answer, leaf, upstream)
    alone, answer = CombinatorialLayer(solver, method), answer.detach()
    for index, (n, m) in enumerate(lengths):
        block = index, slice(n + 1), slice(m + 1)
        one = costs[block][None].clone().requires_grad_()
        wanted = alone(one)
        (known,) = torch.autograd.grad(wanted, one, upstream[block][None])
        for found, expected in ((answer, wanted.detach()), (slope, known)):
            torch.testing.assert_close(found[block], expected[0], atol=1e-6, rtol=0)
            found[block] = 0
            assert not found[index].any()


@pytest.mark.parametrize("rubbish", [7.0, float("nan"), float("inf")])
def test_matchings_in_padding_are_answered_as_alone(rubbish):
    sizes = [(2, 3), (4, 4), (2, 3), (3, 2)]
    valid = torch.zeros(4, 4, 4, dtype=torch.bool)
    for row, (n, m) in enumerate(sizes):
        valid[row, 4 - n :, :m] = True
    costs = random(4, 4, 4)
    leaf = costs.masked_fill(~valid, rubbish).requires_grad_()
    layer = CombinatorialLayer(solvers.Assignment(), LogBarrier(0.3))
    answer = layer(leaf, valid=valid)
    (slope,) = torch.autograd.grad(answer, leaf, random(4, 4, 4, seed=1))
    for row, (n, m) in enumerate(sizes):
        block = row, slice(4 - n, 4), slice(m)
        one = costs[block][None].clone().requires_grad_()
        wanted = layer(one)
        (known,) = torch.autograd.grad(wanted, one, random(4, 4, 4, seed=1)[block][None])
        torch.testing.assert_close(answer[block], wanted[0])
        torch.testing.assert_close(slope[block], known[0])
    assert float(answer[~valid].abs().sum()) == float(slope[~valid].abs().sum()) == 0


def test_errors_say_of_which_size_they_speak():
    costs, lengths = random(3, 3, 3, 3), [[2, 2], [1, 1], [2, 2]]
    layer = CombinatorialLayer(solvers.Alignment(), LogBarrier(0.1, steps=1))
    with pytest.raises(SolverFailedError, match=r"of shape \(2, 2, 3\) alone, .* batch index 1\."):
        layer(costs, lengths=lengths)
    costs[2, 0, 0, 0] = torch.nan
    with pytest.raises(SolverInputError, match=r"costs of batch index 2 contain NaN"):
        layer(costs, lengths=lengths)


def test_an_empty_batch_has_an_empty_gradient():
    nothing = random(0, 3, 3).requires_grad_()
    CombinatorialLayer(solvers.Assignment(), LogBarrier(1.0))(nothing).sum().backward()
    assert nothing.grad.shape == (0, 3, 3)


@pytest.mark.parametrize("method", [LogBarrier(0.1), QPTL(1.0)], ids=["barrier", "qptl"])
def test_what_does_not_fit_is_refused(method):
    with pytest.raises(IncompatibleError, match=f"{type(method).__name__} needs the linear relax"):
        CombinatorialLayer(solvers.SpanningTree(), method)
    layer = CombinatorialLayer(solvers.TopK(2), copy.deepcopy(method))
    broken = random(2, 5)
    broken[1, 2] = torch.inf
    with pytest.raises(SolverInputError, match=r"batch index 1 contain .* cannot forbid an entry"):
        layer(broken)
    with pytest.raises(IncompatibleError, match=r"no gradient in evaluation"):
        layer.eval()(random(2, 5).requires_grad_()).sum().backward()


def test_settings_out_of_range_are_refused():
    for wrong in (0, -1.0, float("inf")):
        with pytest.raises(ValueError, match=r"grad\.mu"):
            LogBarrier(wrong)
        with pytest.raises(ValueError, match=r"grad\.lam"):
            QPTL(wrong)
    with pytest.raises(ValueError, match=r"grad\.steps"):
        LogBarrier(1.0, steps=0)


@pytest.mark.parametrize("name", HULLS)
def test_of_a_hull_qptl_is_regularised_frank_wolfe(name):
    pytest.importorskip("cvxpylayers")
    solver, shape = SOLVERS[name]
    costs, upstream, lam = random(4, *shape), random(4, *shape, seed=1), 0.8
    found, slope = answer_and_slope(QPTL(lam), solver, costs, upstream)
    method = RegularisedFrankWolfe(lam, tol=1e-14)
    wanted, known = answer_and_slope(method, solver, costs, upstream)
    torch.testing.assert_close(found, wanted, atol=2e-4, rtol=0)
    torch.testing.assert_close(slope, known, atol=5e-3, rtol=0)


@pytest.mark.parametrize("name", ["knapsack", "tours"])
def test_the_slope_of_qptl_is_that_of_finite_differences(name):
    pytest.importorskip("cvxpylayers")
    solver, shape = SOLVERS[name]
    costs, upstream, method = random(3, *shape), random(3, *shape, seed=1), QPTL(1.5)
    _, slope = answer_and_slope(method, solver, costs, upstream)
    wanted = by_differences(method, solver, costs, upstream, 1e-2)
    torch.testing.assert_close(slope, wanted, atol=5e-3, rtol=0)


def test_one_method_serves_two_solvers_of_one_shape():
    method, costs = LogBarrier(0.3), random(2, 5)
    first, second = (solvers.Knapsack([1, 2, 3, 2, 1], room) for room in (3, 6))
    found = [CombinatorialLayer(s, method)(costs) for s in (first, second, first)]
    assert torch.equal(found[0], found[2])
    assert not torch.equal(found[0], found[1])
