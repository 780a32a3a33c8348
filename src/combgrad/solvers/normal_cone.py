"""The costs by which a solution is the best of a linear relaxation, as a cone."""

from typing import NamedTuple

import numpy as np
import scipy

from combgrad.errors import SolverFailedError
from combgrad.solvers.ilp_program import Program


class Cone(NamedTuple):
    """{a R + b L: a >= 0}: rays R (r, n) and lines L (l, n), the largest entry of each +-1."""

    rays: np.ndarray
    lines: np.ndarray

    @property
    def middle(self) -> np.ndarray:
        """The mean (n,) of all normals at length 1; a line's two add up to 0."""
        units = self.rays / np.linalg.norm(self.rays, axis=1, keepdims=True)
        return np.asarray(units.sum(axis=0) / max(1, len(self.rays) + 2 * len(self.lines)))

    @property
    def normals(self) -> np.ndarray:
        """All normals (r + 2l, n), a line being two."""
        return np.concatenate([self.rays, self.lines, -self.lines])

    def nearest(self, point: np.ndarray) -> np.ndarray:
        """The nearest point of the cone to a point (n,), by non-negative least squares.

        Their tolerance is that of points whose largest entry is about 1. Raises
        SolverFailedError where those do not end.
        """
        # What the lines reach leaves nothing of the point; the rays need only reach the rest.
        _, sizes, basis = np.linalg.svd(self.lines, full_matrices=False)
        basis = basis[sizes > 1e-9 * sizes.max(initial=0.0)]
        rest, rays = (x - (x @ basis.T) @ basis for x in (point, self.rays))
        if not rays.size:  # scipy's nnls frees its memory twice then
            return np.asarray(point - rest)
        try:
            shares, _ = scipy.optimize.nnls(rays.T, rest)
        except RuntimeError as error:
            raise SolverFailedError(
                f"the projection onto a cone of {len(rays)} normals did not end ({error}); look "
                f"for a diverged network."
            ) from error
        return np.asarray(point - (rest - shares @ rays))


def normal_cone(program: Program, solution: np.ndarray, cuts: np.ndarray, kept: np.ndarray) -> Cone:
    """The normals at a program's solution (n,) of what binds there: rows, bounds, cuts (m, n).

    v is in the cone where <v, y - solution> <= 0 for all y of the program that keep to the cuts:
    the solution is the best one for costs -v. Entries that are not `kept` (n,) are left out.
    """
    matrix, unit = program.matrix.toarray(), np.eye(len(solution))
    of_rows, of_bounds = program.rounding(solution)
    blocks = (
        (matrix, program.matrix @ solution, of_rows, program.lower, program.upper),
        (unit, solution, of_bounds, program.least, program.most),
    )
    rays, lines = [cuts], []
    for rows, value, reach, low, high in blocks:
        fixed = low == high
        lines.append(rows[fixed])
        rays.append(rows[~fixed & (value >= high - reach)])
        rays.append(-rows[~fixed & (value <= low + reach)])
    return Cone(_scaled(np.concatenate(rays)[:, kept]), _scaled(np.concatenate(lines)[:, kept]))


def _scaled(rows: np.ndarray) -> np.ndarray:
    """Rows whose largest entry is +-1, without those that are 0."""
    largest = abs(rows).max(axis=1, keepdims=True, initial=0.0)
    there = largest[:, 0] > 0
    return np.asarray(rows[there] / largest[there])
