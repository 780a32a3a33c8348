"""The perturbation gradient: its formula in a plain loop, its bounds, and what it is in the end."""

import pytest
import torch

from combgrad import CombinatorialLayer
from combgrad.gradients import Identity
from combgrad.labels import Labels
from combgrad.losses import PerturbationGradient
from combgrad.projections import Std
from combgrad.solvers import BruteForceTSP, TopK

POINTS = {"backward": (0, -1), "forward": (1, 0), "central": (1, -1)}


def random(*shape, seed=0):
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def plain(solver):
    return CombinatorialLayer(solver, Identity())


def value(solver, true, costs, step=0.3, difference="backward"):
    loss = PerturbationGradient(step, difference)
    return loss(plain(solver), costs, Labels(true_costs=true))


@pytest.mark.parametrize("difference", POINTS)
@pytest.mark.parametrize("solver", [BruteForceTSP(), TopK(3)])
def test_it_equals_its_formula_in_a_plain_loop(solver, difference):
    costs, true, step = random(4, 10).requires_grad_(), random(4, 10, seed=5), 0.3
    outcome = value(solver, true, costs, step, difference)
    outcome.loss.backward()
    expected = 0.0
    for row in range(4):
        found = []
        for place in POINTS[difference]:
            w = costs.detach()[row] + place * step * true[row]
            y = solver(w.unsqueeze(0))[0]
            found.append((float(w @ y), y))
        width = step * (2 if difference == "central" else 1)
        expected += (found[0][0] - found[1][0]) / width / 4
        torch.testing.assert_close(costs.grad[row], (found[0][1] - found[1][1]) / width / 4)
    assert float(outcome.loss.detach()) == pytest.approx(expected)
    if difference == "central":
        assert outcome.solution is None
    else:
        assert torch.equal(outcome.solution, solver(costs.detach()))


@pytest.mark.parametrize("difference", POINTS)
def test_its_gradient_is_that_of_finite_differences(difference):
    solver, true, costs = BruteForceTSP(), random(8, 10, seed=5), random(8, 10).requires_grad_()
    value(solver, true, costs, 1.5, difference).loss.backward()
    for seed in range(5):
        along, step = random(8, 10, seed=10 + seed), 1e-6
        up, down = (
            float(value(solver, true, costs.detach() + s * along, 1.5, difference).loss)
            for s in (step, -step)
        )
        slope = float((costs.grad * along).sum())
        assert (up - down) / (2 * step) == pytest.approx(slope, abs=1e-6)
    assert float(costs.grad.abs().sum()) > 0.1


def test_it_bounds_what_deciding_by_the_costs_costs_and_comes_to_it():
    solver, true, costs = TopK(3), random(50, 10, seed=5), random(50, 10)
    decided = float((true * solver(costs)).sum(1).mean())
    before = torch.inf
    for step in (1.0, 0.3, 0.1, 1e-6):
        above = float(value(solver, true, costs, step, "backward").loss)
        below = float(value(solver, true, costs, step, "forward").loss)
        assert below < decided + 1e-6
        assert above > decided - 1e-6
        assert above <= before
        before = above
    assert above == pytest.approx(decided)
    assert below == pytest.approx(decided)


@pytest.mark.parametrize("difference", ["backward", "forward"])
def test_what_the_true_costs_alone_forbid_is_no_part_of_an_answer(difference):
    """The cheapest entry by w is one that c forbids, so that y(w) is not what was solved."""
    costs, true = torch.tensor([[0.0, 1.0, 2.0]]), torch.tensor([[torch.inf, 1.0, 2.0]])
    assert TopK(1)(costs).tolist() == [[1, 0, 0]]
    assert value(TopK(1), true, costs, difference=difference).solution is None
    both = costs.masked_fill(true == torch.inf, torch.inf)
    assert value(TopK(1), true, both, difference=difference).solution.tolist() == [[0, 1, 0]]


def test_it_projects_the_true_costs_as_it_does_the_predicted_ones():
    costs, true = random(4, 10), random(4, 10, seed=5)
    layer = CombinatorialLayer(TopK(3), Identity(), Std())
    found = PerturbationGradient(0.3)(layer, costs, Labels(true_costs=true)).loss
    torch.testing.assert_close(found, value(TopK(3), Std()(true), Std()(costs)).loss)


def test_an_entry_that_is_forbidden_stays_so_and_has_no_gradient():
    costs, true = random(4, 10), random(4, 10, seed=5)
    full = torch.cat([costs, torch.full((4, 1), torch.inf)], dim=1).requires_grad_()
    more = torch.cat([true, torch.full((4, 1), torch.inf)], dim=1)
    for difference in POINTS:
        outcome = value(TopK(3), more, full, 0.3, difference)
        (gradient,) = torch.autograd.grad(outcome.loss, full)
        torch.testing.assert_close(
            outcome.loss.detach(), value(TopK(3), true, costs, 0.3, difference).loss
        )
        assert float(gradient[:, 10].abs().max()) == 0
        assert bool(torch.isfinite(gradient).all())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((0.0,), r"loss\.step is 0\.0"),
        ((0.1, "both"), r"loss\.difference is 'both'; choose 'backward', 'forward' or 'central'\."),
    ],
)
def test_values_out_of_range_are_refused(arguments, words):
    with pytest.raises(ValueError, match=words):
        PerturbationGradient(*arguments)
