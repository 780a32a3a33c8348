"""Whether a path across a grid, found in doubles, is a cheapest one in exact arithmetic too.

Cells are counted in a frame around the grid, like those of `grid_dijkstra`: a cell has a label, or
its cost is still in `padded` and not inf there.
"""

import numpy as np
from numpy.typing import NDArray

from combgrad.solvers.kernels import inner
from combgrad.solvers.kernels.exact_sums import ROUNDING, sums_are_exact

# Below this size relative errors of sums are not small.
_FINE = 1e-290


@inner
def is_alone(
    padded: NDArray[np.float64],
    start: int,
    end: int,
    steps: NDArray[np.int64],
    labels: NDArray[np.float64],
    before: NDArray[np.int64],
) -> bool:
    """Whether all other paths are longer than the one that `before` describes beyond rounding.

    Another path comes to some cell of this one from another neighbour. That one's label, or, where
    it has none, the last one given and its cost, must then exceed that of the cell before.
    """
    rounding = 8.0 * labels.shape[0] * ROUNDING
    last = labels[before[end]]
    cell = end
    while cell != start:
        reached = labels[before[cell]] * (1.0 + rounding) + _FINE
        for s in range(steps.shape[0]):
            other = cell + steps[s]
            if other != before[cell]:
                label = labels[other] if padded[other] == np.inf else last + padded[other]
                if not label * (1.0 - rounding) > reached:
                    return False
        cell = before[cell]
    return True


@inner
def is_certain(costs: NDArray[np.float64], factor: float, length: float) -> bool:
    """Whether no sum up to the length found for costs (n,) times factor was rounded."""
    if factor == 1.0:
        return sums_are_exact(costs, length)
    scaled = costs * factor
    return bool(np.all(scaled / factor == costs)) and sums_are_exact(scaled, length)
