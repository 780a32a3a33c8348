"""Losses of the costs: formulas in plain loops, and that margin and projection hold for them."""

import math

import pytest
import torch

from combgrad import CombinatorialLayer
from combgrad.gradients import Blackbox, GradientNoise, Identity, Perturbed
from combgrad.instances import Instances
from combgrad.labels import Labels
from combgrad.losses import (
    CostMSE,
    FenchelYoung,
    Hamming,
    Regret,
    ScoreFunction,
    SPOPlus,
    TargetCost,
)
from combgrad.margins import InformedMargin
from combgrad.projections import Std
from combgrad.solvers import BruteForceTSP, ShortestPath, TopK

KINDS = ("additive", "multiplicative")


def random(*shape, seed=0):
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def seeded(seed=7):
    return torch.Generator().manual_seed(seed)


def plain(solver):
    return CombinatorialLayer(solver, Identity())


def moved(costs, z, sigma, kind):
    return costs + sigma * z if kind == "additive" else costs * torch.exp(sigma * z - sigma**2 / 2)


@pytest.mark.parametrize("kind", KINDS)
def test_fenchel_young_equals_its_formula_in_a_plain_loop(kind):
    costs, sigma, oracle = random(3, 10).requires_grad_(), 0.6, BruteForceTSP()
    target = oracle(random(3, 10, seed=5))
    loss = FenchelYoung(sigma, 4, kind, seeded())(plain(oracle), costs, Labels(target)).loss
    loss.backward()
    noise, value = random(4, 3, 10, seed=7), 0.0
    for row in range(3):
        w, slope = costs.detach()[row], target[row].clone()
        value += float((w * target[row]).sum()) / 3
        for z in noise[:, row]:
            u = moved(w, z, sigma, kind)
            y = oracle(u.unsqueeze(0))[0]
            value -= float((u * y).sum()) / 4 / 3
            slope -= (y if kind == "additive" else y * u / w) / 4
        torch.testing.assert_close(costs.grad[row], slope / 3)
    assert float(loss.detach()) == pytest.approx(value)


def test_an_unknown_noise_is_refused_in_the_name_of_the_loss():
    words = r"loss\.noise is 'gumbel'; choose 'additive' or 'multiplicative'\."
    with pytest.raises(ValueError, match=words):
        FenchelYoung(0.5, 4, "gumbel")


def test_fenchel_young_has_the_gradient_target_minus_mean_solution():
    costs, solver = random(4, 10).requires_grad_(), TopK(3)
    target = solver(random(4, 10, seed=5))
    FenchelYoung(0.6, 8, generator=seeded())(plain(solver), costs, Labels(target)).loss.backward()
    mean = CombinatorialLayer(solver, Perturbed(0.6, 8, generator=seeded()))(costs).detach()
    torch.testing.assert_close(costs.grad, (target - mean) / 4)
    assert float(costs.grad.abs().max()) > 0.1


def test_fenchel_young_is_least_at_the_target_and_never_negative():
    solver, costs = TopK(3), random(20, 10)
    loss, layer = FenchelYoung(0.5, 500, generator=seeded()), plain(solver)
    best = float(loss(layer, costs, Labels(solver(costs))).loss)
    other = float(loss(layer, costs, Labels(solver(-costs))).loss)
    assert 0 < best < other
    far = float(loss(layer, 1e3 * costs, Labels(solver(costs))).loss)
    assert abs(far) < 5 * 0.5 * 3**0.5 / (500 * 20) ** 0.5  # no noise turns such costs


@pytest.mark.parametrize("solver", [BruteForceTSP(), TopK(3)])
def test_spo_plus_equals_its_formula_in_a_plain_loop_and_bounds_the_regret(solver):
    costs, true = random(4, 10).requires_grad_(), random(4, 10, seed=5)
    target = solver(true)
    loss = SPOPlus()(plain(solver), costs, Labels(target, true)).loss
    loss.backward()
    value, regret = 0.0, 0.0
    for row in range(4):
        w, c, y = costs.detach()[row], true[row], target[row]
        found = solver((2 * w - c).unsqueeze(0))[0]
        bound = -float(((2 * w - c) * found).sum()) + 2 * float((w * y).sum())
        bound -= float((c * y).sum())
        decided = solver(w.unsqueeze(0))[0]
        assert bound >= float((c * (decided - y)).sum()) - 1e-12
        value, regret = value + bound / 4, regret + float((c * (decided - y)).sum()) / 4
        torch.testing.assert_close(costs.grad[row], 2 * (y - found) / 4)
    assert float(loss.detach()) == pytest.approx(value)
    assert value > regret > 0
    assert float(SPOPlus()(plain(solver), true, Labels(target, true)).loss) == pytest.approx(0)


