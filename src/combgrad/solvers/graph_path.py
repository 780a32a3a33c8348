"""The cheapest path through any graph with costs on its edges, exact, by scipy."""

from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra
from torch import Tensor

from combgrad.errors import SolverInputError
from combgrad.solvers.base import Solver, Trait, to_array, to_tensor
from combgrad.solvers.shortest_path import refuse_negative

# Brings labels that overflow back into range: paths are shorter than 2^64 edges.
_SHRINK = 2.0**-64


class GraphShortestPath(Solver):
    """The cheapest path between two nodes: y(w) = argmin <w, y> over paths y of a given graph.

    Costs (B, E), at least 0, are those of the edges; solutions (B, E) are 1 on the edges of the
    path. Zero costs are costs like any other, and of parallel edges the cheapest counts. Exact
    (Dijkstra 1959) and deterministic on ties.

    Args:
        edges: the two nodes of each edge, integers (E, 2), 0 <= node < nodes.
        nodes: how many there are.
        start, end: the nodes between which paths run.
        directed: whether an edge leads only from its first node to its second.
        negative: "error" refuses negative costs; "clamp" solves for max(w, 0) (A-36).

    Raises ValueError for a graph that is none, SolverInputError, naming the batch index, for
    negative costs and where no path leads from start to end.
    """

    traits = frozenset({Trait.SCALE_INVARIANT})

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
        ends = np.asarray(edges.detach().cpu() if isinstance(edges, Tensor) else edges)
        if ends.size == 0:
            ends = np.zeros((0, 2), dtype=np.int64)
        if ends.ndim != 2 or ends.shape[1] != 2 or ends.dtype.kind not in "iu":
            raise ValueError(
                f"edges have shape {ends.shape} and dtype {ends.dtype}; pass the two nodes of "
                f"each edge as integers, (E, 2)."
            )
        for name, wanted in (("edges", ends), ("start", start), ("end", end)):
            if np.any((np.asarray(wanted) < 0) | (np.asarray(wanted) >= nodes)):
                raise ValueError(f"{name} names a node outside 0 to nodes - 1 = {nodes - 1}.")
        if negative not in ("error", "clamp"):
            raise ValueError(f"negative is {negative!r}; choose 'error' or 'clamp'.")
        self.edges, self.nodes = ends.astype(np.int64), nodes
        self.start, self.end = start, end
        self.directed, self.negative = directed, negative
        self._arcs = self.edges if directed else np.concatenate([self.edges, self.edges[:, ::-1]])
        edge_of_arc = np.arange(len(self._arcs)) % max(len(self.edges), 1)
        order = np.lexsort((edge_of_arc, self._arcs[:, 1], self._arcs[:, 0]))
        self._arcs, self._edge_of_arc = self._arcs[order], edge_of_arc[order]
        self._offsets = np.searchsorted(self._arcs[:, 0], np.arange(nodes + 1))

    def _check_shape(self, shape: torch.Size) -> None:
        if tuple(shape) != (len(self.edges),):
            raise SolverInputError(
                f"GraphShortestPath: costs have instance shape {tuple(shape)}; this graph has "
                f"{len(self.edges)} edges, so pass (B, {len(self.edges)})."
            )

    def _solve(self, costs: Tensor) -> Tensor:
        array = to_array(costs)
        if self.negative == "clamp":
            array = np.maximum(array, 0.0)
        else:
            refuse_negative(
                self, array, "Use GraphShortestPath(..., negative='clamp') or costs >= 0."
            )
        solution = np.zeros(array.shape, dtype=np.uint8)
        for index, instance in enumerate(array):
            for factor in (1.0, _SHRINK):
                labels, before = self._label(instance * factor)
                if np.isfinite(labels[self.end]):
                    break
            else:
                raise SolverInputError(
                    f"GraphShortestPath: no path leads from node {self.start} to node {self.end} "
                    f"in batch index {index}; check edges{' and directed' * self.directed}."
                )
            solution[index, self._path(instance, before)] = 1
        return to_tensor(solution, like=costs)

    def _label(self, costs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Each node's distance from start and the node before it on the way, two (nodes,)."""
        # A matrix made of its arrays keeps zeros and parallel edges, which other ways drop or add.
        graph = csr_array(
            (costs[self._edge_of_arc], self._arcs[:, 1], self._offsets),
            shape=(self.nodes, self.nodes),
        )
        found: Any = dijkstra(graph, indices=self.start, return_predecessors=True)
        return found

    def _path(self, costs: np.ndarray, before: np.ndarray) -> list[int]:
        """The edges of the path that the nodes before each node describe."""
        path = []
        node = self.end
        while node != self.start:
            first, last = self._offsets[before[node]], self._offsets[before[node] + 1]
            heads = self._arcs[first:last, 1]
            parallel = self._edge_of_arc[first:last][heads == node]
            path.append(int(parallel[costs[parallel].argmin()]))
            node = int(before[node])
        return path

    def feasible(self, solution: Tensor) -> Tensor:
        """Whether the edges marked 1 are one simple path from start to end, (B,)."""
        return torch.tensor(
            [self._is_path(row) for row in solution.detach().cpu().numpy()],
            dtype=torch.bool,
            device=solution.device,
        )

    def _is_path(self, marks: np.ndarray) -> bool:
        left = set(np.flatnonzero(marks).tolist())
        node, seen = self.start, {self.start}
        while node != self.end:
            arcs = range(self._offsets[node], self._offsets[node + 1])
            arc = next((a for a in arcs if self._edge_of_arc[a] in left), None)
            if arc is None or int(self._arcs[arc, 1]) in seen:
                return False
            left.remove(int(self._edge_of_arc[arc]))
            node = int(self._arcs[arc, 1])
            seen.add(node)
        return not left and bool(((marks == 0) | (marks == 1)).all())

    def optimum(self, costs: Tensor) -> Tensor:
        """The cost of the cheapest path by Bellman-Ford sweeps over all edges, (B,)."""
        weights = np.maximum(to_array(costs), 0.0)[:, self._edge_of_arc]
        labels = np.full((len(weights), self.nodes), np.inf)
        labels[:, self.start] = 0.0
        rows = np.arange(len(weights))[:, None]
        for _ in range(self.nodes):
            with np.errstate(over="ignore"):
                longer = labels[:, self._arcs[:, 0]] + weights
            np.minimum.at(labels, (rows, self._arcs[None, :, 1]), longer)
        return torch.from_numpy(labels[:, self.end]).to(costs.device)
