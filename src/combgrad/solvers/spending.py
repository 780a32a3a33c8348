"""What a solution costs, where entries may be forbidden."""

import math

import torch
from torch import Tensor

from combgrad.solvers.arrays import outside_autocast


def spent(costs: Tensor, solution: Tensor) -> Tensor:
    """<w, y> of costs and solutions (..., *S), summed over S of (B, *S): (B,), differentiable.

    Entries of cost +inf that are not used cost nothing; one that is used costs inf. Halves are
    summed in single precision.
    """
    wide = torch.promote_types(costs.dtype, torch.float32)
    costs = costs.to(wide)
    total = (costs * solution).flatten(1).sum(dim=1, dtype=wide)
    if math.isfinite(total.sum().item()):
        return total  # an inf would have made a NaN of a 0
    unused = (costs == torch.inf) & (solution == 0)
    return (costs.masked_fill(unused, 0.0) * solution).flatten(1).sum(dim=1, dtype=wide)


def spent_on_all(costs: Tensor, solutions: Tensor) -> Tensor:
    """<w_b, y_n> of costs (B, *S) and solutions (N, *S), each with each: (B, N).

    Halves are summed in single precision, and autocast makes none of what is finer.
    """
    wide = torch.promote_types(costs.dtype, torch.float32)
    with outside_autocast(costs):
        return costs.flatten(1).to(wide) @ solutions.flatten(1).to(wide).T
