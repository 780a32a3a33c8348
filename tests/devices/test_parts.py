"""Solvers, gradient methods and losses on another device: the answers of the CPU, in its place."""

import copy

import pytest
import torch

from combgrad import CombinatorialLayer
from combgrad.gradients import Identity
from combgrad.labels import Labels
from combgrad.losses.pool import PoolLoss
from combgrad.margins import InformedMargin, NoiseMargin
from combgrad.projections import Mean, Norm, Std
from combgrad.solvers import TopK
from contract import ROWS
from parts import LOSSES, OTHER_SOLVERS, build, complete, fitting

GRADS = complete("grad")

#: Their noise is drawn on the device, which draws other numbers than the CPU.
NOISY_IN_TRAINING = {"imle", "adaptive_imle", "perturbed", "l2x", "softsub", "simple"}


def type_name(part):
    return type(part).__name__


def random(*shape, seed=0):
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def gradient(layer, costs, upstream, device):
    torch.manual_seed(0)
    costs = costs.to(device).requires_grad_()
    solution = layer(costs)
    assert solution.device.type == device.type
    (found,) = torch.autograd.grad(solution, costs, upstream.to(device))
    assert found.device.type == device.type
    return solution.detach().cpu(), found.cpu()


@pytest.mark.parametrize("name", ROWS)
def test_a_solver_answers_on_the_device_that_asks(name, device):
    row = ROWS[name]
    costs = random(3, *row.shape).abs() + 0.1
    instances = row.instances(3)
    expected = row.solver(costs, instances)
    found = row.solver(costs.to(device), instances)
    assert found.device.type == device.type
    torch.testing.assert_close(found.cpu(), expected, rtol=0, atol=row.rounding)


@pytest.mark.parametrize(
    "projection", [None, Mean(), Norm(), Std()], ids=["none", "mean", "norm", "std"]
)
@pytest.mark.parametrize("name", GRADS)
def test_a_gradient_method_has_the_gradient_of_the_cpu(name, projection, device):
    method = build("grad", name)
    layer = CombinatorialLayer(fitting(method), method, projection)
    if device.type == "cuda" and name in NOISY_IN_TRAINING:
        pytest.skip("devices draw other noise")
    costs, upstream = random(6, 10), random(6, 10, seed=1)
    # A method that adapts starts anew.
    expected = gradient(copy.deepcopy(layer), costs, upstream, torch.device("cpu"))
    found = gradient(layer.to(device), costs, upstream, device)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize(
    "margin", [InformedMargin(0.5), NoiseMargin(0.5)], ids=["informed", "noise"]
)
def test_a_margin_is_drawn_where_the_costs_are(margin, device):
    layer = CombinatorialLayer(TopK(5), Identity(), Std(), margin)
    costs = random(6, 10).to(device)
    target = TopK(5)(random(6, 10, seed=2)).to(device)
    solution = layer(costs, target=target)
    assert (solution.device.type, float(solution.sum())) == (device.type, 30.0)


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_has_the_gradient_of_the_cpu(name, device):
    solver, true = TopK(3), random(6, 10, seed=5)
    layer = CombinatorialLayer(OTHER_SOLVERS.get(name, solver), Identity(), Std())

    def backward(place):
        torch.manual_seed(0)
        loss = build("loss", name)
        if isinstance(loss, PoolLoss):
            loss.pool.add(solver(random(8, 10, seed=9)).to(place))
        costs = random(6, 10).to(place).requires_grad_()
        given = true.to(place)
        value = loss(layer, costs, Labels(solver(given), given)).loss
        value.backward()
        assert (value.device.type, costs.grad.device.type) == (place.type, place.type)
        return value.detach().cpu(), costs.grad.cpu()

    if device.type == "cuda" and getattr(build("loss", name), "noise", None) is not None:
        pytest.skip("devices draw other noise")
    torch.testing.assert_close(backward(device), backward(torch.device("cpu")))
