"""Plain implementations to compare the solvers with: a loop over the batch, nothing clever."""

import functools
import heapq
from collections.abc import Callable, Iterator

import numpy as np
import torch
from scipy.optimize import Bounds, LinearConstraint, linear_sum_assignment, milp
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra, minimum_spanning_tree
from torch import Tensor

from combgrad.solvers.edges import city_count, edge_ends


def batched(solve: Callable[[np.ndarray], np.ndarray]) -> Callable[[Tensor], Tensor]:
    """A solver of one instance (*S) as a loop over a batch (B, *S)."""

    @functools.wraps(solve)
    def solve_batch(costs: Tensor) -> Tensor:
        solutions = [solve(instance) for instance in costs.numpy()]
        return torch.from_numpy(np.stack(solutions)).to(costs.dtype)

    return solve_batch


def surrounding(row: int, column: int, height: int, width: int) -> Iterator[tuple[int, int]]:
    """The up to 8 neighbours of a cell."""
    for r in range(max(row - 1, 0), min(row + 2, height)):
        for c in range(max(column - 1, 0), min(column + 2, width)):
            if (r, c) != (row, column):
                yield r, c


def path_mask(came_from: dict[tuple[int, int], tuple[int, int]], costs: np.ndarray) -> np.ndarray:
    """1 on the cells from the bottom right back to the top left."""
    mask = np.zeros_like(costs)
    cell = (costs.shape[0] - 1, costs.shape[1] - 1)
    mask[cell] = 1
    while cell != (0, 0):
        cell = came_from[cell]
        mask[cell] = 1
    return mask


@batched
def heapq_path(costs: np.ndarray) -> np.ndarray:
    """The cheapest path over vertex costs (H, W) with the heap of the standard library."""
    height, width = costs.shape
    cost = costs.astype(float).tolist()
    best = {(0, 0): cost[0][0]}
    came_from: dict[tuple[int, int], tuple[int, int]] = {}
    queue = [(cost[0][0], (0, 0))]
    settled: set[tuple[int, int]] = set()
    while queue:
        distance, cell = heapq.heappop(queue)
        if cell in settled:
            continue
        settled.add(cell)
        for near in surrounding(*cell, height, width):
            through = distance + cost[near[0]][near[1]]
            if near not in settled and through < best.get(near, float("inf")):
                best[near], came_from[near] = through, cell
                heapq.heappush(queue, (through, near))
    return path_mask(came_from, costs)


