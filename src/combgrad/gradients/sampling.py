"""What the methods share that solve several perturbed copies of the costs."""

from typing import Any, get_args

import torch
from torch import Tensor

from combgrad.errors import SolverInputError
from combgrad.instances import Instances
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


def check_option(name: str, value: str, kind: Any, group: str = "grad") -> None:
    """Raise ValueError unless `value` is one of the strings of `kind`, a Literal."""
    *others, last = map(repr, get_args(kind))
    if value not in get_args(kind):
        raise ValueError(f"{group}.{name} is {value!r}; choose {', '.join(others)} or {last}.")


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
    solver: Solver, costs: Tensor, instances: Instances, near: Tensor | None = None
) -> Tensor:
    """Solve costs (samples, B, *S) -> solutions (samples, B, *S), in one batch.

    `near` (samples, B, *S) are solutions of similar costs, for solvers that can start from some.
    """
    flat, all_instances = costs.flatten(0, 1), instances.repeat(len(costs))
    if near is None:
        return solver(flat, all_instances).reshape(costs.shape)
    return solver.solve_near(flat, near.flatten(0, 1), all_instances).reshape(costs.shape)
