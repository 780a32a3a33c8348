"""CaVE: the loss in a plain loop, its slope by finite differences, its three aims, refusals."""

import sys

import numpy as np
import pytest
import torch
from scipy.optimize import nnls

from combgrad import CombinatorialLayer, solvers
from combgrad.errors import IncompatibleError, MissingPackageError, SolverInputError
from combgrad.gradients import Identity
from combgrad.instances import Instances
from combgrad.labels import Labels
from combgrad.losses import ConeAligned

SOLVER = solvers.TopK(2)


def random(*shape, seed=0):
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def layer_of(solver=SOLVER):
    return CombinatorialLayer(solver, Identity())


def value(loss, costs, target, solver=SOLVER, **named):
    return loss(layer_of(solver), costs, Labels(target), **named).loss


def normals_of_subsets(target):
    """Of sum(y) = k, both ways, and of the bounds that bind."""
    n = len(target)
    return np.concatenate([np.ones((1, n)), -np.ones((1, n)), np.diag(2 * target - 1)])


def by_loop(costs, target, aim, inner, projects=True):
    total = 0.0
    for w, solution in zip(costs.tolist(), target.numpy(), strict=True):
        normals, t = normals_of_subsets(solution), -np.array(w)
        p = t
        if projects:
            shares, _ = nnls(normals.T, t)
            p = shares @ normals
        if not projects or (aim == "inner" and np.linalg.norm(p - t) > 1e-6):
            units = normals / np.linalg.norm(normals, axis=1, keepdims=True)
            p = (1 - inner) * p / np.linalg.norm(p) + inner * units.mean(axis=0)
        total += 1 - t @ p / np.linalg.norm(t) / np.linalg.norm(p)
    return total / len(costs)


@pytest.mark.parametrize(("aim", "inner"), [("exact", 0.2), ("inner", 0.2), ("inner", 0.6)])
@pytest.mark.parametrize("ratio", [0.0, 1.0])
def test_it_is_the_plain_loop(aim, inner, ratio):
    costs, target = random(8, 6), SOLVER(random(8, 6, seed=1))
    found = value(ConeAligned(aim, inner, ratio), costs, target)
    assert float(found) == pytest.approx(by_loop(costs, target, aim, inner, ratio > 0), abs=1e-9)


def test_where_the_target_is_the_solution_it_is_0():
    costs = random(8, 6)
    for aim in ("exact", "inner"):
        loss = value(ConeAligned(aim), costs, SOLVER(costs))
        assert float(loss) == pytest.approx(0, abs=1e-12)


def test_the_exact_slope_is_that_of_finite_differences():
    """Although the projection counts as a constant: the length of one has that slope."""
    costs, target = random(5, 6).requires_grad_(), SOLVER(random(5, 6, seed=1))
    loss = ConeAligned("exact")
    (slope,) = torch.autograd.grad(value(loss, costs, target), costs)
    for row, entry in ((0, 0), (1, 3), (2, 5), (3, 2), (4, 4)):
        moved = torch.zeros_like(costs)
        moved[row, entry] = 1e-6
        ends = [float(value(loss, costs.detach() + s * moved, target)) for s in (1, -1)]
        assert (ends[0] - ends[1]) / 2e-6 == pytest.approx(float(slope[row, entry]), abs=1e-7)


def test_opposite_costs_have_a_slope_by_the_inner_aim_alone():
    """-w at a right angle or more to the whole cone."""
    costs = torch.tensor([[1.0, 0.8, -1.0, -0.8]], dtype=torch.float64)
    target = torch.tensor([[1.0, 1.0, 0.0, 0.0]], dtype=torch.float64)
    for aim, flat in (("exact", True), ("inner", False)):
        leaf = costs.clone().requires_grad_()
        loss = value(ConeAligned(aim), leaf, target)
        (slope,) = torch.autograd.grad(loss, leaf)
        assert (float(slope.abs().sum()) < 1e-9) == flat
        # Of all normals there are 4 rays and a line; their mean lies along (1, 1, -1, -1).
        wanted = 1.0 if flat else 1 + 3.6 / (2 * 3.28**0.5)
        assert float(loss.detach()) == pytest.approx(wanted)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_opposite_costs_are_no_others_where_rounding_is_left_of_their_mean(dtype):
    """0.1 + 0.7 - 0.3 - 0.5 is not 0; the mean normal is (1, 1, -1, -1)/6."""
    costs = torch.tensor([[0.1, 0.7, -0.3, -0.5]], dtype=dtype)
    target = torch.tensor([[1.0, 1.0, 0.0, 0.0]], dtype=dtype)
    for aim, wanted in (("exact", 1.0), ("inner", 1 + 1.6 / (2 * 0.84**0.5))):
        leaf = costs.clone().requires_grad_()
        loss = value(ConeAligned(aim), leaf, target)
        (slope,) = torch.autograd.grad(loss, leaf)
        assert float(loss.detach()) == pytest.approx(wanted, abs=1e-6)
        assert float(slope.abs().sum()) == 0 or aim == "inner"


