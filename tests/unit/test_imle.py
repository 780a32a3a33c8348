"""I-MLE and its adaptive form equal their formulas."""

import pickle
from types import MappingProxyType

import pytest
import torch

from combgrad import CombinatorialLayer
from combgrad.gradients import Blackbox, Identity
from combgrad.gradients.imle import IMLE, AdaptiveIMLE
from combgrad.solvers import BruteForceTSP, Solver, TopK


class FixedNoise:
    """The same values in every forward pass."""

    def __init__(self, values):
        self.values = values

    def sample(self, shape, dtype, device):
        assert tuple(shape) == self.values.shape
        return self.values.to(dtype=dtype, device=device)


class GumbelNoise:
    """Standard Gumbel noise: y(w - eps) of TopK(1) is then distributed as softmax(-w)."""

    def sample(self, shape, dtype, device):
        return -torch.log(torch.empty(shape, dtype=dtype, device=device).exponential_())


class Signed(Solver):
    """The smallest cost, or the largest where the instance's sign is -1."""

    per_row = MappingProxyType({"sign": ()})

    def __init__(self):
        self.near = []

    def _solve_near(self, costs, near, sign):
        self.near.append(near)
        return self._solve(costs, sign)

    def _solve(self, costs, sign):
        chosen = (costs * sign[:, None]).argmin(dim=1, keepdim=True)
        return torch.zeros_like(costs).scatter_(1, chosen, 1.0)


def random(*shape, seed=0):
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def solution_and_gradient(layer, costs, upstream, **instance):
    costs = costs.clone().requires_grad_()
    solution = layer(costs, **instance)
    (gradient,) = torch.autograd.grad(solution, costs, upstream)
    return solution.detach(), gradient


def one(costs, oracle):
    return oracle(costs.unsqueeze(0))[0]


@pytest.mark.parametrize("divide", [True, False])
@pytest.mark.parametrize("samples", [1, 3])
def test_imle_equals_its_formula_in_a_plain_loop(samples, divide):
    costs, upstream, noise = random(5, 10), random(5, 10, seed=1), random(samples, 5, 10, seed=2)
    lam, oracle = 0.7, BruteForceTSP()
    layer = CombinatorialLayer(oracle, IMLE(lam, FixedNoise(noise), samples, divide))
    solution, gradient = solution_and_gradient(layer, costs, upstream)
    for row in range(5):
        mean, slope = torch.zeros(10).double(), torch.zeros(10).double()
        for draw in noise[:, row]:
            before = one(costs[row] - draw, oracle)
            after = one(costs[row] + lam * upstream[row] - draw, oracle)
            mean += before / samples
            slope += (after - before) / samples / (lam if divide else 1)
        torch.testing.assert_close(solution[row], mean)
        torch.testing.assert_close(gradient[row], slope)
    assert float(gradient.abs().sum()) > 0


def test_imle_without_noise_is_blackbox():
    costs, upstream = random(6, 10), random(6, 10, seed=1)
    found = [
        solution_and_gradient(CombinatorialLayer(BruteForceTSP(), method), costs, upstream)
        for method in (IMLE(0.7), Blackbox(0.7))
    ]
    assert torch.equal(found[0][0], found[1][0])
    assert torch.equal(found[0][1], found[1][1])
    assert float(found[0][1].abs().sum()) > 0


def test_imle_of_one_choice_under_gumbel_noise_has_softmax_expectations():
    torch.manual_seed(0)
    samples, lam = 20_000, 1.5
    costs = torch.tensor([[0.2, -0.3, 0.5, 0.0]], dtype=torch.float64)
    upstream = torch.tensor([[1.0, -0.5, 0.3, -1.0]], dtype=torch.float64)
    layer = CombinatorialLayer(TopK(1), IMLE(lam, GumbelNoise(), samples, divide=False))
    solution, gradient = solution_and_gradient(layer, costs, upstream)
    before, after = torch.softmax(-costs, 1), torch.softmax(-(costs + lam * upstream), 1)
    error = ((before + after) / samples).sqrt()  # no deviation of either mean is larger
    assert bool(((solution - before).abs() < 5 * error).all())
    assert bool(((gradient - (after - before)).abs() < 5 * error).all())
    assert float((after - before).abs().max()) > 20 * float(error.max())


def test_imle_is_exactly_zero_where_the_step_swaps_nothing():
    costs, upstream, noise = random(4, 10), random(4, 10, seed=1), random(5, 4, 10, seed=2)
    gaps = (costs - noise).sort(dim=2).values.diff(dim=2)
    lam = 0.49 * float(gaps.min()) / float(upstream.abs().max())  # two entries move by 2 lam |g|
    layer = CombinatorialLayer(TopK(3), IMLE(lam, FixedNoise(noise), 5))
    _, gradient = solution_and_gradient(layer, costs, upstream)
    assert torch.equal(gradient, torch.zeros(4, 10, dtype=torch.float64))
    layer.gradient.lam = 1.0
    assert float(solution_and_gradient(layer, costs, upstream)[1].abs().sum()) > 0


