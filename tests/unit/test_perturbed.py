"""Perturbed optimizers and their Fenchel-Young loss against loops and closed forms."""

import math

import pytest
import torch

from combgrad import CombinatorialLayer, IncompatibleError, SolverInputError
from combgrad.gradients.perturbed import Perturbed
from combgrad.solvers import BruteForceTSP, TopK

KINDS = ["additive", "multiplicative"]
REDUCTIONS = ["none", "leave_one_out", "antithetic"]


def random(*shape, seed=0):
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def seeded(seed=7):
    return torch.Generator().manual_seed(seed)


def solution_and_gradient(method, solver, costs, upstream):
    costs = costs.clone().requires_grad_()
    solution = CombinatorialLayer(solver, method)(costs)
    (gradient,) = torch.autograd.grad(solution, costs, upstream)
    return solution.detach(), gradient


def draws(reduction, *shape):
    """The noise that a generator with seed 7 gives, pairs of opposite signs if antithetic."""
    if reduction != "antithetic":
        return random(*shape, seed=7)
    half = random(shape[0] // 2, *shape[1:], seed=7)
    return torch.cat([half, -half])


def moved(costs, z, sigma, kind):
    return costs + sigma * z if kind == "additive" else costs * (sigma * z - sigma**2 / 2).exp()


def test_backward_under_autocast_is_in_the_precision_of_the_forward_pass():
    costs, upstream = random(3, 10).float(), random(3, 10, seed=1).float()
    made = (Perturbed(0.6, 4, generator=seeded()) for _ in range(2))
    _, expected = solution_and_gradient(next(made), TopK(3), costs, upstream)
    with torch.autocast("cpu", torch.bfloat16):
        _, found = solution_and_gradient(next(made), TopK(3), costs, upstream)
    assert torch.equal(found, expected)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_perturbed_equals_its_formula_in_a_plain_loop(kind, reduction):
    costs, upstream, sigma = random(3, 10), random(3, 10, seed=1), 0.6
    method, oracle = Perturbed(sigma, 4, kind, reduction, seeded()), BruteForceTSP()
    solution, gradient = solution_and_gradient(method, oracle, costs, upstream)
    noise = draws(reduction, 4, 3, 10)
    for row in range(3):
        w = costs[row]
        found = [oracle(moved(w, z, sigma, kind).unsqueeze(0))[0] for z in noise[:, row]]
        torch.testing.assert_close(solution[row], sum(found) / 4)
        expected = torch.zeros(10, dtype=torch.float64)
        for m in range(4):
            baseline = sum(found[k] for k in range(4) if k != m) / 3
            y = found[m] - baseline if reduction == "leave_one_out" else found[m]
            scale = sigma if kind == "additive" else sigma * w
            expected += noise[m, row] * float((y * upstream[row]).sum()) / scale / 4
        torch.testing.assert_close(gradient[row], expected)
    assert float(gradient.abs().sum()) > 0


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize(
    ("kind", "costs"),
    [("additive", (0.3, 0.5)), ("multiplicative", (0.6, 1.0)), ("multiplicative", (-1.0, -0.7))],
)
def test_the_choice_between_two_has_the_normal_distributions_closed_form(kind, costs, reduction):
    """y_1 = 1 where u_1 < u_2: a normal distribution function of the difference of the costs."""
    samples, sigma = 40_000, 0.5
    first, second = costs
    if kind == "additive":
        gap, inner = second - first, (-1.0, 1.0)
    else:
        sign = math.copysign(1, first)
        gap = sign * (math.log(abs(second)) - math.log(abs(first)))
        inner = (-sign / first, sign / second)
    width = sigma * 2**0.5
    share = 0.5 * (1 + math.erf(gap / width / 2**0.5))
    density = math.exp(-((gap / width) ** 2) / 2) / (2 * math.pi) ** 0.5 / width
    expected = torch.tensor([density * factor for factor in inner], dtype=torch.float64)
    method = Perturbed(sigma, samples, kind, reduction, seeded())
    upstream = torch.tensor([[1.0, 0.0]], dtype=torch.float64)
    w = torch.tensor([costs], dtype=torch.float64)
    solution, gradient = solution_and_gradient(method, TopK(1), w, upstream)
    assert abs(float(solution[0, 0]) - share) < 5 * 0.5 / samples**0.5
    # Z and a number between -1 and 1 is what each sample adds: its deviation is at most 1.
    scale = torch.ones(2).double() if kind == "additive" else w[0].abs()
    error = 1 / (sigma * scale * samples**0.5)
    assert bool(((gradient[0] - expected).abs() < 5 * error).all())
    assert bool((expected.abs() > 15 * error).all())


def test_leave_one_out_knows_that_a_constant_gradient_says_nothing():
    costs, upstream = random(3, 10), torch.ones(3, 10, dtype=torch.float64)
    size = {}
    for reduction in REDUCTIONS:
        method = Perturbed(0.5, 8, variance_reduction=reduction, generator=seeded())
        size[reduction] = float(solution_and_gradient(method, TopK(3), costs, upstream)[1].norm())
    assert size["leave_one_out"] < 1e-12
    assert size["antithetic"] < 1e-12
    assert size["none"] > 1


def test_multiplicative_noise_keeps_signs_and_the_mean_and_refuses_zero():
    method = Perturbed(0.5, 40_000, "multiplicative", generator=seeded())
    costs = random(1, 6)
    perturbed, _ = method.perturb(costs)
    assert bool((perturbed.sign() == costs.sign()).all())
    deviation = costs.abs() * (math.exp(0.25) - 1) ** 0.5 / 200
    assert bool(((perturbed.mean(0) - costs).abs() < 5 * deviation).all())
    costs = torch.ones(3, 4)
    costs[1, 2] = 0
    with pytest.raises(SolverInputError, match="index 1 is 0"):
        CombinatorialLayer(TopK(1), method)(costs)


def test_the_noise_is_fresh_and_comes_from_the_seed_or_the_generator():
    costs = random(2, 10)

    def solution(method, seed):
        torch.manual_seed(seed)
        return CombinatorialLayer(TopK(3), method)(costs)

    own = Perturbed(1.0, 8)
    assert torch.equal(solution(own, 0), solution(own, 0))
    assert not torch.equal(solution(own, 0), solution(own, 1))
    given = Perturbed(1.0, 8, generator=seeded())
    first, second = solution(given, 0), solution(given, 0)
    assert not torch.equal(first, second)
    given.generator.manual_seed(7)
    assert torch.equal(solution(given, 1), first)


def test_in_evaluation_the_answer_is_the_plain_solution_without_a_gradient():
    costs, method = random(3, 10), Perturbed(0.6, 4)
    solution, saved = method.evaluate(TopK(3), costs)
    assert torch.equal(solution, TopK(3)(costs))
    with pytest.raises(IncompatibleError, match=r"layer.train\(\)"):
        method.vjp(TopK(3), saved, torch.ones_like(costs))


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ((0.0, 4), "sigma"),
        ((float("inf"), 4), "sigma"),
        ((1.0, 0), "samples"),
        ((1.0, True), "samples"),
        ((1.0, 4, "gumbel"), "multiplicative"),
        ((1.0, 4, "additive", "some"), "leave_one_out"),
        ((1.0, 1), "variance_reduction='none'"),
        ((1.0, 3, "additive", "antithetic"), "even"),
    ],
)
def test_values_out_of_range_are_refused(arguments, word):
    with pytest.raises(ValueError, match=word):
        Perturbed(*arguments)
