"""Tours through costs of any size: exact sums of few cities, large numbers that forbid edges."""

from fractions import Fraction
from itertools import permutations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from combgrad.errors import InfeasibleError, SolverInputError
from combgrad.solvers import TSP, BruteForceTSP
from combgrad.solvers.edges import edge_count, edge_ends
from combgrad.solvers.tour_search import tours_by_branching, tours_by_programming

INF = float("inf")


def index_of(k):
    first, second = edge_ends(k)
    index = np.zeros((k, k), dtype=np.int64)
    index[first, second] = index[second, first] = np.arange(len(first))
    return index


def edges_of_tours(k):
    index = index_of(k)
    orders = np.array([(0, *p) for p in permutations(range(1, k)) if p[0] < p[-1]])
    return index[orders, np.roll(orders, -1, axis=1)]


TOURS = {k: edges_of_tours(k) for k in range(3, 8)}


def exact_sum(costs):
    return INF if INF in costs else sum(map(Fraction, costs), Fraction(0))


def shortest_of_all(costs, k):
    return min(exact_sum([costs[e] for e in tour]) for tour in TOURS[k])


def shortest_by_subsets(costs, k):
    """Held and Karp in whole numbers, with city 0 as the root; inf becomes a number beyond all."""
    finite = [Fraction(c) for c in costs if c != INF]
    unit = max(f.denominator for f in finite)
    whole = [None if c == INF else int(Fraction(c) * unit) for c in costs]
    beyond = sum(abs(w) for w in whole if w is not None) + 1
    rows = np.array([beyond if w is None else w for w in whole], dtype=object)[index_of(k)].tolist()
    best = {(1 << city, city): rows[0][city] for city in range(1, k)}
    for subset in range(2, 1 << k, 2):
        cities = [city for city in range(1, k) if subset >> city & 1]
        if len(cities) > 1:
            for city in cities:
                rest, row = subset ^ (1 << city), rows[city]
                best[subset, city] = min(
                    best[rest, before] + row[before] for before in cities if before != city
                )
    everything = (1 << k) - 2
    length = min(best[everything, city] + rows[0][city] for city in range(1, k))
    return Fraction(length, unit)


def chosen(costs, tour):
    return [cost for cost, used in zip(costs, tour, strict=True) if used]


def assert_shortest(costs, tour, best, share):
    """The tour costs no more than best, but for a share of the dearest edge that it uses."""
    used = chosen(costs, tour)
    assert exact_sum(used) - best <= share * Fraction(max(map(abs, used)))


sizes = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False),
    st.floats(0.0, 1.0),
    st.integers(-3, 3).map(float),
    st.sampled_from(
        [1e-300, 5e-324, 1e9, 1e10, 1e12, 1e18, 1e300, -1e300, -1e9, 1.7e308, -1.7e308]
    ),
    st.tuples(st.floats(-1.0, 1.0), st.integers(-1000, 1000)).map(lambda p: p[0] * 2.0 ** p[1]),
)


@st.composite
def instances(draw, entries=sizes, most=7):
    k = draw(st.integers(3, most))
    edges = edge_count(k)
    return draw(st.lists(entries, min_size=edges, max_size=edges)), k


@given(instances())
def test_few_cities_are_answered_without_rounding(instance):
    costs, k = instance
    tour = TSP()(torch.tensor([costs], dtype=torch.float64))[0].tolist()
    assert exact_sum(chosen(costs, tour)) == shortest_of_all(costs, k)


def test_multiples_of_the_least_double_are_answered_without_rounding():
    rows = np.random.default_rng(0).integers(-400, 401, (50, 10)) * 5e-324
    for solve in (TSP(), BruteForceTSP()):
        for costs, tour in zip(rows.tolist(), solve(torch.from_numpy(rows)).tolist(), strict=True):
            assert exact_sum(chosen(costs, tour)) == shortest_of_all(costs, 5)


@given(instances(st.one_of(st.floats(0.0, 1.0), st.integers(-3, 3).map(float), st.just(INF))))
def test_forbidden_edges_are_not_used(instance):
    costs, k = instance
    best = shortest_of_all(costs, k)
    batch = torch.tensor([[0.0] * len(costs), costs], dtype=torch.float64)
    for solve in (TSP(), BruteForceTSP()):
        if best == INF:
            with pytest.raises(InfeasibleError, match="batch index 1"):
                solve(batch)
        else:
            assert exact_sum(chosen(costs, solve(batch)[1].tolist())) == best


@given(instances(), st.booleans())
def test_branching_is_right_up_to_rounding_in_what_the_tour_uses(instance, forbid):
    costs, k = instance
    if forbid:
        costs = [INF if abs(cost) > 1e200 else cost for cost in costs]
    best = shortest_of_all(costs, k)
    tour = tours_by_branching(np.array([costs]), k)[0].tolist()
    if best == INF:
        assert exact_sum(chosen(costs, tour)) == INF
    else:
        spread = max(0.0, *(-cost for cost in costs))
        used = max(max(map(abs, chosen(costs, tour))), spread)
        assert exact_sum(chosen(costs, tour)) - best <= Fraction(k * 1e-13) * Fraction(used)


