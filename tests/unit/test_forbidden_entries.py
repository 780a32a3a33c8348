"""Costs of +inf in a layer: every method, margin and loss works on the entries that are left."""

import copy

import pytest
import torch

from combgrad import CombinatorialLayer
from combgrad.errors import SolverInputError
from combgrad.gradients import (
    IMLE,
    L2X,
    LPGD,
    SIMPLE,
    AdaptiveIMLE,
    Blackbox,
    Identity,
    Perturbed,
    RegularisedFrankWolfe,
    SoftSub,
    StraightThrough,
)
from combgrad.labels import Labels
from combgrad.losses import FenchelYoung, Hamming, PerturbationGradient, ScoreFunction, SPOPlus
from combgrad.margins import InformedMargin, NoiseMargin
from combgrad.metrics import column_cost_ratio, cost_norm, cost_ratio
from combgrad.projections import Std
from combgrad.sampling.noise import Gumbel
from combgrad.solvers import TopK

INF = float("inf")
KEPT = torch.tensor([0, 2, 3, 4, 6, 8, 9])
K = 3


def generator():
    return torch.Generator().manual_seed(3)


def forbid(rows):
    """Rows (B, 7) of costs as (B, 10) with three entries forbidden."""
    return rows.new_full((len(rows), 10), INF).index_copy(1, KEPT, rows)


