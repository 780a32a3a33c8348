"""The compiled matching of graphs against enumeration, an integer program and published optima."""

import os
import tarfile
from itertools import combinations, permutations
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.optimize import LinearConstraint, linear_sum_assignment, milp
from scipy.sparse import coo_matrix

from combgrad.solvers.kernels.matching import match_range

Array = NDArray[np.float64]
QUICK, THOROUGH, EXACT = (2, 4, 0), (50, 100, 100), (50, 100, -1)


class Pair(NamedTuple):
    """Two graphs: node costs (n1, n2), edge costs (E1, E2), edges (E1, 2) and (E2, 2)."""

    nodes: Array
    edges: Array
    first: NDArray[np.int64]
    second: NDArray[np.int64]


class Answer(NamedTuple):
    labels: list[int]  # -1 for unmatched
    products: NDArray[np.uint8]
    value: float
    bound: float
    proven: bool


def match(
    pair: Pair,
    effort: tuple[int, int, int] = THOROUGH,
    full: bool = False,
    near: list[int] | None = None,
) -> Answer:
    n1, n2 = pair.nodes.shape
    costs = np.concatenate([pair.nodes.ravel(), pair.edges.ravel()])[None]
    solution, report = np.zeros(costs.shape, dtype=np.uint8), np.zeros((1, 3))
    match_range(
        costs,
        np.ones_like(solution),
        pair.first.reshape(1, -1, 2),
        pair.second.reshape(1, -1, 2),
        np.array([[-1] * n1 if near is None else near], dtype=np.int64),
        n2,
        full,
        np.array(effort),
        0,
        1,
        solution,
        report,
        np.zeros(1, dtype=np.int64),
    )
    matrix = solution[0, : n1 * n2].reshape(n1, n2)
    assert matrix.sum(axis=0).max(initial=0) <= 1
    assert matrix.sum(axis=1).max(initial=0) <= 1
    labels = [int(row.argmax()) if row.any() else -1 for row in matrix]
    products = solution[0, n1 * n2 :].reshape(pair.edges.shape)
    return Answer(labels, products, *report[0, :2], proven=bool(report[0, 2]))


def products_of(pair: Pair, labels: list[int]) -> NDArray[np.bool_]:
    """y_ij y_kl of every edge (i, k) on every edge (j, l), by a plain loop."""
    return np.array(
        [
            [labels[i] == s and labels[j] == t for s, t in pair.second.tolist()]
            for i, j in pair.first.tolist()
        ],
        dtype=bool,
    ).reshape(pair.edges.shape)


def cost_of(pair: Pair, labels: list[int]) -> float:
    nodes = sum(pair.nodes[i, s] for i, s in enumerate(labels) if s >= 0)
    return float(nodes + pair.edges[products_of(pair, labels)].sum())


def all_matchings(n1: int, n2: int, full: bool) -> list[list[int]]:
    found = []
    for size in range(min(n1, n2) if full else 0, min(n1, n2) + 1):
        for rows in combinations(range(n1), size):
            for columns in permutations(range(n2), size):
                labels = [-1] * n1
                for row, column in zip(rows, columns, strict=True):
                    labels[row] = column
                found.append(labels)
    return found


def optimum(pair: Pair, full: bool = False) -> float:
    return min(cost_of(pair, labels) for labels in all_matchings(*pair.nodes.shape, full))


def integer_program(pair: Pair) -> float:
    """The optimum by HiGHS: one variable a product of matches, at most both of them."""
    n1, n2 = pair.nodes.shape
    products = [(e, f) for e in range(len(pair.first)) for f in range(len(pair.second))]
    count = n1 * n2
    costs = np.concatenate([pair.nodes.ravel(), pair.edges.ravel()])
    entries, upper = [], []

    def row(most: float, *terms: tuple[int, float]) -> None:
        entries.extend((len(upper), place, value) for place, value in terms)
        upper.append(most)

    for i in range(n1):
        row(1, *((i * n2 + s, 1.0) for s in range(n2)))
    for s in range(n2):
        row(1, *((i * n2 + s, 1.0) for i in range(n1)))
    for place, (e, f) in enumerate(products):
        one, other = (int(pair.first[e, side] * n2 + pair.second[f, side]) for side in (0, 1))
        row(0, (count + place, 1.0), (one, -1.0))
        row(0, (count + place, 1.0), (other, -1.0))
        row(1, (one, 1.0), (other, 1.0), (count + place, -1.0))
    rows, columns, values = zip(*entries, strict=True)
    matrix = coo_matrix((values, (rows, columns)), shape=(len(upper), len(costs)))
    result = milp(
        costs,
        integrality=np.arange(len(costs)) < count,
        bounds=(0, 1),
        constraints=LinearConstraint(matrix.tocsr(), -np.inf, upper),
        options={"mip_rel_gap": 0.0},
    )
    assert result.success
    return float(result.fun)


