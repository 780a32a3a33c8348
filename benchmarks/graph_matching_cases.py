"""Matching of graphs, against pylibmgm's fusion moves and pygmtools' random walks."""

import importlib
import logging
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from scipy.spatial import Delaunay
from torch import Tensor

from benchmarks.cases import Call, Case, Implementation, Plan, function
from combgrad.solvers import GraphMatching
from combgrad.solvers.matching_graphs import joint_solutions, read_graphs

SIZES = (10, 20, 30)
BATCH = 8

#: How much the true matches stand out of noise of deviation 1.
SIGNALS = {"easy": 2.0, "hard": 0.5}

#: Of three seeds tried the one whose answers are neither the best nor the worst.
PEER_SEED = 2

#: Where nothing is proven: what a solution may cost more than that of fusion moves.
SLACK = 1e-3


class Pairs(NamedTuple):
    """A batch of pairs of graphs of n nodes; edges as lists, since their numbers differ."""

    nodes: np.ndarray  # (B, n, n)
    edges: list[np.ndarray]  # of (E1, E2)
    first: list[np.ndarray]  # of (E1, 2)
    second: list[np.ndarray]

    def each(self) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
        """The node costs, edge costs and edges of one pair after the other."""
        return zip(self.nodes, self.edges, self.first, self.second, strict=True)

    def joint(self) -> tuple[Tensor, dict[str, Any]]:
        """Joint costs (B, n n + E E), and the arguments that describe them."""
        most = max(map(len, [*self.first, *self.second]))
        costs = np.zeros((len(self.nodes), most, most))
        ends = np.full((2, len(self.nodes), most, 2), -1)
        for row, block in enumerate(self.edges):
            costs[row, : block.shape[0], : block.shape[1]] = block
            ends[0, row, : block.shape[0]] = self.first[row]
            ends[1, row, : block.shape[1]] = self.second[row]
        joint = np.concatenate(
            [self.nodes.reshape(len(costs), -1), costs.reshape(len(costs), -1)], 1
        )
        edges1, edges2 = torch.from_numpy(ends)
        return torch.from_numpy(joint), {"edges1": edges1, "edges2": edges2}


def delaunay(points: np.ndarray) -> np.ndarray:
    """The edges (E, 2) of a triangulation, in both directions."""
    triangles = Delaunay(points).simplices
    sides = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [0, 2]]])
    return np.unique(np.concatenate([sides, sides[:, ::-1]]), axis=0).astype(np.int64)


def pairs_of_graphs(size: int, signal: float) -> Pairs:
    """Points and moved, shuffled copies of them; costs as a network's, from noisy similarities."""
    random = np.random.default_rng(size)

    def costs(true: np.ndarray, weight: float) -> np.ndarray:
        similarity = random.standard_normal(true.shape) + signal * true
        return -weight * (np.logaddexp(0.0, similarity) - 0.5)

    nodes, edges, first, second = [], [], [], []
    for _ in range(BATCH):
        points, places = random.random((size, 2)), random.permutation(size)
        moved = np.empty_like(points)
        moved[places] = points + 0.03 * random.standard_normal(points.shape)
        one, other = delaunay(points), delaunay(moved)
        nodes.append(costs(np.eye(size)[:, np.argsort(places)], 1.0))
        edges.append(costs((places[one][:, None] == other[None]).all(axis=2), 0.5))
        first.append(one)
        second.append(other)
    return Pairs(np.array(nodes), edges, first, second)


def joint_of(pairs: Pairs, labels: list[list[int]]) -> Tensor:
    """Labels of each pair's nodes, -1 for none, as joint solutions (B, n n + E E)."""
    costs, edges = pairs.joint()
    graphs = read_graphs(costs, edges["edges1"], edges["edges2"], None, None)
    return torch.from_numpy(joint_solutions(np.array(labels), graphs)).to(costs.dtype)


def fusion_moves(pairs: Pairs, costs: Tensor) -> Call:
    """pylibmgm's solver, on models that are made beforehand."""
    del costs
    mgm = importlib.import_module("pylibmgm")
    logging.getLogger("libmgm").setLevel(logging.ERROR)
    mgm.omp_set_num_threads(1)
    # 0 would give other answers in every run.
    mgm.QAPSolver.libmpopt_seed = PEER_SEED
    models = []
    for nodes, edges, first, second in pairs.each():
        model = mgm.GmModel(mgm.Graph(0, nodes.shape[0]), mgm.Graph(1, nodes.shape[1]))
        for (i, s), cost in np.ndenumerate(nodes):
            model.add_assignment(i, s, cost)
        sums: dict[tuple[int, int, int, int], float] = {}
        for (e, f), cost in np.ndenumerate(edges):
            (i, j), (s, t) = first[e].tolist(), second[f].tolist()
            key = (i, s, j, t) if i < j else (j, t, i, s)
            sums[key] = sums.get(key, 0.0) + cost
        for key, cost in sums.items():
            model.add_edge(*key, cost)
        models.append(model)
    return lambda: [list(mgm.QAPSolver(model).run().labeling()) for model in models]


def random_walks(pairs: Pairs, costs: Tensor) -> Call:
    """pygmtools' reweighted random walks and the Hungarian method, on affinities made beforehand.

    It matches every node.
    """
    del costs
    tools = importlib.import_module("pygmtools")
    size = pairs.nodes.shape[1]
    affinities = np.zeros((BATCH, size, size, size, size))
    for row, (nodes, edges, first, second) in enumerate(pairs.each()):
        for i, s in np.ndindex(size, size):
            affinities[row, s, i, s, i] = -nodes[i, s]
        tails, heads = first[:, :1], first[:, 1:]
        starts, stops = second[None, :, 0], second[None, :, 1]
        affinities[row, starts, tails, stops, heads] = -edges
    # Random walks take no negative weights.
    kernel = np.maximum(affinities.reshape(BATCH, size**2, size**2), 0.0)
    counts = np.full(BATCH, size)

    def solve() -> list[list[int]]:
        soft = tools.rrwm(kernel, counts, counts, backend="numpy")
        hard = tools.hungarian(soft, counts, counts, backend="numpy")
        return [matrix.argmax(axis=1).tolist() for matrix in hard]

    return solve


def graph_matching_case(size: int, kind: str) -> Case:
    """Pairs of Delaunay graphs, both directions of each edge."""
    pairs = pairs_of_graphs(size, SIGNALS[kind])
    costs, described = pairs.joint()
    decode: Callable[[list[list[int]]], Tensor] = partial(joint_of, pairs)
    return Case(
        f"graph_matching, {kind}",
        size,
        costs,
        (
            Implementation("pylibmgm", partial(fusion_moves, pairs), foreign=True, decode=decode),
            Implementation("pygmtools", partial(random_walks, pairs), foreign=True, decode=decode),
            function("combgrad", partial(GraphMatching(), **described)),
        ),
        slack=SLACK,
    )


def graph_matching_plans(threads: int) -> list[Plan]:
    """All cases, at one thread, as their batches are small."""
    del threads
    return [
        Plan(
            f"graph_matching {kind} {size}",
            partial(graph_matching_case, size, kind),
            quick=size == SIZES[0],
        )
        for kind in SIGNALS
        for size in SIZES
    ]
