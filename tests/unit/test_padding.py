"""Instances of different size in one batch: padding is as if it were not there."""

import copy

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from combgrad import CombinatorialLayer
from combgrad.errors import SolverInputError
from combgrad.gradients import (
    IMLE,
    L2X,
    SIMPLE,
    AdaptiveIMLE,
    Blackbox,
    Identity,
    Perturbed,
    SoftSub,
    StraightThrough,
)
from combgrad.instances import Instances
from combgrad.labels import Labels
from combgrad.losses import (
    BilinearHamming,
    CostMSE,
    FenchelYoung,
    FrankWolfeFenchelYoung,
    Hamming,
    OptimalValue,
    PerturbationGradient,
    Regret,
    ScoreFunction,
    SolutionCost,
    SPOPlus,
    StructuredPerceptron,
    TargetCost,
)
from combgrad.margins import InformedMargin, NoiseMargin
from combgrad.projections import Mean, Norm, Plane, Std
from combgrad.sampling.noise import Gumbel
from combgrad.solvers import Assignment, Ranking, TopK

#: What stands in padding: nothing may depend on it.
RUBBISH = [0.0, 1e30, -7.0, float("nan"), float("inf"), float("-inf")]
PROJECTIONS = [None, Mean(), Norm(), Std(), Plane([2.0] * 8)]
METHODS = [
    Identity(),
    Blackbox(2.0),
    IMLE(2.0),
    StraightThrough(0.7),
    L2X(0.7),
    SoftSub(0.7),
    SIMPLE(0.7),
]


def name(part):
    return type(part).__name__


