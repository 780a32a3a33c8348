"""What holds for every solver, row by row of the contract table; see `test_exact.py` for exactness.

Costs are multiples of 1/64, so that shifts and scales are exact, and often equal.
"""

import copy
import inspect
import itertools
import pickle

import numpy as np
import pytest
import torch

from combgrad import CombinatorialLayer, solvers
from combgrad.errors import IncompatibleError, SolverInputError
from combgrad.gradients import Identity
from combgrad.instances import Instances
from combgrad.projections import Mean, Norm, Std
from combgrad.solvers import Cached, Solver, Trait, base
from combgrad.solvers.spending import spent
from contract import ROWS, installed

DTYPES = [torch.float64, torch.float32, torch.bfloat16, torch.float16]
BATCH = 7

every = pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)


def random(row, batch=BATCH, seed=0, dtype=torch.float64, shape=None):
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randn(batch, *(shape or row.shape), generator=generator, dtype=torch.float64)
    costs = (drawn * 64).round() / 64
    return (costs if row.signed else costs.abs()).to(dtype)


def solve(row, costs):
    return row.solver(costs, row.instances(len(costs)))


def same(row, one, other):
    """Whether two answers are equal, up to what the row says of rounding."""
    return torch.allclose(one, other, rtol=0.0, atol=row.rounding)


def test_every_solver_has_a_row():
    public = {
        part
        for part in vars(solvers).values()
        if inspect.isclass(part) and issubclass(part, Solver) and part is not Solver
    }
    absent = {
        part
        for part, package in ((solvers.ILP, "highspy"), (solvers.GurobiTSP, "gurobipy"))
        if not installed(package)
    }
    assert {type(row.solver) for row in ROWS.values()} >= public - absent


@every
@pytest.mark.parametrize("dtype", DTYPES)
def test_the_answer_has_the_form_of_the_costs_and_leaves_them_alone(row, dtype):
    costs = random(row, dtype=dtype).requires_grad_()
    before = costs.detach().clone()
    solution = solve(row, costs)
    assert (solution.shape, solution.dtype, solution.device) == (costs.shape, dtype, costs.device)
    assert not solution.requires_grad
    solution.add_(1)
    assert torch.equal(costs, before)


@every
def test_an_answer_depends_on_its_own_instance_alone(row):
    costs, instances = random(row), row.instances(BATCH)
    solution = row.solver(costs, instances)
    for index in range(BATCH):
        alone = row.solver(costs[index : index + 1], instances.rows([index]))
        assert torch.equal(alone[0], solution[index])
    turned = torch.arange(BATCH).flip(0)
    assert torch.equal(row.solver(costs[turned], instances.rows(turned)), solution[turned])
    again = row.solver(costs.repeat(2, *[1] * len(row.shape)), instances.repeat(2))
    assert torch.equal(again, torch.cat([solution, solution]))


@every
@pytest.mark.parametrize("value", [0.0, 1.0, 5e-324, 1e300, -1.0])
def test_equal_costs_are_answered_the_same_each_time(row, value):
    value = value if row.signed else abs(value)
    costs = torch.full((BATCH, *row.shape), value, dtype=torch.float64)
    instances = row.instances(2)
    two = row.solver(costs[:2], instances)
    assert bool(row.solver.feasible(two, **instances.entries).all())
    assert torch.equal(row.solver(costs[:2], instances), two)
    if not instances:
        assert torch.equal(row.solver(costs), two[:1].expand_as(costs))


@every
@pytest.mark.parametrize("layout", ["strided", "batch last", "expanded"])
def test_the_layout_in_memory_does_not_matter(row, layout):
    costs = random(row)
    laid = {
        "strided": torch.stack([costs, costs + 1], dim=-1)[..., 0],
        "batch last": costs.movedim(0, -1).contiguous().movedim(-1, 0),
        "expanded": costs[:1].expand(BATCH, *row.shape),
    }[layout]
    assert torch.equal(solve(row, laid), solve(row, laid.contiguous()))


@every
@pytest.mark.parametrize("bad", [float("nan"), float("-inf"), float("inf")])
def test_what_is_not_finite_names_its_instance(row, bad):
    costs = random(row)
    costs[2].view(-1)[0] = costs[4].view(-1)[-1] = bad
    if bad == float("inf") and row.solver.forbids:
        allowed = random(row)
        allowed.view(BATCH, -1)[:, 0] = bad
        usable = (row.solutions.reshape(len(row.solutions), -1)[:, 0] == 0).any()
        if usable and not row.instances(1):
            assert float(solve(row, allowed).view(BATCH, -1)[:, 0].sum()) == 0
        return
    with pytest.raises(SolverInputError, match=r"batch index 2 contain .*\(2 of 7"):
        solve(row, costs)


