"""The value of a linear program as a function of its costs, its rows and its right-hand sides."""

from typing import Any, NamedTuple

import numpy as np
import scipy
import torch
from torch import Tensor

from combgrad.errors import (
    InfeasibleError,
    NoPricesError,
    SolverFailedError,
    SolverInputError,
    UnboundedError,
)
from combgrad.solvers.arrays import to_array, to_tensor

#: What still counts as a whole number, and as the best cost.
WHOLE, EQUAL = 1e-6, 1e-9

#: What scipy.optimize.linprog calls its outcomes.
OPTIMAL, INFEASIBLE, UNBOUNDED, IN_DOUBT = 0, 2, 3, 4


class Program(NamedTuple):
    """A batch of programs min <c, u>: A_ub u <= b_ub, A_eq u = b_eq, least <= u <= most."""

    costs: Tensor
    A_ub: Tensor
    b_ub: Tensor
    A_eq: Tensor
    b_eq: Tensor
    least: Tensor
    most: Tensor


class Optimum(NamedTuple):
    """Best points (B, n) and what a unit of each right-hand side and bound changes the value by."""

    point: Tensor
    b_ub: Tensor
    b_eq: Tensor
    least: Tensor
    most: Tensor


def linear_program_value(
    costs: Tensor,
    A_ub: Tensor | None = None,
    b_ub: Tensor | None = None,
    A_eq: Tensor | None = None,
    b_eq: Tensor | None = None,
    bounds: tuple[Tensor | float, Tensor | float] = (0.0, np.inf),
    integrality: Any = 0,
) -> Tensor:
    """z* = min <c, u> over u with A_ub u <= b_ub, A_eq u = b_eq and least <= u <= most, (B,).

    Differentiable in all its tensors: dz/dc = u*, dz/db = v*, dz/dA = -v* u*^T, and the reduced
    costs for the bounds, where u* is a best point and v* are the prices (duals) of the rows. One
    run of HiGHS an instance, none on the way back. Where several u* or v* are best it is one of
    the generalised gradients. Source: companion paper, Algorithm 1.

    Args:
        costs: c (B, n).
        A_ub, A_eq: rows (m, n) that all instances share, or (B, m, n).
        b_ub, b_eq: right-hand sides (m,) or (B, m).
        bounds: (least, most) of the variables, each a number, (n,) or (B, n).
        integrality: 1 where a variable is to be an integer, 0 where it is not, (n,) or one for
            all. An integer program has prices where a best point of its relaxation is whole, as it
            is for flows and matchings: those of the relaxation.

    Raises SolverInputError for shapes that do not fit, NaN and inf; naming the batch index,
    NoPricesError where the relaxation of an integer program costs less than its best point,
    InfeasibleError and UnboundedError where there is no best point.
    """
    given = {"A_ub": A_ub, "b_ub": b_ub, "A_eq": A_eq, "b_eq": b_eq}
    program = _checked(costs, given, bounds)
    whole = np.broadcast_to(np.asarray(integrality) != 0, costs.shape[1:])
    arrays = [to_array(tensor.detach()) for tensor in program]
    found = [
        _optimum(index, whole, *(array[index if len(array) > 1 else 0] for array in arrays))
        for index in range(len(costs))
    ]
    if not found:
        return program.costs.sum(dim=1)
    best = Optimum(
        *(to_tensor(np.stack(each), like=program.costs) for each in zip(*found, strict=True))
    )
    return _value(program, best)


def _checked(
    costs: Tensor, given: dict[str, Tensor | None], bounds: tuple[Tensor | float, Tensor | float]
) -> Program:
    """The program with each tensor as (B, ...), or (1, ...) where all instances share it."""
    if costs.dim() != 2 or not costs.is_floating_point():
        raise _refused("costs", f"shape {tuple(costs.shape)} and dtype {costs.dtype}", "(B, n)")
    if not isinstance(bounds, tuple | list) or len(bounds) != 2:
        raise _refused("bounds", f"type {type(bounds).__name__}", "(least, most)")
    # Halves are too coarse for differences of costs; the solver works in float64 anyway.
    costs = costs.float() if costs.element_size() < 4 else costs
    n = costs.shape[1]
    tensors = {"costs": costs}
    for kind in ("ub", "eq"):
        A, b = given[f"A_{kind}"], given[f"b_{kind}"]
        if (A is None) != (b is None):
            missing = f"A_{kind}" if A is None else f"b_{kind}"
            raise _refused(missing, "no value", "both rows and their right-hand sides")
        A = costs.new_zeros(0, n) if A is None else A
        b = costs.new_zeros(0) if b is None else b
        rows = A.shape[-2] if A.dim() > 1 else 0
        tensors[f"A_{kind}"] = _fitting(f"A_{kind}", A, costs, (rows, n))
        tensors[f"b_{kind}"] = _fitting(f"b_{kind}", b, costs, (rows,))
    for name, limit in zip(("least", "most"), bounds, strict=True):
        limit = torch.as_tensor(limit, dtype=costs.dtype, device=costs.device)
        tensors[name] = _fitting(name, limit.expand(n) if limit.dim() == 0 else limit, costs, (n,))
    return Program(**tensors)


