"""What the loss is multiplied by before backward() changes no gradient but by that factor."""

import copy
from types import SimpleNamespace

import pytest
import torch

from combgrad import CombinatorialLayer, IncompatibleError, Labels, SolverInputError
from combgrad.experiments import Experiment
from combgrad.gradients import IMLE, LPGD, AdaptiveIMLE, Blackbox, GradientNoise, Identity
from combgrad.losses import FenchelYoung
from combgrad.projections import Std
from combgrad.solvers import TSP, TopK
from parts import build, complete

SCALE = 2.0**12


def layer_of(method, **parts):
    solver = TSP() if method.requires <= TSP().traits else TopK(5)
    return CombinatorialLayer(solver, copy.deepcopy(method), **parts)


METHODS = {name: build("grad", name) for name in complete("grad")}
every_method = pytest.mark.parametrize("method", METHODS.values(), ids=list(METHODS))


def costs_and_upstream():
    generator = torch.Generator().manual_seed(3)
    return torch.randn(2, 8, 10, dtype=torch.float64, generator=generator)


def slope_of(layer, factor):
    """dL/dw for a loss that is multiplied by `factor`."""
    costs, upstream = costs_and_upstream()
    costs = torch.nn.Parameter(costs)
    torch.manual_seed(0)
    (layer(costs) * upstream * factor).sum().backward()
    return costs.grad


@every_method
def test_a_known_scale_is_taken_out_and_put_back(method):
    plain = slope_of(layer_of(method, projection=Std()), 1.0)
    assert float(plain.abs().sum()) > 0
    for scale in (SCALE, lambda: SCALE):
        layer = layer_of(method, projection=Std())
        layer.loss_scale = scale
        torch.testing.assert_close(slope_of(layer, SCALE), plain * SCALE)
    both = layer_of(method, projection=Std())
    both.shares, both.loss_scale = 2, SCALE
    shared = layer_of(method, projection=Std())
    shared.shares = 2
    torch.testing.assert_close(slope_of(both, SCALE), slope_of(shared, 1.0) * SCALE)


@every_method
def test_homogeneous_is_what_needs_no_scale(method):
    same = torch.allclose(slope_of(layer_of(method), SCALE) / SCALE, slope_of(layer_of(method), 1))
    assert same == method.homogeneous


def test_gradient_noise_does_not_shrink_under_a_scale():
    noisy = {"gradient_noise": GradientNoise(0.5)}
    layer = layer_of(Identity(), **noisy)
    layer.loss_scale = SCALE
    torch.testing.assert_close(
        slope_of(layer, SCALE), slope_of(layer_of(Identity(), **noisy), 1.0) * SCALE
    )


def test_gradient_noise_of_a_loss_of_the_costs_does_not_shrink_under_a_scale():
    costs, labels = torch.rand(8, 10, dtype=torch.float64), Labels(TopK(5)(torch.rand(8, 10)))

    def slope(layer, factor):
        weights = costs.clone().requires_grad_()
        torch.manual_seed(0)
        (FenchelYoung(0.5, 4)(layer, weights, labels).loss * factor).backward()
        return weights.grad

    plain, noisy = (
        CombinatorialLayer(TopK(5), Identity(), gradient_noise=noise)
        for noise in (None, GradientNoise(0.5))
    )
    unscaled = slope(noisy, 1.0)
    assert float((unscaled - slope(plain, 1.0)).std()) == pytest.approx(0.5 / 8, rel=0.3)
    noisy.loss_scale = SCALE
    torch.testing.assert_close(slope(noisy, SCALE), unscaled * SCALE)
    noisy.loss_scale = None
    with torch.autocast("cpu", torch.float16), pytest.raises(IncompatibleError, match="loss_scale"):
        noisy.prepare(costs.float().requires_grad_())
    with torch.autocast("cpu", torch.float16):
        assert layer_of(Blackbox(5.0)).prepare(costs.float().requires_grad_()).requires_grad


@pytest.mark.parametrize("method", [Blackbox(5.0), Identity()])
def test_a_grad_scaler_trains_as_without_and_skips_what_overflows(method):
    scaler = torch.amp.GradScaler("cpu", init_scale=SCALE)
    costs, upstream = costs_and_upstream()
    layer = layer_of(method)
    layer.loss_scale = scaler.get_scale
    weights = torch.nn.Parameter(costs.clone())
    optimizer = torch.optim.SGD([weights], lr=0.1)
    scaler.scale((layer(weights) * upstream).sum()).backward()
    scaler.step(optimizer)
    scaler.update()
    expected = costs - 0.1 * slope_of(layer_of(method), 1.0)
    torch.testing.assert_close(weights.detach(), expected)
    optimizer.zero_grad()
    scaler.scale((layer(weights) * upstream * 1e308).sum()).backward()
    assert weights.grad.isnan().all()
    scaler.step(optimizer)
    scaler.update()
    torch.testing.assert_close(weights.detach(), expected)
    assert scaler.get_scale() == SCALE / 2