@every
def test_an_empty_batch_stays_empty(row):
    found = row.solver(torch.zeros(0, *row.shape), row.instances(0))
    assert found.shape == (0, *row.shape)
    entries = row.instances(0).entries
    assert row.solver.feasible(found, **entries).shape == (0,)


@every
def test_other_forms_and_arguments_are_refused(row):
    costs = random(row)
    for wrong in (costs.long(), costs[0].flatten()[0], costs.tolist()):
        with pytest.raises(SolverInputError, match="costs"):
            row.solver(wrong)
    if row.solver.shared is not None:
        with pytest.raises(SolverInputError, match=r"no argument 'nonsense' .*valid"):
            row.solver(costs, nonsense=1)


@every
def test_the_answer_is_the_best_of_the_table(row):
    if row.instances(1):
        pytest.skip("its instances are described otherwise than the table's")
    costs, table = random(row, 40), torch.from_numpy(row.solutions).double().flatten(1)
    least = (costs.flatten(1) @ table.T).amin(dim=1)
    torch.testing.assert_close(spent(costs, row.solver(costs)), least)
    away = torch.cdist(row.solver(costs).flatten(1), table, p=torch.inf).amin(dim=1)
    assert float(away.max()) <= row.rounding


@every
def test_feasible_and_optimum_agree_with_the_answer(row, monkeypatch):
    costs, entries = random(row), row.instances(BATCH).entries
    solution = solve(row, costs)
    assert row.solver.feasible(solution, **entries).tolist() == [True] * BATCH
    best = row.solver.optimum(costs, **entries)
    if best is not None:
        torch.testing.assert_close(spent(costs, solution), best.double())
    monkeypatch.setenv("COMBGRAD_CHECK", "1")
    assert torch.equal(solve(row, costs), solution)


