"""Regret and what is made of it: plain loops, and all solutions of the contract table for ties."""

import warnings

import pytest
import torch

from combgrad import CombinatorialLayer, gradients, losses, solvers
from combgrad.errors import IncompatibleError, WrongAnswerError
from combgrad.instances import Instances
from combgrad.labels import Labels
from combgrad.metrics import (
    is_cheapest,
    normalised_regret,
    regret,
    unambiguous_regret,
    worst_tied,
)
from combgrad.metrics.regret import by_best
from contract import ROWS

#: Solvers of few solutions that are exact, with nothing said of the instances.
EXACT = [name for name, row in ROWS.items() if row.exact and not row.instances(2)]


def random(*shape, seed=0):
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def whole(*shape, seed=0):
    """Costs 1, 2 or 3, of many ties."""
    random = torch.Generator().manual_seed(seed)
    return torch.randint(1, 4, shape, generator=random).double()


def test_regret_and_its_ratio_equal_their_formulas_in_a_plain_loop():
    solver, costs, true = solvers.TopK(3), random(6, 10), random(6, 10, seed=5)
    found, best = solver(costs), solver(true)
    each = [float(c @ y - c @ z) for c, y, z in zip(true, found, best, strict=True)]
    assert regret(found, best, true).tolist() == pytest.approx(each)
    assert min(each) >= 0 < max(each)
    size = sum(abs(float(c @ z)) for c, z in zip(true, best, strict=True))
    assert float(normalised_regret(found, best, true)) == pytest.approx(sum(each) / size)
    share = sum(value < 1e-9 for value in each) / 6
    assert float(is_cheapest(found, best, true).mean()) == pytest.approx(share)


def test_the_ratio_is_of_sums_and_no_mean_of_ratios():
    true = torch.tensor([[1.0, 3.0], [100.0, 100.0]])
    best, found = torch.tensor([[1.0, 0], [1, 0]]), torch.tensor([[0.0, 1], [0, 1]])
    assert float(normalised_regret(found, best, true)) == pytest.approx(2 / 101)


@pytest.mark.parametrize("rows", [0, 3])
def test_a_ratio_of_nothing_says_what_to_do(rows):
    nothing = torch.zeros(rows, 5)
    with pytest.raises(ValueError, match=rf"all {rows} instances cost 0, .* use regret"):
        normalised_regret(nothing, nothing, nothing)


def test_values_of_a_maximisation_for_costs_are_noticed():
    solver, values = solvers.TopK(3), random(6, 10).abs()
    best, found = solver(-values), solver(random(6, 10, seed=5))
    assert float(normalised_regret(found, best, -values)) > 0
    with pytest.raises(ValueError, match=r"row 0 the target costs .* pass true_costs = -v"):
        normalised_regret(found, best, values)
    # One row is enough, and rounding is none.
    right = normalised_regret(best, best, -values)
    assert (
        float(normalised_regret(best, best, -values + 1e-9 * random(6, 10, seed=7))) == right == 0
    )
    worse = best.clone()
    worse[4] = solver(values[4:5])[0]
    with pytest.raises(ValueError, match=r"row 4 .*\(1 of 6 rows do\)"):
        normalised_regret(best, worse, -values)


def test_labels_of_another_shape_are_refused():
    for labels in ((random(4, 9), random(4, 10)), (random(4, 10), random(3, 10))):
        with pytest.raises(ValueError, match=r"regret needs true .* of shape \(4, 10\)"):
            regret(random(4, 10), *labels)


@pytest.mark.parametrize("name", EXACT)
def test_the_worst_of_all_that_cost_least(name):
    row, batch = ROWS[name], 40
    costs, true = whole(batch, *row.shape), whole(batch, *row.shape, seed=5) + 0.25
    if row.signed:
        costs, true = costs - 2, true - 2
    members = torch.from_numpy(row.solutions.reshape(len(row.solutions), -1)).double()
    best = row.solver(true)
    found = unambiguous_regret(row.solver, costs, best, true)
    several = 0
    for w, c, value in zip(costs.flatten(1), true.flatten(1), found, strict=True):
        by_w, by_c = members @ w, members @ c
        tied = by_c[by_w == by_w.min()]
        several += len(tied) > 1
        assert float(value) == pytest.approx(float(tied.max() - by_c.min()))
    assert several > 5 or name == "grid-4"
    assert bool((found >= regret(row.solver(costs), best, true) - 1e-9).all())


