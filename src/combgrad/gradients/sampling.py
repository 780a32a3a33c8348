"""What the methods share that solve several perturbed copies of the costs."""

import math

import torch
from torch import Tensor

from combgrad.errors import SolverInputError
from combgrad.instances import Instances
from combgrad.solvers.base import Solver


def within_reach(moved: Tensor, costs: Tensor) -> Tensor:
    """Costs (..., B, *S) that noise or a step made of costs (B, *S), where none became infinite.

    +inf would forbid an entry that was allowed, and no solver takes -inf. Raises SolverInputError,
    naming the batch index.
    """
    if not moved.numel() or bool((moved.amax() < torch.inf) & (moved.amin() > -torch.inf)):
        return moved
    beyond = moved.isinf() & ~costs.isinf()
    if bool(beyond.any()):
        instances = beyond.reshape(-1, *costs.shape).any(dim=0).flatten(1).any(dim=1)
        raise SolverInputError(
            f"costs of batch index {int(instances.nonzero()[0])} become inf in {costs.dtype} once "
            f"noise or a multiple of dL/dy is added; make lam, sigma or the loss smaller, or pass "
            f"costs.double()."
        )
    return moved


def finite_slope(slope: Tensor, costs: Tensor) -> Tensor:
    """dL/dy (B, *S) to move costs (B, *S) by, 0 for forbidden entries where it is not all finite.

    Raises SolverInputError, naming the batch index, where it is not finite for the others.
    """
    if math.isfinite(slope.sum().item()):
        return slope
    slope = slope.masked_fill(costs == torch.inf, 0.0)
    broken = ~torch.isfinite(slope).flatten(1).all(dim=1)
    if bool(broken.any()):
        raise SolverInputError(
            f"dL/dy of batch index {int(broken.nonzero()[0])} contains NaN or inf "
            f"({int(broken.sum())} of {len(slope)} instances do); look for a diverged network or a "
            f"division by zero behind the solver, up to the loss."
        )
    return slope


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
