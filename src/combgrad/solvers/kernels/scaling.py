"""Keeping sums of huge costs inside the range of doubles."""

import numpy as np
from numpy.typing import NDArray

from combgrad.solvers.kernels import kernel

#: Sums of fewer than 2^100 costs up to this size do not overflow.
_SAFE = 2.0**900
#: The factor for costs beyond that, a power of two because such products are exact. Small costs
#: need none: sums of denormal numbers are exact.
DOWN = 2.0**-200


@kernel()
def has_huge(costs: NDArray[np.floating]) -> bool:
    """Whether sums of the costs (n,) could overflow, and deserve scaling by DOWN."""
    huge = np.int64(0)
    for i in range(costs.shape[0]):
        huge += abs(costs[i]) > _SAFE
    return bool(huge > 0)