def test_costs_that_differ_by_less_than_the_tolerance_are_ties():
    costs, true = torch.tensor([[1.0, 1.0 + 3e-6, 2.0]]), torch.tensor([[1.0, 5.0, 9.0]])
    solver, best = solvers.TopK(1), torch.tensor([[1.0, 0, 0]])
    assert unambiguous_regret(solver, costs, best, true).tolist() == [4.0]
    close = unambiguous_regret(solver, costs, best, true, tolerance=1e-7)
    assert close.tolist() == [0.0]
    for wrong in (0, -1e-5, float("inf")):
        with pytest.raises(ValueError, match="tolerance is"):
            worst_tied(solver, costs, true, tolerance=wrong)


def test_padding_counts_for_nothing():
    costs, true = whole(5, 8), whole(5, 8, seed=5)
    valid = torch.arange(8) < torch.tensor([[4], [8], [5], [8], [3]])
    instances = Instances(valid=valid)
    solver = solvers.TopK(2)
    best = solver(true, valid=valid)
    padded = (x.masked_fill(~valid, torch.nan) for x in (costs, best, true))
    found = unambiguous_regret(solver, *padded, instances)
    for row in range(5):
        there = valid[row]
        own = (x[row, there].unsqueeze(0) for x in (costs, best, true))
        assert float(unambiguous_regret(solver, *own)) == float(found[row])


def test_a_solver_that_is_not_exact_is_noticed():
    answers = iter([torch.tensor([[1.0, 0, 0]]), torch.tensor([[0.0, 0, 1]])])
    solver = solvers.from_function(lambda costs: next(answers)[0].double().numpy())
    with pytest.raises(WrongAnswerError, match="batch index 0 is no tie"):
        worst_tied(solver, torch.tensor([[1.0, 2.0, 3.0]]), torch.tensor([[1.0, 1.0, 1.0]]))


def test_what_labels_are_rounded_by_is_no_wrong_target():
    lost, best = torch.tensor([-0.5, 1.0]), torch.tensor([100.0, 100.0])
    with pytest.raises(ValueError, match=r"in row 0 the target costs 0\.5 more"):
        by_best(lost, best)
    assert float(by_best(lost, best, rounding=0.01)) == pytest.approx(0.0025)


def test_what_rounding_may_be_is_told_by_the_other_instances_where_one_costs_nothing():
    best = torch.tensor([0.0, 1.0])
    assert float(by_best(torch.tensor([-4e-5, 0.5]), best)) == pytest.approx(0.5 - 4e-5)
    with pytest.raises(ValueError, match="in row 0 the target costs 6e-05 more"):
        by_best(torch.tensor([-6e-5, 0.5]), best)


def slipped():
    """A knapsack's best answers to -v, and v for costs as one forgets the sign."""
    values = whole(6, 8) + 1
    solver = solvers.Knapsack([3, 1, 4, 2, 2, 5, 1, 3], 9)
    return solver, solver(-values), values


def test_true_costs_of_the_wrong_sign_are_noticed():
    solver, target, values = slipped()
    with pytest.raises(ValueError, match=r"unambiguous_regret: in row \d .* pass true_costs = -v"):
        unambiguous_regret(solver, -values.flip(0), target, values)
    assert bool((unambiguous_regret(solver, -values.flip(0), target, -values) >= 0).all())


@pytest.mark.parametrize("loss", [losses.SPOPlus(), losses.Regret()])
def test_a_loss_tells_of_true_costs_of_the_wrong_sign(loss):
    solver, target, values = slipped()
    layer = CombinatorialLayer(solver, gradients.Blackbox(1.0))
    costs = (-values.flip(0)).requires_grad_()
    with pytest.warns(
        RuntimeWarning, match=r": by the true costs a target .* pass true_costs = -v"
    ):
        loss(layer, costs, Labels(target, values))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loss(layer, costs, Labels(target, -values))


def test_labels_that_are_missing_are_named():
    true = torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    solver = solvers.TopK(1)
    target, broken = solver(true), true.clone()
    broken[1, 0] = torch.nan
    with pytest.raises(ValueError, match=r"normalised_regret: row 1 has NaN"):
        normalised_regret(target, target, broken)
    assert is_cheapest(target, target, broken).isnan().tolist() == [False, True, False]
    layer = CombinatorialLayer(solver, gradients.Identity())
    for loss in (losses.SPOPlus(), losses.PairwiseRanking()):
        with pytest.raises(ValueError, match="true costs of batch index 1 contain NaN or -inf"):
            loss(layer, true.clone().requires_grad_(), Labels(target, broken))


def test_ties_of_answers_with_larger_numbers_than_the_first():
    solver = solvers.ILP(A_eq=[[1.0, 10.0, 1.0]], b_eq=[10.0], bounds=(0.0, 10.0))
    costs, true = torch.tensor([[1, 9.99999, 3]]).double(), torch.tensor([[5.0, 1.0, 1.0]])
    assert worst_tied(solver, costs, true, tolerance=1e-3).tolist() == [[10, 0, 0]]
    assert worst_tied(solver, costs, -true, tolerance=1e-3).tolist() == [[0, 1, 0]]
    assert worst_tied(solver, costs, true).tolist() == [[0, 1, 0]]


