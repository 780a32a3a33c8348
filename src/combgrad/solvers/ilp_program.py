"""The set of solutions of an integer program, checked and scaled for its backends."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy
from numpy.typing import ArrayLike

#: How much smaller than the largest coefficient of its row one may be: a backend drops others.
LEAST_COEFFICIENT = 1e-9
# What a row, scaled to coefficients of 1, may be off relative to the size of its terms: with
# continuous variables, whose values are rounded, and with none.
_MIXED_SLACK, WHOLE_SLACK = 1e-7, 1e-12


@dataclass(frozen=True)
class Program:
    """The set {x: lower <= A x <= upper, least <= x <= most, x_i integer where integer_i}.

    The largest coefficient of each row of A is between 1/2 and 1.
    """

    matrix: "scipy.sparse.csr_array"
    lower: np.ndarray
    upper: np.ndarray
    least: np.ndarray
    most: np.ndarray
    integer: np.ndarray

    def rounding(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What rows (..., m) and bounds (..., n) may be off at points (..., n) in the set."""
        terms = (abs(self.matrix) @ np.abs(points).T).T
        mixed = abs(self.matrix) @ (~self.integer).astype(float) > 0
        of_rows = np.where(mixed, _MIXED_SLACK * (1.0 + terms), WHOLE_SLACK * terms)
        return of_rows, np.where(self.integer, 0.0, _MIXED_SLACK * (1.0 + np.abs(points)))

    def contains(self, points: np.ndarray) -> np.ndarray:
        """Which of the points (B, n) are in the set, up to rounding, (B,) bool."""
        activity = (self.matrix @ points.T).T
        of_rows, of_bounds = self.rounding(points)
        rows = (activity >= self.lower - of_rows) & (activity <= self.upper + of_rows)
        bounds = (points >= self.least - of_bounds) & (points <= self.most + of_bounds)
        whole = ~self.integer | (points == np.rint(points))
        return rows.all(axis=1) & bounds.all(axis=1) & whole.all(axis=1)


def binary_program(variables: int, equal: Any = None, most: Any = None) -> Program:
    """{y in {0, 1}^n: A y = b, C y <= d} of `equal`, (A, b), and `most`, (C, d)."""
    blocks = [] if equal is None else [checked_rows("A_eq", equal[0], equal[1], equal[1])]
    blocks += [] if most is None else [checked_rows("A_ub", most[0], -np.inf, most[1])]
    bounds = np.zeros(variables), np.ones(variables)
    return checked_program([block for block in blocks if block is not None], bounds, 1)


Rows = tuple["scipy.sparse.csr_array", np.ndarray, np.ndarray]


def _numbers(name: str, values: Any) -> np.ndarray:
    """An array of floats of at most two axes; ValueError, naming it, for what is none."""
    try:
        array = np.asarray(values, dtype=float)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} is no array of numbers ({error}).") from error
    if array.ndim > 2:
        raise ValueError(f"{name} has shape {array.shape}; pass rows (m, n), or (n,) for bounds.")
    return array


def checked_rows(
    name: str, matrix: Any, lower: ArrayLike | None, upper: ArrayLike | None
) -> Rows | None:
    """Rows (m, n) with their bounds (m,), None for no matrix."""
    if matrix is None:
        given = [
            _numbers(f"a bound of {name}", side) for side in (lower, upper) if side is not None
        ]
        if not all(np.isinf(side).all() for side in given):
            raise ValueError(f"{name} is missing, and there are right-hand sides for its rows.")
        return None
    rows = (
        scipy.sparse.csr_array(matrix)
        if scipy.sparse.issparse(matrix)
        else scipy.sparse.csr_array(np.atleast_2d(_numbers(name, matrix)))
    )
    if rows.ndim != 2 or rows.dtype.kind not in "biuf":
        raise ValueError(f"{name} has {rows.ndim} axes and dtype {rows.dtype}; pass rows, (m, n).")
    if lower is None or upper is None:
        raise ValueError(f"{name} needs a right-hand side b{name[1:]}.")
    sides = []
    for side in (lower, upper):
        values = _numbers(f"a bound of {name}", side)
        if values.ndim > 1 or values.size not in (1, rows.shape[0]):
            raise ValueError(
                f"{name} has {rows.shape[0]} rows and bounds of shape {values.shape}; pass a "
                f"number or one for each row."
            )
        sides.append(np.broadcast_to(values, rows.shape[:1]))
    return rows.astype(np.float64), sides[0], sides[1]