@pytest.mark.parametrize("solver", [BruteForceTSP(), TopK(3)])
def test_the_regret_equals_its_formula_in_a_plain_loop_and_blackbox_steps_by_the_true_costs(solver):
    costs, true = random(4, 10).requires_grad_(), random(4, 10, seed=5)
    target, lam = solver(true), 5.0
    loss = Regret()(CombinatorialLayer(solver, Blackbox(lam)), costs, Labels(target, true)).loss
    loss.backward()
    value = 0.0
    for row in range(4):
        w, c = costs.detach()[row], true[row]
        decided = solver(w.unsqueeze(0))[0]
        value += float((c * (decided - target[row])).sum()) / 4
        further = solver((w + lam * c / 4).unsqueeze(0))[0]
        torch.testing.assert_close(costs.grad[row], (further - decided) / lam)
    assert float(loss.detach()) == pytest.approx(value)
    assert value > 0


def test_the_regret_counts_marked_entries_alone():
    costs, true, marked = random(4, 10), random(4, 10, seed=5), random(4, 10, seed=7) > 0
    target = TopK(3)(true)
    found = Regret()(plain(TopK(3)), costs, Labels(target, true, marked)).loss
    decided = TopK(3)(costs)
    expected = sum(
        float(true[row, i] * (decided - target)[row, i]) / 4
        for row in range(4)
        for i in range(10)
        if marked[row, i]
    )
    assert float(found) == pytest.approx(expected)


def test_spo_plus_projects_the_true_costs_as_it_does_the_predicted_ones():
    costs, true = random(4, 10), random(4, 10, seed=5)
    labels = Labels(TopK(3)(true), true)
    projected = Labels(labels.target, Std()(true))
    layer = CombinatorialLayer(TopK(3), Identity(), Std())
    found = SPOPlus()(layer, costs, labels).loss
    expected = SPOPlus()(plain(TopK(3)), Std()(costs), projected).loss
    torch.testing.assert_close(found, expected)
    # A scale and a constant cost nothing where the projection takes them away.
    torch.testing.assert_close(
        SPOPlus()(layer, 3 * true + 5, labels).loss, torch.tensor(0.0).double()
    )


def test_normalised_spo_plus_bounds_the_regret_over_what_the_best_cost_sum_before_ratio():
    solver, costs, true = TopK(3), random(4, 10).requires_grad_(), random(4, 10, seed=5)
    labels = Labels(solver(true), true)
    loss = SPOPlus(normalised=True)(plain(solver), costs, labels).loss
    (gradient,) = torch.autograd.grad(loss, costs)
    whole = SPOPlus()(plain(solver), costs, labels).loss
    size = sum(abs(float(c @ y)) for c, y in zip(true, labels.target, strict=True)) / 4
    assert float(loss.detach()) == pytest.approx(float(whole.detach()) / size)
    torch.testing.assert_close(gradient, torch.autograd.grad(whole, costs)[0] / size)
    regret = float((true * (solver(costs.detach()) - labels.target)).sum())
    assert float(loss.detach()) >= regret / 4 / size > 0
    scaled = SPOPlus(True)(plain(solver), 7 * costs, Labels(labels.target, 7 * true)).loss
    torch.testing.assert_close(scaled, loss)


def test_normalised_spo_plus_of_solutions_that_cost_nothing_says_what_to_do():
    target = TopK(3)(random(2, 10))
    with pytest.raises(ValueError, match=r"cost 0, and the loss is .* use normalised=False"):
        SPOPlus(True)(plain(TopK(3)), random(2, 10), Labels(target, torch.zeros(2, 10)))


@pytest.mark.parametrize("baseline", [True, False])
def test_score_function_equals_its_formula_in_a_plain_loop(baseline):
    costs, sigma, oracle = random(3, 10).requires_grad_(), 0.6, BruteForceTSP()
    prices, seen = random(3, 10, seed=1).exp(), []

    def of_each(solutions, target):
        assert target is None
        seen.append(solutions)
        return (solutions * prices.repeat(4, 1)).sum(1).round()

    loss = ScoreFunction(of_each, sigma, 4, baseline, seeded())(plain(oracle), costs, Labels()).loss
    loss.backward()
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
            assert torch.equal(seen[0][m * 3 + row], found[m])
        torch.testing.assert_close(costs.grad[row], expected)
        total += sum(worth)
    assert float(loss.detach()) == pytest.approx(total / 12)
    assert float(costs.grad.abs().sum()) > 0


