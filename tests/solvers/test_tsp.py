"""Every TSP solver finds a tour as short as the best of all tours."""

import sys

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from combgrad.errors import InfeasibleError, SolverInputError, SolverUnavailableError
from combgrad.solvers import TSP, BruteForceTSP, GurobiTSP
from combgrad.solvers.brute_force import all_tours
from combgrad.solvers.edges import edge_count, edges_to_matrix, matrix_to_edges
from combgrad.solvers.gurobi_tsp import shortest_subtour


def usable_gurobi() -> bool:
    try:
        GurobiTSP()(torch.rand(1, 3))
    except SolverUnavailableError:
        return False
    return True


SOLVERS = [
    pytest.param(TSP, id="native"),
    pytest.param(
        GurobiTSP,
        id="gurobi",
        marks=[
            pytest.mark.gurobi,
            pytest.mark.skipif(not usable_gurobi(), reason="no usable Gurobi licence"),
        ],
    ),
]

costs_of_any_sign = st.one_of(
    st.floats(-1e3, 1e3),
    st.integers(-2, 2).map(float),
    st.sampled_from([0.0, 1.0, 1.0 + 1e-9, -1.0]),
)


@st.composite
def instances(draw, most=7):
    cities = draw(st.integers(3, most))
    edges = edge_count(cities)
    return draw(st.lists(costs_of_any_sign, min_size=edges, max_size=edges))


def assert_tours(solution):
    matrix = edges_to_matrix(solution)
    cities = matrix.shape[-1]
    assert set(solution.unique().tolist()) <= {0.0, 1.0}
    assert bool((matrix.sum(-1) == 2).all())
    reach = torch.linalg.matrix_power(matrix + torch.eye(cities).to(matrix), cities)
    assert bool((reach > 0).all())  # connected, so one cycle


@pytest.mark.parametrize("solver", SOLVERS)
@given(values=instances())
def test_the_tour_is_as_short_as_the_best(solver, values):
    costs = torch.tensor([values], dtype=torch.float64)
    try:
        solution = solver()(costs)
    except SolverInputError:
        assert solver is GurobiTSP  # which says where it stops, see below
        return
    assert_tours(solution)
    best = float((costs @ torch.from_numpy(all_tours(edges_to_matrix(costs).shape[-1])).T).min())
    assert float((costs * solution).sum()) == pytest.approx(best, abs=1e-7 * max(map(abs, values)))


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("cities", [3, 4, 5, 6, 7, 8])
def test_without_ties_it_is_the_same_tour(solver, cities):
    generator = torch.Generator().manual_seed(cities)
    rows = 200 if solver is TSP else 20
    costs = torch.randn(rows, edge_count(cities), dtype=torch.float64, generator=generator)
    assert torch.equal(solver()(costs), BruteForceTSP()(costs))


@pytest.mark.gurobi
@pytest.mark.skipif(not usable_gurobi(), reason="no usable Gurobi licence")
@pytest.mark.parametrize("cities", [9, 11, 12, 16, 20])
def test_both_solvers_agree_beyond_brute_force(cities):
    generator = torch.Generator().manual_seed(cities)
    costs = torch.randn(5, edge_count(cities), dtype=torch.float64, generator=generator)
    first, second = TSP()(costs), GurobiTSP()(costs)
    assert_tours(first)
    assert torch.equal(first, second)


@pytest.mark.parametrize("scale", [1e-300, 1e-30, 1e30, 1e300])
def test_scale_does_not_matter(scale):
    costs = torch.randn(20, 15, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    assert torch.equal(TSP()(costs * scale), TSP()(costs))


def test_solving_near_a_tour_changes_the_time_and_not_the_tour():
    generator = torch.Generator().manual_seed(0)
    costs = torch.randn(30, edge_count(15), dtype=torch.float64, generator=generator)
    expected = TSP()(costs)
    near = TSP()(costs + 0.1 * torch.randn(costs.shape, dtype=torch.float64, generator=generator))
    far = TSP()(torch.randn(costs.shape, dtype=torch.float64, generator=generator))
    for start in (near, far, expected, torch.zeros_like(costs), torch.ones_like(costs)):
        assert torch.equal(TSP().solve_near(costs, start), expected)


@pytest.mark.parametrize("cities", [5, 12])
@pytest.mark.parametrize(
    "start",
    [
        torch.ones(2, edge_count(40)),
        torch.ones(2, edge_count(4)),
        torch.ones(1, edge_count(12)),
        torch.ones(edge_count(12)),
        torch.ones(2, 7),
        "no tensor",
    ],
    ids=lambda start: str(getattr(start, "shape", start)),
)
def test_a_start_of_another_shape_is_refused(cities, start):
    with pytest.raises(SolverInputError, match="TSP: near has "):
        TSP().solve_near(torch.rand(2, edge_count(cities)), start)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.bool])
