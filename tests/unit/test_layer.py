"""The layer puts its parts in the right order and refuses parts that do not fit."""

import copy

import numpy as np
import pytest
import torch

import combgrad
from combgrad import CombinatorialLayer, IncompatibleError, SolverInputError
from combgrad.data.corruption import flip_labels
from combgrad.errors import WrongAnswerError
from combgrad.gradients import L2X, Blackbox, GradientNoise, Identity
from combgrad.margins import InformedMargin, NoiseMargin
from combgrad.projections import Mean, Norm, Plane, Std
from combgrad.solvers import (
    TSP,
    BruteForceTSP,
    Cached,
    ShortestPath,
    Solver,
    TopK,
    Trait,
    from_function,
)


class Picky(Solver):
    """Chooses the entries below 1: neither shifting nor scaling leaves its answer alone."""

    traits = frozenset()

    def _solve(self, costs):
        return (costs < 1).to(costs.dtype)


class Recorder(Solver):
    """Keeps what it was asked to solve."""

    traits = frozenset({Trait.SHIFT_INVARIANT, Trait.SCALE_INVARIANT})

    def _solve(self, costs, **instance):
        self.seen, self.instance = costs, instance
        return torch.zeros_like(costs)


def test_the_five_line_example_of_the_readme_trains():
    torch.manual_seed(0)
    costs = torch.nn.Parameter(torch.randn(4, 10))
    target = BruteForceTSP()(torch.randn(4, 10))
    layer = CombinatorialLayer(TSP(), Identity(), Std(), NoiseMargin(0.1))
    optimizer = torch.optim.SGD([costs], lr=0.5)
    for _ in range(200):
        optimizer.zero_grad()
        (layer(costs) - target).abs().sum(1).mean().backward()
        optimizer.step()
    layer.eval()
    assert torch.equal(layer(costs).detach(), target)


@pytest.mark.parametrize("position", ["before", "after"])
def test_margin_stands_before_or_after_the_projection(position):
    costs, target = torch.randn(3, 10), torch.zeros(3, 10)
    solver, margin = Recorder(), InformedMargin(0.4, position=position)
    CombinatorialLayer(solver, Identity(), Std(), margin)(costs, target)
    offset = -0.2  # the target is all zeros
    expected = Std()(costs + offset) if position == "before" else Std()(costs) + offset
    torch.testing.assert_close(solver.seen, expected)


def test_instance_arguments_reach_the_solver_forwards_and_backwards():
    solver = Recorder()
    costs = torch.randn(2, 10, requires_grad=True)
    CombinatorialLayer(solver, Blackbox(1.0))(costs, start=3).sum().backward()
    assert solver.instance == {"start": 3}
    assert solver.calls == 2
    assert solver.seconds > 0


@pytest.mark.parametrize(
    ("projection", "trait"),
    [(Mean(), "shift_invariant"), (Norm(), "scale_invariant"), (Std(), "shift_invariant")],
)
def test_a_projection_the_solver_does_not_allow_is_refused(projection, trait):
    with pytest.raises(IncompatibleError, match=trait) as caught:
        CombinatorialLayer(Picky(), Identity(), projection)
    assert type(projection).__name__ in str(caught.value)
    assert "Picky" in str(caught.value)
    assert "use projection none" in str(caught.value)


def test_who_brings_a_solver_is_told_to_state_its_traits_and_no_remedy_is_refused_itself():
    with pytest.raises(IncompatibleError) as caught:
        CombinatorialLayer(from_function(np.sign), Identity(), Std())
    said = str(caught.value)
    assert "state Trait.SCALE_INVARIANT and Trait.SHIFT_INVARIANT there if it holds" in said
    assert said.endswith("else use projection none.")
    for projection in (Mean(), Norm()):
        with pytest.raises(IncompatibleError):
            CombinatorialLayer(from_function(np.sign), Identity(), projection)
    with pytest.raises(IncompatibleError) as caught:
        CombinatorialLayer(Cached(from_function(np.sign, {Trait.SHIFT_INVARIANT})), L2X(0.5), Std())
    assert "state Trait.SUBSET_VALUED there" in str(caught.value)
    with pytest.raises(IncompatibleError) as caught:
        CombinatorialLayer(ShortestPath(), Identity(), Std())
    assert "ShortestPath is not: its solutions differ in size" in str(caught.value)


def test_a_plane_is_allowed_exactly_where_its_normal_is_constant_on_tours():
    potentials = torch.tensor([1.0, -2.0, 0.5, 3.0, 0.0])
    first, second = torch.triu_indices(5, 5, offset=1)
    normal = potentials[first] + potentials[second]
    layer = CombinatorialLayer(TSP(), Identity(), Plane(normal))
    costs = torch.randn(50, 10, dtype=torch.float64)
    assert torch.equal(layer(costs), BruteForceTSP()(costs))
    with pytest.raises(IncompatibleError, match="normal"):
        CombinatorialLayer(TSP(), Identity(), Plane(torch.arange(1.0, 11.0)))


