"""Small integer programs are searched before a backend is asked, with the same answers."""

import itertools
import pickle

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from combgrad.errors import InfeasibleError
from combgrad.solvers.graph_path import GraphShortestPath
from combgrad.solvers.ilp import ILP
from combgrad.solvers.ilp_search import Search, unit_of

pytest.importorskip("highspy")


def without_search(*program, **options):
    """The same program, left to the backend."""
    solver = ILP(*program, **options)
    solver._search = None
    return solver


def searched(solver, costs):
    """What the search alone answers costs (B, n) of at most 1 in size, which must be all."""
    program = solver.program
    points = [solver._search.minimise(row, program.least, program.most) for row in costs.numpy()]
    assert all(point is not None for point in points)
    return torch.from_numpy(np.array(points))


def knapsacks(items, rows, seed=0):
    random = np.random.default_rng(seed)
    weights = random.integers(1, 31, (rows, items)).astype(float)
    return weights, np.floor(weights.sum(axis=1) / 2)


def assignment_rows(size):
    eye, ones = np.eye(size), np.ones(size)
    return np.concatenate([np.kron(eye, ones), np.kron(ones, eye)])


whole, real = st.integers(-4, 6).map(float), st.floats(-3, 3).map(lambda x: round(x, 3))


@st.composite
def programs(draw):
    """Rows, bounds and costs of a few variables with few values each, all integers."""
    n, m = draw(st.integers(1, 5)), draw(st.integers(0, 4))
    number = draw(st.sampled_from([whole, real, whole | real]))
    matrix = np.array(draw(st.lists(st.lists(number, min_size=n, max_size=n), min_size=m,
                                    max_size=m))).reshape(m, n)  # fmt: skip
    least = np.array(draw(st.lists(st.integers(-2, 1), min_size=n, max_size=n)), dtype=float)
    most = least + draw(st.lists(st.integers(0, 3), min_size=n, max_size=n))
    inside = draw(st.lists(st.integers(0, 3), min_size=n, max_size=n))
    middle = matrix @ np.clip(least + inside, least, most) + draw(st.sampled_from([0.0, 0.0, 1.5]))
    width = draw(st.lists(st.sampled_from([0.0, 1.0, 2.5, np.inf]), min_size=m, max_size=m))
    below = draw(st.lists(st.sampled_from([0.0, 0.7, np.inf]), min_size=m, max_size=m))
    costs = st.lists(draw(st.sampled_from([st.integers(-2, 2), st.floats(-1, 1)])), min_size=n,
                     max_size=n)  # fmt: skip
    batch = np.array(draw(st.lists(costs, min_size=1, max_size=4)), dtype=float)
    return matrix, middle - below, middle + width, (least, most), batch


def all_points(matrix, lower, upper, bounds):
    """All solutions, by trying them."""
    ranges = [range(int(a), int(b) + 1) for a, b in zip(*bounds, strict=True)]
    points = np.array(list(itertools.product(*ranges)), dtype=float)
    activity = points @ matrix.T
    return points[((activity >= lower - 1e-9) & (activity <= upper + 1e-9)).all(axis=1)]


@given(program=programs(), seed=st.integers(0, 9))
def test_no_other_point_is_cheaper_and_no_order_changes_the_answer(program, seed):
    matrix, lower, upper, bounds, batch = program
    points = all_points(matrix, lower, upper, bounds)
    solver = ILP(matrix, lower, upper, bounds=bounds)
    costs = torch.from_numpy(batch)
    if not len(points):
        with pytest.raises(InfeasibleError):
            solver(costs)
        return
    answers = solver(costs)
    assert bool(solver.feasible(answers).all())
    best = (batch @ points.T).min(axis=1)
    assert np.abs((batch * answers.numpy()).sum(axis=1) - best).max() <= 1e-8
    order = np.random.default_rng(seed).permutation(len(batch))
    assert torch.equal(solver(costs[order]), answers[order])
    assert torch.equal(torch.cat([solver(row[None]) for row in costs]), answers)


