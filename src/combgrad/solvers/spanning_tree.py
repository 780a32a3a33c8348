"""Minimum spanning trees, exact, in compiled code."""

from collections.abc import Iterable, Sequence

import numpy as np
import scipy
import torch
from torch import Tensor

from combgrad.errors import SolverInputError
from combgrad.solvers.arrays import integer_array, to_native_array, to_tensor
from combgrad.solvers.base import Solver, Trait, check_rows
from combgrad.solvers.edges import city_count, edge_ends
from combgrad.solvers.kernels.kruskal import span, span_parallel
from combgrad.solvers.threads import checked_threads, on_threads

#: Expected work, for the choice of threads.
SECONDS_AN_EDGE = 2e-8


def components(ends: np.ndarray, nodes: int) -> int:
    """In how many pieces the graph of `nodes` nodes falls, with edges between `ends` (E, 2)."""
    entries = np.ones(len(ends)), (ends[:, 0], ends[:, 1])
    graph = scipy.sparse.coo_matrix(entries, shape=(nodes, nodes))
    count = scipy.sparse.csgraph.connected_components(graph, directed=False, return_labels=False)
    return int(count)


def checked_ends(edges: Iterable[Sequence[int]], nodes: int | None) -> tuple[np.ndarray, int]:
    """An edge list as int64 (E, 2), and the number of its nodes; raises ValueError for a bad one.

    Nodes count from 0; a tree has to be able to reach all of them.
    """
    pairs = edges if isinstance(edges, Tensor | np.ndarray) else list(edges)
    ends = integer_array("edges", pairs, "pairs of nodes, (E, 2)")
    if ends.size == 0:
        ends = ends.reshape(0, 2)
    if ends.ndim != 2 or ends.shape[1] != 2:
        raise ValueError(f"edges have shape {ends.shape}; pass pairs of nodes, (E, 2).")
    count = nodes if nodes is not None else int(ends.max(initial=0)) + 1
    if count < 1 or ends.min(initial=0) < 0 or ends.max(initial=0) >= count:
        raise ValueError(
            f"edges name the nodes {ends.min(initial=0)} to {ends.max(initial=0)} of {count}; "
            f"nodes count from 0 to {count - 1}."
        )
    loops = np.flatnonzero(ends[:, 0] == ends[:, 1])
    if loops.size:
        raise ValueError(
            f"edge {loops[0]} joins node {ends[loops[0], 0]} to itself, and is in no tree; leave "
            f"such edges out."
        )
    pieces = components(ends, count)
    if pieces > 1:
        raise ValueError(
            f"the edges leave {count} nodes in {pieces} separate pieces, which no tree can span; "
            f"add edges between them, or leave out nodes without any."
        )
    return ends, count


class SpanningTree(Solver):
    """The minimum spanning tree: y(w) = argmin <w, y> over the spanning trees y of a graph.

    Costs (B, E) of any sign, one for each edge; solutions (B, E) are 1 on the nodes-1 edges of the
    tree. The graph is complete, its k(k-1)/2 edges the upper triangle of a k x k matrix row by row
    (`combgrad.solvers.edges`), unless `edges` lists others. Among equal costs the edge of lower
    index is taken first. A cost of +inf forbids an edge.

    Args:
        nodes: how many; None reads it off the costs of a complete graph, or off the edge list.
        edges: pairs of nodes, counted from 0, of a connected graph; parallel edges are fine.
        threads: how many to use; None decides by the work.

    Raises ValueError for a graph that is not connected or has other faults, SolverInputError for
    costs that do not fit the graph, InfeasibleError where the edges left do not join all nodes.
    Source: Kruskal, Proc. AMS 1956.
    """

    traits = frozenset({Trait.SHIFT_INVARIANT, Trait.SCALE_INVARIANT})
    forbids = True

    def __init__(
        self,
        nodes: int | None = None,
        edges: Iterable[Sequence[int]] | None = None,
        threads: int | None = None,
    ) -> None:
        super().__init__()
        if nodes is not None and (not isinstance(nodes, int | np.integer) or nodes < 1):
            raise ValueError(
                f"nodes is {nodes!r}; a tree has an integer number of them, at least 1."
            )
        self.nodes, self.threads = nodes, checked_threads(threads)
        self.listed = None if edges is None else checked_ends(edges, nodes)
        # A complete graph may be a smaller one; of a listed one edges may be missing.
        self.padding = "cut" if edges is None else "forbidden"

    def _graph(self, edges: int) -> tuple[np.ndarray, int]:
        """The ends (E, 2) of the edges that costs of `edges` entries belong to, and the nodes."""
        if self.listed is not None:
            return self.listed
        nodes = city_count(edges) if self.nodes is None else self.nodes
        return np.stack(edge_ends(nodes), axis=1), nodes

    def _check_shape(self, shape: torch.Size) -> None:
        check_rows(self, shape)
        ends, nodes = self._graph(shape[0])
        if len(ends) != shape[0]:
            raise SolverInputError(
                f"SpanningTree: {shape[0]} costs for a graph of {nodes} nodes and {len(ends)} "
                f"edges; pass one cost an edge, (B, {len(ends)})."
            )

    def feasible(self, solution: Tensor) -> Tensor:
        """Whether the solutions (B, E) are spanning trees, (B,) bool."""
        ends, nodes = self._graph(solution.shape[1])
        chosen = (solution == 1).cpu().numpy()
        binary = (chosen | (solution == 0).cpu().numpy()).all(axis=1)
        trees = [row.sum() == nodes - 1 and components(ends[row], nodes) == 1 for row in chosen]
        return torch.from_numpy(binary & np.array(trees, dtype=bool)).to(solution.device)

    def _solve(self, costs: Tensor) -> Tensor:
        if costs.shape[1] == 0:
            return torch.zeros_like(costs)
        ends, nodes = self._graph(costs.shape[1])
        array = to_native_array(costs)
        width = array.itemsize
        bits = array.view(np.uint32) if width == 4 else array.view(np.uint64)
        work = array.size * SECONDS_AN_EDGE
        solution = on_threads(work, self.threads, span, span_parallel, bits, width, ends, nodes)
        return to_tensor(solution, like=costs)
