"""The points within a linear program, and the one that a logarithmic barrier prefers."""

from dataclasses import dataclass

import numpy as np
import scipy
import torch
from torch import Tensor

from combgrad.errors import IncompatibleError, InfeasibleError, SolverFailedError
from combgrad.solvers.ilp_program import Program

#: An inequality that no point leaves more room than this is an equality.
NO_ROOM = 1e-8

#: The square of Newton's decrement at which a point is the best one, in units of mu, what rounding
#: may add to it for each unit of the squared costs over mu, and what it may never exceed.
CLOSE, ROUNDING, FAR = 1e-18, 1e-27, 1e-4


@dataclass(frozen=True)
class Interior:
    """{y = start + Z z: G y < h}: a point (n,), an orthonormal basis Z (n, k), G (m, n), h (m,)."""

    start: Tensor
    basis: Tensor
    rows: Tensor
    sides: Tensor

    def slack(self, points: Tensor) -> Tensor:
        """h - G y (B, m) of points (B, n)."""
        return self.sides - points @ self.rows.T

    def solve(self, points: Tensor, slopes: Tensor) -> Tensor:
        """Z (Z'HZ)^-1 Z' g of slopes g (B, n), H being that of -sum log(slack) at points (B, n)."""
        reduced = (self.rows @ self.basis) / self.slack(points).unsqueeze(2)
        square = reduced.transpose(1, 2) @ reduced
        # Where H is singular this answers with inf or NaN, which is no point, and raises nothing.
        found, _ = torch.linalg.solve_ex(square, slopes @ self.basis)
        return found @ self.basis.T

    def to(self, device: torch.device) -> "Interior":
        """The same on a device."""
        return Interior(*(x.to(device) for x in vars(self).values()))


def interior_of(program: Program) -> Interior:
    """The relative interior of a program.

    InfeasibleError for one without a point, IncompatibleError for one that contains a line.
    """
    rows, sides, equal, values = _inequalities(program)
    room, start = _roomiest(rows, sides, equal, values)
    if room <= NO_ROOM:
        rows, sides, equal, values, start = _without_fixed(rows, sides, equal, values)
    _, sizes, directions = np.linalg.svd(equal, full_matrices=True)
    rank = int((sizes > 1e-9 * sizes.max(initial=1.0)).sum())
    basis = directions[rank:].T
    if np.linalg.matrix_rank(rows @ basis) < basis.shape[1]:
        raise IncompatibleError(
            "LogBarrier: the solver's linear relaxation has a direction without an end on either "
            "side, along which no point is the best; give its variables bounds."
        )
    arrays = start, basis, rows, sides
    return Interior(*(torch.tensor(x, dtype=torch.float64, device="cpu") for x in arrays))


def _inequalities(program: Program) -> tuple[np.ndarray, ...]:
    """G, h of G y <= h and A, b of A y = b, of rows and bounds alike."""
    unit = np.eye(len(program.least))
    matrix = np.concatenate([program.matrix.toarray(), unit])
    low = np.concatenate([program.lower, program.least])
    high = np.concatenate([program.upper, program.most])
    fixed = low == high
    below, above = ~fixed & np.isfinite(high), ~fixed & np.isfinite(low)
    rows = np.concatenate([matrix[below], -matrix[above]])
    return rows, np.concatenate([high[below], -low[above]]), matrix[fixed], low[fixed]


def _roomiest(
    rows: np.ndarray, sides: np.ndarray, equal: np.ndarray, values: np.ndarray
) -> tuple[float, np.ndarray]:
    """The most that all slacks can have, at most 1, and a point (n,) where they do."""
    n = rows.shape[1]
    found = scipy.optimize.linprog(
        np.append(np.zeros(n), -1.0),
        A_ub=np.hstack([rows, np.ones((len(rows), 1))]),
        b_ub=sides,
        A_eq=np.hstack([equal, np.zeros((len(equal), 1))]),
        b_eq=values,
        bounds=[(None, None)] * n + [(None, 1.0)],
        method="highs",
    )
    if found.status != 0 or found.x[-1] < -NO_ROOM:
        raise InfeasibleError(
            f"LogBarrier: the solver's linear relaxation has no point ({found.message}); its rows "
            f"and bounds contradict each other."
        )
    return float(found.x[-1]), found.x[:-1]


def _without_fixed(
    rows: np.ndarray, sides: np.ndarray, equal: np.ndarray, values: np.ndarray
) -> tuple[np.ndarray, ...]:
    """The same with inequalities that never have room as equalities, and a point within."""
    free, points = [(None, None)] * rows.shape[1], []
    for row, side in zip(rows, sides, strict=True):
        # No more than 1 of its slack is asked for: some have no end.
        matrix, limits = np.vstack([rows, -row]), np.append(sides, 1.0 - side)
        found = scipy.optimize.linprog(row, matrix, limits, equal, values, free, method="highs")
        points.append(found.x)
    start = np.mean(points, axis=0)
    fixed = sides - rows @ start <= NO_ROOM
    equal, values = np.concatenate([equal, rows[fixed]]), np.concatenate([values, sides[fixed]])
    return rows[~fixed], sides[~fixed], equal, values, start


def barrier_minimum(interior: Interior, costs: Tensor, mu: float, steps: int) -> Tensor:
    """argmin <w, y> - mu sum log(slack) (B, n) within, for finite costs (B, n) in float64.

    Newton's method, each step cut to stay within and halved until it lowers the sum (Boyd and
    Vandenberghe, Convex Optimization, section 9.5). SolverFailedError, naming the batch index,
    where the steps do not do.
    """
    scaled = costs / mu
    point = interior.start.expand_as(costs)
    for _ in range(steps):
        slack = interior.slack(point)
        slope = scaled + (1 / slack) @ interior.rows
        step = -interior.solve(point, slope)
        decrement = -(slope * step).sum(dim=1)
        near = decrement <= (CLOSE + ROUNDING * scaled.square().sum(dim=1)).clamp(max=FAR)
        if bool(near.all()):
            return point
        point = point + _length(scaled, slack, step, step @ interior.rows.T, decrement) * step
    index = int((~near).nonzero()[0])
    raise SolverFailedError(
        f"LogBarrier: Newton's method has not ended after {steps} steps in batch index {index}; "
        f"raise grad.mu, which is {mu} for costs up to {float(costs[index].abs().max()):.3g}, or "
        f"grad.steps; or bound the program's variables, where its costs fall without end."
    )


def _length(
    scaled: Tensor, slack: Tensor, step: Tensor, shrinking: Tensor, decrement: Tensor
) -> Tensor:
    """How much (B, 1) of the steps (B, n) to take, which take `shrinking` (B, m) of the slacks."""
    length = 0.99 / (shrinking / slack).amax(dim=1).clamp(min=0.99)
    along = (scaled * step).sum(dim=1)
    for _ in range(60):
        left = 1 - length.unsqueeze(1) * shrinking / slack
        change = length * along - left.log().sum(dim=1)
        worse = change > -0.1 * length * decrement + 1e-12 * decrement.clamp(min=1)
        if not bool(worse.any()):
            break
        length = torch.where(worse, length / 2, length)
    return length.unsqueeze(1)