def forbidding(k, rows, share, number, seed=0, dtype=np.float64):
    """Random costs where a share of the edges cost a large number, (B, E)."""
    rng = np.random.default_rng([seed, k])
    shape = (rows, edge_count(k))
    out, costs = rng.random(shape) < share, rng.random(shape).astype(np.float32)
    return np.where(out, np.float64(dtype(number)), costs.astype(np.float64))


@pytest.mark.parametrize("number", [1e6, 1e9, 1e10, 1e12, 1e100, 1e300, INF])
@pytest.mark.parametrize("k", [9, 11, 12])
def test_a_large_number_forbids_edges(k, number):
    dtype = np.float32 if number < 1e30 else np.float64
    costs = forbidding(k, 4, 0.35, number, dtype=dtype)
    for row, tour in zip(costs.tolist(), TSP()(torch.from_numpy(costs)).tolist(), strict=True):
        assert max(chosen(row, tour)) <= 1.0
        assert_shortest(row, tour, shortest_by_subsets(row, k), Fraction(1, 2**48))


@pytest.mark.parametrize("number", [1e8, 1e12, 1e30, 1e300, INF])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_how_large_the_number_is_does_not_matter(number, dtype):
    k, number = 20, number if number != 1e300 or dtype == torch.float64 else 3e38
    costs = torch.from_numpy(forbidding(k, 200, 0.25, -1.0, seed=1))
    out = costs == -1.0
    # One edge of this cost is dearer than any tour without.
    expected = TSP()(costs.masked_fill(out, k + 1.0))
    assert not bool((expected.bool() & out).any())
    assert torch.equal(TSP()(costs.masked_fill(out, number).to(dtype)).double(), expected)


@pytest.mark.parametrize("shift", [1e3, 1e6, 1e10, -1e10, 1e15])
@pytest.mark.parametrize("k", [11, 12, 20])
def test_a_shift_leaves_the_tour_that_is_shortest_then(k, shift):
    rng = np.random.default_rng(k)
    shifted = rng.normal(size=(20, edge_count(k))) + shift
    # Exact: the shift comes off numbers of its own size. What it rounded away is gone from both.
    remaining = shifted - shift
    tours = TSP()(torch.from_numpy(shifted)).numpy() > 0
    back = TSP()(torch.from_numpy(remaining)).numpy() > 0
    for row, one, other in zip(remaining.tolist(), tours.tolist(), back.tolist(), strict=True):
        assert exact_sum(chosen(row, one)) == exact_sum(chosen(row, other))


@pytest.mark.parametrize("solve", [tours_by_programming, tours_by_branching])
@pytest.mark.parametrize("exponent", [5, 30, 300])
def test_costs_of_all_sizes_in_one_instance(solve, exponent):
    k, rng = 11, np.random.default_rng(exponent)
    costs = 10.0 ** rng.uniform(-exponent, exponent, (4, edge_count(k)))
    share = 0 if solve is tours_by_programming else Fraction(1, 2**42)
    for row, tour in zip(costs.tolist(), solve(costs, k).tolist(), strict=True):
        assert_shortest(row, tour, shortest_by_subsets(row, k), share)


@pytest.mark.parametrize("k", [5, 12, 20, 40])
def test_the_only_tour_that_is_left_is_found(k):
    rng = np.random.default_rng(k)
    order = rng.permutation(k)
    planted = np.zeros(edge_count(k), dtype=bool)
    planted[index_of(k)[order, np.roll(order, -1)]] = True
    costs = torch.from_numpy(np.where(planted, rng.normal(size=planted.size), INF)).unsqueeze(0)
    assert torch.equal(TSP()(costs)[0].bool(), torch.from_numpy(planted))
    costs[0, int(planted.argmax())] = INF
    with pytest.raises(InfeasibleError, match=r"TSP: .* batch index 0"):
        TSP()(costs)


@pytest.mark.parametrize("k", [7, 12, 20])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_halves_of_a_graph_that_one_edge_joins_have_no_tour(k, dtype):
    first, second = (torch.from_numpy(ends) for ends in edge_ends(k))
    apart = (first < k // 2) != (second < k // 2)
    costs = torch.ones(3, len(first), dtype=dtype)
    costs[1, apart] = INF
    costs[1, apart.int().argmax()] = 1.0
    with pytest.raises(InfeasibleError, match=r"batch index 1 \(1 of 3 instances"):
        TSP()(costs)


@pytest.mark.parametrize("k", [7, 13])
def test_nan_and_minus_inf_stay_refused(k):
    costs = torch.ones(2, edge_count(k))
    for value in (float("nan"), -INF):
        costs[1, 3] = value
        with pytest.raises(SolverInputError, match="batch index 1 contain NaN or -inf"):
            TSP()(costs)


@pytest.mark.parametrize("unit", [5e-324, 1.5e-323, 2.0**1023])
def test_costs_that_differ_by_the_least_or_the_largest_double(unit):
    marks = (torch.rand(50, 66, generator=torch.Generator().manual_seed(0)) < 0.6).double()
    dear = (TSP()(marks * unit) * marks).sum(dim=1)
    assert torch.equal(dear, (TSP()(marks) * marks).sum(dim=1))
