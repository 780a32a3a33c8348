"""Every gradient method and loss of the costs trains: a linear map learns to choose 3 of 10."""

import pytest
import torch

from combgrad import gradients as g
from combgrad.labels import Labels
from combgrad.layer import CombinatorialLayer
from combgrad.losses import FenchelYoung
from combgrad.projections import Std
from combgrad.sampling.noise import Gumbel
from combgrad.solvers import TopK
from parts import build, complete


def by_layer(method, projection=None):
    def loss(costs, target):
        layer = CombinatorialLayer(TopK(3), method, projection)
        return (layer(costs) - target).square().sum(1).mean()

    return loss


def by_positive_costs(method):
    loss = by_layer(method)
    return lambda costs, target: loss(costs.exp(), target)  # in the same order


def by_costs(loss):
    layer = CombinatorialLayer(TopK(3), g.Identity())
    # True costs that the target is a solution of, without a tie.
    return lambda costs, target: loss(layer, costs, Labels(target, -target)).loss


def losses_of_costs():
    built = {option: build("loss", option) for option in complete("loss") if option != "none"}
    return {
        option: by_costs(loss)
        for option, loss in built.items()
        if loss.needs and not loss.through_layer  # without a label there is nothing to learn here
    }


AS_CONFIGURED = {option: by_layer(build("grad", option)) for option in complete("grad")}

#: All there is, as its YAML says, beside what has a row of its own.
LOSSES = AS_CONFIGURED | losses_of_costs() | {
    "identity": by_layer(g.Identity(), Std()),
    "blackbox": by_layer(g.Blackbox(10.0)),
    "imle": by_layer(g.IMLE(10.0, Gumbel(), 4)),
    "imle-undivided": by_layer(g.IMLE(10.0, Gumbel(0.1), divide=False)),
    "adaptive_imle": by_layer(g.AdaptiveIMLE(Gumbel(), 4)),
    "adaptive_imle-symmetric": by_layer(g.AdaptiveIMLE(Gumbel(), 4, symmetric=True)),
    "perturbed": by_layer(g.Perturbed(0.5, 10)),
    "multiplicative": by_positive_costs(g.Perturbed(0.5, 10, "multiplicative", "antithetic")),
    "fenchel_young-multiplicative": by_costs(FenchelYoung(0.5, 4, "multiplicative")),
    "straight_through": by_layer(g.StraightThrough()),
    "l2x": by_layer(g.L2X(0.5)),
    "l2x-tfi": by_layer(g.L2X(0.5, "tfi")),
    "softsub": by_layer(g.SoftSub(0.5)),
    "softsub-tfi": by_layer(g.SoftSub(0.5, "tfi")),
    "simple": by_layer(g.SIMPLE()),
}  # fmt: skip


@pytest.mark.parametrize("name", LOSSES)
def test_every_method_teaches_a_linear_encoder(name):
    torch.manual_seed(0)
    features, solver = torch.randn(100, 5), TopK(3)
    target = solver(features @ torch.randn(5, 10))
    weights = torch.nn.Parameter(0.1 * torch.randn(5, 10))
    optimizer = torch.optim.Adam([weights], lr=0.1)

    def error():
        return float((solver(features @ weights) - target).abs().sum(1).mean())

    before = error()
    for _ in range(60):
        optimizer.zero_grad()
        LOSSES[name](features @ weights, target).backward()
        optimizer.step()
    assert before > 3
    assert error() < before / 2
