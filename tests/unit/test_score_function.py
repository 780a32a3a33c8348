"""The score function needs losses alone, and says so when it is used otherwise."""

import math

import pytest
import torch

from combgrad import CombinatorialLayer, IncompatibleError
from combgrad.corruption import GradientNoise
from combgrad.gradients.score_function import ScoreFunction
from combgrad.projections import Std
from combgrad.solvers import BruteForceTSP, TopK


def random(*shape, seed=0):
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def seeded(seed=7):
    return torch.Generator().manual_seed(seed)


def layer_of(solver, *arguments, **more):
    return CombinatorialLayer(solver, ScoreFunction(*arguments, generator=seeded(), **more))


@pytest.mark.parametrize("baseline", [True, False])
def test_score_function_equals_its_formula_in_a_plain_loop(baseline):
    costs, sigma, oracle = random(3, 10).requires_grad_(), 0.6, BruteForceTSP()
    prices = random(3, 10, seed=1).exp()
    layer = layer_of(oracle, sigma, 4, baseline)
    samples = layer(costs)
    losses = (samples.detach() * prices.repeat(4, 1)).sum(1).round()
    objective = layer.gradient.objective(samples, losses)
    objective.backward()
    noise, total = random(4, 3, 10, seed=7), 0.0
    for row in range(3):
        found, worth = [], []
        for z in noise[:, row]:
            found.append(oracle((costs.detach()[row] + sigma * z).unsqueeze(0))[0])
            worth.append(round(float((found[-1] * prices[row]).sum())))
        expected = torch.zeros(10, dtype=torch.float64)
        for m in range(4):
            others = sum(worth[k] for k in range(4) if k != m) / 3
            advantage = worth[m] - others if baseline else worth[m]
            expected += advantage * noise[m, row] / sigma / 4 / 3
            assert torch.equal(samples[m * 3 + row], found[m])
        torch.testing.assert_close(costs.grad[row], expected)
        total += sum(worth)
    assert float(objective.detach()) == pytest.approx(total / 12)
    assert float(costs.grad.abs().sum()) > 0


@pytest.mark.parametrize("baseline", [True, False])
def test_the_choice_between_two_has_the_normal_distributions_closed_form(baseline):
    samples, sigma, costs = 40_000, 0.5, torch.tensor([[0.3, 0.5]], dtype=torch.float64)
    layer, price = layer_of(TopK(1), sigma, samples, baseline), {0: 3.0, 1: 1.0}
    costs.requires_grad_()
    found = layer(costs)
    losses = torch.tensor([price[k] for k in found.argmax(1).tolist()], dtype=torch.float64)
    value = layer.gradient.objective(found, losses)
    value.backward()
    width = sigma * 2**0.5
    share = 0.5 * (1 + math.erf(0.2 / width / 2**0.5))
    density = math.exp(-((0.2 / width) ** 2) / 2) / (2 * math.pi) ** 0.5 / width
    assert abs(float(value.detach()) - (1 + 2 * share)) < 5 / samples**0.5
    expected = 2 * density * torch.tensor([[-1.0, 1.0]], dtype=torch.float64)
    error = (2 if baseline else 3) / (sigma * samples**0.5)  # of Z times at most 2, or 3
    assert bool(((costs.grad - expected).abs() < 5 * error).all())
    assert bool((expected.abs() > 15 * error).all())


def test_equal_losses_give_no_gradient_with_the_baseline():
    for baseline, expected in ((True, 0.0), (False, 1.0)):
        costs = random(3, 10).requires_grad_()
        layer = layer_of(TopK(3), 0.5, 4, baseline)
        samples = layer(costs)
        layer.gradient.objective(samples, torch.full((12,), 5.0).double()).backward()
        assert (float(costs.grad.norm()) > 1e-12) == bool(expected)


def test_the_projection_pulls_the_gradient_back():
    costs = random(3, 10)

    def gradient(w, projection):
        w = w.clone().requires_grad_()
        layer = CombinatorialLayer(TopK(3), ScoreFunction(0.5, 4, True, seeded()), projection)
        samples = layer(w)
        layer.gradient.objective(samples, samples.detach()[:, 0] * 2.0).backward()
        return w.grad

    found, plain = gradient(costs, Std()), gradient(Std()(costs), None)
    for row in range(3):
        jacobian = torch.autograd.functional.jacobian(lambda w: Std()(w[None])[0], costs[row])
        torch.testing.assert_close(found[row], jacobian.T @ plain[row])
    assert float(found.abs().sum()) > 0


def test_the_gradient_of_a_decoder_is_kept():
    weights, costs = random(10, seed=3).requires_grad_(), random(3, 10).requires_grad_()
    layer = layer_of(TopK(3), 0.5, 4)
    samples = layer(costs)
    losses = samples.detach() @ weights
    layer.gradient.objective(samples, losses).backward()
    torch.testing.assert_close(weights.grad, samples.detach().mean(0))
    assert float(costs.grad.abs().sum()) > 0


def test_a_gradient_through_the_samples_is_refused():
    costs, target = random(3, 10).requires_grad_(), TopK(3)(random(3, 10, seed=5))
    layer = layer_of(TopK(3), 0.5, 4)

    def samples_and_losses():
        samples = layer(costs)
        return samples, (samples - target.repeat(4, 1)).square().sum(1)

    with pytest.raises(IncompatibleError, match="objective"):
        samples_and_losses()[1].mean().backward()
    with pytest.raises(IncompatibleError, match="detach"):
        layer.gradient.objective(*samples_and_losses()).backward()
    with pytest.raises(IncompatibleError, match="objective"):
        layer(costs).sum().backward()
    layer.gradient_noise = GradientNoise(0.1)
    with pytest.raises(IncompatibleError, match="gradient_sigma"):
        layer.gradient.objective(layer(costs), samples_and_losses()[1].detach()).backward()
    assert costs.grad is None


def test_losses_of_the_wrong_shape_are_refused():
    layer = layer_of(TopK(3), 0.5, 4)
    samples = layer(random(3, 10))
    for losses in (torch.tensor(1.0), torch.ones(3), torch.ones(12, 10)):
        with pytest.raises(ValueError, match="one loss for each"):
            layer.gradient.objective(samples, losses)
    with pytest.raises(ValueError, match="samples = 4"):
        layer.gradient.objective(samples[:3], torch.ones(3))


def test_an_empty_batch_has_an_empty_gradient():
    costs = random(0, 10).requires_grad_()
    samples = layer_of(TopK(3), 0.5, 4)(costs)
    (gradient,) = torch.autograd.grad(samples, costs, torch.zeros_like(samples))
    assert samples.shape == gradient.shape == (0, 10)


def test_in_evaluation_the_answer_is_the_plain_solution_without_a_gradient():
    costs, method = random(3, 10), ScoreFunction(0.6, 4)
    solution, saved = method.evaluate(TopK(3), costs)
    assert torch.equal(solution, TopK(3)(costs))
    with pytest.raises(IncompatibleError, match=r"layer.train\(\)"):
        method.vjp(TopK(3), saved, torch.ones_like(costs))


@pytest.mark.parametrize(
    ("arguments", "word"),
    [((0, 4), "sigma"), ((1.0, 0), "samples"), ((1.0, 1), "baseline=False")],
)
def test_values_out_of_range_are_refused(arguments, word):
    with pytest.raises(ValueError, match=word):
        ScoreFunction(*arguments)