def test_traits_of_tsp_are_true_and_those_of_the_picky_solver_false():
    generator = torch.Generator().manual_seed(0)
    costs = torch.randn(100, 10, dtype=torch.float64, generator=generator)
    for projection in (Mean(), Norm(), Std()):
        assert torch.equal(TSP()(projection(costs)), TSP()(costs))
    picky = Picky()
    assert not torch.equal(picky(costs + 1), picky(costs))
    assert not torch.equal(picky(costs * 0.1), picky(costs))


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ((TSP(), Identity(), NoiseMargin(0.1)), "projection is .*order is solver, gradient"),
        ((TSP, Identity()), r"pass an instance, TSP\("),
        ((TSP(), Identity), r"pass an instance, Identity\("),
        ((Identity(), TSP()), "solver is .*order"),
        ((lambda costs: costs, Identity()), "from_function"),
    ],
)
def test_parts_of_the_wrong_kind_are_refused(parts, message):
    with pytest.raises(IncompatibleError, match=message):
        CombinatorialLayer(*parts)


def test_wrong_costs_are_refused_before_a_projection_sees_them():
    layer = CombinatorialLayer(TSP(), Identity(), Std(), NoiseMargin(0.1))
    with pytest.raises(SolverInputError, match=r"torch\.as_tensor"):
        layer([[1.0, 2.0, 3.0]])
    with pytest.raises(SolverInputError, match="unsqueeze"):
        layer(torch.rand(10))
    with pytest.raises(SolverInputError, match=r"costs\.float"):
        layer(torch.ones(1, 10, dtype=torch.int64))


def test_a_solver_that_answers_in_another_form_is_named():
    class Short(Picky):
        def _solve(self, costs):
            return costs[:, :2]

    class Index(Picky):
        def _solve(self, costs):
            return torch.zeros(costs.shape, dtype=torch.int64)

    class Pair(Picky):
        def _solve(self, costs):
            return costs, 0.0

    class Array(Picky):
        def _solve(self, costs):
            return costs.numpy()

    class Forgotten(Picky):
        def _solve(self, costs):
            costs.clone()

    for solver in (Short(), Index(), Pair(), Array(), Forgotten()):
        with pytest.raises(WrongAnswerError, match=f"{type(solver).__name__}.*must return"):
            solver(torch.rand(3, 10))


def test_an_answer_that_is_not_finite_is_refused_with_the_batch_index():
    class Broken(Picky):
        def _solve(self, costs):
            return torch.where(costs > 2, torch.nan, torch.zeros_like(costs))

    costs = torch.rand(3, 10)
    assert not Broken()(costs).any()
    costs[1, 4] = 3
    with pytest.raises(WrongAnswerError, match="Broken: the solution of batch index 1 has NaN"):
        Broken()(costs)


def test_a_solver_that_changes_its_costs_is_refused(monkeypatch):
    class Overwrites(Picky):
        def _solve(self, costs):
            return costs.zero_()

    class OverwritesByNumpy(Picky):
        def _solve(self, costs):
            costs.numpy()[:] = 0
            return torch.zeros_like(costs)

    layer = CombinatorialLayer(Overwrites(), Blackbox(1.0))
    with pytest.raises(WrongAnswerError, match="Overwrites: its _solve changed the costs"):
        layer(torch.rand(3, 10, requires_grad=True))
    monkeypatch.setenv("COMBGRAD_CHECK", "1")
    with pytest.raises(WrongAnswerError, match="OverwritesByNumpy: its _solve changed the costs"):
        OverwritesByNumpy()(torch.rand(3, 10))
    with torch.inference_mode():
        assert not Picky()(torch.rand(3, 10)).isnan().any()


def test_an_answer_stays_where_a_solver_writes_all_of_its_answers_into_one_place():
    class OnePlace(Picky):
        place = torch.empty(3, 10)

        def _solve(self, costs):
            return self.place.copy_(costs > 0.5)

    solver, costs = OnePlace(), torch.rand(3, 10)
    target = solver(costs)
    CombinatorialLayer(solver, Identity())(1 - costs)
    assert torch.equal(target, (costs > 0.5).float())