@pytest.mark.parametrize("baseline", [True, False])
def test_the_choice_between_two_has_the_normal_distributions_closed_form(baseline):
    samples, sigma, costs = 40_000, 0.5, torch.tensor([[0.3, 0.5]], dtype=torch.float64)
    costs.requires_grad_()
    price = torch.tensor([3.0, 1.0], dtype=torch.float64)
    score = ScoreFunction(lambda y, _: y @ price, sigma, samples, baseline, seeded())
    value = score(plain(TopK(1)), costs, Labels()).loss
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
    for baseline, expected in ((True, False), (False, True)):
        costs = random(3, 10).requires_grad_()
        score = ScoreFunction(lambda y, _: 5 + 0 * y[:, 0], 0.5, 4, baseline, seeded())
        score(plain(TopK(3)), costs, Labels()).loss.backward()
        assert (float(costs.grad.norm()) > 1e-12) == expected


def test_the_gradient_of_a_decoder_is_kept():
    weights, costs = random(10, seed=3).requires_grad_(), random(3, 10).requires_grad_()
    seen = []
    score = ScoreFunction(lambda y, _: seen.append(y) or y @ weights, 0.5, 4, generator=seeded())
    score(plain(TopK(3)), costs, Labels()).loss.backward()
    torch.testing.assert_close(weights.grad, seen[0].mean(0))
    assert float(costs.grad.abs().sum()) > 0


def test_the_score_function_of_a_loss_of_the_solution_gets_each_samples_target():
    costs, target = random(3, 10), TopK(3)(random(3, 10, seed=5))
    score = ScoreFunction(Hamming(), 0.5, 4, generator=seeded())
    assert score.needs == {"target"}
    value = score(plain(TopK(3)), costs, Labels(target)).loss
    z = random(4, 3, 10, seed=7)
    wrong = [(TopK(3)(costs + 0.5 * noise) - target).abs().sum(1) for noise in z]
    assert float(value) == pytest.approx(float(torch.stack(wrong).mean()))


LOSSES = {
    "fenchel_young": lambda: FenchelYoung(0.5, 4, generator=seeded()),
    "score_function": lambda: ScoreFunction(Hamming(), 0.5, 4, generator=seeded()),
    "spo_plus": SPOPlus,
    "spo_plus-normalised": lambda: SPOPlus(normalised=True),
}


@pytest.mark.parametrize("name", LOSSES)
def test_margin_projection_and_gradient_noise_hold_for_a_loss_of_the_costs(name):
    true = random(3, 10, seed=5)
    labels = Labels(TopK(3)(true), true)

    def gradient(w, layer, given=labels):
        w = w.clone().requires_grad_()
        LOSSES[name]()(layer, w, given).loss.backward()
        return w.grad

    costs = random(3, 10)
    layer = CombinatorialLayer(TopK(3), Identity(), Std(), InformedMargin(0.4))
    found = gradient(costs, layer)
    moved_costs = costs + 0.4 * (labels.target - 0.5)
    inside = Labels(labels.target, Std()(true))
    expected = gradient(Std()(moved_costs), plain(TopK(3)), inside)
    for row in range(3):
        jacobian = torch.autograd.functional.jacobian(lambda w: Std()(w[None])[0], moved_costs[row])
        torch.testing.assert_close(found[row], jacobian.T @ expected[row])
    assert float(found.abs().sum()) > 0
    layer.eval()
    torch.testing.assert_close(layer.prepare(costs), Std()(costs))
    torch.manual_seed(0)
    noisy = CombinatorialLayer(TopK(3), Identity(), gradient_noise=GradientNoise(0.5))
    difference = gradient(costs, noisy) - gradient(costs, plain(TopK(3)))
    assert float(difference.abs().sum()) > 0


@pytest.mark.parametrize("name", LOSSES)
def test_in_evaluation_a_loss_draws_nothing(name):
    true = random(3, 10, seed=5)
    labels, loss = Labels(TopK(3)(true), true), LOSSES[name]().eval()
    state = torch.random.get_rng_state()
    values = [float(loss(plain(TopK(3)), random(3, 10), labels).loss) for _ in range(2)]
    assert values[0] == values[1]
    assert torch.equal(torch.random.get_rng_state(), state)