def random(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def padded(sizes, rubbish, width=8, seed=0):
    """Costs (B, width) of instances of these sizes, scattered among padding, and where they are."""
    valid = torch.zeros(len(sizes), width, dtype=torch.bool)
    for row, size in enumerate(sizes):
        places = torch.randperm(width, generator=torch.Generator().manual_seed(row + seed))[:size]
        valid[row, places] = True
    costs = random(len(sizes), width, seed=seed).masked_fill(~valid, rubbish)
    return costs, valid


@pytest.mark.parametrize("projection", PROJECTIONS, ids=name)
@pytest.mark.parametrize("method", METHODS, ids=name)
@given(
    sizes=st.lists(st.integers(3, 8), min_size=1, max_size=4),
    rubbish=st.sampled_from(RUBBISH),
    seed=st.integers(0, 99),
)
def test_each_instance_has_the_solution_and_gradient_it_has_alone(
    projection, method, sizes, rubbish, seed
):
    costs, valid = padded(sizes, rubbish, seed=seed)
    upstream = random(*costs.shape, seed=seed + 1)
    # In evaluation, where no method draws.
    layer = CombinatorialLayer(TopK(3), method, projection).eval()
    full = costs.clone().requires_grad_()
    solution = layer(full, valid=valid)
    (gradient,) = torch.autograd.grad(solution, full, upstream)
    assert float(solution.detach()[~valid].abs().sum()) == 0
    assert float(gradient[~valid].abs().sum()) == 0
    for row, there in enumerate(valid):
        alone = costs[row, there].unsqueeze(0).requires_grad_()
        inner = projection
        if isinstance(projection, Plane):
            inner = Plane(projection.normal[there])
        answer = CombinatorialLayer(TopK(3), method, inner).eval()(alone)
        (expected,) = torch.autograd.grad(answer, alone, upstream[row, there].unsqueeze(0))
        assert torch.equal(solution.detach()[row, there], answer.detach()[0])
        torch.testing.assert_close(gradient[row, there], expected[0])


@pytest.mark.parametrize("projection", PROJECTIONS, ids=name)
@given(
    sizes=st.lists(st.integers(0, 8), min_size=1, max_size=4),
    rubbish=st.sampled_from(RUBBISH),
    dtype=st.sampled_from([torch.float64, torch.float32]),
)
def test_what_is_prepared_of_each_instance_is_what_is_prepared_of_it_alone(
    projection, sizes, rubbish, dtype
):
    costs, valid = padded(sizes, rubbish)
    costs = costs.to(dtype)
    layer = CombinatorialLayer(Ranking(), Identity(), projection)
    prepared = layer.prepare(costs, instances=Instances(valid=valid))
    assert bool((prepared[~valid] == torch.inf).all())
    for row, there in enumerate(valid):
        inner = projection
        if isinstance(projection, Plane):
            if not there.any():
                continue
            inner = Plane(projection.normal[there])
        alone = costs[row, there].unsqueeze(0)
        expected = CombinatorialLayer(Ranking(), Identity(), inner).prepare(alone)
        torch.testing.assert_close(prepared[row, there], expected[0])


@pytest.mark.parametrize("position", ["before", "after"])
@pytest.mark.parametrize("rubbish", RUBBISH)
def test_an_informed_margin_is_that_of_the_instance(position, rubbish):
    costs, valid = padded([4, 8, 3], rubbish)
    target = TopK(2)(random(3, 8), valid=valid).masked_fill(~valid, rubbish)
    layer = CombinatorialLayer(TopK(2), Identity(), Std(), InformedMargin(0.4, position=position))
    prepared = layer.prepare(costs, Labels(target), Instances(valid=valid))
    for row, there in enumerate(valid):
        alone, label = costs[row, there].unsqueeze(0), target[row, there].unsqueeze(0)
        expected = layer.prepare(alone, Labels(label))
        torch.testing.assert_close(prepared[row, there], expected[0])


DRAWING = [
    IMLE(2.0, Gumbel(), 3),
    AdaptiveIMLE(Gumbel(), 3, symmetric=True),
    AdaptiveIMLE(alpha=0.9),
    Perturbed(0.5, 4),
    Perturbed(0.5, 8, "multiplicative", "antithetic"),
    L2X(0.7),
    SoftSub(0.7, "tfi"),
    SIMPLE(0.7),
]


@pytest.mark.parametrize("method", DRAWING, ids=name)
@pytest.mark.parametrize("rubbish", RUBBISH)
def test_where_there_is_noise_padding_stays_empty_and_its_content_is_never_seen(method, rubbish):
    costs, valid = padded([4, 8, 3], 0.0)
    upstream = random(3, 8, seed=1).masked_fill(~valid, 50.0)
    found = []
    for content in (0.0, rubbish):
        torch.manual_seed(0)
        layer = CombinatorialLayer(
            TopK(3), copy.deepcopy(method), Std(), NoiseMargin(0.3, position="after")
        )
        full = costs.masked_fill(~valid, content).requires_grad_()
        solution = layer(full, valid=valid)
        (gradient,) = torch.autograd.grad(solution, full, upstream)
        assert float(solution.detach()[~valid].abs().max()) == 0
        assert float(gradient[~valid].abs().max()) == 0
        found.append((solution.detach(), gradient, method.__dict__))
    assert bool(torch.isfinite(found[0][1]).all())
    assert torch.equal(found[0][0], found[1][0])
    assert torch.equal(found[0][1], found[1][1])


LOSSES = {
    "hamming": Hamming(),
    "bilinear": BilinearHamming(),
    "spo_plus": SPOPlus(),
    "fenchel_young": FenchelYoung(0.5, 2).eval(),
    "score_function": ScoreFunction(Hamming(), 0.5, 2).eval(),
    "optimal_value": OptimalValue(),
    "perturbation_gradient": PerturbationGradient(0.3),
    "structured_perceptron": StructuredPerceptron(),
    "frank_wolfe_fenchel_young": FrankWolfeFenchelYoung(0.5),
    "solution_cost": SolutionCost(),
    "regret": Regret(),
    "target_cost": TargetCost(),
    "cost_mse": CostMSE(),
}


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("rubbish", RUBBISH)
def test_a_loss_of_padded_instances_is_the_mean_of_their_losses(loss, rubbish):
    costs, valid = padded([4, 8, 3], rubbish)
    true = random(3, 8, seed=5)
    target = TopK(2)(true, valid=valid)
    full = costs.clone().requires_grad_()
    labels = Labels(target.masked_fill(~valid, rubbish), true.masked_fill(~valid, rubbish))
    layer = CombinatorialLayer(TopK(2), Identity(), Std()).eval()
    value = LOSSES[loss](layer, full, labels, Instances(valid=valid)).loss
    alone = []
    for row, there in enumerate(valid):
        own = Labels(target[row, there].unsqueeze(0), true[row, there].unsqueeze(0))
        alone.append(LOSSES[loss](layer, costs[row, there].unsqueeze(0), own).loss)
    torch.testing.assert_close(value.detach(), torch.stack(alone).mean())
    if value.requires_grad:
        value.backward()
        assert float(full.grad[~valid].abs().max()) == 0


def test_what_draws_is_the_mean_over_padded_instances_too():
    costs, valid = padded([4, 8, 3], float("nan"))
    labels = Labels(TopK(2)(random(3, 8, seed=5), valid=valid))
    for loss in (FenchelYoung(0.5, 3), ScoreFunction(Hamming(), 0.5, 3)):
        full = costs.clone().requires_grad_()
        layer = CombinatorialLayer(TopK(2), Identity(), Std())
        value = loss(layer, full, labels, Instances(valid=valid)).loss
        value.backward()
        assert bool(torch.isfinite(value))
        assert bool(torch.isfinite(full.grad[valid]).all())
        assert float(full.grad[~valid].abs().max()) == 0


def test_matrices_are_cut_to_their_blocks():
    costs, valid = random(3, 4, 5), torch.zeros(3, 4, 5, dtype=torch.bool)
    for row, (n, m) in enumerate([(2, 3), (4, 5), (3, 3)]):
        valid[row, :n, 5 - m :] = True
    found = CombinatorialLayer(Assignment(), Identity(), Std())(costs, valid=valid)
    for row, (n, m) in enumerate([(2, 3), (4, 5), (3, 3)]):
        alone = Assignment()(costs[row, :n, 5 - m :].unsqueeze(0))
        assert torch.equal(found[row, :n, 5 - m :], alone[0])
    assert float(found[~valid].sum()) == 0
    valid[1, 0, 0] = False
    with pytest.raises(SolverInputError, match="batch index 1 are no block"):
        Assignment()(costs, valid=valid)


def test_errors_of_cut_instances_say_which_they_are():
    costs = random(3, 4)
    costs[2, 1] = torch.nan
    valid = torch.tensor([[True] * 3 + [False], [True] * 4, [True] * 3 + [False]])
    with pytest.raises(SolverInputError, match=r"batch index 1 contain NaN.*\(3,\).*index 0, 2\."):
        Ranking()(costs, valid=valid)
