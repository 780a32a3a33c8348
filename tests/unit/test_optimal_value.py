"""The optimal value as a loss: finite differences for every solver, and one call of it."""

import pytest
import torch

from combgrad import CombinatorialLayer, solvers
from combgrad.gradients import Blackbox, Identity
from combgrad.instances import Instances
from combgrad.labels import Labels
from combgrad.losses import OptimalValue, SolutionCost
from contract import ROWS

BATCH = 4


def random(shape, seed=0, dtype=torch.float64):
    return torch.randn(shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def value_of(solver, costs, instances=None, loss=None):
    layer = CombinatorialLayer(solver, Identity())
    return (loss or OptimalValue())(layer, costs, Labels(), instances)


@pytest.mark.parametrize("name", ROWS)
def test_it_is_the_least_cost_and_its_differences_are_the_gradient(name):
    """In float64 continuous draws are no ties, so that a small step keeps the solution."""
    row, step = ROWS[name], 1e-6
    costs = random((BATCH, *row.shape))
    costs = (costs if row.signed else costs.abs() + 0.1).requires_grad_()
    instances = row.instances(BATCH)
    outcome = value_of(row.solver, costs, instances)
    (gradient,) = torch.autograd.grad(outcome.loss, costs)
    torch.testing.assert_close(gradient, outcome.solution / BATCH)
    known = torch.from_numpy(row.solutions.reshape(len(row.solutions), -1)).double()
    if not instances.per_row:
        least = (costs.detach().flatten(1) @ known.T).amin(dim=1)
        torch.testing.assert_close(outcome.loss.detach(), least.mean())
    for along in (random(costs.shape, seed) for seed in (1, 2, 3)):
        ahead, behind = (
            float(value_of(row.solver, costs.detach() + sign * step * along, instances).loss)
            for sign in (1, -1)
        )
        expected = float((gradient * along).sum())
        assert (ahead - behind) / (2 * step) == pytest.approx(expected, abs=1e-6)


def test_one_call_of_the_solver_and_none_on_the_way_back():
    solver, costs = solvers.TopK(3), random((5, 8)).requires_grad_()
    loss = value_of(solver, costs).loss
    assert solver.calls == 1
    loss.backward()
    assert solver.calls == 1


def test_sequences_of_different_length_in_one_batch_are_as_each_alone():
    solver, costs = solvers.Alignment(), random((3, 4, 5))
    lengths = torch.tensor([[4, 5], [1, 3], [2, 1]])
    full = costs.clone().requires_grad_()
    moves = solver.move_costs(full, lengths)
    loss = value_of(solver, moves, Instances({"lengths": lengths})).loss
    loss.backward()
    alone = []
    for row, (n, m) in enumerate(lengths.tolist()):
        own = costs[row : row + 1, :n, :m].clone().requires_grad_()
        alone.append(value_of(solver, solver.move_costs(own)).loss)
        alone[-1].backward()
        expected = torch.zeros(4, 5, dtype=torch.float64)
        expected[:n, :m] = own.grad[0] / 3
        torch.testing.assert_close(full.grad[row], expected)
    torch.testing.assert_close(loss, torch.stack(alone).mean())


def test_a_forbidden_entry_costs_nothing_and_has_no_gradient():
    costs = random((2, 3, 3))
    costs[0, 1, 2] = costs[1, 0, 0] = torch.inf
    costs.requires_grad_()
    outcome = value_of(solvers.Assignment(), costs)
    outcome.loss.backward()
    assert bool(torch.isfinite(outcome.loss))
    assert float(costs.grad[0, 1, 2]) == float(costs.grad[1, 0, 0]) == 0
    torch.testing.assert_close(costs.grad, outcome.solution / 2)


def test_the_matching_of_a_bag_has_the_gradient_of_cross_entropy_with_the_labels_found():
    """Images and labels of a bag of six, shuffled: the matched label is taken for the true one."""
    logits, labels = random((6, 10)).requires_grad_(), torch.tensor([3, 1, 4, 1, 5, 9])
    costs = -logits.log_softmax(dim=1)[:, labels]
    outcome = value_of(solvers.Assignment(), costs.unsqueeze(0))
    (found,) = torch.autograd.grad(outcome.loss, logits)
    matched = labels[outcome.solution[0].argmax(dim=1)]
    expected = torch.nn.functional.cross_entropy(logits, matched, reduction="sum")
    torch.testing.assert_close(outcome.loss, expected)
    torch.testing.assert_close(found, torch.autograd.grad(expected, logits)[0])


def test_blackbox_on_the_cost_of_the_solution_is_the_same_gradient_for_a_second_call():
    costs, gradients = random((3, 4, 4)), {}
    for name, loss, method in (
        ("value", OptimalValue(), Identity()),
        ("blackbox", SolutionCost(), Blackbox(20.0)),
        ("identity", SolutionCost(), Identity()),
    ):
        solver, w = solvers.Assignment(), costs.clone().requires_grad_()
        loss(CombinatorialLayer(solver, method), w, Labels()).loss.backward()
        gradients[name] = w.grad
        assert solver.calls == (2 if name == "blackbox" else 1)
    solution = solvers.Assignment()(costs)
    torch.testing.assert_close(gradients["value"], solution / 3)
    torch.testing.assert_close(gradients["blackbox"], solution / 3)
    torch.testing.assert_close(gradients["identity"], (solution - costs) / 3)


@pytest.mark.parametrize("loss", [OptimalValue(), SolutionCost()])
def test_what_describes_the_instances_reaches_the_solver(loss):
    costs, there = random((1, 4, 4)).exp(), {"start": (0, 0), "end": (1, 1)}
    outcome = value_of(solvers.ShortestPath(), costs, Instances(shared=there), loss)
    assert float(outcome.loss) == pytest.approx(float(costs[0, 0, 0] + costs[0, 1, 1]))


def test_under_autocast_the_value_is_found_in_single_precision():
    costs = random((2, 6), dtype=torch.float32).to(torch.bfloat16).requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        outcome = value_of(solvers.TopK(2), costs)
    outcome.loss.backward()
    assert outcome.loss.dtype == torch.float32
    assert costs.grad.dtype == torch.bfloat16


def test_the_sum_of_halves_does_not_overflow():
    costs = torch.full((1, 60), 2000.0, dtype=torch.float16)
    assert float(value_of(solvers.TopK(50), costs).loss) == 100_000
