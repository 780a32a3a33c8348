"""Straight-through, L2X and SoftSub return what their formulas say, and fit k-subsets only."""

import itertools

import pytest
import torch

from combgrad import CombinatorialLayer, IncompatibleError, SolverInputError
from combgrad.gradients.base import Saved
from combgrad.gradients.relaxations import L2X, SoftSub, subset_size
from combgrad.gradients.simple import SIMPLE
from combgrad.gradients.straight_through import StraightThrough
from combgrad.sampling.noise import Gumbel
from combgrad.solvers import TSP, Assignment, Cached, Knapsack, TopK

RELAXATIONS = {
    f"{make.__name__}-{variant}": lambda make=make, variant=variant, **more: make(
        0.7, variant, **more
    )
    for make, variant in itertools.product((L2X, SoftSub), ("original", "tfi"))
}
relaxations = pytest.mark.parametrize("make", RELAXATIONS.values(), ids=RELAXATIONS.keys())


def random(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def soft(row, tau):
    weights = [torch.exp(entry / tau) for entry in row]
    return torch.stack([weight / sum(weights) for weight in weights])


def by_hand(method, costs, noise, k):
    """The formulas of both methods, one instance and one entry at a time."""
    rows = []
    for b in range(len(costs)):
        if isinstance(method, L2X):
            samples = [soft(noise[m, b] - costs[b], method.tau) for m in range(len(noise))]
            rows.append(torch.stack([max(s[i] for s in samples) for i in range(costs.shape[1])]))
            continue
        keys = (noise[0, b] if method.variant == "original" else -noise[0, b]) - costs[b]
        total = torch.zeros_like(keys)
        for _ in range(k):
            share = soft(keys, method.tau)
            total, keys = total + share, keys + torch.log(1 - share)
        rows.append(total)
    return torch.stack(rows)


@pytest.mark.parametrize("k", [1, 3])
def test_straight_through_is_the_jacobian_of_k_softmax(k):
    costs, upstream, tau = random(5, 7), random(5, 7, seed=1), 0.3
    costs.requires_grad_()
    solution = CombinatorialLayer(TopK(k), StraightThrough(tau))(costs)
    assert torch.equal(solution, TopK(k)(costs))
    (gradient,) = torch.autograd.grad(solution, costs, upstream)
    for row in range(len(costs)):
        jacobian = torch.autograd.functional.jacobian(
            lambda w: k * soft(-w, tau), costs[row].detach()
        )
        torch.testing.assert_close(gradient[row], jacobian.T @ upstream[row])


@relaxations
def test_relaxations_and_their_gradients_equal_their_formulas_in_a_plain_loop(make):
    method, solver = make(), TopK(3)
    costs, upstream = random(4, 6), random(4, 6, seed=1)
    answer, saved = method.forward(solver, costs)
    (noise,) = saved.extras
    assert noise.shape == (3 if make is RELAXATIONS["L2X-original"] else 1, 4, 6)
    leaf = costs.clone().requires_grad_()
    expected = by_hand(method, leaf, noise, 3)
    torch.testing.assert_close(answer, expected.detach())
    (slope,) = torch.autograd.grad(expected, leaf, upstream)
    torch.testing.assert_close(method.vjp(solver, saved, upstream), slope)


@relaxations
def test_the_layer_answers_softly_and_differentiates_with_the_same_noise(make):
    costs, upstream = random(4, 6).requires_grad_(), random(4, 6, seed=1)
    method = make(generator=torch.Generator().manual_seed(3))
    answer = CombinatorialLayer(TopK(2), method)(costs)
    assert not torch.equal(answer, answer.round())
    (gradient,) = torch.autograd.grad(answer, costs, upstream)
    again = make(generator=torch.Generator().manual_seed(3))
    _, saved = again.forward(TopK(2), costs.detach())
    expected = by_hand(again, costs, saved.extras[0], 2)
    torch.testing.assert_close(answer, expected)
    torch.testing.assert_close(gradient, torch.autograd.grad(expected, costs, upstream)[0])


@relaxations
def test_fresh_noise_each_time_and_the_same_for_the_same_seed(make):
    costs, solver = random(3, 8), TopK(3)
    torch.manual_seed(5)
    first, second = make().forward(solver, costs)[0], make().forward(solver, costs)[0]
    torch.manual_seed(5)
    assert torch.equal(make().forward(solver, costs)[0], first)
    assert not torch.equal(first, second)
    state = torch.get_rng_state()
    make(generator=torch.Generator().manual_seed(1)).forward(solver, costs)
    assert torch.equal(torch.get_rng_state(), state)


def test_sums_and_bounds():
    costs = random(20, 9)
    for k in (1, 4):
        subset = SoftSub(0.5).forward(TopK(k), costs)[0]
        torch.testing.assert_close(subset.sum(1), torch.full((20,), float(k), dtype=torch.float64))
        one = L2X(0.5, "tfi").forward(TopK(k), costs)[0]
        torch.testing.assert_close(one.sum(1), torch.ones(20, dtype=torch.float64))
        several = L2X(0.5).forward(TopK(k), costs)[0]
        assert float(several.max()) <= 1
        assert (float(several.sum(1).min()) > 1.01) == (k > 1)


@relaxations
def test_as_tau_goes_to_zero_the_answer_becomes_a_choice_of_the_noisy_costs(make):
    method, costs, k = make(), random(30, 8), 3
    method.tau = 1e-6  # far below what is between two keys
    answer, saved = method.forward(TopK(k), costs)
    (noise,) = saved.extras
    for b in range(len(costs)):
        if isinstance(method, L2X):
            chosen = {int((draw[b] - costs[b]).argmax()) for draw in noise}
        else:
            keys = (noise[0, b] if method.variant == "original" else -noise[0, b]) - costs[b]
            chosen = set(keys.argsort(descending=True)[:k].tolist())
        expected = [float(i in chosen) for i in range(8)]
        torch.testing.assert_close(answer[b], torch.tensor(expected, dtype=torch.float64))


@relaxations
def test_the_noise_is_gumbel(make):
    noise = make().forward(TopK(1), torch.zeros(20_000, 5, dtype=torch.float64))[1].extras[0]
    deviation = torch.pi / 6**0.5
    assert float(noise.mean()) == pytest.approx(0.577216, abs=5 * deviation / 1e5**0.5)
    assert float(noise.std()) == pytest.approx(deviation, rel=0.02)
    below = float((noise < 0).double().mean())  # exp(-exp(0)) = 1 / e
    assert below == pytest.approx(0.367879, abs=5 * (0.3679 * 0.6321 / 1e5) ** 0.5)


@relaxations
def test_in_evaluation_the_answer_is_hard_and_the_gradient_that_without_noise(make):
    method, costs, upstream = make(), random(4, 6), random(4, 6, seed=1)
    state = torch.get_rng_state()
    answer, saved = method.evaluate(TopK(2), costs)
    assert torch.equal(answer, TopK(2)(costs))
    leaf = costs.clone().requires_grad_()
    plain = by_hand(method, leaf, torch.zeros(1, 4, 6, dtype=torch.float64), 2)
    (expected,) = torch.autograd.grad(plain, leaf, upstream)
    torch.testing.assert_close(method.vjp(TopK(2), saved, upstream), expected)
    assert torch.equal(torch.get_rng_state(), state)


@relaxations
def test_a_sure_choice_and_extreme_costs_stay_finite(make):
    costs = torch.tensor([[-1e6, 0.0, 1e6, 5.0], [0.0, 0.0, 0.0, 0.0]])
    for dtype in (torch.float32, torch.float64):
        method = make()
        answer, saved = method.forward(TopK(3), costs.to(dtype))
        gradient = method.vjp(TopK(3), saved, torch.ones_like(answer))
        assert answer.dtype == gradient.dtype == dtype
        assert bool(torch.isfinite(answer).all())
        assert bool(torch.isfinite(gradient).all())


METHODS = [
    pytest.param(make, id=name)
    for name, make in {**RELAXATIONS, "ST": StraightThrough, "SIMPLE": SIMPLE}.items()
]


@pytest.mark.parametrize("make", METHODS)
class TestFit:
    def test_other_solvers_are_refused_with_the_reason(self, make):
        for solver in (TSP(), Assignment(), Knapsack([1, 2], 2)):
            with pytest.raises(IncompatibleError) as caught:
                CombinatorialLayer(solver, make())
            words = str(caught.value)
            assert f"{type(make()).__name__} needs" in words
            assert f"{type(solver).__name__} is not: not every choice of k" in words
            assert "use Identity()" in words

    def test_a_layer_in_evaluation_mode_is_hard_and_draws_nothing(self, make):
        layer, costs = CombinatorialLayer(TopK(2), make()).eval(), random(4, 6).requires_grad_()
        state = torch.get_rng_state()
        answer = layer(costs)
        (gradient,) = torch.autograd.grad(answer, costs, random(4, 6, seed=1))
        assert torch.equal(answer, TopK(2)(costs))
        assert float(gradient.abs().sum()) > 0
        assert torch.equal(torch.get_rng_state(), state)

    def test_a_cached_top_k_will_do(self, make):
        answer = CombinatorialLayer(Cached(TopK(2)), make())(random(3, 5).requires_grad_())
        answer.square().sum().backward()
        assert answer.shape == (3, 5)

    def test_bad_costs_are_named(self, make):
        costs = random(3, 5)
        costs[1, 2] = float("nan")
        with pytest.raises(SolverInputError, match="batch index 1"):
            CombinatorialLayer(TopK(2), make())(costs)

    def test_nothing_and_everything_and_no_instance(self, make):
        for rows, k in ((3, 0), (3, 5), (0, 2)):
            costs = random(rows, 5).requires_grad_()
            layer = CombinatorialLayer(TopK(k), make())
            answer = layer(costs)
            (gradient,) = torch.autograd.grad(answer, costs, torch.ones_like(answer))
            assert answer.shape == gradient.shape == (rows, 5)
            assert bool(torch.isfinite(gradient).all())
            if k == 0:
                assert float(answer.detach().abs().sum() + gradient.abs().sum()) == 0


def test_the_size_of_a_subset():
    for k in (0, 3, 300):
        assert subset_size(TopK(k)(random(2, 400, dtype=torch.bfloat16))) == k
    assert subset_size(torch.zeros(0, 4)) == 0


@pytest.mark.parametrize("tau", [0, -1, float("inf"), float("nan")])
def test_a_useless_temperature_is_refused(tau):
    for method in (StraightThrough, L2X, SoftSub, SIMPLE):
        with pytest.raises(ValueError, match=r"grad\.tau"):
            method(tau)


def test_an_unknown_variant_is_refused():
    with pytest.raises(ValueError, match=r"grad\.variant is 'soft'; choose 'original' or 'tfi'"):
        L2X(0.1, "soft")


def test_saved_keeps_the_hard_solution_beside_the_soft_answer():
    answer, saved = SoftSub(0.5).forward(TopK(2), random(3, 5))
    assert isinstance(saved, Saved)
    assert torch.equal(saved.solution, TopK(2)(random(3, 5)))
    assert not torch.equal(answer, saved.solution)


@pytest.mark.parametrize("make", [L2X, SoftSub])
def test_what_no_sum_can_see_is_left_out(make):
    """Else the tails of its softmaxes are numbers next to 0, of which each product is slow."""
    generator = torch.Generator().manual_seed(0)
    layer = CombinatorialLayer(TopK(3), make(tau=0.1, generator=generator)).train()
    costs = torch.linspace(-9, 9, 60).view(2, 30).requires_grad_()
    chosen = layer(costs)
    (chosen * torch.arange(30)).sum().backward()
    assert costs.grad is not None
    generator.manual_seed(0)
    method = layer.gradient
    noise = Gumbel().sample((method.draws(3), 2, 30), torch.float32, torch.device("cpu"), generator)
    again = costs.detach().clone().requires_grad_()
    whole = method.relax(again, noise, 3)
    (whole * torch.arange(30)).sum().backward()
    tiny = torch.finfo(torch.float32).tiny
    for kept, full in ((chosen.detach(), whole.detach()), (costs.grad, again.grad)):
        assert bool(((full != 0) & (full.abs() < tiny)).any())
        assert not bool(((kept != 0) & (kept.abs() < 1e-20)).any())
        size = full.abs().amax(dim=1, keepdim=True)
        assert bool(((kept - full).abs() <= 2e-14 * size).all())
