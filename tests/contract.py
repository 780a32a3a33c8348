"""The contract table of solvers: one row a solver, with all its solutions of a small instance."""

import importlib.util
import itertools
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch

from combgrad import solvers
from combgrad.instances import NOTHING, Instances
from combgrad.solvers.brute_force import all_tours


@dataclass(frozen=True)
class Row:
    """A solver and what is known of it from elsewhere.

    Attributes:
        solver: as it is made for instances of `shape`.
        shape: of its instances.
        solutions: all there are, (number, *shape).
        signed: whether costs may be negative.
        smaller: other shapes that it takes, as the first entries of each axis.
        exact: whether it is exact in whole numbers, and no tolerance has a say.
        rounding: how far an entry of an answer may lie from a solution's; more than 0 only where
            solutions are real numbers that no rounding reaches.
        instances: describes a batch of so many, each one otherwise; nothing unless overridden.
        needed: whether no call goes without a description; the solutions are those of the first.
    """

    solver: solvers.Solver
    shape: tuple[int, ...]
    solutions: np.ndarray
    signed: bool = True
    smaller: tuple[tuple[int, ...], ...] = ()
    exact: bool = True
    rounding: float = 0.0
    instances: Callable[[int], Instances] = lambda batch: NOTHING
    needed: bool = False

    def described(self, batch):
        """A batch of so many that all have these solutions."""
        return self.instances(1).repeat(batch) if self.needed else NOTHING


def choices(n):
    return np.array(list(itertools.product((0, 1), repeat=n))).reshape(-1, n)


def topk(n, k):
    rows = choices(n)
    return Row(solvers.TopK(k), (n,), rows[rows.sum(axis=1) == k], smaller=((k,), (n - 1,)))


def ranking(n, normalised=False):
    rows = np.array(list(itertools.permutations(range(1, n + 1))))
    if normalised:
        return Row(solvers.Ranking(normalised=True), (n,), rows / n, exact=False)
    return Row(solvers.Ranking(), (n,), rows, smaller=((1,), (n - 1,)))


def knapsack(weights, capacity):
    rows = choices(len(weights))
    fitting = rows[rows @ np.array(weights) <= capacity]
    return Row(solvers.Knapsack(weights, capacity), (len(weights),), fitting)


def assignment(n, m):
    rows = choices(n * m).reshape(-1, n, m) if n * m <= 12 else None
    if rows is None:
        eye = np.eye(m, dtype=int)
        rows = np.array([eye[list(p)] for p in itertools.permutations(range(m), n)])
    fits = (rows.sum(2) <= 1).all(1) & (rows.sum(1) <= 1).all(1)
    members = rows[fits & (rows.sum((1, 2)) == min(n, m))]
    return Row(solvers.Assignment(), (n, m), members, smaller=((n - 1, m), (n, 1)))