def test_imle_keeps_what_describes_an_instance_with_its_instance():
    costs, upstream, noise = random(4, 6), random(4, 6, seed=1), random(3, 4, 6, seed=2)
    sign = torch.tensor([1.0, -1.0, 1.0, -1.0], dtype=torch.float64)
    solver = Signed()
    layer = CombinatorialLayer(solver, IMLE(0.5, FixedNoise(noise), 3))
    solution, gradient = solution_and_gradient(layer, costs, upstream, sign=sign)
    before, after = torch.zeros(3, 4, 6).double(), torch.zeros(3, 4, 6).double()
    for m in range(3):
        for row in range(4):
            for found, moved in ((before, 0), (after, 0.5 * upstream[row])):
                w = sign[row] * (costs[row] + moved - noise[m, row])
                found[m, row, int(w.argmin())] = 1
    torch.testing.assert_close(solution, before.mean(0))
    torch.testing.assert_close(gradient, (after - before).mean(0) / 0.5)
    assert solver.calls == 2
    assert torch.equal(torch.cat(solver.near), before.flatten(0, 1))


def test_in_evaluation_imle_takes_no_noise():
    costs, upstream = random(6, 10), random(6, 10, seed=1)
    blackbox = CombinatorialLayer(BruteForceTSP(), Blackbox(0.7))
    expected = solution_and_gradient(blackbox, costs, upstream)
    for method in (IMLE(0.7, GumbelNoise(), 4), AdaptiveIMLE(GumbelNoise(), 4)):
        method.alpha = 0.7 * float(upstream.norm()) / float(costs.norm())
        solution, saved = method.evaluate(BruteForceTSP(), costs)
        torch.testing.assert_close(solution, expected[0])
        gradient = method.vjp(BruteForceTSP(), saved, upstream)
        torch.testing.assert_close(gradient, expected[1])


@pytest.mark.parametrize("symmetric", [False, True])
def test_adaptive_imle_equals_its_rule_in_a_plain_loop(symmetric):
    oracle, noise = BruteForceTSP(), random(2, 3, 10, seed=2)
    method = AdaptiveIMLE(FixedNoise(noise), 2, 0.02, 0.03, 0.5, 1.0, symmetric)
    layer, alpha, average, alphas = CombinatorialLayer(oracle, method), 0.02, 1.0, []
    for step in range(12):
        costs, upstream = random(3, 10, seed=10 + step), random(3, 10, seed=50 + step)
        _, gradient = solution_and_gradient(layer, costs, upstream)
        lam = alpha * float(costs.square().sum()) ** 0.5 / float(upstream.square().sum()) ** 0.5
        expected, nonzero = torch.zeros(3, 10).double(), 0
        for m in range(2):
            for row in range(3):
                w, g = costs[row] - noise[m, row], upstream[row]
                low = one(w - lam * g if symmetric else w, oracle)
                difference = one(w + lam * g, oracle) - low
                nonzero += sum(entry != 0 for entry in difference.tolist())
                expected[row] += difference / 2 / (lam * (2 if symmetric else 1))
        torch.testing.assert_close(gradient, expected)
        average = 0.5 * average + 0.5 * nonzero / 6
        alpha += 0.03 if average < 1.0 else -0.03
        alpha = max(alpha, 0.0)
        assert method.state_dict() == pytest.approx({"alpha": alpha, "nonzeros": average})
        alphas.append(alpha)
        if alpha == 0:
            break
    rises = [later > earlier for earlier, later in zip([0.02, *alphas], alphas, strict=False)]
    assert set(rises) == {True, False}


def test_adaptive_imle_gets_out_of_a_step_of_zero_and_ignores_an_absent_gradient():
    method = AdaptiveIMLE(alpha=0.5, step=1.0, target=0.1, decay=0.0)
    layer = CombinatorialLayer(TopK(1), method)
    costs, upstream = torch.tensor([[1.0, 1.1]]), torch.tensor([[1.0, 0.0]])
    _, gradient = solution_and_gradient(layer, costs, upstream)
    # lam = 0.5 ||w|| swaps the two: both entries differ, more than wanted.
    torch.testing.assert_close(gradient, torch.tensor([[-1.0, 1.0]]) / (0.5 * 2.21**0.5))
    assert method.state_dict() == {"alpha": 0.0, "nonzeros": 2.0}
    for nothing in (torch.zeros(1, 2), torch.zeros(0, 2)):
        _, gradient = solution_and_gradient(layer, costs[: len(nothing)], nothing)
        assert torch.equal(gradient, nothing)
        assert method.state_dict() == {"alpha": 0.0, "nonzeros": 2.0}
    _, gradient = solution_and_gradient(layer, costs, upstream)
    assert torch.equal(gradient, torch.zeros(1, 2))
    assert method.state_dict() == {"alpha": 1.0, "nonzeros": 0.0}