def random(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(
    "method",
    [
        Identity(),
        Blackbox(lam=2.0),
        IMLE(lam=2.0),
        IMLE(lam=2.0, noise=Gumbel()),
        AdaptiveIMLE(alpha=0.9),
        StraightThrough(0.7),
        L2X(0.7),
        L2X(0.7, "tfi"),
        SoftSub(0.7),
        SoftSub(0.7, "tfi"),
        SIMPLE(0.7),
    ],
    ids=lambda method: type(method).__name__,
)
@pytest.mark.parametrize("projection", [None, Std()], ids=["plain", "std"])
def test_the_gradient_is_that_of_the_problem_without_the_entries(method, projection):
    """In evaluation, where no method draws noise."""
    rows, upstream = random(5, 7), random(5, 10, seed=1)
    # A method that adapts would not do the same twice.
    layer = CombinatorialLayer(TopK(K), copy.deepcopy(method), projection).eval()
    other = copy.deepcopy(layer)
    full = forbid(rows).requires_grad_()
    solution = layer(full)
    (gradient,) = torch.autograd.grad(solution, full, upstream.index_fill(1, torch.tensor([1]), 9))
    alone = rows.clone().requires_grad_()
    (expected,) = torch.autograd.grad(other(alone), alone, upstream[:, KEPT])
    torch.testing.assert_close(gradient[:, KEPT], expected)
    assert float(gradient.abs().sum()) > 0
    assert float(gradient[:, [1, 5, 7]].abs().max()) == 0
    assert float(solution[:, [1, 5, 7]].detach().abs().max()) == 0


@pytest.mark.parametrize(
    "method",
    [
        Identity(),
        Blackbox(lam=2.0),
        IMLE(lam=2.0),
        AdaptiveIMLE(alpha=0.9),
        StraightThrough(0.7),
        L2X(0.7),
        SoftSub(0.7),
        SIMPLE(0.7),
        Perturbed(0.7, 8),
        RegularisedFrankWolfe(0.7),
        LPGD(0.7),
    ],
    ids=lambda method: type(method).__name__,
)
@pytest.mark.parametrize("wrong", [float("nan"), INF])
def test_what_a_loss_says_of_a_forbidden_entry_spoils_no_other(method, wrong):
    """As log(y) of a padded batch does, though its padding is masked in the loss."""
    full, upstream = forbid(random(5, 7)), random(5, 10, seed=1)

    def gradient_for(slope):
        torch.manual_seed(0)
        costs = full.clone().requires_grad_()
        layer = CombinatorialLayer(TopK(K), copy.deepcopy(method))
        return torch.autograd.grad(layer(costs), costs, slope)[0]

    found = gradient_for(upstream.index_fill(1, torch.tensor([1, 5]), wrong))
    torch.testing.assert_close(found, gradient_for(upstream))


@pytest.mark.parametrize("noise", ["additive", "multiplicative"])
def test_perturbed_equals_its_formula_in_a_plain_loop(noise):
    costs, upstream, sigma, samples = forbid(random(4, 7)), random(4, 10, seed=1), 0.6, 6
    method = Perturbed(sigma, samples, noise, "none", generator=generator())
    z = torch.randn((samples, 4, 10), dtype=torch.float64, generator=generator())
    full = costs.clone().requires_grad_()
    solution = CombinatorialLayer(TopK(K), method)(full)
    (gradient,) = torch.autograd.grad(solution, full, upstream)
    expected = torch.zeros_like(costs)
    for row in range(4):
        for m in range(samples):
            for entry in KEPT.tolist():
                factor = torch.exp(sigma * z[m, row] - sigma**2 / 2)
                moved = (
                    costs[row] + sigma * z[m, row] if noise == "additive" else costs[row] * factor
                )
                chosen = sorted(KEPT.tolist(), key=lambda i, w=moved: float(w[i]))[:K]
                score = z[m, row, entry] / sigma
                if noise == "multiplicative":
                    score = score / costs[row, entry]
                expected[row, entry] += upstream[row, chosen].sum() * score / samples
    torch.testing.assert_close(gradient, expected)


@pytest.mark.parametrize(
    "method",
    [
        IMLE(lam=2.0, noise=Gumbel(), samples=3),
        AdaptiveIMLE(noise=Gumbel(), samples=3, symmetric=True),
        Perturbed(0.5, 4, variance_reduction="antithetic"),
        Perturbed(0.5, 64, "multiplicative"),
        L2X(0.7),
        SoftSub(0.7),
        SIMPLE(0.7),
    ],
    ids=lambda method: type(method).__name__,
)
def test_methods_that_draw_stay_finite_and_choose_what_is_allowed(method):
    torch.manual_seed(0)
    full = forbid(random(5, 7).float()).requires_grad_()
    layer = CombinatorialLayer(TopK(K), method, Std(), NoiseMargin(0.1))
    solution = layer(full)
    (solution * random(5, 10, seed=1)).sum().backward()
    assert bool(torch.isfinite(full.grad).all())
    assert float(full.grad.abs().sum()) > 0
    assert float(full.grad[:, [1, 5, 7]].abs().max()) == 0
    assert float(solution[:, [1, 5, 7]].detach().abs().max()) == 0


def test_score_function_gives_forbidden_entries_no_gradient():
    full, prices = forbid(random(5, 7)).requires_grad_(), random(1, 10, seed=1)
    layer = CombinatorialLayer(TopK(K), Identity())
    score = ScoreFunction(lambda y, _: (y * prices).sum(dim=1), 0.5, 4, generator=generator())
    score(layer, full, Labels()).loss.backward()
    assert bool(torch.isfinite(full.grad).all())
    assert float(full.grad[:, [1, 5, 7]].abs().max()) == 0
    assert float(full.grad.abs().sum()) > 0


def test_margins_leave_forbidden_entries_and_treat_the_others_as_ever():
    rows = random(4, 7)
    target = TopK(K)(forbid(rows))
    moved = InformedMargin(0.4)(forbid(rows), target)
    torch.testing.assert_close(moved, forbid(InformedMargin(0.4)(rows, target[:, KEPT])))
    noisy = NoiseMargin(0.4)(forbid(rows))
    torch.testing.assert_close((noisy[:, KEPT] - rows).abs(), torch.full_like(rows, 0.2))
    assert bool((noisy[:, [1, 5, 7]] == INF).all())


def test_fenchel_young_has_the_gradient_target_minus_mean_solution():
    full = forbid(random(4, 7)).requires_grad_()
    target = TopK(K)(forbid(random(4, 7, seed=2)))
    layer = CombinatorialLayer(TopK(K), Identity())
    loss = FenchelYoung(0.6, 8, generator=generator())(layer, full, Labels(target)).loss
    loss.backward()
    z = torch.randn((8, 4, 10), dtype=torch.float64, generator=generator())
    mean = TopK(K)((full.detach() + 0.6 * z).flatten(0, 1)).view(8, 4, 10).mean(0)
    assert bool(torch.isfinite(loss.detach()))
    torch.testing.assert_close(full.grad, (target - mean) / 4)


def test_spo_plus_has_the_gradient_of_the_entries_that_are_there():
    full, true = forbid(random(4, 7)).requires_grad_(), forbid(random(4, 7, seed=2))
    layer, target = CombinatorialLayer(TopK(K), Identity()), TopK(K)(true)
    loss = SPOPlus()(layer, full, Labels(target, true)).loss
    loss.backward()
    rest = TopK(K)(2 * full.detach()[:, KEPT] - true[:, KEPT])
    assert bool(torch.isfinite(loss.detach()))
    torch.testing.assert_close(full.grad[:, KEPT], 2 * (target[:, KEPT] - rest) / 4)
    assert float(full.grad[:, [1, 5, 7]].abs().max()) == 0


def test_metrics_do_not_count_what_is_not_used():
    costs = torch.tensor([[[1.0, INF], [2.0, 4.0]]])
    found, best = torch.tensor([[[1.0, 0], [1, 1]]]), torch.tensor([[[1.0, 0], [0, 1]]])
    assert cost_ratio(found, best, costs).tolist() == pytest.approx([7 / 5])
    assert column_cost_ratio(found, best, costs).tolist() == pytest.approx([(3 / 1 + 4 / 4) / 2])
    assert cost_norm(costs).tolist() == pytest.approx([21**0.5])


@pytest.mark.parametrize(
    "method",
    [
        Blackbox(lam=1e6),
        IMLE(lam=1e6),
        AdaptiveIMLE(alpha=1e6),
        AdaptiveIMLE(alpha=1e6, symmetric=True),
        Perturbed(1e6, 8),
        Perturbed(2.0, 64, "multiplicative"),
        IMLE(lam=1.0, noise=Gumbel(1e6)),
        LPGD(1e6),
        LPGD(1e6, rho=1.0),
    ],
    ids=lambda method: type(method).__name__,
)
def test_what_a_method_makes_infinite_is_refused_and_forbids_nothing(method):
    torch.manual_seed(0)
    costs = torch.full((2, 10), 1e4, dtype=torch.float16, requires_grad=True)
    slope = torch.zeros(2, 10, dtype=torch.float16)
    slope[1] = torch.linspace(-1, 1, 10)

    def step():
        solution = CombinatorialLayer(TopK(K), method)(costs)
        torch.autograd.grad(solution, costs, slope)

    with pytest.raises(SolverInputError, match=r"batch index \d become inf in torch.float16"):
        step()


@pytest.mark.parametrize(
    "loss",
    [
        SPOPlus(),
        FenchelYoung(3e38, 8),
        ScoreFunction(Hamming(), 3e38, 8),
        PerturbationGradient(1e39),
    ],
    ids=lambda loss: type(loss).__name__,
)
def test_what_a_loss_makes_infinite_is_refused_and_forbids_nothing(loss):
    torch.manual_seed(0)
    costs, true = torch.full((2, 10), 2e38), torch.ones(2, 10)
    layer = CombinatorialLayer(TopK(K), Identity())
    with pytest.raises(SolverInputError, match=r"batch index \d become inf in torch.float32"):
        loss(layer, costs, Labels(TopK(K)(costs), true))
