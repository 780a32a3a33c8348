"""The linear relaxations that solvers state: their whole points, their cuts, their normal cones."""

import itertools

import numpy as np
import pytest
import torch
from scipy.optimize import nnls

from combgrad import solvers
from combgrad.errors import IncompatibleError
from combgrad.solvers.brute_force import all_tours
from combgrad.solvers.normal_cone import Cone, normal_cone
from contract import ROWS, choices

RELAXED = [name for name, row in ROWS.items() if row.solver.unrelaxed is None]
#: Whose relaxation has further whole points: rings beside a path, or several instead of a tour.
WIDER = {"graph-cyclic", "tsp-even"}
#: Whose relaxation is the hull of its solutions, or becomes it by cuts.
HULLS = [
    *("topk", "topk-many", "assignment", "assignment-wide", "assignment-tall", "assignment-large"),
    *("alignment", "alignment-long", "alignment-lengths", "graph-ordered", "tsp"),
]


def flat(name):
    row = ROWS[name]
    return row.solver.relaxation(torch.Size(row.shape)), row.solutions.reshape(
        len(row.solutions), -1
    ).astype(float)


def cone_at(name, solution):
    program, _ = flat(name)
    cuts = ROWS[name].solver.cuts(solution)
    return normal_cone(program, solution, cuts, np.ones(len(solution), dtype=bool))


def test_the_table_has_all_solvers_with_a_relaxation():
    assert {type(ROWS[name].solver).__name__ for name in RELAXED} >= {
        *("TopK", "Knapsack", "Assignment", "Alignment", "GraphShortestPath", "TSP", "Cached")
    }


@pytest.mark.parametrize("name", RELAXED)
def test_its_whole_points_are_the_solutions(name):
    program, members = flat(name)
    assert program.contains(members).all()
    if members.shape[1] <= 12:
        points = choices(members.shape[1]).astype(float)
        inside = {tuple(point) for point in points[program.contains(points)]}
        wanted = {tuple(member) for member in members}
        assert inside > wanted if name in WIDER else inside == wanted


@pytest.mark.parametrize("name", RELAXED)
def test_no_solution_is_beyond_a_normal(name):
    _, members = flat(name)
    for solution in members[:12]:
        normals = cone_at(name, solution).normals
        assert (normals @ (members - solution).T <= 1e-9).all()


@pytest.mark.parametrize("name", HULLS)
def test_costs_are_in_the_cone_of_their_solution(name):
    row, random = ROWS[name], np.random.default_rng(0)
    sign = 1.0 if row.signed else 0.0
    costs = random.random((10, *row.shape)) - sign / 2
    found = row.solver(torch.from_numpy(costs)).flatten(1).numpy()
    for w, solution in zip(costs.reshape(10, -1), found, strict=True):
        nearest = cone_at(name, solution).nearest(-w)
        assert nearest == pytest.approx(-w, abs=1e-9)
        other = next(y for y in flat(name)[1] if w @ y > w @ solution + 1e-3)
        assert np.linalg.norm(cone_at(name, other).nearest(-w) + w) > 1e-4


def by_faces(cone, point):
    """The nearest point of a cone: of those of the spans of all choices of its normals, within."""
    best = np.zeros_like(point)
    for chosen in itertools.product((False, True), repeat=len(cone.rays)):
        rows = np.concatenate([cone.rays[list(chosen)], cone.lines])
        if not len(rows):
            continue
        shares = np.linalg.lstsq(rows.T, point, rcond=None)[0]
        near = shares @ rows
        within = (shares[: sum(chosen)] >= 0).all()
        if within and np.linalg.norm(near - point) < np.linalg.norm(best - point):
            best = near
    return best


@pytest.mark.parametrize("seed", range(10))
def test_the_nearest_point_is_the_best_of_all_faces(seed):
    random = np.random.default_rng(seed)
    cone = Cone(random.standard_normal((5, 6)), random.standard_normal((seed % 3, 6)))
    point = random.standard_normal(6)
    assert cone.nearest(point) == pytest.approx(by_faces(cone, point), abs=1e-9)


def random_tour(cities, random):
    tour = np.zeros((cities, cities))
    order = random.permutation(cities)
    tour[order, np.roll(order, 1)] = 1
    return (tour + tour.T)[np.triu_indices(cities, 1)]


@pytest.mark.parametrize("cities", [4, 7, 10])
def test_the_nearest_point_is_that_of_non_negative_least_squares(cities):
    random = np.random.default_rng(cities)
    tour = random_tour(cities, random)
    program = solvers.TSP().relaxation(torch.Size(tour.shape))
    cuts = solvers.TSP().cuts(tour)
    cone = normal_cone(program, tour, cuts, np.ones(len(tour), dtype=bool))
    for _ in range(5):
        point = random.standard_normal(len(tour))
        shares, _ = nnls(cone.normals.T, point)
        assert cone.nearest(point) == pytest.approx(shares @ cone.normals, abs=1e-8)


@pytest.mark.parametrize("cities", [5, 6, 7])
def test_cuts_are_all_subsets_that_the_tour_uses_up(cities):
    """Of subsets of 3 to k - 3 cities, one of each and its rest."""
    tour = random_tour(cities, np.random.default_rng(cities))
    first, second = np.triu_indices(cities, 1)
    wanted = set()
    for size in range(3, cities - 2):
        for chosen in itertools.combinations(range(cities), size):
            row = np.isin(first, chosen) & np.isin(second, chosen)
            if row @ tour == size - 1:
                rest = ~(np.isin(first, chosen) | np.isin(second, chosen))
                wanted.add(frozenset({tuple(row.tolist()), tuple(rest.tolist())}))
    found = solvers.TSP().cuts(tour)
    assert len(found) == len(wanted)
    for row in found:
        assert any(tuple((row == 1).tolist()) in pair for pair in wanted)
        assert max(all_tours(cities) @ row) == row @ tour


def test_solvers_without_one_say_why():
    for solver, reason in (
        (solvers.Ranking(), "not known as those of a linear program"),
        (solvers.ShortestPath(), "costs are those of cells"),
        (solvers.TiedAlignment(), "what a path pays for; Alignment has the path"),
        (solvers.GraphShortestPath([(0, 1)], 2, 0, 1), "directed=True"),
    ):
        with pytest.raises(IncompatibleError, match=reason):
            solver.relaxation(torch.Size((1,)))
    assert solvers.GraphShortestPath([(0, 1)], 2, 0, 1, directed=True).unrelaxed is None
