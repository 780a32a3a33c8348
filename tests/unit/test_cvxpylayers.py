"""cvxpylayers on the assignment program: solutions, gradients, one solution each, refusals."""

import copy
import pickle
import sys

import numpy as np
import pytest
import torch

from combgrad import CombinatorialLayer
from combgrad.errors import IncompatibleError, MissingPackageError, SolverInputError
from combgrad.gradients import CvxpyLayers
from combgrad.labels import Labels
from combgrad.losses import OptimalValue, SolutionCost
from combgrad.solvers import Assignment, SpanningTree
from contract import assignment


def random(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_matchings_are_the_vertices_of_the_program():
    row = assignment(3, 3)
    program = Assignment().relaxation(torch.Size((3, 3)))
    everything = np.stack(np.unravel_index(np.arange(2**9), (2,) * 9), axis=1)
    assert np.array_equal(program.lower, program.upper)
    fits = (everything @ program.matrix.toarray().T == program.lower).all(axis=1)
    wanted = row.solutions.reshape(-1, 9).tolist()
    assert sorted(everything[fits].tolist()) == sorted(wanted)


def test_what_has_no_program_is_refused():
    with pytest.raises(IncompatibleError, match=r"SpanningTree has none: .* of TSP\(\), Ass"):
        CombinatorialLayer(SpanningTree(), CvxpyLayers())


def test_a_missing_package_is_told_with_the_extra_that_brings_it(monkeypatch):
    for name in ("cvxpy", "cvxpylayers", "cvxpylayers.torch"):
        monkeypatch.setitem(sys.modules, name, None)
    layer = CombinatorialLayer(Assignment(), CvxpyLayers())
    with pytest.raises(MissingPackageError, match=r"cvxpylayers: .*values.*\(cvxpy is missing\)"):
        layer(random(1, 3, 3))
    assert torch.equal(layer.eval()(random(2, 3, 3)), Assignment()(random(2, 3, 3)))


def test_values_and_gradients_are_those_of_the_optimal_value():
    pytest.importorskip("cvxpylayers")
    costs = random(5, 4, 4).requires_grad_()
    layer = CombinatorialLayer(Assignment(), CvxpyLayers())
    found, expected = SolutionCost()(layer, costs, Labels()), OptimalValue()(layer, costs, Labels())
    torch.testing.assert_close(found.solution, expected.solution, atol=1e-2, rtol=0)
    torch.testing.assert_close(found.loss, expected.loss, atol=1e-2, rtol=0)
    (gradient,) = torch.autograd.grad(found.loss, costs)
    assert (gradient.shape, gradient.dtype) == (costs.shape, costs.dtype)
    torch.testing.assert_close(gradient, expected.solution / 5, atol=1e-2, rtol=0)


@pytest.mark.parametrize("twin", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_a_layer_that_has_answered_can_be_copied(twin):
    pytest.importorskip("cvxpylayers")
    layer, costs = CombinatorialLayer(Assignment(), CvxpyLayers()), random(2, 3, 3)
    answer = layer(costs)
    torch.testing.assert_close(twin(layer)(costs), answer)


def test_the_program_is_solved_once_and_the_gradient_may_be_asked_for_twice(monkeypatch):
    pytest.importorskip("cvxpylayers")
    method, costs = CvxpyLayers(), random(2, 3, 3).requires_grad_()
    solution = CombinatorialLayer(Assignment(), method)(costs)
    (layer,) = method._made.values()
    monkeypatch.setattr(type(layer), "forward", None)
    loss = (solution * random(2, 3, 3, seed=1)).sum()
    first, second = (torch.autograd.grad(loss, costs, retain_graph=True)[0] for _ in range(2))
    assert torch.equal(first, second)
    assert bool(torch.isfinite(first).all())


def test_in_evaluation_it_has_no_gradient_and_says_so():
    layer = CombinatorialLayer(Assignment(), CvxpyLayers()).eval()
    with pytest.raises(IncompatibleError, match=r"CvxpyLayers has no gradient .* layer\.train"):
        layer(random(2, 3, 3).requires_grad_()).sum().backward()


def test_empty_batches_and_forbidden_entries():
    pytest.importorskip("cvxpylayers")
    layer, nothing = CombinatorialLayer(Assignment(), CvxpyLayers()), random(0, 3, 3)
    nothing.requires_grad_()
    layer(nothing).sum().backward()
    assert nothing.grad.shape == (0, 3, 3)
    forbidden = random(2, 3, 3)
    forbidden[1, 0, 1] = torch.inf
    with pytest.raises(SolverInputError, match=r"batch index 1 contain .* cannot forbid an entry"):
        layer(forbidden)
