"""Projections keep the solution, and their gradients are the ones of the formulas."""

import itertools
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from combgrad.projections import Mean, Norm, Plane, Std
from combgrad.solvers import BruteForceTSP

PROJECTIONS = [Mean(), Norm(), Std()]
NAMES = ["mean", "norm", "std"]
NAMED = list(zip(PROJECTIONS, NAMES, strict=True))


def by_hand(name: str, costs: list[float]) -> list[float]:
    """The formula in plain Python, with exact sums."""
    mean = math.fsum(costs) / len(costs) if name in ("mean", "std") else 0.0
    centred = [cost - mean for cost in costs]
    length = math.sqrt(math.fsum(c * c for c in centred)) if name in ("norm", "std") else 1.0
    return [c / length for c in centred]


@pytest.mark.parametrize(("projection", "name"), NAMED, ids=NAMES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_values_equal_the_formula(projection, name, dtype):
    costs = torch.randn(4, 2, 5, dtype=dtype, generator=torch.Generator().manual_seed(1)) * 3 + 1
    expected = [by_hand(name, row) for row in costs.flatten(1).double().tolist()]
    projected = projection(costs)
    assert projected.dtype == dtype
    assert projected.shape == costs.shape
    torch.testing.assert_close(
        projected.flatten(1).double(), torch.tensor(expected).double(), rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize("projection", PROJECTIONS, ids=NAMES)
@given(
    values=arrays.arrays(
        "float64", (1, 10), elements=st.floats(-1e3, 1e3).map(lambda x: round(x, 3))
    )
)
def test_the_projected_costs_have_the_same_best_tour(projection, values):
    costs = torch.from_numpy(values)
    solver = BruteForceTSP()
    before, after = solver(costs), solver(projection(costs))
    # Ties may be broken differently, so the value is compared, not the tour.
    best, found = (costs * before).sum(), (costs * after).sum()
    assert float(found) == pytest.approx(float(best), abs=1e-9 * max(1.0, float(costs.abs().max())))


@pytest.mark.parametrize("projection", PROJECTIONS, ids=NAMES)
def test_gradient_equals_finite_differences(projection):
    costs = torch.randn(3, 6, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(projection, (costs,))


def test_pulled_back_gradients_are_orthogonal_as_the_invariances_demand():
    costs = torch.randn(5, 7, dtype=torch.float64, requires_grad=True)
    upstream = torch.randn(5, 7, dtype=torch.float64)
    ones = torch.ones_like(costs)
    centred = costs.detach() - costs.detach().mean(1, keepdim=True)
    cases = [(Mean(), ones), (Norm(), costs.detach()), (Std(), ones), (Std(), centred)]
    for projection, direction in cases:
        (gradient,) = torch.autograd.grad(projection(costs), costs, upstream)
        inner = (gradient * direction).sum(1)
        torch.testing.assert_close(inner, torch.zeros_like(inner), atol=1e-12, rtol=0)
        assert float(gradient.norm()) > 0.1


def test_norm_jacobian_scales_with_one_over_the_norm():
    costs = torch.randn(1, 6, dtype=torch.float64)
    jacobian = torch.autograd.functional.jacobian(Norm(), costs)[0, :, 0]
    w, length = costs[0], costs.norm()
    expected = torch.eye(6, dtype=torch.float64) / length - torch.outer(w, w) / length**3
    torch.testing.assert_close(jacobian, expected)


def test_plane_of_ones_is_mean_and_plane_is_orthogonal_to_its_normal():
    costs = torch.randn(4, 6, dtype=torch.float64)
    torch.testing.assert_close(Plane(torch.ones(6))(costs), Mean()(costs))
    normal = torch.tensor([1.0, 2.0, 0.0, -1.0, 0.5, 3.0])
    projected = Plane(normal)(costs)
    inner = projected @ normal.double()
    torch.testing.assert_close(inner, torch.zeros_like(inner), atol=1e-12, rtol=0)
    again = Plane(normal)(projected)
    torch.testing.assert_close(again, projected)


def test_plane_refuses_what_is_no_normal():
    with pytest.raises(ValueError, match="not all zero"):
        Plane([0.0, 0.0])
    with pytest.raises(ValueError, match="finite"):
        Plane([1.0, float("nan")])
    with pytest.raises(ValueError, match="2 entries and an instance 3"):
        Plane([1.0, 2.0])(torch.zeros(1, 3))


@pytest.mark.parametrize("projection", PROJECTIONS, ids=NAMES)
def test_degenerate_costs_stay_finite(projection):
    for value, shape in itertools.product((0.0, 1.0, -3.5), ((0, 4), (1, 1), (2, 4))):
        costs = torch.full(shape, value, requires_grad=True)
        projected = projection(costs)
        projected.sum().backward()
        assert projected.shape == shape
        assert bool(torch.isfinite(projected).all())
        assert costs.grad is not None
        assert bool(torch.isfinite(costs.grad).all())


def test_equal_costs_standardise_to_zero_and_not_to_rounding_noise():
    for value in (0.1, 1 / 3, 1e6 / 7):
        costs = torch.full((1, 10), value, requires_grad=True)
        projected = Std()(costs)
        projected[0, 0].backward()
        assert float(projected.detach().abs().max()) == 0
        assert float(costs.grad.abs().max()) == 0


@pytest.mark.parametrize("scale", [1e-30, 1e-20, 1e18, 1e30])
@pytest.mark.parametrize("projection", [Norm(), Std()], ids=["norm", "std"])
def test_huge_and_tiny_costs_project_like_ordinary_ones(projection, scale):
    costs = torch.randn(3, 8, generator=torch.Generator().manual_seed(2))
    torch.testing.assert_close(projection(costs * scale), projection(costs), rtol=1e-4, atol=1e-5)
