"""The cheapest path through any graph with costs on its edges, exact, in compiled code."""

import operator

import numpy as np
import scipy
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from combgrad.errors import InfeasibleError, SolverInputError
from combgrad.solvers.arrays import integer_array, to_array, to_native_array, to_tensor
from combgrad.solvers.base import Solver, Trait
from combgrad.solvers.ilp_program import Program, binary_program
from combgrad.solvers.kernels.exact_paths import any_paths, ordered_paths
from combgrad.solvers.kernels.graph_paths import acyclic_paths
from combgrad.solvers.shortest_path import refuse_negative


class GraphShortestPath(Solver):
    """The cheapest path between two nodes: y(w) = argmin <w, y> over paths y of a given graph.

    Costs (B, E) are those of the edges; solutions (B, E) are 1 on the edges of the path. Costs have
    any sign in a directed graph without cycles on the way, whose nodes are taken in order (the
    attribute `acyclic` says so); in others they are at least 0. A cost of +inf forbids an edge;
    zero costs are costs like any other, and of parallel edges the cheapest counts. Exact for all
    finite costs, in integers of any size, and deterministic on ties.

    Args:
        edges: the two nodes of each edge, integers (E, 2), 0 <= node < nodes.
        nodes: how many there are.
        start, end: the nodes between which paths run.
        directed: whether an edge leads only from its first node to its second.
        negative: "error" refuses negative costs where there are cycles; "clamp" solves for
            max(w, 0) in every graph (A-36).

    Raises ValueError for a graph that is none; SolverInputError, naming the batch index, for
    negative costs, and where the graph has no path from start to end; InfeasibleError where the
    forbidden edges leave none.
    """

    traits = frozenset({Trait.SCALE_INVARIANT})
    forbids = True
    padding = "forbidden"
    unrelaxed: str | None = (
        "a flow needs an entry for each direction of an edge; give both as edges of their own, "
        "with directed=True"
    )

    def __init__(
        self,
        edges: ArrayLike | Tensor,
        nodes: int,
        start: int,
        end: int,
        directed: bool = False,
        negative: str = "error",
    ) -> None:
        super().__init__()
        if negative not in ("error", "clamp"):
            raise ValueError(f"negative is {negative!r}; choose 'error' or 'clamp'.")
        self.nodes = _checked_count(nodes)
        self.edges = _checked_edges(edges, self.nodes)
        self.start, self.end = (
            _checked_node(name, node, nodes) for name, node in (("start", start), ("end", end))
        )
        self.directed, self.negative = directed, negative
        if directed:
            self.unrelaxed = None
        self._sort_arcs()

    def _sort_arcs(self) -> None:
        """Sort the arcs by the node they leave, and number the nodes in order where there is one.

        Arcs that lie on no path from start to end are left out.
        """
        arcs = self.edges if self.directed else np.concatenate([self.edges, self.edges[:, ::-1]])
        entries = np.tile(np.arange(len(self.edges)), 1 if self.directed else 2)
        useful = _reached(arcs, self.nodes, self.start)
        useful &= _reached(arcs[:, ::-1], self.nodes, self.end)
        self.connected = bool(useful[self.start])
        kept = useful[arcs].all(axis=1) & (arcs[:, 0] != arcs[:, 1])
        arcs, entries = arcs[kept], entries[kept]
        place = _order(arcs, self.nodes) if self.directed else None
        self.acyclic = place is not None
        if place is None:
            place = np.arange(self.nodes)
        arcs, (self._first, self._last) = place[arcs], place[[self.start, self.end]].tolist()
        order = np.lexsort((entries, arcs[:, 0]))
        self._heads, self._entries = np.ascontiguousarray(arcs[order, 1]), entries[order]
        self._offsets = np.searchsorted(arcs[order, 0], np.arange(self.nodes + 1))

    def _check_shape(self, shape: torch.Size) -> None:
        if tuple(shape) != (len(self.edges),):
            raise SolverInputError(
                f"GraphShortestPath: costs have instance shape {tuple(shape)}; this graph has "
                f"{len(self.edges)} edges, so pass (B, {len(self.edges)})."
            )

    def _solve(self, costs: Tensor) -> Tensor:
        if not self.connected:
            raise SolverInputError(
                f"GraphShortestPath: no path leads from node {self.start} to node {self.end} in "
                f"batch index 0, whatever the costs; check edges{' and directed' * self.directed}."
            )
        array = to_native_array(costs)
        if self.negative == "clamp":
            array = np.maximum(array, 0.0)
        elif not self.acyclic:
            refuse_negative(
                self,
                array,
                "Use costs >= 0, GraphShortestPath(..., negative='clamp'), or directed=True where "
                "the graph has no cycles.",
            )
        solution, found = self._paths(array)
        if not found.all():
            raise InfeasibleError(
                f"GraphShortestPath: the edges of cost inf leave no path from node {self.start} to "
                f"node {self.end} in batch index {int((~found).argmax())} ({int((~found).sum())} "
                f"of {len(found)} instances have none); forbid fewer edges."
            )
        return to_tensor(solution, like=costs)

    def _paths(self, costs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Paths (B, E) as 0 and 1 for costs (B, E), and which instances have one, (B,)."""
        graph = (self._offsets, self._heads, self._entries, self._first, self._last)
        solutions = np.zeros(costs.shape, dtype=np.uint8)
        if not self.acyclic:
            return solutions, any_paths(costs.astype(np.float64), *graph, solutions)
        found = acyclic_paths(costs, *graph, solutions)
        doubtful = np.flatnonzero(~found)
        if len(doubtful):
            exact = np.zeros((len(doubtful), costs.shape[1]), dtype=np.uint8)
            found[doubtful] = ordered_paths(costs[doubtful].astype(np.float64), *graph, exact)
            solutions[doubtful] = exact
        return solutions, found

    def relaxation(self, shape: torch.Size) -> Program:
        """A flow y of 1 from start to end: into less out of each node is -1, 1 or 0; 0 <= y <= 1.

        Its whole points are the paths, and in a graph with cycles paths with rings beside them.
        """
        if self.unrelaxed is not None:
            return super().relaxation(shape)
        self._check_shape(shape)
        entries, ones = np.arange(len(self.edges)), np.ones(len(self.edges))
        balance = sum(
            sign * scipy.sparse.csr_array((ones, (node, entries)), shape=(self.nodes, len(entries)))
            for sign, node in ((-1.0, self.edges[:, 0]), (1.0, self.edges[:, 1]))
        )
        supply = np.zeros(self.nodes)
        supply[self.start] -= 1.0
        supply[self.end] += 1.0
        return binary_program(len(entries), equal=(balance, supply))

    def feasible(self, solution: Tensor) -> Tensor:
        """Whether the edges marked 1 are one simple path from start to end, (B,)."""
        return torch.tensor(
            [self._is_path(row) for row in to_array(solution)],
            dtype=torch.bool,
            device=solution.device,
        )

    def _is_path(self, marks: np.ndarray) -> bool:
        left = set(np.flatnonzero(marks).tolist())
        node, seen = self._first, {self._first}
        while node != self._last:
            arcs = range(self._offsets[node], self._offsets[node + 1])
            arc = next((a for a in arcs if self._entries[a] in left), None)
            if arc is None or int(self._heads[arc]) in seen:
                return False
            left.remove(int(self._entries[arc]))
            node = int(self._heads[arc])
            seen.add(node)
        return not left and bool(((marks == 0) | (marks == 1)).all())

    def optimum(self, costs: Tensor) -> Tensor:
        """The cost of the cheapest path by Bellman-Ford sweeps over all edges, (B,)."""
        array = to_array(costs)
        weights = (np.maximum(array, 0.0) if self.negative == "clamp" else array)[:, self._entries]
        tails = np.repeat(np.arange(self.nodes), np.diff(self._offsets))
        labels = np.full((len(weights), self.nodes), np.inf)
        labels[:, self._first] = 0.0
        rows = np.arange(len(weights))[:, None]
        for _ in range(self.nodes):
            with np.errstate(over="ignore"):
                longer = labels[:, tails] + weights
            np.minimum.at(labels, (rows, self._heads[None, :]), longer)
        return torch.from_numpy(labels[:, self._last]).to(costs.device)


def _checked_edges(edges: ArrayLike | Tensor, nodes: int) -> np.ndarray:
    """The edges as int64 (E, 2); raises ValueError where they are not pairs of nodes."""
    ends = integer_array("edges", edges, "the two nodes of each edge, (E, 2)")
    ends = ends.reshape(0, 2) if ends.size == 0 else ends
    if ends.ndim != 2 or ends.shape[1] != 2:
        raise ValueError(f"edges have shape {ends.shape}; pass the two nodes of each edge, (E, 2).")
    if np.any((ends < 0) | (ends >= nodes)):
        raise ValueError(f"edges names a node outside 0 to nodes - 1 = {nodes - 1}.")
    return ends


def _checked_count(nodes: int) -> int:
    """The number of nodes as an int; raises ValueError unless there is at least one."""
    try:
        count = operator.index(nodes)
    except TypeError:
        count = 0
    if count < 1:
        raise ValueError(f"nodes is {nodes!r}; it must be an integer, at least 1.")
    return count


def _checked_node(name: str, node: int, nodes: int) -> int:
    """The node as an int; raises ValueError for what is none of `nodes`."""
    try:
        number = operator.index(node)
    except TypeError as error:
        raise ValueError(f"{name} is {node!r}; it must be the number of a node.") from error
    if not 0 <= number < nodes:
        raise ValueError(f"{name} names a node outside 0 to nodes - 1 = {nodes - 1}.")
    return number


def _reached(arcs: np.ndarray, nodes: int, start: int) -> np.ndarray:
    """Which nodes there is a way to from `start`, (nodes,) bool."""
    graph = scipy.sparse.csr_array(
        (np.ones(len(arcs)), (arcs[:, 0], arcs[:, 1])), shape=(nodes, nodes)
    )
    reached = np.zeros(nodes, dtype=bool)
    order = scipy.sparse.csgraph.breadth_first_order(graph, start, return_predecessors=False)
    reached[order] = True
    return reached


def _order(arcs: np.ndarray, nodes: int) -> np.ndarray | None:
    """The place of each node in an order in which arcs lead to later places (Kahn 1962), if any."""
    heads: list[list[int]] = [[] for _ in range(nodes)]
    for tail, head in arcs.tolist():
        heads[tail].append(head)
    entering = np.bincount(arcs[:, 1], minlength=nodes).tolist()
    order = [node for node in range(nodes) if not entering[node]]
    for node in order:
        for head in heads[node]:
            entering[head] -= 1
            if not entering[head]:
                order.append(head)
    if len(order) < nodes:
        return None
    place = np.empty(nodes, dtype=np.int64)
    place[order] = np.arange(nodes)
    return place
