"""Every gradient method returns what its formula says, whatever stands around it."""

import copy

import pytest
import torch

from combgrad import CombinatorialLayer
from combgrad.errors import DoubleBackwardError, WrongAnswerError
from combgrad.gradients import (
    IMLE,
    L2X,
    SIMPLE,
    Blackbox,
    GradientMethod,
    Identity,
    Perturbed,
    SoftSub,
    StraightThrough,
)
from combgrad.projections import Mean, Norm, Std
from combgrad.solvers import TSP, BruteForceTSP, Solver
from parts import build, complete, fitting

VARIANTS = {
    "blackbox-0.7": Blackbox(lam=0.7),
    "imle-0.7": IMLE(lam=0.7),
    "perturbed-0.5": Perturbed(sigma=0.5, samples=4),
    "straight_through-0.7": StraightThrough(0.7),
    "l2x-0.7": L2X(0.7),
    "l2x-tfi": L2X(0.7, "tfi"),
    "softsub-0.7": SoftSub(0.7),
    "softsub-tfi": SoftSub(0.7, "tfi"),
    "simple-0.7": SIMPLE(0.7),
}

#: Every method there is, as its YAML says, and variants; each with a solver it fits.
METHODS = [
    pytest.param(method, fitting(method), id=name)
    for name, method in ({o: build("grad", o) for o in complete("grad")} | VARIANTS).items()
]


