"""Pairs of graphs as arrays: their sizes, edges and padding, and the matchings between them."""

import math
from collections.abc import Sequence
from itertools import permutations
from typing import Any, NamedTuple

import numpy as np
import scipy
import torch
from torch import Tensor

from combgrad.errors import SolverInputError
from combgrad.solvers.arrays import integer_array, to_array
from combgrad.solvers.blocks import Blocks

OWNER = "GraphMatching"


class Graphs(NamedTuple):
    """The graphs of a batch of B pairs."""

    nodes: tuple[int, int]  # N1, N2, padding included
    first: np.ndarray  # (B, E1, 2) the ends of the first graphs' edges, -1 at padding
    second: np.ndarray  # (B, E2, 2)
    valid: np.ndarray  # (B, N1 * N2 + E1 * E2) 1 where a cost is there

    @property
    def blocks(self) -> Blocks:
        """The blocks (N1, N2) and (E1, E2) of a joint vector."""
        return Blocks(self.nodes, (self.first.shape[1], self.second.shape[1]))

    @property
    def allowed(self) -> np.ndarray:
        """Which pairs of nodes are there, (B, N1, N2) bool."""
        pairs = self.valid[:, : math.prod(self.nodes)]
        return pairs.reshape(len(pairs), *self.nodes).astype(bool)


def read_graphs(
    like: Tensor,
    edges1: Any = None,
    edges2: Any = None,
    nodes: Sequence[int] | None = None,
    valid: Tensor | None = None,
) -> Graphs:
    """The graphs of the costs (B, n), from the arguments of a call, checked."""
    batch = len(like)
    first, second = _ends("edges1", edges1, batch), _ends("edges2", edges2, batch)
    rest = like.shape[1] - first.shape[1] * second.shape[1]
    sizes = _sizes(rest, nodes, (first.shape[1], second.shape[1]))
    for name, ends, most in (("edges1", first, sizes[0]), ("edges2", second, sizes[1])):
        _check_ends(name, ends, most)
    there = np.ones(like.shape, dtype=np.uint8)
    if valid is not None:
        there = np.ascontiguousarray(valid.cpu().numpy()).view(np.uint8)
    return Graphs(sizes, first, second, there)


def _ends(name: str, given: Any, batch: int) -> np.ndarray:
    """The ends of edges (B, E, 2), of one graph (E, 2) for all instances too."""
    if given is None:
        return np.zeros((batch, 0, 2), dtype=np.int64)
    try:
        ends = integer_array(name, given, "the two nodes of each edge, (B, E, 2)")
    except ValueError as error:
        raise SolverInputError(f"{OWNER}: {error}") from error
    if ends.size == 0 and ends.ndim < 3:
        ends = ends.reshape(0, 2)
    if ends.ndim == 2:
        ends = np.broadcast_to(ends, (batch, *ends.shape))
    if ends.ndim != 3 or ends.shape[2] != 2:
        raise SolverInputError(
            f"{OWNER}: {name} have shape {ends.shape}; pass the two nodes of each edge, (B, E, 2), "
            f"-1 at padding."
        )
    return np.ascontiguousarray(ends)


def _sizes(rest: int, nodes: Sequence[int] | None, edges: tuple[int, int]) -> tuple[int, int]:
    """N1 and N2, whose product is what the edges leave of a joint vector."""
    side = math.isqrt(max(rest, 0))
    sizes = (side, side) if nodes is None else tuple(int(count) for count in nodes)
    if len(sizes) == 2 and min(sizes) >= 0 and math.prod(sizes) == rest:
        return sizes[0], sizes[1]
    words = "the same number of nodes" if nodes is None else f"{tuple(sizes)} nodes"
    raise SolverInputError(
        f"{OWNER}: edges1 and edges2 hold {edges[0]} and {edges[1]} edges, which leave {rest} of "
        f"an instance's costs to pairs of nodes, and these do not fit graphs of {words}; pass "
        f"nodes=(N1, N2) and costs (B, N1 * N2 + E1 * E2)."
    )


