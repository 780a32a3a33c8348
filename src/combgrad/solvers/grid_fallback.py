"""Paths across grids in exact integers, for costs whose sums float64 leaves in doubt."""

import functools
import math
from typing import NamedTuple

import numpy as np

from combgrad.solvers.kernels.exact_paths import any_paths


class Arcs(NamedTuple):
    """The steps between cells, counted row by row: those that leave cell v are heads[offsets[v]] to
    heads[offsets[v + 1] - 1]."""

    offsets: np.ndarray
    heads: np.ndarray


@functools.lru_cache(maxsize=16)
def grid_arcs(height: int, width: int, neighbours: int) -> Arcs:
    """The steps across a grid from each cell to its 4 or 8 neighbours."""
    cell = np.arange(height * width).reshape(height, width)
    steps = [(0, 1), (1, 0), (0, -1), (-1, 0), (1, 1), (1, -1), (-1, 1), (-1, -1)][:neighbours]
    tails, heads = [], []
    for down, right in steps:
        rows = slice(max(0, -down), height - max(0, down))
        columns = slice(max(0, -right), width - max(0, right))
        tails.append(cell[rows, columns].ravel())
        heads.append(tails[-1] + down * width + right)
    tail, head = np.concatenate(tails), np.concatenate(heads)
    order = np.argsort(tail, kind="stable")
    return Arcs(np.searchsorted(tail[order], np.arange(cell.size + 1)), head[order])


def exact_grid_path(
    costs: np.ndarray, start: np.ndarray, end: np.ndarray, neighbours: int
) -> np.ndarray | None:
    """The cheapest path (H, W) for costs (H, W) >= 0 between two cells (2,); None for none."""
    arcs = grid_arcs(*costs.shape, neighbours)
    first, last = (int(cell[0]) * costs.shape[1] + int(cell[1]) for cell in (start, end))
    flat = costs.reshape(1, -1)
    marks = np.zeros(flat.shape, dtype=np.uint8)
    found = any_paths(flat, arcs.offsets, arcs.heads, arcs.heads, first, last, marks)
    if not found[0] or math.isinf(flat[0, first]):
        return None
    marks[0, first] = 1
    return _without_detours(marks[0], arcs, first, last).reshape(costs.shape)


def _without_detours(marks: np.ndarray, arcs: Arcs, first: int, last: int) -> np.ndarray:
    """The path with the fewest cells among the marked ones: what is left out costs nothing."""
    before, queue = {first: first}, [first]
    for cell in queue:
        for head in arcs.heads[arcs.offsets[cell] : arcs.offsets[cell + 1]].tolist():
            if marks[head] and head not in before:
                before[head] = cell
                queue.append(head)
    path = np.zeros_like(marks)
    cell = last
    while cell != first:
        path[cell] = 1
        cell = before[cell]
    path[first] = 1
    return path
