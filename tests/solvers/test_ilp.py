"""Integer programs in matrix form are solved to the optimum, or fail for a reason with a name."""

import itertools
import pickle
import sys
import warnings
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import Bounds, LinearConstraint, linear_sum_assignment, milp
from scipy.sparse import csr_array

from combgrad.errors import (
    CombgradError,
    InfeasibleError,
    SolverFailedError,
    SolverInputError,
    SolverUnavailableError,
    TimeLimitError,
    UnboundedError,
)
from combgrad.solvers.assignment import Assignment
from combgrad.solvers.base import Trait
from combgrad.solvers.ilp import ILP


def usable(backend):
    try:
        ILP([[1.0]], backend=backend)(torch.rand(1, 1))
    except SolverUnavailableError:
        return False
    return True


BACKENDS = [
    pytest.param(
        "highs", marks=pytest.mark.skipif(not usable("highs"), reason="highspy is missing")
    ),
    pytest.param(
        "gurobi",
        marks=[
            pytest.mark.gurobi,
            pytest.mark.skipif(not usable("gurobi"), reason="no usable Gurobi licence"),
        ],
    ),
]
every_backend = pytest.mark.parametrize("backend", BACKENDS)


def assignment_rows(size):
    """The rows that make (size * size,) entries a permutation matrix."""
    eye, ones = np.eye(size), np.ones(size)
    return np.concatenate([np.kron(eye, ones), np.kron(ones, eye)])


@every_backend
@given(data=st.data())
def test_knapsacks_are_filled_as_well_as_the_best(backend, data):
    size = data.draw(st.integers(1, 6))
    numbers = st.lists(st.integers(0, 9), min_size=size, max_size=size)
    weights = data.draw(st.lists(numbers, min_size=1, max_size=3))
    values = data.draw(
        st.lists(st.floats(-5, 5) | st.just(0.0), min_size=size, max_size=size).filter(any)
    )
    solver = ILP(weights, upper=12, backend=backend)
    costs = torch.tensor([values], dtype=torch.float64)
    solution = solver(costs)
    points = np.array(list(itertools.product((0, 1), repeat=size)))
    allowed = points[(points @ np.array(weights).T <= 12).all(axis=1)]
    assert bool(solver.feasible(solution).all())
    assert set(solution.unique().tolist()) <= {0.0, 1.0}
    best = (allowed @ costs[0].numpy()).min()
    assert float((costs * solution).sum()) == pytest.approx(best, abs=1e-7)


@every_backend
def test_assignments_are_those_of_scipy(backend):
    generator = torch.Generator().manual_seed(0)
    costs = torch.randn(6, 25, dtype=torch.float64, generator=generator)
    solver = ILP(A_eq=csr_array(assignment_rows(5)), b_eq=1, backend=backend)
    for instance, solution in zip(costs, solver(costs), strict=True):
        rows, columns = linear_sum_assignment(instance.reshape(5, 5).numpy())
        expected = torch.zeros(5, 5, dtype=torch.float64)
        expected[rows, columns] = 1.0
        assert torch.equal(solution, expected.flatten())


@every_backend
def test_mixed_programs_agree_with_scipy(backend):
    random = np.random.default_rng(1)
    matrix, limit = random.integers(-3, 9, (4, 7)).astype(float), random.integers(5, 30, 4)
    whole = np.array([1, 0, 1, 1, 0, 0, 1])
    costs = torch.from_numpy(random.normal(size=(8, 7)))
    bounds = (np.full(7, -2.0), np.linspace(2, 5, 7))
    solver = ILP(
        matrix[:1], -4, 20, A_ub=matrix[1:], b_ub=limit[1:], bounds=bounds, integrality=whole,
        backend=backend,
    )  # fmt: skip
    lower, upper = np.full(4, -np.inf), limit.astype(float)
    lower[0], upper[0] = -4, 20
    for instance, solution in zip(costs, solver(costs), strict=True):
        expected = milp(
            instance.numpy(),
            constraints=LinearConstraint(matrix, lower, upper),
            bounds=Bounds(*bounds),
            integrality=whole,
            options={"mip_rel_gap": 0.0},
        )
        assert torch.equal(solution[whole == 1], solution[whole == 1].round())
        assert float(instance @ solution) == pytest.approx(expected.fun, abs=1e-6)


