"""The compiled tour solvers against enumeration, each other and an integer program."""

import os
from collections.abc import Callable
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.optimize import LinearConstraint, milp
from scipy.sparse.csgraph import connected_components

from combgrad.solvers.tour_search import tours_by_branching, tours_by_programming

Costs = NDArray[np.float64]
SOLVERS = pytest.mark.parametrize("solve", [tours_by_programming, tours_by_branching])


def ends_of(k: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    first, second = np.triu_indices(k, 1)
    return first, second


def edges_of(distances: Costs) -> Costs:
    """Distance matrices (..., k, k) to edge costs (..., E)."""
    first, second = ends_of(distances.shape[-1])
    return np.ascontiguousarray(distances[..., first, second])


def all_tours(k: int) -> NDArray[np.uint8]:
    first, second = ends_of(k)
    index = np.zeros((k, k), dtype=np.int64)
    index[first, second] = index[second, first] = np.arange(len(first))
    orders = np.array([(0, *p) for p in permutations(range(1, k)) if p[0] < p[-1]])
    tours = np.zeros((len(orders), len(first)), dtype=np.uint8)
    np.put_along_axis(tours, index[orders, np.roll(orders, -1, axis=1)], 1, axis=1)
    return tours


TOURS = {k: all_tours(k) for k in range(3, 9)}


def integer_program(costs: Costs, k: int) -> float:
    """The optimum by an integer program with subtour constraints added as needed."""
    first, second = ends_of(k)
    scale = np.abs(costs).max()
    rows = [np.float64((first == v) | (second == v)) for v in range(k)]
    lower, upper = [2.0] * k, [2.0] * k
    while True:
        result = milp(
            costs / scale,
            integrality=np.ones(len(costs)),
            bounds=(0, 1),
            constraints=LinearConstraint(np.array(rows), lower, upper),
            options={"mip_rel_gap": 0.0},
        )
        chosen = result.x > 0.5
        graph = np.zeros((k, k))
        graph[first[chosen], second[chosen]] = 1
        parts, label = connected_components(graph, directed=False)
        if parts == 1:
            return float(costs[chosen].sum())
        for part in range(parts):
            rows.append(np.float64((label[first] == part) != (label[second] == part)))
            lower.append(2.0)
            upper.append(np.inf)


def assert_tours(solutions: NDArray[np.uint8], k: int) -> None:
    """Every row must be one cycle through all cities."""
    first, second = ends_of(k)
    for solution in solutions:
        graph = np.zeros((k, k))
        graph[first, second] = solution
        assert set((graph + graph.T).sum(axis=0)) == {2}
        assert connected_components(graph, directed=False)[0] == 1


def lengths(costs: Costs, solutions: NDArray[np.uint8]) -> Costs:
    return np.where(solutions == 1, costs, 0.0).sum(axis=1)


def assert_as_short(
    costs: Costs, solutions: NDArray[np.uint8], best: Costs, k: int, tolerance: float = 1e-9
) -> None:
    scale = np.abs(costs).max(axis=1)
    assert np.all(lengths(costs, solutions) - best <= tolerance * scale * k)
    assert np.all(lengths(costs, solutions) - best >= -tolerance * scale * k)


def clustered(k: int, clusters: int, spread: float, count: int, metric: bool = True) -> Costs:
    """Costs of cities gathered around a few places: positions on a sphere, or arbitrary costs."""
    rng = np.random.default_rng([k, clusters, count])
    place = np.array([rng.permutation(np.arange(k) % clusters) for _ in range(count)])
    if metric:
        centres = rng.normal(size=(count, clusters, 3))
        centres /= np.linalg.norm(centres, axis=-1, keepdims=True)
        points = np.take_along_axis(centres, place[:, :, None], axis=1)
        points = points + spread * rng.normal(size=points.shape)
        return edges_of(np.linalg.norm(points[:, :, None] - points[:, None], axis=-1))
    between = rng.random((count, clusters, clusters))
    between += between.transpose(0, 2, 1)
    between[:, range(clusters), range(clusters)] = 0.0
    costs = edges_of(np.array([b[p][:, p] for b, p in zip(between, place, strict=True)]))
    return costs + spread * rng.random(costs.shape)


def standardised(costs: Costs) -> Costs:
    centred = costs - costs.mean(axis=1, keepdims=True)
    return centred / np.linalg.norm(centred, axis=1, keepdims=True)


def random_families(k: int, count: int) -> dict[str, Costs]:
    rng = np.random.default_rng(k)
    shape = (count, k * (k - 1) // 2)
    points = rng.normal(size=(count, k, 3))
    points /= np.linalg.norm(points, axis=-1, keepdims=True)
    chord = edges_of(np.linalg.norm(points[:, :, None] - points[:, None], axis=-1))
    grid = np.stack([rng.permutation(25)[np.arange(k) % 25] for _ in range(count)])
    steps = np.abs(grid[:, :, None] // 5 - grid[:, None] // 5)
    steps = steps + np.abs(grid[:, :, None] % 5 - grid[:, None] % 5)
    return {
        "sphere": chord,
        "great circle": 2 * np.arcsin(np.clip(chord / 2, 0, 1)),
        "noisy": standardised(chord + rng.choice([-0.1, 0.1], size=shape)),
        "uniform": rng.random(shape),
        "normal": rng.normal(size=shape),
        "all equal": np.full(shape, -0.3),
        "zero or one": (rng.random(shape) > 0.2).astype(np.float64),
        "mostly one": (rng.random(shape) > 0.1).astype(np.float64),
        "one to three": rng.integers(1, 4, shape).astype(np.float64),
        "ties, standardised": standardised(rng.integers(1, 4, shape).astype(np.float64)),
        "signed integers": rng.integers(-3, 6, shape).astype(np.float64),
        "street grid": edges_of(steps.astype(np.float64)),
    }


@st.composite
def instances(draw: st.DrawFn) -> tuple[Costs, int]:
    k = draw(st.integers(3, 8))
    edges = k * (k - 1) // 2
    numbers = draw(
        st.sampled_from(
            [
                st.floats(-1.0, 1.0, allow_subnormal=False),
                st.integers(-2, 2).map(float),
                st.sampled_from([0.0, 1.0]),
                st.sampled_from([1.0, 1.0 + 1e-9, 1.0 + 1e-6, 2.0]),
            ]
        )
    )
    costs = draw(st.lists(numbers, min_size=edges, max_size=edges))
    return np.array([costs]), k


@SOLVERS
@given(instance=instances(), exponent=st.sampled_from([0, 0, 0, 333, 996, -333, -1020]))
def test_matches_enumeration(
    solve: Callable[..., NDArray[np.uint8]], instance: tuple[Costs, int], exponent: int
) -> None:
    costs, k = instance
    best = np.where(TOURS[k] == 1, costs, 0.0).sum(axis=1).min(keepdims=True)
    solutions = solve(np.ldexp(costs, exponent), k)
    assert_tours(solutions, k)
    assert_as_short(costs, solutions, best, k)


@SOLVERS
@pytest.mark.parametrize("k", range(4, 9))
def test_finds_the_only_optimum(solve: Callable[..., NDArray[np.uint8]], k: int) -> None:
    costs = np.random.default_rng(k).normal(size=(100, k * (k - 1) // 2))
    best = TOURS[k][np.argmin(costs @ TOURS[k].T, axis=1)]
    np.testing.assert_array_equal(solve(costs, k), best)


@SOLVERS
@pytest.mark.parametrize("scale", [1e300, 1e30, 1e-30, 1e-300, 5e-324])
def test_scale_does_not_matter(solve: Callable[..., NDArray[np.uint8]], scale: float) -> None:
    whole = np.random.default_rng(1).integers(-40, 40, (20, 45)).astype(np.float64)
    at_scale, plain = solve(whole * scale, 10), solve(whole, 10)
    assert_tours(at_scale, 10)
    np.testing.assert_array_equal(lengths(whole, at_scale), lengths(whole, plain))


@SOLVERS
@pytest.mark.parametrize("k", [3, 4, 5, 9, 12])
def test_all_zero_costs(solve: Callable[..., NDArray[np.uint8]], k: int) -> None:
    assert_tours(solve(np.zeros((2, k * (k - 1) // 2)), k), k)


@pytest.mark.parametrize("k", [9, 10, 11, 12])
def test_both_solvers_agree(k: int) -> None:
    families = random_families(k, 20)
    for clusters in (3, 5, 7):
        for spread in (1e-2, 1e-4, 1e-6, 1e-9, 0.0):
            for metric in (True, False):
                name = f"{clusters} clusters {spread} {metric}"
                families[name] = clustered(k, clusters, spread, 3, metric)
    for costs in families.values():
        solutions = tours_by_branching(costs, k)
        assert_tours(solutions, k)
        assert_as_short(costs, solutions, lengths(costs, tours_by_programming(costs, k)), k)


@pytest.mark.parametrize("k", [15, 20])
@pytest.mark.parametrize("family", random_families(3, 1))
def test_matches_integer_program(family: str, k: int) -> None:
    costs = random_families(k, 2)[family]
    solutions = tours_by_branching(costs, k)
    assert_tours(solutions, k)
    best = np.array([integer_program(row, k) for row in costs])
    # The integer program stops at a feasibility tolerance of 1e-6.
    assert_as_short(costs, solutions, best, k, tolerance=1e-7)


@pytest.mark.parametrize("metric", [True, False])
@pytest.mark.parametrize("spread", [1e-2, 1e-4, 0.0])
@pytest.mark.parametrize("clusters", [3, 6, 10])
def test_near_duplicate_cities(clusters: int, spread: float, metric: bool) -> None:
    costs = clustered(20, clusters, spread, 1, metric)
    solutions = tours_by_branching(costs, 20)
    assert_tours(solutions, 20)
    best = np.array([integer_program(row, 20) for row in costs])
    assert_as_short(costs, solutions, best, 20, tolerance=1e-7)


@pytest.mark.parametrize("k", [20, 30, 40])
def test_duplicates_change_nothing(k: int) -> None:
    # Copies of a city at no distance: with metric costs the optimum is that of the places.
    few = clustered(10, 10, 0.0, 5)
    first, second = ends_of(10)
    between = np.zeros((5, 10, 10))
    between[:, first, second] = between[:, second, first] = few
    place = np.arange(k) % 10
    costs = edges_of(between[:, place][:, :, place])
    solutions = tours_by_branching(costs, k)
    assert_tours(solutions, k)
    assert_as_short(costs, solutions, lengths(few, tours_by_programming(few, 10)), k)


@pytest.mark.parametrize("clusters", [4, 8])
def test_order_of_cities_does_not_matter(clusters: int) -> None:
    k = 30
    first, second = ends_of(k)
    for spread in (1e-2, 1e-9):
        costs = clustered(k, clusters, spread, 3)
        matrix = np.zeros((3, k, k))
        matrix[:, first, second] = matrix[:, second, first] = costs
        order = np.random.default_rng(clusters).permutation(k)
        shuffled = edges_of(matrix[:, order][:, :, order])
        best = lengths(costs, tours_by_branching(costs, k))
        solutions = tours_by_branching(shuffled, k)
        assert_tours(solutions, k)
        assert_as_short(shuffled, solutions, best, k)


@pytest.mark.parametrize("k", [6, 20, 30])
def test_planted_tour_is_found(k: int) -> None:
    # Potentials shift all tours alike; the planted edges then are the cheapest ones.
    rng = np.random.default_rng(k)
    first, second = ends_of(k)
    planted = np.zeros((10, len(first)), dtype=np.uint8)
    for row in planted:
        order = rng.permutation(k)
        graph = np.zeros((k, k), dtype=np.uint8)
        graph[order, np.roll(order, -1)] = 1
        row[:] = (graph | graph.T)[first, second]
    potential = rng.normal(size=(10, k))
    noise = rng.random(planted.shape)
    costs = noise + 2.0 * (1 - planted) + potential[:, first] + potential[:, second]
    np.testing.assert_array_equal(tours_by_branching(costs, k), planted)


def test_warm_start_keeps_the_optimum() -> None:
    costs = np.concatenate(list(random_families(20, 3).values()))
    rng = np.random.default_rng(0)
    warm = np.array([rng.permutation(20) for _ in costs])
    warm[::3] = -1
    best = lengths(costs, tours_by_branching(costs, 20))
    solutions = tours_by_branching(costs, 20, warm)
    assert_tours(solutions, 20)
    assert_as_short(costs, solutions, best, 20)


def test_batch_and_threads_do_not_change_tours() -> None:
    costs = np.concatenate([*random_families(12, 3).values(), clustered(12, 4, 1e-6, 3)])
    single = np.concatenate([tours_by_branching(row[None], 12) for row in costs])
    np.testing.assert_array_equal(tours_by_branching(costs, 12), single)
    np.testing.assert_array_equal(tours_by_branching(costs, 12, threads=2), single)
    np.testing.assert_array_equal(tours_by_branching(costs[:1], 12, threads=3), single[:1])
    single = np.concatenate([tours_by_programming(row[None], 12) for row in costs])
    np.testing.assert_array_equal(tours_by_programming(costs, 12), single)
    np.testing.assert_array_equal(tours_by_programming(costs, 12, threads=2), single)


@SOLVERS
def test_empty_batch(solve: Callable[..., NDArray[np.uint8]]) -> None:
    assert solve(np.zeros((0, 45)), 10).shape == (0, 45)


@pytest.mark.real_data
@pytest.mark.parametrize("kind", ["raw", "std"])
def test_recorded_cost_collapse(kind: str) -> None:
    file = Path(os.environ.get("COMBGRAD_DATA", "")) / "tsp_collapse" / "costs_k20.npz"
    if "COMBGRAD_DATA" not in os.environ or not file.exists():
        pytest.skip("COMBGRAD_DATA names no folder with tsp_collapse/costs_k20.npz")
    costs = np.load(file)[kind].astype(np.float64)
    solutions = tours_by_branching(costs, 20)
    assert_tours(solutions, 20)
    sample = slice(None, None, 40)
    best = np.array([integer_program(row, 20) for row in costs[sample]])
    assert_as_short(costs[sample], solutions[sample], best, 20, tolerance=1e-7)