def both_bounds(bounds: tuple[Any, Any]) -> tuple[Any, Any]:
    """The bounds (least, most) of all variables, with an infinite one for None."""
    if not isinstance(bounds, tuple | list) or len(bounds) != 2:
        raise ValueError(f"bounds are {bounds!r}; pass (least, most), each a number or (n,).")
    if all(isinstance(limit, tuple | list) and len(limit) == 2 for limit in bounds):
        raise ValueError(
            f"bounds are {bounds!r}, which could be a pair for each of two variables, as in scipy; "
            f"pass (least, most), each a number or an array (n,)."
        )
    least, most = bounds
    return -np.inf if least is None else least, np.inf if most is None else most


def checked_program(
    blocks: list[Rows],
    bounds: tuple[ArrayLike | None, ArrayLike | None],
    integrality: ArrayLike,
) -> Program:
    """The program of these rows, with every vector at its full length."""
    limits = both_bounds(bounds)
    named = zip(("least", "most", "integrality"), (*limits, integrality), strict=True)
    vectors = [_numbers(name, values) for name, values in named]
    sizes = {block[0].shape[1] for block in blocks} | {v.size for v in vectors if v.ndim}
    if len(sizes) != 1 or any(v.ndim > 1 for v in vectors):
        raise ValueError(
            f"rows, bounds and integrality describe {sorted(sizes)} variables; they must agree, "
            f"and one of them must give each variable an entry."
        )
    variables = sizes.pop()
    least, most, integer = (np.broadcast_to(v, (variables,)).copy() for v in vectors)
    if not np.isin(integer, (0, 1)).all():
        raise ValueError("integrality has entries other than 0 (continuous) and 1 (integer).")
    empty = scipy.sparse.csr_array((0, variables)), np.empty(0), np.empty(0)
    matrices, lowers, uppers = zip(*blocks, empty, strict=True)
    lower, upper = np.concatenate(lowers), np.concatenate(uppers)
    for name, low, high in (("row", lower, upper), ("variable", least, most)):
        wrong = ~(low <= high) | (low == np.inf) | (high == -np.inf)
        if wrong.any():
            index = int(wrong.argmax())
            raise ValueError(
                f"the bounds of {name} {index}, {low[index]} to {high[index]}, leave nothing "
                f"between them."
            )
    matrix = scipy.sparse.csr_array(scipy.sparse.vstack(matrices, format="csr"))
    if not np.isfinite(matrix.data).all():
        raise ValueError("the rows contain NaN or inf; every coefficient must be a number.")
    return Program(*_scaled(matrix, lower, upper), least, most, integer == 1)


def _scaled(matrix: "scipy.sparse.csr_array", lower: np.ndarray, upper: np.ndarray) -> Rows:
    """Rows multiplied by powers of two, so that the largest coefficient is in [1/2, 1).

    The tolerances of the backends are absolute, and would swallow rows of small coefficients.
    """
    matrix.sum_duplicates()
    matrix.eliminate_zeros()
    sizes, largest = abs(matrix), np.zeros(len(lower))
    if matrix.nnz:
        largest = sizes.max(axis=1).toarray().ravel()
    row_of = np.repeat(np.arange(len(lower)), np.diff(matrix.indptr))
    small = sizes.data < LEAST_COEFFICIENT * largest[row_of]
    if small.any():
        row = int(row_of[small.argmax()])
        raise ValueError(
            f"the coefficients of row {row} spread from {sizes.data[small.argmax()]:.3g} to "
            f"{largest[row]:.3g}, and a backend would drop the small ones; a row may spread by 1e9."
        )
    exponents = -np.frexp(largest)[1]
    matrix.data = np.ldexp(matrix.data, exponents[row_of])
    return matrix, np.ldexp(lower, exponents), np.ldexp(upper, exponents)
