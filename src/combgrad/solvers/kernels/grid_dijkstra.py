"""Exact shortest paths on grids with vertex costs, by Dijkstra's algorithm (1959).

With costs on the vertices, the first neighbour to leave the queue gives a vertex its final label:
a vertex enters the queue once and its label is never corrected. Vertices leave in the order of
(label, vertex), whatever the queue.

The queue is a ring of buckets (Dial 1969) whose front bucket is kept sorted, which is right for
any bucket width and fast where few vertices share a bucket. Where many do, because one cost is far
larger than the others, a binary heap starts anew.
"""

import numpy as np
from numpy.typing import NDArray

from combgrad.solvers.kernels import inner, kernel, prange
from combgrad.solvers.kernels.grid_certainty import is_alone, is_certain

# A power of two; fewer buckets hold more vertices each, more buckets are more often empty.
_BUCKETS = 256
# Up to about this many vertices a sorted front is faster than a heap.
_CROWD = 64
# Keeps labels times the inverse bucket width finite when all costs are denormal.
_FINEST = 1e300
# Brings labels that overflow back into range: paths are shorter than 2^64 cells.
_SHRINK = 2.0**-64


@inner
def _insert(front: NDArray[np.int64], size: int, labels: NDArray[np.float64], vertex: int) -> None:
    """Add a vertex to a front of `size` vertices sorted by (label, vertex), the first one last."""
    label = labels[np.uint64(vertex)]
    hole = size
    while hole > 0:
        other = front[np.uint64(hole - 1)]
        key = labels[np.uint64(other)]
        if key > label or (key == label and other > vertex):
            break
        front[np.uint64(hole)] = other
        hole -= 1
    front[np.uint64(hole)] = vertex


@inner
def _label_by_buckets(
    costs: NDArray[np.float64],
    inverse_width: float,
    start: int,
    end: int,
    steps: NDArray[np.int64],
    labels: NDArray[np.float64],
    before: NDArray[np.int64],
    after: NDArray[np.int64],
    front: NDArray[np.int64],
) -> bool:
    """Fill labels (P,) and before (P,) until `end` has its label; False for a crowded front.

    A vertex that has a label loses its cost in costs (P,), which becomes inf; `end` keeps its cost
    where its label is too large for a float. `after` (P,) links the vertices of a bucket.
    """
    # Unsigned indices spare numba the question whether they count from the end: 10 % of the time.
    mask = _BUCKETS - 1
    first = np.empty(_BUCKETS, dtype=np.int64)
    first[:] = -1
    labels[start] = costs[start]
    costs[start] = np.inf
    now = np.int64(labels[start] * inverse_width)
    front[0] = start
    waiting, size = 1, 1
    while waiting > 0 and costs[end] < np.inf:
        while size == 0:
            now += 1
            vertex = first[np.uint64(now & mask)]
            first[np.uint64(now & mask)] = -1
            while vertex >= 0 and size <= _CROWD:
                _insert(front, size, labels, vertex)
                size += 1
                vertex = after[np.uint64(vertex)]
        if size > _CROWD:
            return False
        size -= 1
        waiting -= 1
        vertex = front[np.uint64(size)]
        reached = labels[np.uint64(vertex)]
        for s in range(steps.shape[0]):
            other = vertex + steps[s]
            cell = np.uint64(other)
            label = reached + costs[cell]
            if label < np.inf:
                costs[cell] = np.inf
                labels[cell] = label
                before[cell] = vertex
                waiting += 1
                bucket = np.int64(label * inverse_width)
                if bucket == now:
                    _insert(front, size, labels, other)
                    size += 1
                else:
                    after[cell] = first[np.uint64(bucket & mask)]
                    first[np.uint64(bucket & mask)] = other
    return True


@inner
def _sift_up(heap: NDArray[np.int64], size: int, labels: NDArray[np.float64], vertex: int) -> None:
    """Add a vertex to a heap of `size` vertices."""
    label = labels[vertex]
    hole = size
    while hole > 0:
        parent = (hole - 1) >> 1
        other = heap[parent]
        if labels[other] < label or (labels[other] == label and other < vertex):
            break
        heap[hole] = other
        hole = parent
    heap[hole] = vertex


@inner
def _sift_down(heap: NDArray[np.int64], size: int, labels: NDArray[np.float64]) -> None:
    """Move the vertex behind a heap of `size` vertices to the place of the first one."""
    vertex = heap[size]
    label = labels[vertex]
    hole = 0
    while 2 * hole + 1 < size:
        child = 2 * hole + 1
        if child + 1 < size:
            left, right = heap[child], heap[child + 1]
            if labels[right] < labels[left] or (labels[right] == labels[left] and right < left):
                child += 1
        other = heap[child]
        if label < labels[other] or (label == labels[other] and vertex < other):
            break
        heap[hole] = other
        hole = child
    heap[hole] = vertex


