"""Projections keep the solution, and their gradients are the ones of the formulas."""

import itertools
import math
import warnings

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from combgrad.projections import Mean, Norm, Plane, Std
from combgrad.solvers import TSP, BruteForceTSP
from parts import build, complete

#: Every projection there is that takes instances of any size.
NAMES = [name for name in complete("proj") if name not in ("none", "plane")]
PROJECTIONS = [build("proj", name) for name in NAMES]


#: name -> (centred, divided by the length): the formulas of those that are no more than that.
FORMULAS = {"mean": (True, False), "norm": (False, True), "std": (True, True)}
NAMED = [pytest.param(build("proj", name), name, id=name) for name in FORMULAS]


def by_hand(name: str, costs: list[float]) -> list[float]:
    """The formula in plain Python, with exact sums."""
    centred, divided = FORMULAS[name]
    mean = math.fsum(costs) / len(costs) if centred else 0.0
    rest = [cost - mean for cost in costs]
    length = math.sqrt(math.fsum(c * c for c in rest)) if divided else 1.0
    return [c / length for c in rest]


@pytest.mark.parametrize(("projection", "name"), NAMED)
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


@pytest.mark.parametrize(
    "projection", [projection for projection in PROJECTIONS if projection.requires <= TSP().traits]
)
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


INF = float("inf")


@pytest.mark.parametrize(("projection", "name"), NAMED)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_forbidden_entries_stay_inf_and_the_others_project_without_them(projection, name, dtype):
    costs = torch.tensor([[3.0, INF, -1.0, 2.5, INF], [1.0, 2.0, 4.0, 8.0, 16.0]], dtype=dtype)
    projected = projection(costs)
    expected = by_hand(name, [3.0, -1.0, 2.5])
    assert [float(projected[0, 1]), float(projected[0, 4])] == [INF, INF]
    assert projected[0, [0, 2, 3]].tolist() == pytest.approx(expected, rel=1e-6)
    assert projected[1].tolist() == pytest.approx(by_hand(name, costs[1].tolist()), rel=1e-6)


@pytest.mark.parametrize("projection", [*PROJECTIONS, Plane([1.0, 2.0, 0.5, 3.0, -1.0, 1.0])])
def test_forbidden_entries_get_no_gradient_and_change_none(projection):
    costs = torch.randn(3, 6, dtype=torch.float64, requires_grad=True)
    kept = torch.tensor([0, 2, 3, 5])
    inner = Plane(projection.normal[kept]) if isinstance(projection, Plane) else projection

    def forbid(rows):
        return torch.full((3, 6), INF, dtype=torch.float64).index_copy(1, kept, rows)

    upstream = torch.randn(3, 4, dtype=torch.float64)
    (alone,) = torch.autograd.grad(inner(costs[:, kept]), costs, upstream)
    full = forbid(costs[:, kept].detach()).requires_grad_()
    (gradient,) = torch.autograd.grad(projection(full)[:, kept], full, upstream)
    torch.testing.assert_close(gradient, alone)
    assert float(gradient[:, [1, 4]].abs().max()) == 0
    assert torch.autograd.gradcheck(lambda w: projection(forbid(w))[:, kept], costs[:, kept])


@pytest.mark.parametrize("projection", PROJECTIONS, ids=NAMES)
@pytest.mark.parametrize("value", [float("nan"), -INF])
def test_what_no_solver_takes_is_not_made_finite(projection, value):
    assert bool(projection(torch.tensor([[1.0, value, 2.0]])).isnan().any())


def test_all_entries_may_be_forbidden():
    for projection in PROJECTIONS:
        assert projection(torch.full((2, 3), INF)).tolist() == [[INF] * 3] * 2


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
@pytest.mark.parametrize("projection", PROJECTIONS, ids=NAMES)
def test_the_largest_floats_stay_finite_and_keep_their_order(projection, dtype):
    most = torch.finfo(dtype).max
    costs = torch.tensor([[most, most / 2, most / 4, most], [most] * 4], dtype=dtype)
    costs.requires_grad_()
    projected = projection(costs)
    projected.sum().backward()
    assert bool(torch.isfinite(projected).all())
    assert bool(torch.isfinite(costs.grad).all())
    assert torch.equal(projected[0].argsort(stable=True), costs[0].argsort(stable=True))
    assert projected[1].unique().numel() == 1


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
@pytest.mark.parametrize("projection", [Norm(), Std()], ids=["norm", "std"])
def test_subnormal_costs_project_by_the_formula_with_a_finite_gradient(projection, dtype):
    least = torch.finfo(dtype).smallest_normal * torch.finfo(dtype).eps
    steps = [1.0, 5.0, 2.0, 9.0]
    costs = (torch.tensor([steps], dtype=dtype) * least).requires_grad_()
    projected = projection(costs)
    expected = by_hand("norm" if isinstance(projection, Norm) else "std", steps)
    assert projected[0].tolist() == pytest.approx(expected, rel=4 * torch.finfo(dtype).eps)
    projected[0, 0].backward()
    assert bool(torch.isfinite(costs.grad).all())
    assert float(costs.grad.abs().max()) > 0


