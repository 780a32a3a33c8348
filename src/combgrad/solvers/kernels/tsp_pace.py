"""How a search is stopped from outside: it counts its work and looks at a flag."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from combgrad.solvers.kernels import inner


class Pace(NamedTuple):
    """What one thread of a search may do."""

    left: NDArray[np.int64]  # (1,) number operations until it stops
    halt: NDArray[np.int64]  # (1,) not 0 when all threads are to stop


@inner
def must_stop(pace: Pace, work: int) -> bool:
    """Count some work and say whether to stop."""
    pace.left[0] -= work
    return pace.left[0] < 0 or pace.halt[0] != 0