@pytest.mark.parametrize("aim", ["exact", "inner"])
@pytest.mark.parametrize("ratio", [0.0, 1.0])
def test_it_depends_on_the_direction_of_the_costs_alone(aim, ratio):
    tours = solvers.TSP()
    costs, target = random(3, 15), tours(random(3, 15, seed=1))
    loss = ConeAligned(aim, ratio=ratio)
    wanted = value(loss, costs, target, tours)
    for dtype, scale in ((torch.float64, 1e-200), (torch.float64, 1e200), (torch.float32, 1e-20)):
        leaf = (costs * scale).to(dtype).requires_grad_()
        found = value(loss, leaf, target, tours)
        torch.testing.assert_close(found.double(), wanted, atol=1e-6, rtol=0)
        (slope,) = torch.autograd.grad(found, leaf)
        assert bool(torch.isfinite(slope).all())
        assert bool(slope.flatten(1).any(dim=1).all())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("ratio", [0.0, 1.0])
def test_costs_of_0_have_no_direction(dtype, ratio):
    leaf = torch.zeros(2, 4, dtype=dtype, requires_grad=True)
    target = torch.tensor([[1, 1, 0, 0], [0, 1, 0, 1]], dtype=dtype)
    loss = value(ConeAligned(ratio=ratio), leaf, target)
    assert float(loss.detach()) == 1
    assert not torch.autograd.grad(loss, leaf)[0].any()


def test_where_nothing_binds_the_cone_is_a_point():
    """And where only equalities do, it is their span."""
    box = solvers.ILP(A_ub=[[1, 1]], b_ub=[9], bounds=(0, 5))
    middle = torch.tensor([[2.0, 3.0]], dtype=torch.float64)
    assert float(value(ConeAligned("exact"), random(1, 2), middle, box)) == 1
    only = solvers.Assignment()
    one = torch.ones(1, 1, 1, dtype=torch.float64)
    assert float(value(ConeAligned("exact"), -2 * one, one, only)) == 0


def test_a_row_that_is_not_used_up_does_not_bind():
    """Of 40 heavy items and a light one 1 is left, and the light one is worth it."""
    weights = [50000] * 40 + [1]
    bag = solvers.Knapsack(weights, 50000 * 40 + 1)
    costs = -torch.tensor([weights], dtype=torch.float64)
    target = torch.ones_like(costs)
    target[0, -1] = 0
    assert not torch.equal(bag(costs), target)
    assert float(value(ConeAligned("exact"), costs, target, bag)) > 1e-12


def test_a_share_of_the_batches_is_projected_in_training_and_all_in_evaluation():
    costs, target = random(4, 6), SOLVER(random(4, 6, seed=1))
    whole, none = (float(value(ConeAligned(ratio=r), costs, target)) for r in (1.0, 0.0))
    loss = ConeAligned(ratio=0.3, generator=torch.Generator().manual_seed(0))
    found = [float(value(loss, costs, target)) for _ in range(100)]
    assert set(found) == {whole, none}
    assert 15 <= found.count(whole) <= 45
    assert float(value(loss.eval(), costs, target)) == whole


