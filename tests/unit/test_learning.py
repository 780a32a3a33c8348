"""Every gradient method trains: a linear map from features to costs learns to choose 3 of 10."""

import pytest
import torch

from combgrad import gradients as g
from combgrad.layer import CombinatorialLayer
from combgrad.losses import fenchel_young
from combgrad.noise import Gumbel
from combgrad.projections import Std
from combgrad.solvers import TopK

METHODS = {
    "identity": lambda: (g.Identity(), Std()),
    "blackbox": lambda: (g.Blackbox(10.0), None),
    "imle": lambda: (g.IMLE(10.0, Gumbel(0.1)), None),
    "imle-samples": lambda: (g.IMLE(10.0, Gumbel(0.1), samples=4, divide=False), None),
    "adaptive-imle": lambda: (g.AdaptiveIMLE(Gumbel(0.1), samples=4, step=0.01), None),
    "perturbed": lambda: (g.Perturbed(0.5, samples=8), None),
    "perturbed-multiplicative": lambda: (g.Perturbed(0.5, samples=8, noise="multiplicative"), None),
    "score-function": lambda: (g.ScoreFunction(0.5, samples=8), None),
    "straight-through": lambda: (g.StraightThrough(), None),
    "l2x": lambda: (g.L2X(0.5), None),
    "l2x-tfi": lambda: (g.L2X(0.5, "tfi"), None),
    "softsub": lambda: (g.SoftSub(0.5), None),
    "softsub-tfi": lambda: (g.SoftSub(0.5, "tfi"), None),
    "simple": lambda: (g.SIMPLE(), None),
}


def squared(layer, costs, target):
    """The squared error, as each method wants it."""
    answer = layer(costs)
    if isinstance(layer.gradient, g.ScoreFunction):
        repeated = target.repeat(layer.gradient.samples, 1)
        losses = (answer.detach() - repeated).square().sum(1)
        return layer.gradient.objective(answer, losses)
    return (answer - target).square().sum(1).mean()


def by_fenchel_young(layer, costs, target):
    return fenchel_young(costs, target, layer.solver, layer.gradient)


def wrong_entries(layer, objective, positive=False, steps=150):
    """Wrong entries an instance before and after the training."""
    generator = torch.Generator().manual_seed(0)
    torch.manual_seed(0)
    features = torch.randn(64, 5, dtype=torch.float64, generator=generator)
    target = layer.solver(features @ torch.randn(5, 10, dtype=torch.float64, generator=generator))
    weights = 0.1 * torch.randn(5, 10, dtype=torch.float64, generator=generator)
    weights.requires_grad_()
    optimizer = torch.optim.Adam([weights], lr=0.05)

    def costs():
        # Multiplicative noise is for costs of one sign, and moves none that is 0.
        return torch.nn.functional.softplus(features @ weights) if positive else features @ weights

    def wrong():
        return float((layer.solver(costs().detach()) - target).abs().sum(1).mean())

    before = wrong()
    for _ in range(steps):
        optimizer.zero_grad()
        objective(layer, costs(), target).backward()
        optimizer.step()
    return before, wrong()


@pytest.mark.parametrize("name", METHODS)
def test_the_error_falls_by_half(name):
    method, projection = METHODS[name]()
    layer = CombinatorialLayer(TopK(3), method, projection)
    before, after = wrong_entries(layer, squared, positive="multiplicative" in name)
    assert before > 3
    assert after < 0.5 * before


def test_the_error_falls_by_half_with_the_fenchel_young_loss():
    layer = CombinatorialLayer(TopK(3), g.Perturbed(0.5, samples=4))
    before, after = wrong_entries(layer, by_fenchel_young)
    assert before > 3
    assert after < 0.5 * before