def test_alpha_falls_at_the_target_itself():
    method = AdaptiveIMLE(alpha=0.5, step=0.125, target=2.0, decay=0.5)
    layer = CombinatorialLayer(TopK(1), method)
    # lam = 0.5 ||w|| swaps the two, so that both entries differ, which is what is wanted.
    costs, upstream = torch.tensor([[1.0, 1.1]]), torch.tensor([[1.0, 0.0]])
    solution_and_gradient(layer, costs, upstream)
    assert method.state_dict() == {"alpha": 0.375, "nonzeros": 2.0}


def test_adaptive_imle_goes_on_from_its_state():
    noise = FixedNoise(random(2, 3, 10, seed=2))
    first, second = (AdaptiveIMLE(noise, 2, step=0.1) for _ in range(2))
    found = []
    for step in range(6):
        if step == 3:
            second.load_state_dict(dict(first.state_dict()))
        for method in (first, second)[: 1 + (step >= 3)]:
            layer = CombinatorialLayer(BruteForceTSP(), method)
            costs, upstream = random(3, 10, seed=step), random(3, 10, seed=50 + step)
            found.append(solution_and_gradient(layer, costs, upstream)[1])
    assert all(torch.equal(found[k], found[k + 1]) for k in (3, 5, 7))
    assert first.state_dict() == second.state_dict()
    assert first.alpha != 1.0
    for broken in ({"alpha": 1.0}, {"alpha": float("nan"), "nonzeros": 1.0}):
        with pytest.raises(ValueError, match="nonzeros"):
            second.load_state_dict(broken)


def test_what_it_has_learned_is_part_of_the_state_of_the_layer_and_of_nothing_else():
    def network(method):
        layer = CombinatorialLayer(BruteForceTSP(), method)
        return torch.nn.ModuleDict({"net": torch.nn.Linear(2, 10), "layer": layer})

    trained = network(AdaptiveIMLE(FixedNoise(random(1, 3, 10)), step=0.5))
    solution_and_gradient(trained["layer"], random(3, 10, seed=1), random(3, 10, seed=2))
    state = pickle.loads(pickle.dumps(trained.state_dict()))
    assert state["layer._extra_state"] == trained["layer"].gradient.state_dict()
    again = network(AdaptiveIMLE())
    assert again["layer"].gradient.alpha != trained["layer"].gradient.alpha
    again.load_state_dict(state)
    assert again["layer"].gradient.state_dict() == trained["layer"].gradient.state_dict()

    plain = network(Blackbox(1.0))
    assert set(plain.state_dict()) == {"net.weight", "net.bias"}
    plain.load_state_dict(network(Identity()).state_dict())
    for target, source, words in (
        (plain, trained, r"Unexpected key.*another method's than Blackbox, which learns none"),
        (again, plain, r"Missing key.*what AdaptiveIMLE has learned"),
    ):
        with pytest.raises(RuntimeError, match=words):
            target.load_state_dict(source.state_dict())
        target.load_state_dict(source.state_dict(), strict=False)
        assert torch.equal(target["net"].weight, source["net"].weight)


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (lambda: IMLE(0.0), "lam"),
        (lambda: IMLE(float("nan")), "lam"),
        (lambda: IMLE(1.0, GumbelNoise(), 0), "samples"),
        (lambda: IMLE(1.0, GumbelNoise(), 1.5), "samples"),
        (lambda: IMLE(1.0, samples=2), "without noise"),
        (lambda: IMLE(1.0, torch.randn), r"sample\(shape"),
        (lambda: IMLE(1.0, GumbelNoise), r"GumbelNoise'>; pass an object with sample\(shape"),
        (lambda: AdaptiveIMLE(samples=2), "without noise"),
        (lambda: AdaptiveIMLE(alpha=0), "alpha"),
        (lambda: AdaptiveIMLE(step=-1), "step"),
        (lambda: AdaptiveIMLE(decay=1), "decay"),
        (lambda: AdaptiveIMLE(target=0), "target"),
    ],
)
def test_values_out_of_range_are_refused(make, word):
    with pytest.raises(ValueError, match=word):
        make()
