"""What holds for every loss that can be chosen, as its YAML says."""

import pytest
import torch

from combgrad import CombinatorialLayer
from combgrad.errors import SolverInputError
from combgrad.gradients import Identity
from combgrad.labels import Labels
from combgrad.losses import Loss
from combgrad.losses.pool import PoolLoss
from combgrad.margins import InformedMargin
from combgrad.projections import Std
from combgrad.solvers import TopK
from parts import LOSSES, OTHER_SOLVERS, build

SOLVER = TopK(3)

#: Those whose layer decides by the projected costs, and which count what that costs by w itself.
COUNTED_AS_GIVEN = {"solution_cost"}

#: Those whose gradient sees no solution.
GIVEN_GRADIENT = {"bilinear", "target_cost", "regret"}

#: Those that compare costs with what is true of them, and ask no solver.
UNSOLVED = {"cost_mse", "target_cost"}


def random(*shape, seed=0, dtype=torch.float64):
    return torch.randn(shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def layer_of(name, *parts, **named):
    return CombinatorialLayer(OTHER_SOLVERS.get(name, SOLVER), Identity(), *parts, **named)


def labels_of(true):
    return Labels(SOLVER(true), true)


def made(name):
    """The loss as its YAML says, with some solutions in its pool where it has one."""
    loss = build("loss", name)
    if isinstance(loss, PoolLoss):
        loss.pool.add(SOLVER(random(8, 10, seed=9)))
    return loss


def gradient_of(name, layer, costs, labels):
    torch.manual_seed(0)
    costs = costs.clone().requires_grad_()
    made(name)(layer, costs, labels).loss.backward()
    return costs.grad


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", LOSSES)
def test_the_gradient_has_shape_and_dtype_of_the_costs(name, dtype):
    labels = labels_of(random(6, 10, seed=5, dtype=dtype))
    gradient = gradient_of(name, layer_of(name), random(6, 10, dtype=dtype), labels)
    assert (gradient.shape, gradient.dtype) == ((6, 10), dtype)
    assert bool(torch.isfinite(gradient).all())
    assert float(gradient.abs().sum()) > 0.01


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("dtype", [torch.bool, torch.int64])
def test_labels_may_be_whole_numbers_and_bool(name, dtype):
    true = (random(6, 10, seed=5) * 9).round()
    costs, labels = random(6, 10), labels_of(true)
    expected = gradient_of(name, layer_of(name), costs, labels)
    whole = Labels(labels.target.to(dtype), true.to(torch.int64))
    assert torch.equal(gradient_of(name, layer_of(name), costs, whole), expected)


@pytest.mark.parametrize("name", LOSSES)
def test_a_transform_of_torch_func_is_refused_where_costs_are_solved(name):
    costs, labels = random(6, 10), labels_of(random(6, 10, seed=5))
    loss, layer = made(name), layer_of(name)

    def value(predicted):
        return loss(layer, predicted, labels).loss

    if name in UNSOLVED:
        gradient = torch.func.grad(value)(costs)
        torch.testing.assert_close(gradient, gradient_of(name, layer, costs, labels))
    else:
        with pytest.raises(SolverInputError, match=r": costs are inside .*autograd.grad"):
            torch.func.grad(value)(costs)


@pytest.mark.parametrize("name", LOSSES)
def test_autocast_makes_nothing_coarser(name):
    """Of costs in single precision: products of matrices would be of bfloat16 otherwise."""
    single = {"dtype": torch.float32}
    costs, labels = random(6, 10, **single), labels_of(random(6, 10, seed=5, **single))
    expected = gradient_of(name, layer_of(name), costs, labels)
    with torch.autocast("cpu", torch.bfloat16):
        torch.manual_seed(0)
        leaf = costs.clone().requires_grad_()
        loss = made(name)(layer_of(name), leaf, labels).loss
    loss.backward()
    assert loss.dtype == torch.float32
    torch.testing.assert_close(leaf.grad, expected, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("parts", [(), (Std(),)], ids=["plain", "std"])
@pytest.mark.parametrize("name", LOSSES)
def test_labels_may_be_part_of_a_graph(name, parts):
    costs, labels = random(6, 10), labels_of(random(6, 10, seed=5))
    tracked = Labels(*(label.clone().requires_grad_() for label in labels[:2]))
    found = gradient_of(name, layer_of(name, *parts), costs, tracked)
    assert torch.equal(found, gradient_of(name, layer_of(name, *parts), costs, labels))
    assert tracked.true_costs.grad is None or made(name).through_layer


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_of_costs_of_half_precision_works_in_single(name, dtype):
    """Steps, noise and temperatures may be finer than what such costs can tell apart."""
    if made(name).through_layer:
        pytest.skip("the layer answers halves with halves")
    halves = random(6, 10, dtype=torch.float32).to(dtype)
    labels = labels_of(random(6, 10, seed=5, dtype=torch.float32))
    found = gradient_of(name, layer_of(name), halves, labels)
    expected = gradient_of(name, layer_of(name), halves.float(), labels)
    assert torch.equal(found, expected.to(dtype))


@pytest.mark.parametrize("name", sorted(set(LOSSES) - COUNTED_AS_GIVEN))
def test_the_projection_holds(name):
    """Std leaves no gradient along a constant, nor along the costs themselves."""
    costs, labels = random(6, 10), labels_of(random(6, 10, seed=5))
    gradient = gradient_of(name, layer_of(name, Std()), costs, labels)
    assert float(gradient.abs().sum()) > 0.01
    for row, along in zip(gradient, costs, strict=True):
        assert float(row.sum()) == pytest.approx(0, abs=1e-12)
        assert float(row @ along) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("name", sorted(set(LOSSES) - COUNTED_AS_GIVEN))
def test_the_margin_holds_in_training(name):
    costs, labels = random(6, 10), labels_of(random(6, 10, seed=5))
    # The relevant candidates are those of high scores, which are made lower.
    sign = -1 if name == "recall" else 1
    moved = costs + sign * 0.6 * (labels.target - 0.5)
    found = gradient_of(name, layer_of(name, margin=InformedMargin(0.6)), costs, labels)
    expected = gradient_of(name, layer_of(name), moved, labels)
    torch.testing.assert_close(found, expected)
    plain = gradient_of(name, layer_of(name), costs, labels)
    assert name in GIVEN_GRADIENT or not torch.equal(found, plain)


@pytest.mark.parametrize("name", LOSSES)
def test_in_evaluation_it_is_the_mean_over_the_batch_and_draws_nothing(name):
    costs, true = random(5, 10), random(5, 10, seed=5)
    layer, loss = layer_of(name).eval(), made(name).eval()
    state = torch.random.get_rng_state()
    whole = float(loss(layer, costs, labels_of(true)).loss)
    rows = zip(costs.split(1), true.split(1), strict=True)
    each = [float(loss(layer, w, labels_of(c)).loss) for w, c in rows]
    assert whole == pytest.approx(sum(each) / 5)
    assert len(set(each)) > 1
    assert torch.equal(torch.random.get_rng_state(), state)


@pytest.mark.parametrize("name", LOSSES)
def test_what_it_needs_is_asked_for(name):
    loss, true = made(name), random(5, 10, seed=5)
    layer, labels = layer_of(name), labels_of(true)
    needed = {"target": labels.target, "true_costs": true}
    assert loss.needs <= needed.keys()
    loss(layer, random(5, 10), Labels(**{key: needed[key] for key in loss.needs}))
    for missing in loss.needs:
        left = Labels(**{key: needed[key] for key in loss.needs - {missing}})
        with pytest.raises(ValueError, match=rf"pass {missing} of shape \(5, 10\)"):
            loss(layer, random(5, 10), left)


@pytest.mark.parametrize("name", LOSSES)
def test_an_empty_batch_has_an_empty_gradient(name):
    nothing = random(0, 10)
    assert gradient_of(name, layer_of(name), nothing, Labels(nothing, nothing)).shape == (0, 10)


@pytest.mark.parametrize("name", LOSSES)
def test_a_tensor_in_the_place_of_labels_is_told_what_they_are(name):
    loss, costs = made(name), random(5, 10)
    with pytest.raises(TypeError, match=r"as combgrad\.Labels, not as a Tensor; pass Labels"):
        loss(layer_of(name), costs, costs)


@pytest.mark.parametrize("name", ["cone_aligned", "spo_plus"])
def test_a_compiled_step_leaves_the_loss_out(name):
    """What solvers and cones do in numpy is nothing to trace."""
    costs, labels = random(4, 10), labels_of(random(4, 10, seed=5))
    loss, layer = made(name), layer_of(name)
    expected = gradient_of(name, layer, costs, labels)
    torch.compiler.reset()
    step = torch.compile(lambda w: 2 * loss(layer, 3 * w / 3, labels).loss, backend="eager")
    leaf = costs.clone().requires_grad_()
    step(leaf).backward()
    torch.testing.assert_close(leaf.grad, 2 * expected)


def test_a_loss_of_ones_own_that_gives_a_bare_tensor_is_told_what_to_return():
    class Mine(Loss):
        def forward(self, layer, costs, labels, instances=None):
            return layer(costs).sum()

    with pytest.raises(TypeError, match=r"Mine: its forward gives a Tensor; .*Outcome\(loss\)"):
        Mine()(layer_of("hamming"), random(2, 10), Labels(random(2, 10)))