@functools.cache
def grid_arcs(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Row pointers and heads, in CSR order, of the arcs between neighbouring cells."""
    heads = [
        [r * width + c for r, c in surrounding(row, column, height, width)]
        for row in range(height)
        for column in range(width)
    ]
    pointers = np.cumsum([0, *(len(of_cell) for of_cell in heads)])
    return pointers, np.concatenate([np.array(of_cell, dtype=np.int64) for of_cell in heads])


@batched
def csgraph_path(costs: np.ndarray) -> np.ndarray:
    """The cheapest path over vertex costs (H, W) > 0 by scipy.sparse.csgraph."""
    pointers, heads = grid_arcs(*costs.shape)
    flat = costs.astype(np.float64).ravel()
    graph = csr_array((flat[heads], heads, pointers), shape=(flat.size, flat.size))
    _, before = dijkstra(graph, indices=0, return_predecessors=True)
    mask = np.zeros_like(costs).ravel()
    cell = flat.size - 1
    while cell >= 0:
        mask[cell] = 1
        cell = before[cell]
    return mask.reshape(costs.shape)


def torch_topk(costs: Tensor, k: int) -> Tensor:
    """1 on the k smallest of costs (B, n)."""
    chosen = torch.topk(costs, k, dim=1, largest=False, sorted=False).indices
    return torch.zeros_like(costs).scatter_(1, chosen, 1.0)


def double_argsort(costs: Tensor) -> Tensor:
    """The ranks of costs (B, n), 1 for the largest."""
    order = torch.argsort(costs, dim=1, descending=True)
    return torch.argsort(order, dim=1).to(costs.dtype) + 1


@batched
def scipy_assignment(costs: np.ndarray) -> np.ndarray:
    """The cheapest perfect matching of costs (n, m)."""
    mask = np.zeros_like(costs)
    mask[linear_sum_assignment(costs)] = 1
    return mask


@batched
def python_alignment(costs: np.ndarray) -> np.ndarray:
    """The cheapest path of moves (N, M, 3): diagonal, right, down."""
    rows, columns = costs.shape[:2]
    cost = costs.astype(float).tolist()
    steps = ((1, 1), (0, 1), (1, 0))
    best = [[float("inf")] * columns for _ in range(rows)]
    came_by = [[0] * columns for _ in range(rows)]
    best[0][0] = 0.0
    for row in range(rows):
        for column in range(columns):
            for move, (down, right) in enumerate(steps):
                r, c = row + down, column + right
                if r < rows and c < columns:
                    through = best[row][column] + cost[row][column][move]
                    if through < best[r][c]:
                        best[r][c], came_by[r][c] = through, move
    mask = np.zeros_like(costs)
    row, column = rows - 1, columns - 1
    while (row, column) != (0, 0):
        move = came_by[row][column]
        row, column = row - steps[move][0], column - steps[move][1]
        mask[row, column, move] = 1
    return mask


def torch_alignment_value(costs: Tensor, gap: float) -> Tensor:
    """The mean cost of the best alignments of match costs (B, n, m), cell by cell, by autograd."""
    batch, rows, columns = costs.shape
    best = {(rows, columns): costs.new_zeros(batch)}
    for i in range(rows, -1, -1):
        for j in range(columns, -1, -1):
            price = costs[:, min(i, rows - 1), min(j, columns - 1)]
            ways = []
            for down, right, factor in ((1, 1, 1.0), (0, 1, gap), (1, 0, gap)):
                if (i + down, j + right) in best:
                    ways.append(factor * price + best[i + down, j + right])
            if ways:
                best[i, j] = torch.stack(ways).amin(dim=0)
    return best[0, 0].mean()


@batched
def scipy_tree(costs: np.ndarray) -> np.ndarray:
    """The minimum spanning tree of a complete graph with edge costs (E,) > 0."""
    nodes = city_count(costs.size)
    matrix = np.zeros((nodes, nodes))
    matrix[edge_ends(nodes)] = costs
    tree = minimum_spanning_tree(csr_array(matrix)).toarray()
    return (tree[edge_ends(nodes)] > 0).astype(costs.dtype)


def numpy_knapsack(costs: Tensor, weights: np.ndarray, capacity: int) -> Tensor:
    """The best items of costs (B, n), by dynamic programming over the capacity."""

    @batched
    def pack(values: np.ndarray) -> np.ndarray:
        best = np.zeros(capacity + 1)
        taken = np.zeros((len(values), capacity + 1), dtype=bool)
        for item, (weight, value) in enumerate(zip(weights, -values.astype(float), strict=True)):
            with_item = best[: capacity + 1 - weight] + value
            better = with_item > best[weight:]
            taken[item, weight:] = better
            best[weight:] = np.where(better, with_item, best[weight:])
        mask, room = np.zeros_like(values), capacity
        for item in reversed(range(len(values))):
            if taken[item, room]:
                mask[item] = 1
                room -= weights[item]
        return mask

    return pack(costs)


def scipy_program(
    costs: Tensor,
    matrix: np.ndarray,
    upper: np.ndarray | float,
    lower: float = -np.inf,
) -> Tensor:
    """The best 0/1 points of costs (B, n) with `lower` <= `matrix` x <= `upper`, by
    scipy.optimize.milp."""

    @batched
    def solve(instance: np.ndarray) -> np.ndarray:
        answer = milp(
            instance,
            integrality=np.ones(len(instance)),
            bounds=Bounds(0, 1),
            constraints=LinearConstraint(matrix, lower, upper),
            options={"mip_rel_gap": 0.0},
        )
        return np.rint(answer.x)

    return solve(costs)