def test_a_start_may_hold_anything_of_the_right_shape(dtype):
    costs = torch.rand(3, edge_count(13), generator=torch.Generator().manual_seed(0))
    expected = TSP()(costs)
    for start in (expected, torch.full_like(costs, float("nan")), -expected, 3 * expected):
        assert torch.equal(TSP().solve_near(costs, start.to(dtype)), expected)


def test_feasible_knows_tours_from_sub_tours():
    tour = TSP()(torch.rand(1, edge_count(6)))
    triangles = torch.zeros(6, 6)
    for a, b in [(0, 1), (1, 2), (0, 2), (3, 4), (4, 5), (3, 5)]:
        triangles[a, b] = triangles[b, a] = 1
    half = tour.clone() / 2
    rows = torch.cat([tour, matrix_to_edges(triangles.unsqueeze(0)), half, 1 - tour])
    assert TSP().feasible(rows).tolist() == [True, False, False, False]


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("cities", [7, 13])
def test_threads_do_not_change_the_answer(threads, cities):
    costs = torch.randn(25, edge_count(cities), generator=torch.Generator().manual_seed(0))
    assert torch.equal(TSP(threads)(costs), TSP(1)(costs))


def test_ties_are_answered_deterministically_with_a_tour():
    for costs in (torch.zeros(2, 45), torch.ones(2, 45), torch.full((2, 45), -3.0)):
        solution = TSP()(costs)
        assert_tours(solution)
        assert torch.equal(solution[0], solution[1])
        assert torch.equal(solution, TSP()(costs))


@pytest.mark.parametrize("solver", SOLVERS)
def test_too_few_cities_and_matrices_are_refused(solver):
    with pytest.raises(SolverInputError, match="at least 3 cities"):
        solver()(torch.rand(1, 1))
    with pytest.raises(SolverInputError, match="matrix_to_edges"):
        solver()(torch.rand(1, 5, 5))


def test_a_missing_gurobi_names_the_native_solver(monkeypatch):
    monkeypatch.setitem(sys.modules, "gurobipy", None)
    with pytest.raises(SolverUnavailableError, match="solver=tsp"):
        GurobiTSP()


@pytest.mark.gurobi
@pytest.mark.skipif(not usable_gurobi(), reason="no usable Gurobi licence")
def test_a_licence_error_names_the_native_solver(monkeypatch):
    import gurobipy

    solver = GurobiTSP()

    def expired(*arguments, **options):
        raise gurobipy.GurobiError(10009, "License expired")

    monkeypatch.setattr(gurobipy.Env, "start", expired)
    with pytest.raises(SolverUnavailableError, match=r"(?s)expired.*solver=tsp"):
        solver(torch.rand(1, 10))


@pytest.mark.gurobi
@pytest.mark.skipif(not usable_gurobi(), reason="no usable Gurobi licence")
def test_a_problem_too_large_for_the_bundled_licence_says_so():
    try:
        GurobiTSP()(torch.rand(1, edge_count(70)))
    except SolverUnavailableError as error:
        message = str(error)
    else:
        pytest.skip("this licence has no limit of size")
    assert "too small" in message
    assert "solver=tsp" in message


@pytest.mark.gurobi
@pytest.mark.skipif(not usable_gurobi(), reason="no usable Gurobi licence")
@pytest.mark.parametrize("large", [1e9, 1e12, 1e300])
def test_gurobi_refuses_what_its_tolerance_hides(large):
    costs = torch.rand(3, 15, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    forbidden = torch.tensor([0, 4, 9])
    costs[1, forbidden] = large
    with pytest.raises(SolverInputError, match=r"batch index 1 differ .* inf .* TSP\(\)"):
        GurobiTSP()(costs)
    costs[1, forbidden] = float("inf")
    assert torch.equal(GurobiTSP()(costs), TSP()(costs))


@pytest.mark.gurobi
@pytest.mark.skipif(not usable_gurobi(), reason="no usable Gurobi licence")
def test_gurobi_finds_no_tour_where_there_is_none():
    costs = torch.rand(2, 15)
    costs[1, :4] = float("inf")
    with pytest.raises(InfeasibleError, match=r"GurobiTSP: .* batch index 1"):
        GurobiTSP()(costs)


@pytest.mark.gurobi
@pytest.mark.skipif(not usable_gurobi(), reason="no usable Gurobi licence")
@pytest.mark.parametrize("shift", [1e10, -1e10])
def test_gurobi_is_told_differences(shift):
    generator = torch.Generator().manual_seed(0)
    costs = torch.randn(20, edge_count(8), dtype=torch.float64, generator=generator) + shift
    assert torch.equal(GurobiTSP()(costs), TSP()(costs))


def test_shortest_subtour_finds_the_smaller_cycle():
    import numpy as np

    first, second = np.array([0, 1, 0, 3, 4, 5, 3]), np.array([1, 2, 2, 4, 5, 6, 6])
    assert sorted(shortest_subtour(first, second, 7)) == [0, 1, 2]
