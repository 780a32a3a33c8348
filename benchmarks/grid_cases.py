"""Shortest paths on grids with terrain-like costs, against heapq and scipy."""

from functools import partial

import numpy as np
import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor

from benchmarks.cases import Case, Plan, function, solving
from benchmarks.references import csgraph_path, heapq_path
from combgrad.solvers import ShortestPath

SIZES = (12, 18, 24, 30, 32)
BATCH = 70

#: From this side on a batch is worth two threads.
LARGE = 24

#: The costs of five kinds of ground, from road to water.
GROUND = np.array([0.8, 1.2, 5.3, 7.7, 9.2])


def terrain(side: int, batch: int = BATCH) -> Tensor:
    """Patches of five kinds of ground, each cell within 5 % of its kind's cost, (B, side, side)."""
    random = np.random.default_rng(side)
    height = gaussian_filter(random.standard_normal((batch, side, side)), sigma=(0, 1.5, 1.5))
    kinds = np.searchsorted(np.quantile(height, [0.2, 0.4, 0.6, 0.8]), height)
    exact = GROUND[kinds] * random.uniform(0.95, 1.05, height.shape)
    return torch.from_numpy(exact.astype(np.float32))


def path_case(side: int, threads: int) -> Case:
    """The solver against two references."""
    return Case(
        "shortest_path",
        side,
        terrain(side),
        (
            function("heapq", heapq_path),
            function("scipy csgraph", csgraph_path),
            solving("combgrad", ShortestPath),
            *(solving("combgrad", ShortestPath, threads=n) for n in range(2, threads + 1)),
        ),
    )


def grid_plans(threads: int) -> list[Plan]:
    """All cases; the large grids also at 2 threads where the machine has them."""
    return [
        Plan(
            f"shortest_path {side}",
            partial(path_case, side, threads if side >= LARGE else 1),
            quick=side <= 18,
        )
        for side in SIZES
    ]