@every_backend
@pytest.mark.parametrize("scale", [1e-300, 1e-12, 1e12, 1e300])
def test_scale_does_not_matter(backend, scale):
    generator = torch.Generator().manual_seed(2)
    costs = torch.randn(5, 10, dtype=torch.float64, generator=generator)
    solver = ILP(np.arange(1, 11), upper=20, backend=backend)
    assert torch.equal(solver(costs * scale), solver(costs))
    assert solver.traits == {Trait.SCALE_INVARIANT}


@every_backend
def test_a_shift_matters_unless_all_solutions_have_the_same_sum(backend):
    costs = torch.tensor([[-0.5, 0.2, 0.4, -0.1]], dtype=torch.float64)
    knapsack = ILP(np.ones(4), upper=3, backend=backend)
    assert not torch.equal(knapsack(costs + 1), knapsack(costs))
    two = ILP(np.ones(4), 2, 2, backend=backend, traits=set(Trait))
    assert torch.equal(two(costs + 1), two(costs))
    assert two.is_constant_on(torch.ones(4))
    assert not knapsack.is_constant_on(torch.ones(4))


@every_backend
def test_an_answer_depends_on_its_own_costs_alone(backend):
    solver = ILP(np.ones(6), 3, 3, backend=backend)
    ties = torch.ones(1, 6, dtype=torch.float64)
    others = torch.randn(4, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    expected = solver(ties)
    assert torch.equal(solver(torch.cat([others, ties, others]))[4:5], expected)
    assert torch.equal(ILP(np.ones(6), 3, 3, backend=backend)(ties), expected)


@every_backend
def test_infeasible_and_unbounded_programs_are_told_apart(backend):
    costs = torch.tensor([[1.0, 1.0], [-1.0, -1.0]])
    with pytest.raises(InfeasibleError, match="batch index 0"):
        ILP([[1, 1]], 3, 4, backend=backend)(costs)
    with pytest.raises(UnboundedError, match="batch index 1"):
        ILP([[1, -1]], 0, 0, bounds=(0, np.inf), backend=backend)(costs)
    with pytest.raises(InfeasibleError):
        ILP([[2, -2]], 1, 1, bounds=(0, np.inf), backend=backend)(-costs)


@every_backend
def test_a_time_limit_is_an_error_of_its_own(backend):
    random = np.random.default_rng(4)
    market_split = random.integers(0, 100, (5, 40))
    solver = ILP(A_eq=market_split, b_eq=market_split.sum(1) // 2, time_limit=0.1, backend=backend)
    with pytest.raises(TimeLimitError, match=r"batch index 0 .*time_limit=0.1"):
        solver(torch.ones(1, 40))


def test_the_errors_are_different_and_of_one_family():
    family = {InfeasibleError, UnboundedError, TimeLimitError}
    assert all(issubclass(error, SolverFailedError) for error in family)
    assert issubclass(SolverFailedError, CombgradError)
    assert not any(issubclass(a, b) for a, b in itertools.permutations(family, 2))


@every_backend
def test_it_can_be_pickled_for_workers(backend):
    solver = ILP(np.arange(1, 6), upper=7, backend=backend, time_limit=5.0)
    costs = -torch.rand(3, 5, generator=torch.Generator().manual_seed(5))
    expected = solver(costs)
    assert expected.dtype == torch.float32
    assert torch.equal(pickle.loads(pickle.dumps(solver))(costs), expected)


@every_backend
def test_zero_costs_and_empty_batches_are_answered(backend):
    solver = ILP(np.ones(3), 1, 1, backend=backend)
    assert float(solver(torch.zeros(1, 3)).sum()) == 1
    assert solver(torch.rand(0, 3)).shape == (0, 3)


@every_backend
def test_programs_without_rows_follow_the_signs(backend):
    solver = ILP(bounds=(np.full(3, -1.0), np.full(3, 2.0)), backend=backend)
    assert solver(torch.tensor([[1.0, -1.0, 2.0]])).tolist() == [[-1.0, 2.0, -1.0]]


@pytest.mark.parametrize(
    ("program", "message"),
    [
        ({"A": [[1, 2]], "bounds": (np.zeros(3), 1)}, "describe"),
        ({}, "describe"),
        ({"A_ub": [[1, 2]]}, "b_ub"),
        ({"A": [[1, 2]], "lower": [1, 2]}, "1 rows"),
        ({"A": [[1, 2]], "integrality": 2}, "integrality"),
        ({"A": [[1, 2]], "lower": 3, "upper": 2}, "row 0"),
        ({"A": [[1, 2]], "bounds": (2, [3, 1])}, "variable 1"),
        ({"A": [[1, np.nan]]}, "NaN"),
        ({"A": [[1, 1e-10], [1, 1]]}, "row 0 spread"),
        ({"A": [[1, 2]], "backend": "cplex"}, "highs, gurobi"),
        ({"A": [[1, 2]], "time_limit": 0}, "time_limit"),
        ({"A": [[1, 2]], "time_limit": "5"}, "time_limit is '5'"),
    ],
)
def test_programs_that_are_none_are_refused(program, message):
    with pytest.raises(ValueError, match=message):
        ILP(**program)


@every_backend
def test_wrong_shapes_and_numbers_are_refused(backend):
    solver = ILP([[1, 2]], backend=backend)
    with pytest.raises(SolverInputError, match="2 variables"):
        solver(torch.rand(1, 3))
    with pytest.raises(SolverInputError, match="batch index 1"):
        solver(torch.tensor([[1.0, 1.0], [torch.nan, 1.0]]))


@every_backend
def test_feasible_refuses_points_outside(backend):
    solver = ILP([[1, 1]], 1, 1, backend=backend)
    points = torch.tensor([[1.0, 0.0], [1.0, 1.0], [0.5, 0.5], [2.0, -1.0]])
    assert solver.feasible(points).tolist() == [True, False, False, False]


@pytest.mark.parametrize(("backend", "package"), [("highs", "highspy"), ("gurobi", "gurobipy")])
def test_a_missing_backend_says_how_to_install_it(backend, package, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(SolverUnavailableError, match=f"pip install {package}"):
        ILP([[1.0]], backend=backend)


@pytest.mark.gurobi
@pytest.mark.skipif(not usable("gurobi"), reason="no usable Gurobi licence")
def test_a_licence_error_names_the_other_backend(monkeypatch):
    import gurobipy

    def expired(*arguments, **options):
        raise gurobipy.GurobiError(10009, "License expired")

    monkeypatch.setattr(gurobipy.Env, "start", expired)
    with pytest.raises(SolverUnavailableError, match=r"(?s)expired.*highs"):
        ILP([[1.0]], backend="gurobi")


def best_points(matrix, upper, costs):
    """The cheapest 0/1 point of each instance in exact arithmetic, for A y <= upper."""
    points = np.array(list(itertools.product((0, 1), repeat=costs.shape[1])))
    allowed = points[(points @ np.array(matrix).T <= upper).all(axis=1)]
    whole = [[int(Fraction(cost) * 2**1074) for cost in row] for row in costs.double().tolist()]
    lengths = np.array(whole, dtype=object) @ allowed.T.astype(object)
    return torch.from_numpy(allowed[[row.argmin() for row in lengths]]).to(costs.dtype)


@every_backend
@pytest.mark.parametrize("large", [1e6, 1e9, 1e12, 1e20, 1e200, 1.7e308])
def test_large_numbers_that_forbid_do_not_blur_the_others(backend, large):
    generator = torch.Generator().manual_seed(6)
    costs = torch.rand(30, 25, dtype=torch.float64, generator=generator)
    forbidden = torch.rand(30, 25, generator=generator) < 0.35
    forbidden[:, ::6] = False
    solver = ILP(A_eq=assignment_rows(5), b_eq=1, backend=backend)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        solution = solver(costs.masked_fill(forbidden, large))
    expected = Assignment()(costs.masked_fill(forbidden, torch.inf).view(30, 5, 5)).flatten(1)
    assert torch.equal(solution, expected)
    assert torch.equal(solver(costs.masked_fill(forbidden, torch.inf)), expected)


@every_backend
def test_costs_of_all_sizes_are_decided_from_the_largest_down(backend):
    random = np.random.default_rng(7)
    weights, size = random.integers(1, 9, (2, 7)), (20, 7)
    costs = torch.from_numpy(-random.uniform(1, 9, size) * 10.0 ** random.integers(-300, 300, size))
    solver = ILP(weights, upper=20, backend=backend)
    assert torch.equal(solver(costs), best_points(weights, 20, costs))


@every_backend
def test_what_the_tolerance_may_hide_is_warned_of(backend):
    solver = ILP([[1, 1, 0, 0], [0, 0, 1, 1]], 1, 1, backend=backend)
    with pytest.warns(UserWarning, match="spread by more than 1e9"):
        solver(torch.tensor([[1e10, 1e10, 1e-3, 2e-3]], dtype=torch.float64))


@every_backend
def test_forbidden_variables_are_zero_or_leave_no_solution(backend):
    solver = ILP(np.ones(4), 2, 2, backend=backend)
    costs = torch.tensor([[torch.inf, 5.0, torch.inf, -1.0], [0.0, 1.0, 2.0, -torch.inf]])
    assert solver(costs[:1]).tolist() == [[0, 1, 0, 1]]
    with pytest.raises(SolverInputError, match="batch index 1 contain NaN or -inf"):
        solver(costs)
    costs[1] = torch.tensor([torch.inf, torch.inf, torch.inf, 0.0])
    with pytest.raises(InfeasibleError, match=r"costs of inf .* no solution to batch index 1"):
        solver(costs)
    with pytest.raises(InfeasibleError, match="batch index 0 has no solution, whatever the costs"):
        ILP(np.ones(4), 5, 5, backend=backend)(costs)
    with pytest.raises(InfeasibleError, match=r"batch index 0 .*variable 2 exclude"):
        ILP(bounds=(np.ones(4), 2), backend=backend)(torch.tensor([[1.0, 1.0, torch.inf, 1.0]]))
    # What one instance forbids, the next one may use.
    mixed = torch.tensor([[torch.inf, torch.inf, 1.0, 1.0], [-1.0, -1.0, 1.0, 1.0]])
    assert solver(mixed).tolist() == [[0, 0, 1, 1], [1, 1, 0, 0]]


@every_backend
@pytest.mark.parametrize("unit", [1e-12, 1e-7, 1.0, 1e9, 1e200])
def test_rows_of_any_size_are_enforced(backend, unit):
    costs = -torch.rand(10, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(8))
    weights = np.array([3.0, 4, 5, 6, 7])
    solver = ILP(weights * unit, upper=12 * unit, backend=backend)
    solution = solver(costs)
    assert torch.equal(solution, best_points([weights], 12, costs))
    assert not bool(solver.feasible(torch.ones(1, 5)))


def test_whole_rows_of_large_numbers_are_not_forgiven():
    solver = ILP([[10**7, 10**7 + 1]], upper=2 * 10**7)
    assert solver.feasible(torch.tensor([[1.0, 1.0], [1.0, 0.0]])).tolist() == [False, True]
    decimals = ILP([[0.1, 0.2]], upper=0.3)
    assert decimals(-torch.ones(1, 2)).tolist() == [[1, 1]]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_a_solution_that_the_dtype_cannot_hold_is_refused(dtype):
    solver = ILP(bounds=(0, np.array([100_001.0, 2**25 + 1])))
    assert solver(-torch.ones(1, 2).double()).tolist() == [[100_001, 2**25 + 1]]
    with pytest.raises(SolverInputError, match=r"batch index 0, which torch.* cannot hold"):
        solver(-torch.ones(1, 2, dtype=dtype))
    assert ILP(np.ones(2), 1, 1)(torch.ones(1, 2, dtype=dtype)).sum() == 1


def test_a_bound_may_be_absent():
    program = ILP([[1.0, 1.0]], lower=-3.0, bounds=(None, 5.0), integrality=0)
    assert program(torch.tensor([[1.0, 2.0]], dtype=torch.float64)).tolist() == [[5.0, -8.0]]


def test_pairs_of_bounds_of_two_variables_are_refused():
    with pytest.raises(ValueError, match=r"could be a pair for each of two variables, as in scipy"):
        ILP([[1.0, 1.0]], upper=1.0, bounds=[(0, 1), (0, 1)])


@pytest.mark.parametrize(
    ("sides", "rows"), [({"b_eq": [1.0]}, "A_eq"), ({"b_ub": 1}, "A_ub"), ({"upper": 1.0}, "A")]
)
def test_sides_without_rows_are_refused(sides, rows):
    given = {"A" if rows != "A" else "A_ub": [[1.0, 1.0]]} | ({"b_ub": 3} if rows == "A" else {})
    with pytest.raises(ValueError, match=rf"^{rows} is missing, and there are right-hand sides"):
        ILP(**given, **sides)