def test_neighbouring_costs_are_not_taken_for_equal_ones():
    steps = torch.tensor([[0.0, 3.0, 1.0, 7.0]])
    for costs in (1e8 + 8 * steps, 1 + 2.0**-52 * steps.double()):
        expected = torch.tensor([by_hand("std", steps[0].tolist())], dtype=costs.dtype)
        torch.testing.assert_close(Std()(costs), expected)


@pytest.mark.parametrize("projection", [Mean(), Std()], ids=["mean", "std"])
def test_costs_that_drown_others_are_warned_of_and_inf_does_not_drown(projection):
    costs = torch.rand(50, 10, generator=torch.Generator().manual_seed(0))
    forbidden = torch.zeros(10, dtype=torch.bool)
    forbidden[[1, 5, 8]] = True
    solver = BruteForceTSP()
    with pytest.warns(UserWarning, match=r"(Mean|Std): .*forbid entries by a cost of inf"):
        projection(costs.masked_fill(forbidden, 1e7))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        projected = projection(costs.masked_fill(forbidden, torch.inf))
        # What is small in float32 is not in float64.
        exact = projection(costs.masked_fill(forbidden, 1e7).double())
        projection(torch.randn(1000, 190, generator=torch.Generator().manual_seed(1)) + 3)
        projection(torch.zeros(3, 10))
        projection(torch.tensor([[0.0, 0.0, 0.0, 0.0, 5e4]]))
    expected = solver(costs.masked_fill(forbidden, 1e7).double()).float()
    assert torch.equal(solver(exact).float(), expected)
    assert torch.equal(solver(projected), expected)


@pytest.mark.parametrize(("entries", "least"), [(8, 3), (199, 3), (200, 4), (1000, 20)])
def test_a_few_costs_that_drown_are_no_reason_to_warn(entries, least):
    for drowning in (least - 1, least):
        costs = torch.full((2, entries), 1e6)
        costs[1, :drowning] = 1e-3
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            Mean()(costs)
        assert bool(told) == (drowning == least)


CENTRING = [
    pytest.param(Mean(), id="mean"),
    pytest.param(Std(), id="std"),
    pytest.param(Plane([1.0] * 10), id="plane"),
]


@pytest.mark.parametrize("projection", CENTRING)
def test_costs_that_drown_others_even_in_double_precision_are_warned_of(projection):
    costs = torch.rand(50, 10, generator=torch.Generator().manual_seed(0))
    forbidden = torch.zeros(10, dtype=torch.bool)
    forbidden[[1, 5, 8]] = True
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert projection(costs.masked_fill(forbidden, 1e7), widen=True).dtype == torch.float64
    with pytest.warns(UserWarning, match=r"torch.float32 rounds .*, or pass costs.double\(\)"):
        projection(costs.masked_fill(forbidden, 1e7))
    for wide in (True, False):
        drowning = costs.masked_fill(forbidden, 3e38)
        with pytest.warns(UserWarning, match=r"torch.float64 rounds .*, not by a large number.$"):
            projection(drowning if wide else drowning.double(), widen=wide)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_the_normal_of_a_plane_is_exact_whatever_its_module_is_moved_to(dtype):
    ends = torch.tensor(list(itertools.combinations(range(6), 2)))
    u = torch.rand(6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    plane = Plane(u[ends].sum(dim=1))
    costs = torch.rand(500, 15, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    costs = costs + 10 * u[ends].sum(dim=1)
    before = plane(costs)
    assert torch.equal(TSP()(plane.to(dtype)(costs)), TSP()(costs))
    assert torch.equal(plane(costs), before)
