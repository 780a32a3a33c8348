"""The value of a linear program as a function of its costs, its rows and its right-hand sides."""

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from combgrad.errors import SolverInputError
from combgrad.losses.linear_optimum import optimum
from combgrad.solvers.arrays import outside_autocast, to_array, to_tensor
from combgrad.solvers.forms import refuse_transforms
from combgrad.solvers.ilp_program import both_bounds

#: A number, or one for each variable; a bound of None is none.
Values = Any


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
    A_ub: Values = None,
    b_ub: Values = None,
    A_eq: Values = None,
    b_eq: Values = None,
    bounds: tuple[Values, Values] = (0.0, np.inf),
    integrality: Values = 0,
) -> Tensor:
    """z* = min <c, u> over u with A_ub u <= b_ub, A_eq u = b_eq and least <= u <= most, (B,).

    Differentiable in all its tensors: dz/dc = u*, dz/db = v*, dz/dA = -v* u*^T, and the reduced
    costs for the bounds, where u* is a best point and v* are the prices (duals) of the rows. One
    run of HiGHS an instance, none on the way back; its tolerance is 1e-9 of the largest cost, of
    the largest coefficient of a row and of the largest side or bound. Where several u* or v* are
    best it is one of the generalised gradients. Source: companion paper, Algorithm 1.

    Args:
        costs: c (B, n).
        A_ub, A_eq: rows (m, n) that all instances share, or (B, m, n); tensors, or arrays.
        b_ub, b_eq: right-hand sides (m,) or (B, m).
        bounds: (least, most) of the variables, each a number, (n,) or (B, n); None for no bound.
        integrality: 1 where a variable is to be an integer, 0 where it is not, (n,) or one for
            all. An integer program has prices where a best point of its relaxation is whole, as it
            is for flows and matchings: those of the relaxation.

    Raises SolverInputError for shapes that do not fit, NaN and inf, and inside a transform of
    torch.func; naming the batch index, NoPricesError where the relaxation of an integer program
    costs less than its best point, InfeasibleError and UnboundedError where there is no best point.
    """
    given = {"A_ub": A_ub, "b_ub": b_ub, "A_eq": A_eq, "b_eq": b_eq}
    program = _checked(costs, given, bounds)
    whole = np.asarray(integrality) != 0
    if whole.shape not in ((), costs.shape[1:]):
        raise _refused("integrality", f"shape {whole.shape}", f"one number or {costs.shape[1]}")
    whole = np.broadcast_to(whole, costs.shape[1:])
    arrays = [to_array(tensor.detach()) for tensor in program]
    found = [
        optimum(index, whole, *(array[index if len(array) > 1 else 0] for array in arrays))
        for index in range(len(costs))
    ]
    if not found:
        # Of no instances, but a function of all the tensors.
        return program.costs.sum(dim=1) + sum(tensor.sum() for tensor in program)
    best = Optimum(
        *(to_tensor(np.stack(each), like=program.costs) for each in zip(*found, strict=True))
    )
    return _value(Program(*(part.to(program.costs.dtype) for part in program)), best)


def _checked(costs: Tensor, given: dict[str, Values], bounds: tuple[Values, Values]) -> Program:
    """The program with each tensor as (B, ...), or (1, ...) where all instances share it."""
    if not isinstance(costs, Tensor) or costs.dim() != 2:
        has = tuple(costs.shape) if isinstance(costs, Tensor) else type(costs).__name__
        raise _refused("costs", f"shape {has}", "a tensor (B, n)")
    if not costs.is_floating_point():
        raise _refused("costs", f"dtype {costs.dtype}", "floating point, costs.float()")
    # Halves are too coarse for differences of costs; the solver works in float64 anyway.
    costs = costs.float() if costs.element_size() < 4 else costs
    n = costs.shape[1]
    tensors = {"costs": costs}
    for kind in ("ub", "eq"):
        A, b = given[f"A_{kind}"], given[f"b_{kind}"]
        if (A is None) != (b is None):
            missing = f"A_{kind}" if A is None else f"b_{kind}"
            raise _refused(missing, "no value", "both rows and their right-hand sides")
        A = costs.new_zeros(0, n) if A is None else _tensor(f"A_{kind}", A, costs)
        b = costs.new_zeros(0) if b is None else _tensor(f"b_{kind}", b, costs)
        rows = A.shape[-2] if A.dim() > 1 else b.numel()
        tensors[f"A_{kind}"] = _fitting(f"A_{kind}", A, costs, (rows, n))
        tensors[f"b_{kind}"] = _fitting(f"b_{kind}", b, costs, (rows,))
    try:
        limits = both_bounds(bounds)
    except ValueError as error:
        raise SolverInputError(f"linear_program_value: {error}") from error
    for name, limit in zip(("least", "most"), limits, strict=True):
        limit = _tensor("bounds", limit, costs)
        tensors[name] = _fitting(name, limit.expand(n) if limit.dim() == 0 else limit, costs, (n,))
    for tensor in tensors.values():
        refuse_transforms("linear_program_value", tensor, "its tensors")
    return Program(**tensors)


def _tensor(name: str, values: Values, costs: Tensor) -> Tensor:
    """Values as they are, on the costs' device; what is no floating tensor in float64.

    Rounded to the dtype of the costs, rows that follow from each other would contradict each other.
    """
    try:
        values = values if isinstance(values, Tensor) else torch.from_numpy(np.array(values, float))
        least = torch.float32 if values.is_floating_point() else torch.float64
        return values.to(costs.device, torch.promote_types(values.dtype, least))
    except (TypeError, ValueError, RuntimeError) as error:
        raise _refused(name, f"type {type(values).__name__} ({error})", "a tensor") from error


def _fitting(name: str, values: Tensor, costs: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Values as (B, *shape), or those of (*shape) as (1, *shape)."""
    values = values.unsqueeze(0) if values.dim() == len(shape) else values
    if values.shape[1:] != shape or values.shape[0] not in (1, len(costs)):
        words = f"{shape} or {(len(costs), *shape)}"
        raise _refused(name, f"shape {tuple(values.shape)}", words)
    return values


def _refused(name: str, has: str, wanted: str) -> SolverInputError:
    return SolverInputError(f"linear_program_value: {name} has {has}; pass {wanted}.")


def _value(program: Program, best: Optimum) -> Tensor:
    """<c, u*> (B,), with the derivatives of the Lagrangian at the optimum for the other parts.

    By the envelope theorem u* and the prices are constants. What is added is 0, but carries them.
    """
    with outside_autocast(program.costs):
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
