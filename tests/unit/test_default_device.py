"""Parts work on the costs' device, whatever torch's default device is: a stranger to the costs."""

from functools import partial

import numpy as np
import pytest
import torch

from combgrad import CombinatorialLayer, losses, metrics
from combgrad.data.corruption import flip_labels
from combgrad.gradients import IMLE, AdaptiveIMLE, GradientNoise, Identity, Perturbed
from combgrad.labels import Labels
from combgrad.margins import InformedMargin, NoiseMargin
from combgrad.projections import Mean, Norm, Plane, Std
from combgrad.sampling.noise import Gumbel, SumOfGamma
from combgrad.solvers import (
    ILP,
    TSP,
    Alignment,
    Assignment,
    BruteForceTSP,
    Cached,
    GraphShortestPath,
    Knapsack,
    Ranking,
    ShortestPath,
    SpanningTree,
    TopK,
    from_function,
    move_costs,
)
from parts import build, complete

# What is made on this device has no content, so that mixing it with the costs fails at once.
STRANGER = "meta"

EDGES = [(0, 1), (1, 2), (0, 2), (2, 3), (1, 3)]
ENDS = {"start": torch.tensor([[0, 1], [2, 2]]), "end": (0, 0)}
SOLVERS = {
    "alignment": (lambda: Alignment(), (4, 3, 3), {}),
    "alignment-lengths": (lambda: Alignment(), (4, 3, 3), {"lengths": [[3, 2], [1, 1]]}),
    "assignment": (lambda: Assignment(), (4, 3), {}),
    "brute-force": (lambda: BruteForceTSP(), (10,), {}),
    "cached": (lambda: Cached(TopK(2)), (6,), {}),
    "function": (lambda: from_function(lambda costs: costs), (6,), {}),
    "graph": (lambda: GraphShortestPath(EDGES, 4, 0, 3), (5,), {}),
    "graph-ordered": (lambda: GraphShortestPath(np.array(EDGES), 4, 0, 3, True), (5,), {}),
    "ilp": (lambda: ILP([[1.0, 2.0, 3.0]], upper=4.0), (3,), {}),
    "knapsack": (lambda: Knapsack([1, 2, 3], 4), (3,), {}),
    "ranking": (lambda: Ranking(), (6,), {}),
    "shortest-path": (lambda: ShortestPath(), (4, 3), {}),
    "shortest-path-ends": (lambda: ShortestPath(4), (4, 3), ENDS),
    "spanning-tree": (lambda: SpanningTree(4), (6,), {}),
    "topk": (lambda: TopK(2), (6,), {}),
    "tsp": (lambda: TSP(), (10,), {}),
    "tsp-12": (lambda: TSP(), (66,), {}),
}  # fmt: skip
VARIANTS = {
    "imle-noise": lambda: IMLE(1.0, SumOfGamma(2), samples=2),
    "adaptive-imle-symmetric": lambda: AdaptiveIMLE(Gumbel(), samples=2, symmetric=True),
    "perturbed-antithetic": lambda: Perturbed(0.5, 4, variance_reduction="antithetic"),
    "perturbed-multiplicative": lambda: Perturbed(0.5, 4, "multiplicative"),
}
METHODS = {option: partial(build, "grad", option) for option in complete("grad")} | VARIANTS


def random(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), device="cpu")


@pytest.mark.parametrize("name", SOLVERS)
def test_solvers_answer_on_the_device_of_the_costs(name, monkeypatch):
    make, shape, instance = SOLVERS[name]
    monkeypatch.setenv("COMBGRAD_CHECK", "1")
    costs = random(2, *shape)
    expected = make()(costs, **instance)
    with torch.device(STRANGER):
        solver = make()
        solution = solver(costs, **instance)
        assert bool(solver.feasible(solution, **instance).all())
        assert solver.is_constant_on(costs[0].double()) in (True, False)
    assert torch.equal(solution, expected)


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("projection", [Mean, Norm, Std, lambda: Plane([1.0] * 6)])
@pytest.mark.parametrize("margin", [NoiseMargin, InformedMargin])
def test_layers_train_on_the_device_of_the_costs(name, projection, margin):
    costs, target = random(3, 6).requires_grad_(), TopK(2)(random(3, 6, seed=1))
    with torch.device(STRANGER):
        layer = CombinatorialLayer(
            TopK(2), METHODS[name](), projection(), margin(0.1), GradientNoise(0.1)
        )
        losses.Hamming()(layer, costs, Labels(target)).loss.backward()
    assert bool(torch.isfinite(costs.grad).all())


LOSSES = {
    "fenchel-young": lambda: losses.FenchelYoung(0.5, 4),
    "score-function": lambda: losses.ScoreFunction(losses.BilinearHamming(), 0.5, 4),
    "spo-plus": lambda: losses.SPOPlus(),
}


@pytest.mark.parametrize("name", LOSSES)
def test_losses_of_the_costs_work_on_the_device_of_the_costs(name):
    costs, true = random(3, 6).requires_grad_(), random(3, 6, seed=1)
    labels = Labels(TopK(2)(true), true)
    with torch.device(STRANGER):
        layer = CombinatorialLayer(TopK(2), Identity(), Std(), NoiseMargin(0.1))
        LOSSES[name]()(layer, costs, labels).loss.backward()
    assert bool(torch.isfinite(costs.grad).all())


def test_losses_metrics_and_labels_stay_on_the_device_of_the_costs():
    costs, target = random(3, 6).requires_grad_(), TopK(2)(random(3, 6, seed=1))
    solution = TopK(2)(costs)
    logits = random(3, 4, 6).requires_grad_()
    generator = torch.Generator("cpu").manual_seed(0)
    grid = ShortestPath()(random(2, 3, 3))
    with torch.device(STRANGER):
        total = losses.BilinearHamming.of_each(solution + 0 * costs, target).sum()
        total = total + losses.kl_to_uniform(logits).sum() + losses.kl_to_share(logits, 0.5).sum()
        total = total + losses.pixel_cross_entropy(costs, target).sum()
        total.backward()
        values = [
            metrics.edge_accuracy(solution, target),
            metrics.tour_accuracy(solution, target),
            metrics.entry_accuracy(solution, target),
            metrics.cost_ratio(solution, target, costs),
            metrics.column_cost_ratio(grid, grid, random(2, 3, 3)),
            metrics.is_cheapest(solution, target, costs),
            metrics.wrong_entries(solution, target),
            metrics.cost_norm(costs),
            metrics.subset_precision(solution, target),
            flip_labels(target, 0.5, generator),
            move_costs(random(2, 3, 3)),
            Gumbel()(costs),
        ]
    assert {value.device.type for value in [total, costs.grad, logits.grad, *values]} == {"cpu"}