def random_pair(seed: int, n1: int, n2: int, edges: int, whole: bool = False) -> Pair:
    """Random costs on random edges, loops, parallel and opposite ones among them."""
    random = np.random.default_rng(seed)
    e1, e2 = random.integers(0, edges + 1, 2)
    shapes = (n1, n2), (e1, e2)
    costs = [random.integers(-2, 3, s) if whole else random.normal(size=s) for s in shapes]
    first, second = random.integers(0, n1, (e1, 2)), random.integers(0, n2, (e2, 2))
    return Pair(costs[0].astype(float), costs[1].astype(float), first, second)


def ring_pair(seed: int, n: int) -> Pair:
    """Random costs on two rings with chords, all edges in both directions."""
    random = np.random.default_rng(seed)
    forth = np.array([(i, (i + step) % n) for i in range(n) for step in (1, 2)])
    edges = np.concatenate([forth, forth[:, ::-1]])
    shape = (len(edges), len(edges))
    return Pair(random.normal(size=(n, n)), random.normal(size=shape), edges, edges)


def assert_consistent(pair: Pair, answer: Answer, best: float) -> None:
    """The answer is a matching of that cost, and the optimum lies between bound and cost."""
    np.testing.assert_array_equal(answer.products, products_of(pair, answer.labels))
    size = 1e-12 + 1e-8 * (np.abs(pair.nodes).sum() + np.abs(pair.edges).sum())
    assert abs(cost_of(pair, answer.labels) - answer.value) <= size
    assert answer.bound - size <= best <= answer.value + size
    if answer.proven:
        assert answer.value <= best + size


@settings(max_examples=150, deadline=None)
@given(
    st.integers(0, 10**6),
    st.integers(1, 5),
    st.integers(1, 5),
    st.booleans(),
    st.booleans(),
    st.sampled_from([QUICK, THOROUGH, EXACT]),
)
def test_like_enumeration(
    seed: int, n1: int, n2: int, whole: bool, full: bool, effort: tuple[int, int, int]
) -> None:
    pair = random_pair(seed, n1, n2, 10, whole)
    answer = match(pair, effort, full)
    assert_consistent(pair, answer, optimum(pair, full))
    assert answer.proven or effort != EXACT
    if full:
        assert sum(label >= 0 for label in answer.labels) == min(n1, n2)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("full", [False, True])
def test_seven_nodes_like_enumeration(seed: int, full: bool) -> None:
    pair = ring_pair(seed, 6 if not full else 7)
    answer = match(pair, EXACT, full)
    assert_consistent(pair, answer, optimum(pair, full))
    assert answer.proven


@pytest.mark.parametrize("seed", range(2))
def test_like_an_integer_program(seed: int) -> None:
    random = np.random.default_rng(seed)
    pair = ring_pair(seed, 8)
    kept = pair.first[:10]
    # Some signal, without which the integer program takes minutes.
    nodes = pair.nodes - 2.0 * np.eye(8)[random.permutation(8)]
    pair = Pair(nodes, pair.edges[:10], kept, pair.second)
    answer = match(pair, EXACT)
    best = integer_program(pair)
    assert answer.proven
    assert answer.value == pytest.approx(best, abs=1e-6)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 12), st.integers(1, 12))
def test_without_edges_it_is_linear_assignment(seed: int, n1: int, n2: int) -> None:
    nodes = np.random.default_rng(seed).normal(size=(n1, n2))
    none = np.zeros((0, 2), dtype=np.int64)
    answer = match(Pair(nodes, np.zeros((0, 0)), none, none), (1, 0, 0))
    # Leaving a node unmatched costs nothing, as does a match at cost 0.
    free = np.minimum(nodes, 0.0)
    assert answer.proven
    assert answer.value == pytest.approx(free[linear_sum_assignment(free)].sum())


@pytest.mark.parametrize("size", [1e-300, 1e-3, 1e12, 1e300])
def test_costs_of_any_magnitude(size: float) -> None:
    pair = ring_pair(1, 6)
    answer = match(pair, EXACT)
    scaled = match(pair._replace(nodes=pair.nodes * size, edges=pair.edges * size), EXACT)
    assert scaled.labels == answer.labels
    assert scaled.value / size == pytest.approx(answer.value)
    assert scaled.proven


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("cost", [0.0, 1.0, -1.0])
def test_equal_costs(cost: float, full: bool) -> None:
    pair = ring_pair(0, 6)
    same = pair._replace(nodes=np.full((6, 6), cost), edges=np.zeros_like(pair.edges))
    answer = match(same, EXACT, full)
    assert answer.proven
    assert answer.value == (6 * cost if full else min(0.0, 6 * cost))


def test_a_node_that_costs_more_than_it_brings_stays_alone() -> None:
    edges = np.array([[0, 1]])
    pair = Pair(np.array([[-1.0, 9.0], [9.0, 0.5]]), np.array([[-0.4]]), edges, edges)
    assert match(pair).labels == [0, -1]
    assert match(pair._replace(edges=np.array([[-0.6]]))).labels == [0, 1]
    assert match(pair, full=True).labels == [0, 1]