def test_where_negative_costs_are_clamped_a_warning_says_what_is_not_told_apart():
    solver = solvers.GraphShortestPath([(0, 1), (0, 1)], 2, 0, 1, directed=True, negative="clamp")
    true = torch.tensor([[1.0, 5.0]])
    with pytest.warns(RuntimeWarning, match="takes costs below 0 for 0"):
        unambiguous_regret(solver, torch.zeros(1, 2), solver(true), true)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = unambiguous_regret(solver, torch.ones(1, 2), solver(true), true)
    assert found.tolist() == [4.0]
    with pytest.warns(RuntimeWarning, match="takes costs below 0 for 0"):
        worst_tied(solvers.Cached(solver), torch.zeros(1, 2), true)


def test_costs_of_which_float64_has_no_digits_left_for_ties_are_warned_of():
    """From 1e15 tolerances on a fraction of one is lost, and with it the worst of the ties."""
    solver, true = solvers.TopK(2), torch.tensor([[1.0, 2, 3, 4, 5, 6]])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = worst_tied(solver, torch.full((1, 6), 1e6), true)
    assert found.tolist() == [[0, 0, 0, 0, 1, 1]]
    with pytest.warns(RuntimeWarning, match=r"tolerance=1e-05 that float64 .* larger tolerance"):
        found = worst_tied(solver, torch.full((1, 6), 1e11), true)
    assert found.tolist() != [[0, 0, 0, 0, 1, 1]]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = worst_tied(solver, torch.full((1, 6), 1e11), true, tolerance=1e3)
    assert found.tolist() == [[0, 0, 0, 0, 1, 1]]


@pytest.mark.parametrize("found", [[[1.0, 0], [0, 1]], [[0.0, 1], [1, 0]]])
def test_a_target_that_pays_for_a_forbidden_entry_is_named(found):
    """Its cost of inf must not forgive what it or the target of another row costs too much."""
    true, target = torch.tensor([[1.0, torch.inf], [5, 2]]), torch.tensor([[0.0, 1], [1, 0]])
    with pytest.raises(ValueError, match=r"normalised_regret: (in )?row 0"):
        normalised_regret(torch.tensor(found), target, true)


def test_a_solution_that_pays_for_a_forbidden_entry_loses_everything():
    true, target = torch.tensor([[1.0, torch.inf], [1, 2]]), torch.tensor([[1.0, 0], [1, 0]])
    assert float(normalised_regret(1 - target, target, true)) == torch.inf


@pytest.mark.parametrize("wrong", [torch.inf, -torch.inf, torch.nan])
def test_true_costs_by_which_nothing_can_be_told_are_named(wrong):
    costs, true = torch.ones(2, 3), torch.tensor([[1.0, 2, 3], [1, wrong, 2]])
    with pytest.raises(ValueError, match="true costs of batch index 1 are NaN or infinite"):
        worst_tied(solvers.TopK(1), costs, true)
    costs[1, 1] = torch.inf
    assert worst_tied(solvers.TopK(1), costs, true).tolist() == [[0, 0, 1], [0, 0, 1]]


def test_solutions_that_are_not_whole_are_refused():
    solver = solvers.Portfolio(torch.diag(torch.tensor([0.1, 0.2, 0.3])), 0.06)
    costs = -torch.tensor([[1.0, 2.0, 3.0]])
    with pytest.raises(
        IncompatibleError, match="Portfolio answers with numbers that are not whole"
    ):
        worst_tied(solver, costs, costs)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_true_costs_beyond_the_range_of_predicted_ones_are_refused_and_forbid_nothing(sign):
    """1e39 is inf in float32, which would forbid the entry; inf itself forbids it in any case."""
    costs = torch.ones(2, 3)
    true = torch.tensor([[1.0, 2, 3], [1, 2, sign * 1e39]], dtype=torch.float64)
    labels = Labels(torch.tensor([[1.0, 0, 0]] * 2), true)
    layer = CombinatorialLayer(solvers.TopK(1), gradients.Identity())
    with pytest.raises(ValueError, match=r"index 1 become inf in torch\.float32, .*costs\.double"):
        losses.SPOPlus()(layer, costs, labels)
    assert bool(torch.isfinite(losses.SPOPlus()(layer, costs.double(), labels).loss))
    true[1, 2] = torch.inf
    assert bool(torch.isfinite(losses.SPOPlus()(layer, costs, labels).loss))