def test_wrong_costs_are_refused_with_the_batch_index():
    layer = CombinatorialLayer(TSP(), Identity())
    for bad in (float("nan"), -float("inf")):  # +inf forbids an edge
        costs = torch.randn(5, 10)
        costs[3, 2] = bad
        with pytest.raises(SolverInputError, match="batch index 3"):
            layer(costs)
    with pytest.raises(SolverInputError, match="unsqueeze"):
        layer(torch.randn(10))
    with pytest.raises(SolverInputError, match=r"costs\.float"):
        layer(torch.ones(2, 10, dtype=torch.int64))
    with pytest.raises(SolverInputError, match="any number of cities"):
        layer(torch.randn(2, 11))


def test_gradient_noise_has_the_scale_of_one_instance_and_only_while_training():
    torch.manual_seed(0)
    rows, sigma = 50, 0.25
    layer = CombinatorialLayer(TSP(), Identity(), gradient_noise=GradientNoise(sigma))
    gradients = []
    for _ in range(200):
        costs = torch.randn(rows, 10, dtype=torch.float64, requires_grad=True)
        layer(costs).sum(1).mean().backward()
        gradients.append(costs.grad)
    noise = torch.stack(gradients) + 1 / rows
    assert float(noise.std()) * rows == pytest.approx(sigma, rel=0.01)
    assert float(noise.mean()) * rows == pytest.approx(0, abs=0.01)
    layer.eval()
    costs = torch.randn(rows, 10, requires_grad=True)
    layer(costs).sum(1).mean().backward()
    torch.testing.assert_close(costs.grad, torch.full((rows, 10), -1 / rows))
    with pytest.raises(ValueError, match="gradient_sigma"):
        GradientNoise(-1)


def test_flipped_labels_have_the_asked_rate_and_depend_on_the_seed_alone():
    target = (torch.rand(2000, 10, generator=torch.Generator().manual_seed(0)) < 0.5).float()
    flipped = flip_labels(target, 0.1, torch.Generator().manual_seed(1))
    rate = float((flipped != target).double().mean())
    assert abs(rate - 0.1) < 5 * (0.1 * 0.9 / target.numel()) ** 0.5
    assert set(flipped.unique().tolist()) == {0.0, 1.0}
    assert torch.equal(flipped, flip_labels(target, 0.1, torch.Generator().manual_seed(1)))
    assert torch.equal(target, flip_labels(target, 0.0, torch.Generator().manual_seed(1)))


class RecordedTSP(TSP):
    """Keeps what it was asked to solve."""

    def _solve(self, costs):
        self.seen = costs
        return super()._solve(costs)


@pytest.mark.parametrize("projection", [Std(), Norm(), Plane([1.0, 1, 1, 0, 0, 0])])
def test_under_autocast_the_layer_works_in_single_precision(projection):
    layer = CombinatorialLayer(RecordedTSP(), Identity(), projection)
    costs = torch.rand(2, 6, generator=torch.Generator().manual_seed(0)).to(torch.bfloat16)
    costs.requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        solution = layer(costs)
    assert solution.dtype == torch.float32
    single = costs.detach().float().requires_grad_()
    assert torch.equal(layer.solver.seen, projection(single))
    upstream = torch.tensor([1.0, -2, 3, 0, 1, 2]).expand(2, 6)
    solution.backward(upstream)
    layer(single).backward(upstream)
    torch.testing.assert_close(costs.grad, single.grad.to(torch.bfloat16))
    assert layer(costs).dtype == torch.bfloat16


@pytest.mark.parametrize("gradient", [Identity(), Blackbox(5.0), Blackbox(50.0)])
def test_a_batch_in_shares_has_the_gradient_of_the_whole_batch(gradient):
    costs = torch.rand(12, 10, generator=torch.Generator().manual_seed(0))
    target = TSP()(costs.flip(0))

    def slope(rows, shares):
        layer = CombinatorialLayer(TSP(), gradient, Norm())
        layer.shares = shares
        scale = torch.ones((), requires_grad=True)
        (layer(scale * costs[rows] + (1 - scale)) - target[rows]).square().sum(1).mean().backward()
        return scale.grad

    whole = slope(slice(None), 1)
    # Processes that train together take the mean of their gradients.
    parts = torch.stack([slope(slice(start, None, 3), 3) for start in range(3)]).mean()
    assert float(whole.abs()) > 1e-3
    torch.testing.assert_close(parts, whole)


@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
def test_a_compiled_network_leaves_the_layer_out(backend, recwarn):
    torch.manual_seed(0)
    layer = CombinatorialLayer(TSP(), Blackbox(3.0), Std())
    network = torch.nn.Sequential(torch.nn.Linear(4, 10), layer, torch.nn.Linear(10, 1))
    inputs = torch.rand(5, 4)
    network(inputs).sum().backward()
    expected = [weights.grad.clone() for weights in network.parameters()]
    network.zero_grad()
    torch.compiler.reset()
    compiled = torch.compile(network, backend=backend)
    for rows in (5, 5, 3):
        torch.testing.assert_close(compiled(inputs[:rows]), network(inputs[:rows]))
    compiled(inputs).sum().backward()
    assert float(expected[0].abs().sum()) > 0
    for weights, gradient in zip(network.parameters(), expected, strict=True):
        torch.testing.assert_close(weights.grad, gradient)
    said = [str(warning.message) for warning in recwarn]
    # What torch says of Python 3.13.0 itself.
    assert [text for text in said if "Consider upgrading to Python" not in text] == []