def _fitting(name: str, values: Tensor, costs: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Values (B, *shape), or (1, *shape) of (*shape), in the costs' dtype and on their device."""
    values = values.to(costs)
    values = values.unsqueeze(0) if values.dim() == len(shape) else values
    if values.shape[1:] != shape or values.shape[0] not in (1, len(costs)):
        words = f"{shape} or {(len(costs), *shape)}"
        raise _refused(name, f"shape {tuple(values.shape)}", words)
    return values


def _refused(name: str, has: str, wanted: str) -> SolverInputError:
    return SolverInputError(f"linear_program_value: {name} has {has}; pass {wanted}.")


def _optimum(index: int, whole: np.ndarray, *arrays: np.ndarray) -> tuple[np.ndarray, ...]:
    """What Optimum has, of one program, whose arrays are those of Program."""
    costs, A_ub, b_ub, A_eq, b_eq, least, most = arrays
    unknown = np.isnan(least).any() or np.isnan(most).any()
    if unknown or not all(np.isfinite(part).all() for part in arrays[:5]):
        raise SolverInputError(
            f"linear_program_value: batch index {index} contains NaN or inf; only bounds may be "
            f"inf, so look for a diverged network before it."
        )
    rows = {"A_ub": A_ub, "b_ub": b_ub, "A_eq": A_eq, "b_eq": b_eq}
    bounds = np.stack([least, most], axis=1)
    found = scipy.optimize.linprog(costs, **rows, bounds=bounds, method="highs-ds")
    if found.status == IN_DOUBT:  # with its presolve HiGHS may not tell these two apart
        found = scipy.optimize.linprog(
            costs, **rows, bounds=bounds, method="highs-ds", options={"presolve": False}
        )
    _check_outcome(index, found)
    point = found.x
    if np.abs(point - np.rint(point))[whole].max(initial=0.0) > WHOLE:
        point = _whole_point(index, whole, found, *arrays)
    point = np.where(whole, np.rint(point), point)
    sides = (found.ineqlin, found.eqlin, found.lower, found.upper)
    return point, *(side.marginals for side in sides)


def _check_outcome(index: int, found: "scipy.optimize.OptimizeResult") -> None:
    if found.status == INFEASIBLE:
        raise InfeasibleError(
            f"linear_program_value: batch index {index} has no solution; its rows and bounds "
            f"contradict each other."
        )
    if found.status == UNBOUNDED:
        raise UnboundedError(
            f"linear_program_value: the cost of batch index {index} falls without end; bound the "
            f"variables or keep the sign of their costs."
        )
    if found.status != OPTIMAL:
        raise SolverFailedError(
            f"linear_program_value: HiGHS ended batch index {index} with {found.message!r}; look "
            f"for coefficients of very different size."
        )


def _whole_point(
    index: int, whole: np.ndarray, relaxed: "scipy.optimize.OptimizeResult", *arrays: np.ndarray
) -> np.ndarray:
    """A whole point (n,) that costs no more than the relaxation's; NoPricesError without one."""
    costs, A_ub, b_ub, A_eq, b_eq, least, most = arrays
    rows = [(A, low, b) for A, low, b in ((A_ub, -np.inf, b_ub), (A_eq, b_eq, b_eq)) if len(b)]
    found = scipy.optimize.milp(
        costs,
        integrality=whole.astype(int),
        bounds=scipy.optimize.Bounds(least, most),
        constraints=[scipy.optimize.LinearConstraint(A, low, b) for A, low, b in rows],
    )
    size = np.abs(costs) @ np.abs(relaxed.x) + 1.0
    if found.x is not None and found.fun <= relaxed.fun + EQUAL * size:
        return np.asarray(found.x)
    best = "there is no whole point" if found.x is None else f"the best whole one {found.fun:.6g}"
    raise NoPricesError(
        f"linear_program_value: batch index {index} is an integer program whose relaxation costs "
        f"{relaxed.fun:.6g}, and {best}: its rows have no prices, by which its value would change. "
        f"Train its costs alone, losses.OptimalValue() with solvers.ILP(...), or leave out "
        f"integrality to train the value of the relaxation."
    )


def _value(program: Program, best: Optimum) -> Tensor:
    """<c, u*> (B,), with the derivatives of the Lagrangian at the optimum for the other parts.

    By the envelope theorem u* and the prices are constants. What is added is 0, but carries them.
    """
    with torch.autocast(program.costs.device.type, enabled=False):
        value = (program.costs * best.point).sum(dim=1)
        for prices, A, b in (
            (best.b_ub, program.A_ub, program.b_ub),
            (best.b_eq, program.A_eq, program.b_eq),
        ):
            value = value + (prices * (b - b.detach())).sum(dim=1)
            if A.requires_grad:
                matrix = (A - A.detach()).expand(len(prices), -1, -1)
                value = value - torch.einsum("bm,bmn,bn->b", prices, matrix, best.point)
        for prices, limit in ((best.least, program.least), (best.most, program.most)):
            finite = torch.isfinite(limit)
            moved = limit - torch.where(finite, limit.detach(), 0.0)
            value = value + torch.where(finite, prices * moved, 0.0).sum(dim=1)
        return value
