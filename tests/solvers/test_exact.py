"""Every solver is exact: no other solution costs less, counted in whole numbers.

Costs of all sizes and dtypes, in all layouts, alone and in batches, with entries forbidden by inf,
against all solutions of small instances. `make fuzz` runs these tests on ever new ones.
"""

import itertools
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from combgrad.errors import InfeasibleError, SolverInputError
from combgrad.solvers import (
    TSP,
    Alignment,
    Assignment,
    BruteForceTSP,
    GraphShortestPath,
    Knapsack,
    Ranking,
    ShortestPath,
    Solver,
    SpanningTree,
    TopK,
)
from combgrad.solvers.brute_force import all_tours

DTYPES = [torch.float64, torch.float32, torch.bfloat16, torch.float16]


@dataclass(frozen=True)
class Problem:
    """A solver, the shape of its instances, and all its solutions (number, *shape)."""

    solver: Solver
    shape: tuple[int, ...]
    solutions: np.ndarray
    signed: bool = True


def choices(n):
    return np.array(list(itertools.product((0, 1), repeat=n))).reshape(-1, n)


def topk(n, k):
    rows = choices(n)
    return Problem(TopK(k), (n,), rows[rows.sum(axis=1) == k])


def ranking(n):
    return Problem(Ranking(), (n,), np.array(list(itertools.permutations(range(1, n + 1)))))


def knapsack(weights, capacity):
    rows = choices(len(weights))
    fitting = rows[rows @ np.array(weights) <= capacity]
    return Problem(Knapsack(weights, capacity), (len(weights),), fitting)


def assignment(n, m):
    rows = choices(n * m).reshape(-1, n, m) if n * m <= 12 else None
    if rows is None:
        eye = np.eye(m, dtype=int)
        rows = np.array([eye[list(p)] for p in itertools.permutations(range(m), n)])
    fits = (rows.sum(2) <= 1).all(1) & (rows.sum(1) <= 1).all(1)
    return Problem(Assignment(), (n, m), rows[fits & (rows.sum((1, 2)) == min(n, m))])


