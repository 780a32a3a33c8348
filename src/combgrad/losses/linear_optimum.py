"""The best point of one linear program and its prices, by HiGHS."""

from typing import NamedTuple

import numpy as np
import scipy

from combgrad.errors import (
    InfeasibleError,
    NoPricesError,
    SolverFailedError,
    SolverInputError,
    UnboundedError,
)

#: What still counts as a whole number, and as the best cost.
WHOLE, EQUAL = 1e-6, 1e-9

#: What scipy.optimize.linprog calls its outcomes.
OPTIMAL, INFEASIBLE, UNBOUNDED, IN_DOUBT = 0, 2, 3, 4

TOLERANCES = {"primal_feasibility_tolerance": 1e-9, "dual_feasibility_tolerance": 1e-9}


def optimum(index: int, whole: np.ndarray, *arrays: np.ndarray) -> tuple[np.ndarray, ...]:
    """What linear_program.Optimum has, of one program, whose arrays are those of its Program."""
    unknown = any(np.isnan(limit).any() for limit in arrays[5:])
    if unknown or not all(np.isfinite(part).all() for part in arrays[:5]):
        raise SolverInputError(
            f"linear_program_value: batch index {index} contains NaN or inf; only bounds may be "
            f"inf, so look for a diverged network before it."
        )
    units = _units_of(*arrays)
    found = _relaxed(index, units, *arrays)
    point = units.point * found.x
    if np.abs(point - np.rint(point))[whole].max(initial=0.0) > WHOLE:
        point = _whole_point(index, whole, units, found, *arrays)
    prices = (
        units.cost * found.ineqlin.marginals / units.ub,
        units.cost * found.eqlin.marginals / units.eq,
        units.cost * found.lower.marginals,
        units.cost * found.upper.marginals,
    )
    return np.where(whole, np.rint(point), point), *prices


class _Units(NamedTuple):
    """What to divide costs, each row with its side, and the variables by, so that the largest of
    each is about 1: for tolerances are absolute."""

    cost: float
    ub: np.ndarray
    eq: np.ndarray
    point: float


def _units_of(
    costs: np.ndarray,
    A_ub: np.ndarray,
    b_ub: np.ndarray,
    A_eq: np.ndarray,
    b_eq: np.ndarray,
    least: np.ndarray,
    most: np.ndarray,
) -> _Units:
    ub, eq = (np.array([_unit(row) for row in matrix]) for matrix in (A_ub, A_eq))
    return _Units(_unit(costs), ub, eq, _unit(np.concatenate([b_ub / ub, b_eq / eq, least, most])))


def _unit(values: np.ndarray) -> float:
    """The power of 2 next to the largest of the values, 1 without one; it divides exactly."""
    largest = np.abs(values[np.isfinite(values)]).max(initial=0.0)
    return float(2.0 ** np.floor(np.log2(largest))) if largest else 1.0


def _relaxed(index: int, units: _Units, *arrays: np.ndarray) -> "scipy.optimize.OptimizeResult":
    """The best of the program without integers, in its units."""
    costs, A_ub, b_ub, A_eq, b_eq, least, most = arrays
    program = {
        "c": costs / units.cost,
        "A_ub": A_ub / units.ub[:, None],
        "b_ub": b_ub / units.ub / units.point,
        "A_eq": A_eq / units.eq[:, None],
        "b_eq": b_eq / units.eq / units.point,
        "bounds": np.stack([least, most], axis=1) / units.point,
        "method": "highs-ds",
    }
    found = scipy.optimize.linprog(**program, options=TOLERANCES)
    if found.status == IN_DOUBT:  # with its presolve HiGHS may not tell these two apart
        found = scipy.optimize.linprog(**program, options={**TOLERANCES, "presolve": False})
    _check_outcome(index, found)
    return found


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
    index: int,
    whole: np.ndarray,
    units: _Units,
    relaxed: "scipy.optimize.OptimizeResult",
    *arrays: np.ndarray,
) -> np.ndarray:
    """A whole point (n,) that costs no more than the relaxation's; NoPricesError without one."""
    costs, A_ub, b_ub, A_eq, b_eq, least, most = arrays
    rows = (A_ub, np.full(len(b_ub), -np.inf), b_ub, units.ub), (A_eq, b_eq, b_eq, units.eq)
    found = scipy.optimize.milp(
        costs / units.cost,
        integrality=whole.astype(int),
        bounds=scipy.optimize.Bounds(least, most),
        constraints=[
            scipy.optimize.LinearConstraint(A / unit[:, None], low / unit, high / unit)
            for A, low, high, unit in rows
            if len(unit)
        ],
        options={"mip_rel_gap": 0.0},
    )
    cost = units.point * relaxed.fun
    size = units.point * np.abs(costs / units.cost) @ np.abs(relaxed.x) + 1.0
    if found.x is not None and found.fun <= cost + EQUAL * size:
        return np.asarray(found.x)
    best = "there is no whole point"
    if found.x is not None:
        best = f"the best whole one {units.cost * found.fun:.6g}"
    raise NoPricesError(
        f"linear_program_value: batch index {index} is an integer program whose relaxation costs "
        f"{units.cost * cost:.6g}, and {best}: its rows have no prices, by which its value would "
        f"change. Train its costs alone, losses.OptimalValue() with solvers.ILP(...), or leave out "
        f"integrality to train the value of the relaxation."
    )