@pytest.mark.parametrize("projection", [None, Std()], ids=["plain", "projected"])
def test_transforms_of_torch_func_are_refused_with_what_does_their_work(projection):
    layer = CombinatorialLayer(TopK(2), Identity(), projection)
    costs = torch.rand(3, 5, dtype=torch.float64)
    transformed = [
        lambda: torch.func.grad(lambda w: layer(w).sum())(costs),
        lambda: torch.func.jacrev(layer)(costs),
        lambda: torch.func.jvp(layer, (costs,), (costs,)),
        lambda: torch.func.vmap(lambda w: layer(w[None])[0])(costs),
        lambda: torch.func.grad(lambda w: (w * layer.solver(w)).sum())(costs),
    ]
    for call in transformed:
        with pytest.raises(SolverInputError, match=r"TopK: costs are inside .*autograd.grad"):
            call()
    jacobian = torch.autograd.functional.jacobian(layer, costs)
    # Each instance answers for itself alone, by -dP/dw, the whole of it.
    slope = torch.eye(15, dtype=torch.float64).view(3, 5, 3, 5)
    if projection is not None:
        slope = torch.autograd.functional.jacobian(projection, costs)
    torch.testing.assert_close(jacobian, -slope)


def test_a_layer_can_be_copied_and_shows_its_parts():
    layer = CombinatorialLayer(TSP(), Blackbox(2.0), Std(), NoiseMargin(0.1))
    twin = copy.deepcopy(layer)
    costs = torch.randn(3, 10)
    layer.eval()
    twin.eval()
    assert torch.equal(layer(costs), twin(costs))
    assert repr(layer).split() == [
        "CombinatorialLayer(",
        *("solver=TSP(),", "gradient=Blackbox(lam=2.0)"),
        *("(projection):", "Std()"),
        *("(margin):", "NoiseMargin(alpha=0.1)"),
        ")",
    ]


def test_the_public_names_are_there():
    for name in combgrad.__all__:
        assert hasattr(combgrad, name)


@pytest.mark.parametrize("large", [1e5, 1e6, 1e7, 1e9])
@pytest.mark.parametrize("projection", [Mean(), Std()], ids=["mean", "std"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_large_numbers_that_forbid_leave_the_answers_of_a_layer_alone(projection, large, dtype):
    generator = torch.Generator().manual_seed(0)
    costs = torch.rand(100, 28, generator=generator).to(dtype)
    large = min(large, torch.finfo(dtype).max)
    costs = costs.masked_fill(torch.rand(100, 28, generator=generator) < 0.25, large)
    costs.requires_grad_()
    solver = BruteForceTSP()
    layer = CombinatorialLayer(solver, Blackbox(0.5), projection)
    solution = layer(costs)
    assert solution.dtype == dtype
    assert torch.equal(solution.detach(), solver(costs))
    upstream = torch.randn(100, 28, generator=generator).to(dtype)
    (gradient,) = torch.autograd.grad(solution, costs, upstream)
    exact = costs.detach().double().requires_grad_()
    (expected,) = torch.autograd.grad(layer(exact), exact, upstream.double())
    assert gradient.dtype == dtype
    torch.testing.assert_close(gradient, expected.to(dtype))


@pytest.mark.parametrize("noise", [0.1, GradientNoise])
def test_gradient_noise_of_another_kind_is_refused(noise):
    with pytest.raises(IncompatibleError, match=r"^gradient_noise is .*, not a GradientNoise"):
        CombinatorialLayer(TSP(), Identity(), gradient_noise=noise)


def test_a_flat_normal_is_refused_where_the_shape_matters():
    with pytest.raises(IncompatibleError, match=r"`a` is a matrix \(n, m\).* has shape \(9,\)"):
        CombinatorialLayer(combgrad.solvers.Assignment(), Identity(), Plane([1.0] * 9))


def test_a_step_beyond_the_dtype_says_so_in_either_direction():
    for sign in (1.0, -1.0):
        costs = torch.full((1, 3), 6e4, dtype=torch.float16) * -sign
        costs.requires_grad_()
        layer = CombinatorialLayer(BruteForceTSP(), Blackbox(1e5))
        with pytest.raises(SolverInputError, match=r"become inf in torch.float16"):
            (-sign * layer(costs)).sum().backward()