@pytest.mark.parametrize("name", LOSSES)
def test_under_autocast_a_loss_of_the_costs_works_in_single_precision(name):
    costs = torch.rand(2, 6, generator=seeded()).to(torch.bfloat16)
    labels = Labels(TopK(2)(costs.float()), costs.float())
    seen = []

    class Spy(TopK):
        def _solve(self, costs, **instance):
            seen.append(costs.dtype)
            return super()._solve(costs, **instance)

    loss = FenchelYoung(0.5, 4) if name == "fenchel_young" else LOSSES[name]()
    if not name.startswith("spo_plus"):
        loss.generator = None
    costs.requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        loss(plain(Spy(2)), costs, labels).loss.backward()
    assert set(seen) == {torch.float32}
    assert costs.grad.dtype == torch.bfloat16


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("labels", [Labels(), Labels(random(1, 10), random(4, 10))])
def test_labels_that_are_missing_or_of_another_shape_are_named(name, labels):
    with pytest.raises(ValueError, match=r"needs true solutions: pass target of shape \(4, 10\)"):
        LOSSES[name]()(plain(TopK(3)), random(4, 10), labels)
    if name.startswith("spo_plus"):
        with pytest.raises(ValueError, match=r"needs true costs: pass true_costs"):
            SPOPlus()(plain(TopK(3)), random(4, 10), Labels(random(4, 10)))


def test_losses_of_the_wrong_shape_are_refused():
    for wrong in (lambda y, _: y.mean(), lambda y, _: y[:3, 0], lambda y, _: y):
        score = ScoreFunction(wrong, 0.5, 4)
        with pytest.raises(ValueError, match="one loss for each sample"):
            score(plain(TopK(3)), random(3, 10), Labels())


@pytest.mark.parametrize("name", LOSSES)
def test_an_empty_batch_has_an_empty_gradient(name):
    costs = random(0, 10).requires_grad_()
    loss = LOSSES[name]()(plain(TopK(3)), costs, Labels(costs.detach(), costs.detach())).loss
    loss.backward()
    assert costs.grad.shape == (0, 10)


@pytest.mark.parametrize(
    ("arguments", "word"),
    [((0, 4), "sigma"), ((1.0, 0), "samples"), ((1.0, 1), "baseline=False")],
)
def test_values_out_of_range_are_refused(arguments, word):
    with pytest.raises(ValueError, match=word):
        ScoreFunction(Hamming(), *arguments)


@pytest.mark.parametrize("name", LOSSES)
def test_what_describes_the_instances_reaches_the_solver(name):
    seen = []

    class Spy(ShortestPath):
        def _solve(self, costs, **instance):
            seen.append(instance)
            return super()._solve(costs, **instance)

    true = random(2, 4, 4, seed=5).exp()
    costs = (true + random(2, 4, 4).exp()).requires_grad_()
    instance = {"start": (0, 0), "end": (1, 1)}
    labels = Labels(ShortestPath()(true, **instance), true)
    loss = LOSSES[name]()
    loss(plain(Spy(negative="clamp")), costs, labels, Instances(shared=instance)).loss.backward()
    assert seen
    assert all(call == instance for call in seen)


def test_the_cost_of_the_target_asks_no_solver():
    costs, solver = random(3, 10).requires_grad_(), BruteForceTSP()
    target = BruteForceTSP()(random(3, 10, seed=5))
    outcome = TargetCost()(plain(solver), costs, Labels(target))
    outcome.loss.backward()
    expected = sum(float(w @ y) for w, y in zip(costs.detach(), target, strict=True)) / 3
    assert float(outcome.loss.detach()) == pytest.approx(expected)
    torch.testing.assert_close(costs.grad, target / 3)
    assert outcome.solution is None
    assert solver.calls == 0


def test_the_cost_of_chosen_log_probabilities_is_the_cross_entropy():
    logits = random(4, 7, seed=3).requires_grad_()
    label = torch.tensor([6, 0, 3, 3])
    target = torch.nn.functional.one_hot(label, 7).double()
    TargetCost()(plain(TopK(1)), -logits.log_softmax(1), Labels(target)).loss.backward()
    again = logits.detach().clone().requires_grad_()
    torch.nn.functional.cross_entropy(again, label).backward()
    torch.testing.assert_close(logits.grad, again.grad)


def test_the_squared_error_of_costs_asks_no_solver_and_skips_what_is_forbidden():
    costs, solver, true = random(3, 10).requires_grad_(), BruteForceTSP(), random(3, 10, seed=5)
    outcome = CostMSE()(plain(solver), costs, Labels(None, true))
    outcome.loss.backward()
    expected = torch.nn.functional.mse_loss(costs.detach(), true)
    assert float(outcome.loss.detach()) == pytest.approx(float(expected))
    torch.testing.assert_close(costs.grad, 2 * (costs.detach() - true) / 30)
    assert (outcome.solution, solver.calls) == (None, 0)
    true[0, 4] = torch.inf
    again = costs.detach().clone().requires_grad_()
    CostMSE()(plain(TopK(3)), again, Labels(None, true)).loss.backward()
    rest = torch.arange(10) != 4
    torch.testing.assert_close(again.grad[0, rest], 2 * (again.detach() - true)[0, rest] / 27)
    assert float(again.grad[0, 4]) == 0
