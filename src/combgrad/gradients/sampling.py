"""What the methods share that solve several perturbed copies of the costs."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from combgrad.errors import SolverInputError
from combgrad.solvers.base import Solver


def check_samples(samples: int, group: str = "grad") -> int:
    """`samples`, or ValueError unless it is an integer >= 1; `group` is the part's, of configs."""
    if isinstance(samples, bool) or not isinstance(samples, int) or samples < 1:
        raise ValueError(f"{group}.samples is {samples!r}; it must be an integer, at least 1.")
    return samples


def check_positive(name: str, value: float, group: str = "grad") -> float:
    """`value` as a float, or ValueError unless it is finite and greater than 0."""
    if not 0 < value < float("inf"):
        raise ValueError(f"{group}.{name} is {value}; it must be finite and greater than 0.")
    return float(value)


def within_reach(moved: Tensor, costs: Tensor) -> Tensor:
    """Costs (..., B, *S) that noise or a step made of costs (B, *S), where none became +inf.

    +inf would forbid an entry that was allowed. Raises SolverInputError, naming the batch index.
    """
    beyond = (moved == torch.inf) & (costs != torch.inf)
    if bool(beyond.any()):
        instances = beyond.reshape(-1, *costs.shape).any(dim=0).flatten(1).any(dim=1)
        raise SolverInputError(
            f"costs of batch index {int(instances.nonzero()[0])} become inf in {costs.dtype} once "
            f"noise or a multiple of dL/dy is added; make lam, sigma or the loss smaller, or pass "
            f"costs.double()."
        )
    return moved


def solve_samples(
    solver: Solver, costs: Tensor, instance: Mapping[str, Any], warm: Tensor | None = None
) -> Tensor:
    """Solve costs (samples, B, *S) -> solutions (samples, B, *S), in one batch where possible.

    `warm` (samples, B, *S) are solutions of similar costs, for solvers that can start from some.
    """
    if warm is None or not solver.warm_startable:
        if not instance:
            return solver(costs.flatten(0, 1)).reshape(costs.shape)
        # What describes B instances need not fit a batch of samples * B: one call a sample.
        return torch.stack([solver(row, **instance) for row in costs])
    if not instance:
        return solver(costs.flatten(0, 1), warm=warm.flatten(0, 1)).reshape(costs.shape)
    pairs = zip(costs, warm, strict=True)
    return torch.stack([solver(row, **{**instance, "warm": start}) for row, start in pairs])