@inner
def _label_by_heap(
    costs: NDArray[np.float64],
    start: int,
    end: int,
    steps: NDArray[np.int64],
    labels: NDArray[np.float64],
    before: NDArray[np.int64],
    heap: NDArray[np.int64],
) -> None:
    """The same as _label_by_buckets for costs of any range."""
    labels[start] = costs[start]
    costs[start] = np.inf
    heap[0] = start
    size = 1
    while size > 0 and costs[end] < np.inf:
        vertex = heap[0]
        size -= 1
        if size > 0:
            _sift_down(heap, size, labels)
        for s in range(steps.shape[0]):
            other = vertex + steps[s]
            label = labels[vertex] + costs[other]
            if label < np.inf:
                costs[other] = np.inf
                labels[other] = label
                before[other] = vertex
                _sift_up(heap, size, labels, other)
                size += 1


@inner
def _pad(costs: NDArray[np.float64], factor: float, padded: NDArray[np.float64]) -> float:
    """Copy costs (H, W) times a factor into a frame of inf, ((H + 2) * (W + 2),).

    Returns the largest that is not inf; cells of cost inf look like the frame.
    """
    height, width = costs.shape
    largest = 0.0
    for i in range(height):
        for j in range(width):
            cost = costs[i, j] * factor
            padded[(i + 1) * (width + 2) + j + 1] = cost
            largest = cost if largest < cost < np.inf else largest
    return largest


@inner
def _solve_range(
    costs: NDArray[np.float64],
    starts: NDArray[np.int64],
    ends: NDArray[np.int64],
    neighbours: int,
    begin: int,
    stop: int,
    solutions: NDArray[np.uint8],
    certain: NDArray[np.bool_],
) -> None:
    """Solve the instances begin <= b < stop of costs (B, H, W) into solutions (B, H, W)."""
    row = costs.shape[2] + 2
    cells = (costs.shape[1] + 2) * row
    steps = np.empty(neighbours, dtype=np.int64)
    steps[0], steps[1], steps[2], steps[3] = -row, -1, 1, row
    if neighbours == 8:
        steps[4], steps[5], steps[6], steps[7] = -row - 1, -row + 1, row - 1, row + 1
    # A frame around the grid, whose cells look as if they had a label, replaces bounds checks.
    padded, labels = np.empty(cells), np.empty(cells)
    padded[:] = np.inf
    before = np.empty(cells, dtype=np.int64)
    after = np.empty(cells, dtype=np.int64)
    front = np.empty(cells, dtype=np.int64)
    for b in range(begin, stop):
        start = (starts[b, 0] + 1) * row + starts[b, 1] + 1
        end = (ends[b, 0] + 1) * row + ends[b, 1] + 1
        if max(costs[b, starts[b, 0], starts[b, 1]], costs[b, ends[b, 0], ends[b, 1]]) == np.inf:
            continue
        for factor in (1.0, _SHRINK):
            labels[:] = np.inf
            largest = _pad(costs[b], factor, padded)
            inverse_width = _FINEST if largest == 0.0 else min((_BUCKETS - 2) / largest, _FINEST)
            if not _label_by_buckets(
                padded, inverse_width, start, end, steps, labels, before, after, front
            ):
                _pad(costs[b], factor, padded)
                _label_by_heap(padded, start, end, steps, labels, before, front)
            if padded[end] == np.inf:
                break
        if padded[end] < np.inf:
            continue
        certain[b] = is_certain(costs[b].reshape(-1), factor, labels[end])
        if not certain[b] and start != end:
            certain[b] = is_alone(padded, start, end, steps, labels, before)
        cell = end
        while cell != start:
            solutions[b, cell // row - 1, cell % row - 1] = 1
            cell = before[cell]
        solutions[b, start // row - 1, start % row - 1] = 1


@kernel()
def grid_paths(
    costs: NDArray[np.float64],
    starts: NDArray[np.int64],
    ends: NDArray[np.int64],
    neighbours: int,
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Shortest paths (B, H, W) for costs (B, H, W) >= 0 from starts (B, 2) to ends (B, 2).

    inf forbids a cell. The second answer (B,) says which paths are there and optimal beyond doubt,
    whatever was rounded.
    """
    solutions = np.zeros(costs.shape, dtype=np.uint8)
    certain = np.zeros(costs.shape[0], dtype=np.bool_)
    _solve_range(costs, starts, ends, neighbours, 0, costs.shape[0], solutions, certain)
    return solutions, certain


@kernel(parallel=True)
def grid_paths_parallel(
    costs: NDArray[np.float64],
    starts: NDArray[np.int64],
    ends: NDArray[np.int64],
    neighbours: int,
    threads: int,
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """The same as grid_paths with the batch cut into as many parts as threads."""
    batch = costs.shape[0]
    solutions = np.zeros(costs.shape, dtype=np.uint8)
    certain = np.zeros(batch, dtype=np.bool_)
    for part in prange(threads):
        begin, stop = batch * part // threads, batch * (part + 1) // threads
        _solve_range(costs, starts, ends, neighbours, begin, stop, solutions, certain)
    return solutions, certain