def test_forbidden_entries_and_padding_are_as_if_not_there():
    kept = torch.tensor([0, 1, 3, 5])
    few, true = random(5, 4), random(5, 4, seed=1)
    costs = torch.full((5, 6), torch.inf, dtype=torch.float64).index_copy(1, kept, few)
    target = torch.zeros(5, 6, dtype=torch.float64).index_copy(1, kept, SOLVER(true))
    for loss in (ConeAligned("exact"), ConeAligned(), ConeAligned(ratio=0.0)):
        alone = value(loss, few, SOLVER(true))
        leaf = costs.clone().requires_grad_()
        found = value(loss, leaf, target)
        torch.testing.assert_close(found, alone)
        (slope,) = torch.autograd.grad(found, leaf)
        assert float(slope[:, [2, 4]].abs().sum()) == 0
        valid = torch.isfinite(costs)
        padded = value(loss, costs.nan_to_num(posinf=9.0), target, instances=Instances(valid=valid))
        torch.testing.assert_close(padded, alone)
    assignment = solvers.Assignment()
    square = random(1, 2, 2)
    described = Instances(valid=torch.ones(1, 2, 2, dtype=torch.bool))
    with pytest.raises(IncompatibleError, match=r"Assignment's program would count padding"):
        value(ConeAligned(), square, assignment(square), assignment, instances=described)
    alignment, grids = solvers.Alignment(), random(2, 3, 3, 3)
    whole, shorter = (Instances({"lengths": [[2, 2], [2, m]]}) for m in (2, 1))
    alike = value(ConeAligned(), grids, alignment(grids), alignment, instances=whole)
    torch.testing.assert_close(alike, value(ConeAligned(), grids, alignment(grids), alignment))
    with pytest.raises(IncompatibleError, match=r"Alignment's program would count padding"):
        value(ConeAligned(), grids, alignment(grids), alignment, instances=shorter)


def test_a_solver_without_a_relaxation_is_refused_with_the_reason():
    grid, costs = solvers.ShortestPath(), random(1, 3, 3).abs()
    with pytest.raises(IncompatibleError, match=r"ShortestPath has none: its costs .* of cells"):
        value(ConeAligned(), costs, grid(costs), grid)
    with pytest.raises(IncompatibleError, match=r"Those of TSP\(\), Assignment\(\)"):
        ConeAligned().check_solver(solvers.SpanningTree())


def test_wrong_instances_are_named():
    costs = random(3, 6)
    target = SOLVER(costs)
    wrong = target.clone()
    wrong[1] = 1.0
    with pytest.raises(SolverInputError, match="batch index 1: its true solution is none"):
        value(ConeAligned(), costs, wrong)
    # Two rings of three cities: two edges at every city, and no tour.
    tours, first, second = solvers.TSP(), *torch.triu_indices(6, 6, 1)
    rings = ((first < 3) == (second < 3)).double().unsqueeze(0)
    with pytest.raises(SolverInputError, match="batch index 0: its true solution is none"):
        value(ConeAligned(), random(1, 15), rings, tours)
    broken = costs.clone()
    broken[2, 0] = float("nan")
    with pytest.raises(SolverInputError, match="batch index 2: its costs contain NaN"):
        value(ConeAligned(), broken, target)
    forbidden = costs.clone()
    forbidden[0, int(target[0].argmax())] = torch.inf
    with pytest.raises(SolverInputError, match="batch index 0: its true solution uses an entry"):
        value(ConeAligned(), forbidden, target)


def test_settings_out_of_range_are_refused():
    for wrong in ({"aim": "outer"}, {"inner": 1.5}, {"ratio": -0.1}, {"steps": 0}):
        with pytest.raises(ValueError, match=f"loss.{next(iter(wrong))}"):
            ConeAligned(**wrong)


def test_stopped_short_it_is_inside_the_cone_and_ends_at_the_projection():
    pytest.importorskip("clarabel")
    costs, target = random(8, 6), SOLVER(random(8, 6, seed=1))
    exact = value(ConeAligned("exact"), costs, target)
    long = value(ConeAligned("truncated", steps=200), costs, target)
    torch.testing.assert_close(long, exact, atol=1e-6, rtol=0)
    assert float(value(ConeAligned("truncated"), costs, target)) > float(exact) + 1e-3


def test_a_missing_package_is_told_with_the_extra_that_brings_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "clarabel", None)
    with pytest.raises(MissingPackageError, match=r"clarabel: .*\[values\].*loss.aim=inner"):
        value(ConeAligned("truncated"), random(1, 6), SOLVER(random(1, 6)))