@pytest.mark.parametrize(("items", "rows"), [(10, 1), (25, 3), (20, 8)])
def test_knapsacks_cost_what_the_backend_finds(items, rows):
    weights, upper = knapsacks(items, rows)
    costs = -torch.rand(6, items, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    answers = searched(ILP(weights, upper=upper), costs)
    expected = without_search(weights, upper=upper)(costs)
    assert torch.allclose((costs * answers).sum(1), (costs * expected).sum(1), rtol=0, atol=1e-9)


@pytest.mark.parametrize("size", [3, 12])
def test_assignments_are_those_of_scipy(size):
    costs = torch.randn(5, size**2, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    costs /= costs.abs().max()
    answers = searched(ILP(A_eq=assignment_rows(size), b_eq=1), costs).view(5, size, size)
    for instance, answer in zip(costs.view(5, size, size).numpy(), answers.numpy(), strict=True):
        rows, columns = linear_sum_assignment(instance)
        assert answer[rows, columns].sum() == answer.sum() == size


def test_paths_on_a_grid_are_the_shortest():
    side = 9
    nodes = np.arange(side**2).reshape(side, side)
    across = np.stack([nodes[:, :-1].ravel(), nodes[:, 1:].ravel()], axis=1)
    down = np.stack([nodes[:-1].ravel(), nodes[1:].ravel()], axis=1)
    edges = [*across.tolist(), *down.tolist()]
    flow = np.zeros((side**2, len(edges)))
    for edge, (tail, head) in enumerate(edges):
        flow[tail, edge], flow[head, edge] = -1, 1
    balance = np.zeros(side**2)
    balance[0], balance[-1] = -1, 1
    costs = torch.rand(6, len(edges), dtype=torch.float64, generator=torch.manual_seed(3))
    answers = searched(ILP(A_eq=flow, b_eq=balance), costs)
    path = GraphShortestPath(edges, side**2, 0, side**2 - 1, directed=True)
    assert torch.equal(answers, path(costs))


def test_a_relaxation_that_is_never_whole_is_branched_on():
    edges = [edge for i in range(5) for edge in itertools.combinations(range(3 * i, 3 * i + 3), 2)]
    triangles = np.zeros((len(edges), 15))
    for row, (a, b) in enumerate(edges):
        triangles[row, [a, b]] = 1
    costs = -torch.rand(4, 15, dtype=torch.float64, generator=torch.Generator().manual_seed(4)) - 1
    answers = searched(ILP(triangles, upper=1), costs / 2).view(4, 5, 3)
    dearest = costs.view(4, 5, 3).argmin(dim=2, keepdim=True)
    assert torch.equal(answers, torch.zeros(4, 5, 3).double().scatter(2, dearest, 1.0))


def test_ties_of_whole_costs_are_broken_the_same_way_whatever_came_before():
    weights, upper = knapsacks(12, 2)
    costs = -torch.randint(1, 3, (8, 12), generator=torch.Generator().manual_seed(5)).double()
    solver = ILP(weights, upper=upper)
    answers = solver(costs)
    assert torch.equal(solver(costs.flip(0)).flip(0), answers)
    assert torch.equal(torch.cat([solver(costs[:3]), solver(costs[3:])]), answers)
    assert torch.equal(pickle.loads(pickle.dumps(solver))(costs), answers)


def test_a_search_that_gives_up_leaves_the_answer_to_the_backend():
    weights, upper = knapsacks(15, 3)
    costs = -torch.rand(3, 15, dtype=torch.float64, generator=torch.Generator().manual_seed(6))
    solver = ILP(weights, upper=upper)
    solver._search.work[:] = 0
    program = solver.program
    assert solver._search.minimise(costs[0].numpy(), program.least, program.most) is None
    assert torch.equal(solver(costs), ILP(weights, upper=upper)(costs))
    # In so short a time limit nothing but the backend may be slow.
    assert ILP(weights, upper=upper, time_limit=1e-3)._search.work.tolist() == [200_000] * 2


def test_only_bounded_integers_in_small_programs_are_searched():
    rows = np.ones((2, 3))
    assert Search.suits(ILP(rows).program)
    assert not Search.suits(ILP(rows, integrality=[1, 1, 0]).program)
    assert not Search.suits(ILP(rows, bounds=(0, np.inf)).program)
    assert not Search.suits(ILP(np.ones((1000, 401))).program)


def test_bounds_between_integers_are_rounded_inwards():
    solver = ILP(np.ones(2), upper=3.5, bounds=(np.array([0.5, -0.5]), np.array([1.5, 2.5])))
    costs = -torch.ones(1, 2, dtype=torch.float64)
    assert searched(solver, costs).tolist() == solver(costs).tolist() == [[1.0, 2.0]]
    with pytest.raises(InfeasibleError):
        ILP(np.ones(2), bounds=(np.array([0.2, 0.0]), np.array([0.8, 1.0])))(costs)


def test_rows_end_where_their_multiples_do():
    assert unit_of(np.array([6.0, -9.0, 0.75])) == 0.75
    assert unit_of(np.array([2.0**-30, 1.0])) == 2.0**-30
    assert unit_of(np.array([0.1, 0.2])) == 0.0
    assert unit_of(np.empty(0)) == 0.0
    # Twice a sum of integers is even: 40 of them would be a search without end.
    with pytest.raises(InfeasibleError):
        ILP(2 * np.ones(40), 39, 39)(torch.randn(1, 40))
    even = ILP(2 * np.ones(40), 20, 25)
    assert (even._search.lower * 4).tolist() == [20]
    assert (even._search.upper * 4).tolist() == [24]