def changes(row, change):
    """Whether some answer is another one once the costs are changed."""
    ordinary = random(row, 40)
    # Each of these has one solution, or few, that cost nothing.
    some = torch.from_numpy(row.solutions)[:: max(1, len(row.solutions) // 40)].double()
    walls = 64 * (1 - some / some.max())
    return any(
        not same(row, solve(row, costs), solve(row, change(costs))) for costs in (ordinary, walls)
    )


@every
def test_traits_are_facts_about_the_solutions(row):
    """Claimed ones hold on every row of costs; for others there is a counterexample."""
    flat = row.solutions.reshape(len(row.solutions), -1)
    sums, traits = set(flat.sum(axis=1).tolist()), row.solver.traits
    assert (Trait.SHIFT_INVARIANT in traits) == (len(sums) == 1)
    shifts = (3.0, -3.0) if row.signed else (3.0,)
    shifted = any(changes(row, lambda costs, c=c: costs + c) for c in shifts)
    if not row.instances(1):
        assert shifted == (Trait.SHIFT_INVARIANT not in traits)
    scaled = any(changes(row, lambda costs, s=s: costs * s) for s in (0.5, 8.0, 2.0**-40, 2.0**500))
    assert scaled == (Trait.SCALE_INVARIANT not in traits)
    k, n = int(flat[0].sum()), flat.shape[1]
    choices = itertools.combinations(range(n), k)
    every_choice = {tuple(int(i in chosen) for i in range(n)) for chosen in choices}
    members = {tuple(member) for member in flat.tolist()}
    assert (Trait.SUBSET_VALUED in traits) == (members == every_choice)


@every
@pytest.mark.parametrize("projection", [Mean(), Norm(), Std()], ids=["mean", "norm", "std"])
def test_a_projection_keeps_the_solution_or_is_refused(row, projection):
    if not projection.requires <= row.solver.traits:
        with pytest.raises(IncompatibleError, match=type(projection).__name__):
            CombinatorialLayer(row.solver, Identity(), projection)
        return
    # No ties here, which the rounding of a projection could decide.
    costs = random(row, 40) + 1e-3 * random(row, 40, seed=1)
    assert same(row, solve(row, projection(costs)), solve(row, costs))


@every
def test_a_constant_normal_is_known_where_all_solutions_have_one_sum(row):
    normal = torch.full(row.shape, 2.0, dtype=torch.float64)
    assert row.solver.is_constant_on(normal) == (Trait.SHIFT_INVARIANT in row.solver.traits)
    normal.view(-1)[0] = 7.0
    inner = row.solutions.reshape(len(row.solutions), -1) @ normal.flatten().numpy()
    # It may say no where the answer is yes, never the other way round.
    assert row.solver.is_constant_on(normal) <= (np.ptp(inner) < 1e-9)


@every
def test_what_it_is_asked_to_start_from_does_not_matter(row):
    costs, instances = random(row), row.instances(BATCH)
    solution = row.solver(costs, instances)
    rubbish = torch.full_like(costs, torch.nan)
    for near in (solution, torch.zeros_like(costs), rubbish, solution.flip(0), solution.half()):
        assert torch.equal(row.solver.solve_near(costs, near, instances), solution)
    with pytest.raises(SolverInputError, match="near has shape"):
        row.solver.solve_near(costs, solution[:1], instances)


@every
def test_a_copy_and_a_cache_answer_the_same(row):
    costs, instances = random(row), row.instances(BATCH)
    solution = row.solver(costs, instances)
    cached = Cached(copy.deepcopy(row.solver))
    for other in (pickle.loads(pickle.dumps(row.solver)), cached, cached):
        assert torch.equal(other(costs, instances), solution)
    assert cached.hit_rate == 0.5
    assert (cached.traits, cached.forbids) == (row.solver.traits, row.solver.forbids)
    assert cached.subset_size == row.solver.subset_size


@every
def test_the_number_of_threads_does_not_matter(row):
    if not hasattr(row.solver, "threads"):
        pytest.skip("it has no threads")
    costs = random(row, 37)
    expected = solve(row, costs)
    for threads in (1, 2):
        other = copy.deepcopy(row.solver)
        other.threads = threads
        assert torch.equal(other(costs, row.instances(37)), expected)


@every
@pytest.mark.parametrize("rubbish", [0.0, float("nan"), float("inf"), -1e30])
def test_a_padded_instance_is_answered_as_it_is_alone(row, rubbish):
    shapes = [row.shape, *row.smaller]
    sizes = [shapes[index % len(shapes)] for index in range(BATCH)]
    costs, valid = random(row), torch.zeros(BATCH, *row.shape, dtype=torch.bool)
    blocks = [(index, *(slice(0, n) for n in size)) for index, size in enumerate(sizes)]
    for block in blocks:
        valid[block] = True
    plain = row.instances(BATCH)
    padded = Instances(plain.per_row, plain.shared, valid)
    filled = costs.masked_fill(~valid, rubbish)
    for solver in (row.solver, Cached(copy.deepcopy(row.solver))):
        solution = solver(filled, padded)
        assert float(solution[~valid].abs().sum()) == 0
        assert torch.equal(solver.solve_near(filled, solution, padded), solution)
        for index, block in enumerate(blocks):
            alone = row.solver(costs[block].unsqueeze(0), plain.rows([index]))
            assert torch.equal(solution[block], alone[0])


@every
def test_padding_that_is_forbidden_is_as_if_it_cost_inf(row):
    if row.solver.padding != "forbidden":
        pytest.skip("it cuts padding off")
    costs = random(row)
    # Nothing of one solution is padding, so that there is one.
    valid = (torch.rand(costs.shape, generator=torch.Generator().manual_seed(0)) < 0.5) | (
        solve(row, random(row, seed=1)) > 0
    )
    plain = row.instances(BATCH)
    expected = row.solver(costs.masked_fill(~valid, torch.inf), plain)
    padded = Instances(plain.per_row, plain.shared, valid)
    assert torch.equal(row.solver(costs.masked_fill(~valid, -5.0), padded), expected)
    assert float(expected[~valid].sum()) == 0


class OnACard(torch.Tensor):
    """Says that it lies on a card, whose work may not be done when Python goes on."""

    is_cuda = True


def test_what_a_card_still_computes_is_not_the_solvers_time(monkeypatch):
    told = []
    monkeypatch.setattr(torch.cuda, "synchronize", lambda device: told.append("card is done"))
    monkeypatch.setattr(base.time, "perf_counter", lambda: float(told.append("clock") or 0))
    solvers.ShortestPath()(torch.rand(1, 3, 3).as_subclass(OnACard))
    assert told == ["card is done", "clock", "clock"]