def random_costs(rows=6, edges=10, dtype=torch.float64, seed=0):
    return torch.randn(rows, edges, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def gradient_of(layer, costs, upstream):
    # The same noise, and the same state of a method that adapts, in every call.
    torch.manual_seed(0)
    layer = copy.deepcopy(layer)
    costs = costs.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(layer(costs), costs, upstream)
    return gradient


def test_identity_is_minus_the_upstream_gradient():
    upstream = random_costs(seed=1)
    gradient = gradient_of(CombinatorialLayer(TSP(), Identity()), random_costs(), upstream)
    torch.testing.assert_close(gradient, -upstream)


def test_identity_with_l1_is_the_sign_of_the_error():
    costs, target = random_costs(), BruteForceTSP()(random_costs(seed=5))
    costs.requires_grad_()
    solution = CombinatorialLayer(TSP(), Identity())(costs)
    loss = (solution - target).abs().sum(1).mean()
    loss.backward()
    expected = torch.sign(target - solution.detach()) / len(costs)
    torch.testing.assert_close(costs.grad, expected)
    assert float(loss.detach()) > 0


def test_blackbox_equals_its_formula_in_a_plain_loop():
    costs, upstream, lam = random_costs(), random_costs(seed=1), 0.7
    gradient = gradient_of(CombinatorialLayer(TSP(), Blackbox(lam)), costs, upstream)
    oracle = BruteForceTSP()
    for row in range(len(costs)):
        before = oracle(costs[row : row + 1])[0]
        after = oracle((costs[row] + lam * upstream[row]).unsqueeze(0))[0]
        torch.testing.assert_close(gradient[row], (after - before) / lam)
    assert float(gradient.abs().sum()) > 0


def test_blackbox_with_a_large_lambda_points_from_solution_to_target():
    costs, lam = random_costs(), 1e6
    target = BruteForceTSP()(random_costs(seed=5))
    layer = CombinatorialLayer(TSP(), Blackbox(lam))
    solution = layer(costs)
    # 1 - 2 y* is the slope of the Hamming distance; following it far enough reaches y*.
    gradient = gradient_of(layer, costs, 1 - 2 * target)
    torch.testing.assert_close(gradient, (target - solution) / lam)


@pytest.mark.parametrize("projection", [Mean(), Norm(), Std()], ids=["mean", "norm", "std"])
@pytest.mark.parametrize(("method", "solver"), METHODS)
def test_with_a_projection_the_gradient_is_pulled_back_by_its_jacobian(method, solver, projection):
    costs, upstream = random_costs(), random_costs(seed=1)
    gradient = gradient_of(CombinatorialLayer(solver, method, projection), costs, upstream)
    plain = gradient_of(CombinatorialLayer(solver, method), projection(costs), upstream)
    for row in range(len(costs)):
        jacobian = torch.autograd.functional.jacobian(
            lambda w: projection(w.unsqueeze(0))[0], costs[row]
        )
        torch.testing.assert_close(gradient[row], jacobian.T @ plain[row])


def test_steps_along_identity_move_the_solution_exactly_when_a_better_one_exists():
    """Theorem 1 on a toy problem, with a linear loss <g, y>."""
    solver = BruteForceTSP()
    cases = []
    for seed in range(20):
        costs, g = random_costs(1, seed=seed), random_costs(1, seed=100 + seed)
        before = after = solver(costs)
        if seed % 5 == 0:
            g = costs  # here nothing is better than the solution itself
        w = costs.clone()
        for _ in range(2000):
            w = w + 1e-2 * g  # the step -alpha * (-g)
            after = solver(w)
            if not torch.equal(after, before):
                assert float((g * after).sum()) < float((g * before).sum())
                break
        better_exists = float((g * solver(g)).sum()) < float((g * before).sum()) - 1e-9
        assert (not torch.equal(after, before)) == better_exists
        cases.append(better_exists)
    assert set(cases) == {True, False}


@pytest.mark.parametrize(("method", "solver"), METHODS)
class TestContract:
    def test_dtypes_and_shapes(self, method, solver):
        for dtype in (torch.float32, torch.float64):
            costs = random_costs(dtype=dtype)
            gradient = gradient_of(
                CombinatorialLayer(solver, method), costs, torch.ones_like(costs)
            )
            assert gradient.dtype == dtype
            assert gradient.shape == costs.shape

    def test_empty_and_single_batches(self, method, solver):
        layer = CombinatorialLayer(solver, method, Std())
        for rows in (0, 1):
            costs = random_costs(rows)
            gradient = gradient_of(layer, costs, torch.ones_like(costs))
            assert gradient.shape == (rows, 10)

    def test_evaluation_without_grad_gives_a_plain_solution(self, method, solver):
        layer = CombinatorialLayer(solver, method).eval()
        with torch.no_grad():
            solution = layer(random_costs().requires_grad_())
        assert not solution.requires_grad
        assert torch.equal(solution, solver(random_costs()))

    def test_double_backward_is_refused_with_a_reason(self, method, solver):
        costs = random_costs().requires_grad_()
        loss = CombinatorialLayer(solver, method)(costs).square().sum()
        with pytest.raises(DoubleBackwardError, match="create_graph"):
            torch.autograd.grad(loss, costs, create_graph=True)


@pytest.mark.parametrize("lam", [0, -1, float("inf"), float("nan")])
def test_blackbox_refuses_a_useless_lambda(lam):
    with pytest.raises(ValueError, match="lam"):
        Blackbox(lam)


@pytest.mark.parametrize(("method", "solver"), METHODS)
@pytest.mark.parametrize("shares", [1, 2])
def test_the_answer_may_be_changed_in_place(method, solver, shares):
    costs, upstream = random_costs(), random_costs(seed=1)
    slopes = []
    for change in (lambda y: y * 3 + 1, lambda y: y.mul_(3).add_(1)):
        torch.manual_seed(0)
        layer = CombinatorialLayer(solver, copy.deepcopy(method), Norm())
        layer.shares = shares
        weights = costs.clone().requires_grad_()
        answer = layer(weights)
        before = answer.detach().clone()
        changed = change(answer)
        assert torch.equal(changed.detach(), before * 3 + 1)
        slopes.append(torch.autograd.grad(changed, weights, upstream)[0])
    assert float(slopes[0].abs().sum()) > 0
    assert torch.equal(*slopes)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (lambda slope: None, "NoneType"),
        (lambda slope: slope[:1], r"\(1, 10\)"),
        (lambda slope: slope.expand(4, *slope.shape), r"\(4, 6, 10\)"),
    ],
)
def test_a_method_whose_vjp_answers_in_another_form_is_named(answer, said):
    class Mine(GradientMethod):
        def vjp(self, solver, saved, grad_solution):
            return answer(grad_solution)

    class Below(Solver):
        """Forbids no entry: one that does stumbles over None by itself."""

        def _solve(self, costs):
            return (costs < 0).to(costs)

    costs = random_costs().requires_grad_()
    solution = CombinatorialLayer(Below(), Mine())(costs)
    with pytest.raises(WrongAnswerError, match=f"Mine: its vjp gives {said}; .*shape .6, 10."):
        solution.sum().backward()