def tours(cities, solver):
    return Problem(solver, (cities * (cities - 1) // 2,), all_tours(cities).astype(int))


def trees(nodes, edges, solver):
    def spans(row):
        parts = {v: {v} for v in range(nodes)}
        for (a, b), mark in zip(edges, row, strict=True):
            if mark:
                if parts[a] is parts[b]:
                    return False
                joined = parts[a] | parts[b]
                parts |= dict.fromkeys(joined, joined)
        return len(parts[0]) == nodes

    return Problem(
        solver, (len(edges),), np.array([row for row in choices(len(edges)) if spans(row)])
    )


def walks(arcs, start, end):
    """All simple paths along arcs [(tail, head, entry)], as lists of entries."""

    def extend(node, seen, used):
        if node == end:
            yield used
            return
        for tail, head, entry in arcs:
            if tail == node and head not in seen:
                yield from extend(head, seen | {head}, [*used, entry])

    return list(extend(start, {start}, []))


def marked(paths, size):
    rows = np.zeros((len(paths), size), dtype=int)
    for row, path in zip(rows, paths, strict=True):
        row[path] = 1
    return rows


def graph(edges, nodes, directed, signed):
    arcs = [(a, b, i) for i, (a, b) in enumerate(edges)]
    if not directed:
        arcs += [(b, a, i) for a, b, i in arcs]
    solver = GraphShortestPath(edges, nodes, 0, nodes - 1, directed=directed)
    paths = marked(walks(arcs, 0, nodes - 1), len(edges))
    return Problem(solver, (len(edges),), paths, signed)


def grid(height, width, neighbours):
    cells = list(itertools.product(range(height), range(width)))
    arcs = [
        (a, b, b)
        for (a, (i, j)), (b, (k, m)) in itertools.product(enumerate(cells), repeat=2)
        if a != b and max(abs(i - k), abs(j - m)) == 1 and (neighbours == 8 or i == k or j == m)
    ]
    paths = [[0, *path] for path in walks(arcs, 0, len(cells) - 1)]
    rows = marked(paths, len(cells)).reshape(-1, height, width)
    return Problem(ShortestPath(neighbours), (height, width), rows, signed=False)


def alignment(n, m):
    steps = ((1, 1), (0, 1), (1, 0))
    arcs = [
        (i * (m + 1) + j, (i + di) * (m + 1) + j + dj, (i * (m + 1) + j) * 3 + move)
        for i, j in itertools.product(range(n + 1), range(m + 1))
        for move, (di, dj) in enumerate(steps)
        if i + di <= n and j + dj <= m
    ]
    size = (n + 1) * (m + 1)
    rows = marked(walks(arcs, 0, size - 1), 3 * size)
    return Problem(Alignment(), (n + 1, m + 1, 3), rows.reshape(-1, n + 1, m + 1, 3))


LADDER = [(0, 1), (0, 2), (1, 2), (1, 3), (2, 3), (2, 4), (3, 4), (0, 4), (0, 4)]
RING = [*LADDER, (4, 3), (3, 1), (2, 0), (2, 2)]
COMPLETE = list(itertools.combinations(range(4), 2))
PROBLEMS = {
    "topk": topk(6, 2),
    "topk-many": topk(7, 5),
    "ranking": ranking(4),
    "knapsack": knapsack([3, 1, 4, 1, 5, 2], 7),
    "knapsack-zero": knapsack([1, 0, 2, 0, 9], 2),
    "assignment": assignment(3, 3),
    "assignment-wide": assignment(2, 4),
    "assignment-tall": assignment(4, 3),
    "assignment-large": assignment(5, 5),
    "spanning-tree": trees(4, COMPLETE, SpanningTree(4)),
    "spanning-tree-edges": trees(5, LADDER, SpanningTree(edges=LADDER)),
    "graph-ordered": graph(LADDER, 5, True, True),
    "graph-cyclic": graph(RING, 5, True, False),
    "graph-undirected": graph(LADDER, 5, False, False),
    "grid-8": grid(3, 3, 8),
    "grid-4": grid(3, 4, 4),
    "alignment": alignment(2, 2),
    "alignment-long": alignment(1, 4),
    "brute-force": tours(5, BruteForceTSP()),
    "tsp": tours(5, TSP()),
    "tsp-even": tours(6, TSP()),
}

ordinary = st.floats(-10, 10)
magnitudes = st.builds(
    lambda sign, power, digits: sign * digits * 10.0**power,
    st.sampled_from([-1, 1]), st.integers(-300, 300), st.floats(1, 10),
)  # fmt: skip
few = st.sampled_from([0.0, -0.0, 0.1, 0.2, 0.3, 0.1 + 0.2, 1.0, 1.0 + 2.0**-52, -1.0])
edge = st.sampled_from([5e-324, -5e-324, 2.2e-308, 1.7e308, -1.7e308, 1e9, 1e16, -1e16])


@st.composite
def rows(draw, size):
    """One instance of a kind: plain, mixed, shifted, with large numbers that forbid, with ties."""
    kind = draw(st.sampled_from(["plain", "mixed", "shifted", "large", "ties", "edge", "inf"]))
    plain = st.lists(ordinary, min_size=size, max_size=size)
    if kind in ("mixed", "ties", "edge"):
        value = {"mixed": magnitudes, "ties": few, "edge": edge | ordinary | magnitudes}[kind]
        return draw(st.lists(value, min_size=size, max_size=size))
    values = draw(plain)
    if kind == "shifted":
        shift = draw(st.sampled_from([1e6, 1e10, -1e15]))
        return [value + shift for value in values]
    if kind in ("large", "inf"):
        large = draw(st.sampled_from([1e6, 1e9, 1e12, 1e17])) if kind == "large" else float("inf")
        where = draw(st.lists(st.booleans(), min_size=size, max_size=size))
        return [large if w else value for w, value in zip(where, values, strict=True)]
    return values


def laid_out(costs, layout):
    """The same costs (B, *S), not contiguous in memory, or all rows in one place."""
    if layout == "strided":
        return torch.stack([costs, torch.zeros_like(costs)], dim=-1)[..., 0]
    if layout == "batch last":
        return costs.movedim(0, -1).contiguous().movedim(-1, 0)
    if layout == "expanded":
        return costs[:1].expand(3, *costs.shape[1:])
    return costs


def whole(values):
    """Finite floats as integers, in units of the least double."""
    return [int(Fraction(value) * 2**1074) for value in values]


def least(problem, values):
    """The least exact cost of all solutions without forbidden entries, None for none."""
    forbidden = np.isinf(values)
    solutions = problem.solutions.reshape(len(problem.solutions), -1)
    allowed = solutions[~((solutions != 0) & forbidden).any(axis=1)]
    if not len(allowed):
        return None
    finite = np.array(whole(np.where(forbidden, 0.0, values).tolist()), dtype=object)
    return (allowed.astype(object) @ finite).min()


@pytest.mark.parametrize("name", PROBLEMS)
@given(data=st.data())
def test_no_other_solution_costs_less(name, data):
    problem = PROBLEMS[name]
    size = int(np.prod(problem.shape))
    batch = data.draw(st.integers(1, 3))
    dtype = data.draw(st.sampled_from(DTYPES))
    drawn = np.array([data.draw(rows(size)) for _ in range(batch)])
    drawn = drawn if problem.signed else np.abs(drawn)
    costs = torch.from_numpy(drawn).to(dtype).view(batch, *problem.shape)
    if dtype != torch.float64:
        # What is infinite in a smaller dtype only is an ordinary large cost.
        most = torch.finfo(dtype).max
        costs = torch.where(
            torch.from_numpy(np.isinf(drawn)).view_as(costs), costs, costs.clamp(-most, most)
        )
    costs = laid_out(costs, data.draw(st.sampled_from(["", "strided", "batch last", "expanded"])))
    values = costs.double().reshape(len(costs), -1).numpy()
    best = [least(problem, row) for row in values]
    if not problem.solver.forbids and np.isinf(values).any():
        with pytest.raises(SolverInputError, match="NaN or inf"):
            problem.solver(costs)
        return
    if None in best:
        with pytest.raises(InfeasibleError, match=f"batch index {best.index(None)}"):
            problem.solver(costs)
        return
    solution = problem.solver(costs)
    assert solution.dtype == dtype
    assert bool(problem.solver.feasible(solution).all())
    for marks, row, expected in zip(solution.reshape(len(costs), -1), values, best, strict=True):
        used = marks.double().numpy()
        assert not np.isinf(row[used != 0]).any()
        found = whole(np.where(used != 0, row, 0.0).tolist())
        assert sum(int(u) * f for u, f in zip(used, found, strict=True)) == expected


@pytest.mark.parametrize("name", [name for name in PROBLEMS if name != "ranking"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_feasible_knows_the_members_from_all_other_marks(name, dtype):
    problem = PROBLEMS[name]
    size = int(np.prod(problem.shape))
    random = np.random.default_rng(0)
    others = choices(size) if size <= 10 else random.integers(0, 2, (500, size))
    solutions = problem.solutions.reshape(len(problem.solutions), -1)
    members = {tuple(row) for row in solutions.tolist()}
    if isinstance(problem.solver, ShortestPath):
        # Paths with detours are never the only cheapest ones, and are no members.
        members = {tuple(row) for row in solutions.tolist() if not has_detour(problem, row)}
    rows = np.concatenate([others, solutions, 2 * solutions[:1], 0.5 * solutions[-1:]])
    marks = torch.from_numpy(rows).to(dtype).view(-1, *problem.shape)
    expected = [tuple(row) in members for row in rows.tolist()]
    assert problem.solver.feasible(marks).tolist() == expected
    assert problem.solver.feasible(laid_out(marks, "strided")).tolist() == expected
    assert problem.solver.feasible(marks[:0]).shape == (0,)


def has_detour(problem, row):
    cells = [divmod(cell, problem.shape[1]) for cell in np.flatnonzero(row)]
    reach = 1 if problem.solver.neighbours == 8 else 0
    touching = sum(
        max(abs(a - c), abs(b - d)) == 1 and (reach or a == c or b == d)
        for (a, b), (c, d) in itertools.combinations(cells, 2)
    )
    return touching != len(cells) - 1