@pytest.mark.parametrize("scale", [None, 1.0])
def test_without_a_scale_an_overflow_is_an_error(scale):
    layer = layer_of(Blackbox(5.0))
    layer.loss_scale = scale
    with pytest.raises(SolverInputError, match="diverged"):
        slope_of(layer, float("nan"))


@pytest.mark.parametrize("method", [Blackbox(5.0), IMLE(5.0), LPGD(5.0), LPGD(5.0, rho=1.0)])
@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
def test_a_gradient_that_is_not_finite_is_named_and_not_the_costs(method, value):
    costs, upstream = costs_and_upstream()
    solution = layer_of(method)(costs.clone().requires_grad_())
    upstream[3, 2] = value
    words = r"^dL/dy of batch index 3 contains NaN or inf \(1 of 8 .* behind the solver"
    with pytest.raises(SolverInputError, match=words):
        solution.backward(upstream)


@pytest.mark.parametrize("method", [Blackbox(5.0), IMLE(5.0), LPGD(5.0), AdaptiveIMLE()])
def test_a_gradient_of_forbidden_entries_may_be_anything(method):
    costs, upstream = costs_and_upstream()
    costs[0, 4] = torch.inf
    found = []
    for value in (0.0, torch.nan, torch.inf, -torch.inf):
        leaf = costs.clone().requires_grad_()
        upstream[0, 4] = value
        layer_of(method)(leaf).backward(upstream)
        assert torch.equal(leaf.grad, found[0] if found else leaf.grad)
        found.append(leaf.grad)
    assert float(found[0][0].abs().sum()) > 0


def test_an_overflow_tells_a_scaler_and_teaches_adaptive_imle_nothing():
    layer = layer_of(AdaptiveIMLE())
    state = layer.gradient.state_dict()
    assert slope_of(layer, torch.inf).isnan().all()
    assert layer.gradient.state_dict() == state


@pytest.mark.parametrize(
    ("method", "parts", "name"),
    [
        (Blackbox(5.0), {}, "Blackbox"),
        (IMLE(5.0), {}, "IMLE"),
        (Identity(), {"gradient_noise": GradientNoise(0.5)}, "GradientNoise"),
    ],
)
def test_an_unknown_scale_is_refused_where_a_loss_is_scaled(method, parts, name):
    layer = layer_of(method, **parts)
    costs = torch.rand(2, 10, requires_grad=True)
    with torch.autocast("cpu", torch.float16):
        with pytest.raises(IncompatibleError, match=rf"{name} .*layer\.loss_scale = scaler\.get"):
            layer(costs)
        with torch.no_grad():
            assert layer(costs.detach()).shape == (2, 10)
        layer.loss_scale = 1.0
        assert layer(costs).requires_grad
    layer.loss_scale = None
    with torch.autocast("cpu", torch.bfloat16):
        assert layer(costs).requires_grad
    with torch.autocast("cpu", torch.float16):
        assert layer_of(Identity())(costs).requires_grad


class Nothing(Experiment):
    """An experiment without a step."""

    def step(self, batch, stage):
        raise NotImplementedError


def started(method, precision, **plugin):
    experiment = Nothing(torch.nn.Identity(), layer_of(method), torch.optim.SGD)
    experiment._trainer = SimpleNamespace(
        world_size=2, precision_plugin=SimpleNamespace(precision=precision, **plugin)
    )
    experiment.on_fit_start()
    return experiment.layer


def test_an_experiment_passes_the_scale_on_or_refuses_to_start():
    scaler = torch.amp.GradScaler("cpu", init_scale=SCALE)
    assert started(Blackbox(1.0), "16-mixed", scaler=scaler).loss_scale() == SCALE
    assert started(Blackbox(1.0), "bf16-mixed", scaler=None).loss_scale == 1.0
    assert started(Blackbox(1.0), "32-true").loss_scale == 1.0
    assert started(Identity(), "16-mixed").loss_scale is None
    with pytest.raises(IncompatibleError, match=r"Blackbox .*train in bfloat16"):
        started(Blackbox(1.0), "16-mixed")