def tours(cities, solver):
    members = all_tours(cities).astype(int)
    return Row(solver, (cities * (cities - 1) // 2,), members, smaller=((3,), (6,)))


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

    members = np.array([row for row in choices(len(edges)) if spans(row)])
    return Row(solver, (len(edges),), members)


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
    solver = solvers.GraphShortestPath(edges, nodes, 0, nodes - 1, directed=directed)
    paths = marked(walks(arcs, 0, nodes - 1), len(edges))
    return Row(solver, (len(edges),), paths, signed)


def grid(height, width, neighbours):
    cells = list(itertools.product(range(height), range(width)))
    arcs = [
        (a, b, b)
        for (a, (i, j)), (b, (k, m)) in itertools.product(enumerate(cells), repeat=2)
        if a != b and max(abs(i - k), abs(j - m)) == 1 and (neighbours == 8 or i == k or j == m)
    ]
    paths = [[0, *path] for path in walks(arcs, 0, len(cells) - 1)]
    rows = marked(paths, len(cells)).reshape(-1, height, width)
    return Row(
        solvers.ShortestPath(neighbours),
        (height, width),
        rows,
        signed=False,
        smaller=((2, 3), (1, 2)),
    )


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
    members = rows.reshape(-1, n + 1, m + 1, 3)
    return Row(solvers.Alignment(), (n + 1, m + 1, 3), members, smaller=((2, 2, 3), (1, m + 1, 3)))


def tied_alignment(n, m, gap):
    """What the paths of `alignment` pay for: a node after the last one pays for the last."""
    members = alignment(n, m).solutions
    paid = np.zeros((len(members), n, m))
    for path, i, j, move in zip(*np.nonzero(members), strict=True):
        paid[path, min(i, n - 1), min(j, m - 1)] += 1.0 if move == 0 else gap
    rows = np.unique(paid, axis=0)
    return Row(solvers.TiedAlignment(gap), (n, m), rows, smaller=((1, m), (n, 1)), exact=False)


def two_smallest(costs):
    """A function of one instance, at the top of a module, as worker processes need it."""
    chosen = np.zeros_like(costs)
    chosen[np.argsort(costs, kind="stable")[:2]] = 1
    return chosen


def corners(batch):
    """Paths from any cell of the first row to the second one."""
    ends = torch.tensor([[1, b % 2] for b in range(batch)]).view(batch, 2)
    return Instances({"end": ends}, {"start": (0, 1)})


def lengths(batch):
    """Sequences of one position and of one or none."""
    return Instances({"lengths": [[1, b % 2] for b in range(batch)]})


#: Length, earliest start, latest end, energy and use of each task; what machines have room for.
TASKS = [[2, 0, 5, 3, 2], [1, 1, 4, 2, 3], [3, 0, 6, 1, 1]]
ROOM = [[3], [2]]


def schedules():
    """All schedules of three tasks on two machines, as the energy that they use in each slot."""
    places = [
        [(s, m) for s in range(early, late - length + 1) for m in range(len(ROOM))]
        for length, early, late, _, _ in TASKS
    ]
    rows = set()
    for chosen in itertools.product(*places):
        used, energy = np.zeros((len(ROOM), 6)), np.zeros(6, dtype=int)
        for (start, machine), (length, _, _, each, use) in zip(chosen, TASKS, strict=True):
            used[machine, start : start + length] += use
            energy[start : start + length] += each
        if (used <= np.array(ROOM)).all():
            rows.add(tuple(energy.tolist()))
    return Row(
        solvers.EnergyScheduling(),
        (6,),
        np.array(sorted(rows)),
        exact=False,
        instances=lambda batch: Instances(shared={"tasks": TASKS, "capacities": ROOM}),
    )


def installed(name):
    return importlib.util.find_spec(name) is not None


def portfolio():
    """Shares (a, 1 - a) of two assets with a^2 + (1 - a)^2 / 2 <= 19/32: a from 0 to 3/4."""
    solver = solvers.Portfolio([[1.0, 0.0], [0.0, 0.5]], 19 / 32)
    return Row(solver, (2,), np.array([[0.75, 0.25], [0.0, 1.0]]), exact=False, rounding=1e-12)


LADDER = [(0, 1), (0, 2), (1, 2), (1, 3), (2, 3), (2, 4), (3, 4), (0, 4), (0, 4)]
RING = [*LADDER, (4, 3), (3, 1), (2, 0), (2, 2)]
COMPLETE = list(itertools.combinations(range(4), 2))
#: Every solver has a row here, and every test of `test_contract.py` holds for every row.
ROWS = {
    "topk": topk(6, 2),
    "topk-many": topk(7, 5),
    "ranking": ranking(4),
    "normalised ranking": ranking(4, normalised=True),
    "knapsack": knapsack([3, 1, 4, 1, 5, 2], 7),
    "knapsack-weights": replace(
        knapsack([3, 1, 4, 1, 5, 2], 7),
        solver=solvers.Knapsack(None, 7),
        needed=True,
        instances=lambda batch: Instances(
            {"weights": np.array([[3, 1 + b % 2, 4, 1, 5, 2] for b in range(batch)]).reshape(-1, 6)}
        ),
    ),
    "knapsack-zero": knapsack([1, 0, 2, 0, 9], 2),
    "portfolio": portfolio(),
    "assignment": assignment(3, 3),
    "assignment-wide": assignment(2, 4),
    "assignment-tall": assignment(4, 3),
    "assignment-large": assignment(5, 5),
    "spanning-tree": trees(4, COMPLETE, solvers.SpanningTree(4)),
    "spanning-tree-any": replace(trees(4, COMPLETE, solvers.SpanningTree()), smaller=((1,), (3,))),
    "spanning-tree-edges": trees(5, LADDER, solvers.SpanningTree(edges=LADDER)),
    "graph-ordered": graph(LADDER, 5, True, True),
    "graph-cyclic": graph(RING, 5, True, False),
    "graph-undirected": graph(LADDER, 5, False, False),
    "grid-8": grid(3, 3, 8),
    "grid-4": grid(3, 5, 4),
    "alignment": alignment(2, 2),
    "alignment-long": alignment(1, 4),
    "tied-alignment": tied_alignment(3, 3, 1.5),
    "tied-alignment-cheap": tied_alignment(2, 4, 0.25),
    "tied-alignment-lengths": replace(
        tied_alignment(2, 3, 1.5),
        instances=lambda batch: Instances(
            {"lengths": [[1 + b % 2, 3 - b % 3] for b in range(batch)]}
        ),
        smaller=(),
    ),
    "brute-force": tours(5, solvers.BruteForceTSP()),
    "tsp": tours(5, solvers.TSP()),
    "tsp-even": tours(6, solvers.TSP()),
    "grid-ends": replace(grid(3, 3, 8), instances=corners, smaller=((2, 3), (2, 2))),
    "alignment-lengths": replace(
        alignment(2, 2), instances=lengths, smaller=((2, 2, 3), (2, 3, 3))
    ),
    "cached": replace(topk(6, 2), solver=solvers.Cached(solvers.TopK(2))),
    "function": replace(
        topk(6, 2),
        solver=solvers.from_function(two_smallest, traits=solvers.TopK.traits),
        exact=False,
    ),
}
MATCHINGS = choices(9)[
    (choices(9).reshape(-1, 3, 3).sum(axis=1) <= 1).all(axis=1)
    & (choices(9).reshape(-1, 3, 3).sum(axis=2) <= 1).all(axis=1)
]
ROWS["energy-scheduling"] = schedules()
ROWS["graph-matching"] = Row(
    solvers.GraphMatching(branches=None),
    (9,),
    MATCHINGS,
    exact=False,
    instances=lambda batch: Instances(shared={"nodes": (3, 3)}),
)
if installed("highspy"):
    ROWS["ilp"] = Row(
        solvers.ILP([[1, 1, 1, 1]], upper=2),
        (4,),
        choices(4)[choices(4).sum(axis=1) <= 2],
        exact=False,
    )
if installed("gurobipy"):
    ROWS["gurobi"] = replace(tours(5, solvers.GurobiTSP()), exact=False)