def _check_ends(name: str, ends: np.ndarray, most: int) -> None:
    """Raise SolverInputError for an edge (B, E, 2) between nodes that are not there."""
    low, high = ends.min(axis=2, initial=0), ends.max(axis=2, initial=-1)
    wrong = (high >= most) | ((low < 0) & (high >= 0))
    if wrong.any():
        index, edge = np.argwhere(wrong)[0]
        raise SolverInputError(
            f"{OWNER}: {name} of batch index {index} hold an edge between the nodes "
            f"{ends[index, edge].tolist()}, and nodes count from 0 to {most - 1}; padding is -1 at "
            f"both ends."
        )


def labels_of(solution: Tensor, graphs: Graphs) -> np.ndarray:
    """The node of the second graph that each of the first has (B, N1), or -1."""
    count = math.prod(graphs.nodes)
    matrix = (solution[:, :count] > 0.5).cpu().numpy().reshape(len(solution), *graphs.nodes)
    if matrix.size == 0:
        return np.full(matrix.shape[:2], -1, dtype=np.int64)
    return np.where(matrix.any(axis=2), matrix.argmax(axis=2), -1).astype(np.int64)


def joint_solutions(labels: np.ndarray, graphs: Graphs) -> np.ndarray:
    """Labels (B, N1) as joint vectors (B, n) bool: matches, and y_ij y_kl for pairs of edges."""
    matches = labels[:, :, None] == np.arange(graphs.nodes[1])
    rows = np.arange(len(labels))[:, None, None]
    there = (graphs.first >= 0) & (graphs.first < graphs.nodes[0])
    ends = np.where(there, labels[rows, graphs.first], -1)
    # An end without a label, -1, must not meet the -1 of padding.
    ends[ends < 0] = -2
    products = (ends[:, :, None] == graphs.second[:, None]).all(axis=3)
    joint = np.concatenate([matches.reshape(len(labels), -1), products.reshape(len(labels), -1)], 1)
    return joint & graphs.valid.astype(bool)


def are_matchings(solution: Tensor, graphs: Graphs, full: bool) -> np.ndarray:
    """Which of the joint vectors (B, n) are matchings with their products, (B,) bool."""
    labels = labels_of(solution, graphs)
    # A row with two matches, or an entry that is neither 0 nor 1, differs from what is made here.
    joint = joint_solutions(labels, graphs)
    fitting = (to_array(solution) == joint).all(axis=1)
    pairs = joint[:, : math.prod(graphs.nodes)].reshape(len(joint), *graphs.nodes)
    alone = (pairs.sum(axis=1) <= 1).all(axis=1)
    if not full:
        return fitting & alone
    matches = (labels >= 0).sum(axis=1)
    return fitting & alone & (matches == [_most_matches(each) for each in graphs.allowed])


def _most_matches(allowed: np.ndarray) -> int:
    """How many of the nodes can be matched, by the pairs (N1, N2) that may be."""
    if allowed.size == 0:
        return 0
    graph = scipy.sparse.csr_matrix(allowed)
    matched = scipy.sparse.csgraph.maximum_bipartite_matching(graph, perm_type="column")
    return int((matched >= 0).sum())


def least_by_enumeration(costs: Tensor, graphs: Graphs, full: bool) -> Tensor:
    """The least cost of any matching of costs (B, n), (B,), of a few nodes."""
    n1, n2 = graphs.nodes
    labels = np.array([*{*permutations([*range(n2), *[-1] * n1], n1)}], dtype=np.int64)
    best = []
    for index, row in enumerate(to_array(costs)):
        each = Graphs(
            graphs.nodes,
            *(np.repeat(part[index : index + 1], len(labels), axis=0) for part in graphs[1:]),
        )
        # Labels of pairs that are not there lose them here, and are other labels of the list.
        joint = joint_solutions(labels, each)
        values = np.where(joint, row, 0.0).sum(axis=1)
        matches = joint[:, : n1 * n2].sum(axis=1)
        best.append(values[matches == matches.max()].min() if full else values.min())
    return torch.tensor(best, dtype=torch.float64, device=costs.device)