def test_a_pair_of_infinite_cost_stays_apart() -> None:
    pair = ring_pair(3, 6)
    best = match(pair, EXACT).labels
    nodes = pair.nodes.copy()
    nodes[0, best[0]] = np.inf
    answer = match(pair._replace(nodes=nodes), EXACT)
    allowed = [x for x in all_matchings(6, 6, False) if x[0] != best[0]]
    assert answer.labels[0] != best[0]
    assert answer.value == pytest.approx(min(cost_of(pair, labels) for labels in allowed))


def test_edges_that_may_not_meet() -> None:
    pair = ring_pair(4, 6)
    best = match(pair, EXACT)
    met = tuple(np.argwhere(best.products)[0])
    edges = pair.edges.copy()
    edges[met] = np.inf
    answer = match(pair._replace(edges=edges), EXACT)
    allowed = [x for x in all_matchings(6, 6, False) if not products_of(pair, x)[met]]
    assert not answer.products[met]
    assert answer.value == pytest.approx(min(cost_of(pair, labels) for labels in allowed))


def test_padding_changes_nothing() -> None:
    """Rows, columns and edges that are not there, whatever their costs."""
    pair = ring_pair(5, 6)
    n, e = 6, len(pair.first)
    nodes, edges = np.full((8, 9), -50.0), np.full((e + 2, e + 3), -50.0)
    nodes[:n, :n], edges[:e, :e] = pair.nodes, pair.edges
    there = np.concatenate([(nodes != -50).ravel(), (edges != -50).ravel()])
    first = np.concatenate([pair.first, np.full((2, 2), -1)])
    second = np.concatenate([pair.second, np.full((3, 2), -1)])
    costs = np.concatenate([nodes.ravel(), edges.ravel()])
    solution, report = np.zeros((1, len(costs)), dtype=np.uint8), np.zeros((1, 3))
    match_range(
        costs[None],
        there[None].astype(np.uint8),
        first[None],
        second[None],
        np.full((1, 8), -1),
        9,
        False,
        np.array(EXACT),
        0,
        1,
        solution,
        report,
        np.zeros(1, dtype=np.int64),
    )
    answer = match(pair, EXACT)
    assert report[0, 0] == answer.value
    assert not solution[0, ~there].any()
    assert solution[0, : 8 * 9].reshape(8, 9)[:n, :n].argmax(axis=1).tolist() == [
        max(label, 0) for label in answer.labels
    ]


def test_a_known_matching_is_where_the_search_begins() -> None:
    pair = ring_pair(6, 10)
    good = match(pair, (50, 2000, 0))
    poor = match(pair, (1, 0, 0))
    assert poor.value > good.value
    assert match(pair, (1, 0, 0), near=good.labels).value <= good.value + 1e-9
    # Labels that are none, or stand twice, are left out.
    assert match(pair, (1, 0, 0), near=[0, 0, 99, *[-1] * 7]).value <= 0.0


def test_more_effort_is_never_worse() -> None:
    for seed in range(3):
        pair = ring_pair(seed, 12)
        answers = [match(pair, effort) for effort in ((1, 0, 0), (20, 50, 0), (20, 500, 0))]
        values = [answer.value for answer in answers]
        assert values == sorted(values, reverse=True)
        assert answers[0].bound <= answers[1].bound + 1e-12


def quadratic_assignment(name: str) -> tuple[Pair, float]:
    """A problem of QAPLIB as two graphs, with an edge for each entry that is not 0."""
    folder = Path(os.environ.get("COMBGRAD_DATA", "")) / "qaplib"
    archive = folder / "qaplib.tgz"
    if "COMBGRAD_DATA" not in os.environ or not archive.exists():
        pytest.skip("COMBGRAD_DATA names no folder with qaplib/qaplib.tgz")
    texts = []
    with tarfile.open(archive) as opened:
        for file in (f"{name}.txt", "solution.txt"):
            member = opened.extractfile(f"instance/{name}/{file}")
            assert member is not None
            texts.append(member.read().decode().split())
    n = int(texts[0][0])
    a, b = np.array(texts[0][1 : 1 + 2 * n * n], dtype=float).reshape(2, n, n)
    first, second = np.argwhere(a), np.argwhere(b)
    edges = a[tuple(first.T)][:, None] * b[tuple(second.T)][None]
    return Pair(np.zeros((n, n)), edges, first, second), float(texts[1][1])


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("name", "within"),
    [
        ("nug12", 0.01), ("nug15", 0.01), ("nug20", 0.02),
        ("chr12a", 0.0), ("chr15a", 0.2), ("had12", 0.0), ("had20", 0.01), ("rou12", 0.02),
        ("scr12", 0.0), ("scr20", 0.04), ("esc16a", 0.0), ("esc16j", 0.0),
        ("tai12a", 0.04), ("tai20a", 0.04),
    ],
)  # fmt: skip
def test_quadratic_assignment_library(name: str, within: float) -> None:
    """Much harder than what layers see: the cost is never below the optimum, the bound never above.

    Within is how far the cost may be above: 0 where the optimum is found.
    """
    pair, best = quadratic_assignment(name)
    answer = match(pair, (50, 1000, 0), full=True)
    assert best <= answer.value <= best * (1 + within)
    assert answer.bound <= best
