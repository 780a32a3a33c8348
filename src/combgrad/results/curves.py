"""Numbers of several curves that are drawn as one."""

import math
from bisect import bisect_left
from collections.abc import Sequence


def mean_of(values: Sequence[float]) -> float:
    """The mean, NaN or infinite where a value is."""
    return sum(values) / len(values)


def deviation_of(values: Sequence[float]) -> float:
    """The population deviation, NaN where a value is not finite."""
    # Not the module statistics, which fails where a diverged run left NaN or infinity.
    middle = mean_of(values)
    return math.sqrt(mean_of([(value - middle) * (value - middle) for value in values]))


def height_at(x: Sequence[float], values: Sequence[float], at: float) -> float:
    """The value at `at` on the line through the values at rising `x`, level beyond its ends."""
    above = bisect_left(x, at)
    if above in (0, len(x)) or x[above] == at:
        return values[min(above, len(x) - 1)]
    share = (at - x[above - 1]) / (x[above] - x[above - 1])
    return values[above - 1] + share * (values[above] - values[above - 1])
