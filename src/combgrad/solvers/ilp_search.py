"""Small integer programs with finite bounds, searched by our own kernel before any backend."""

import numpy as np

from combgrad.solvers.ilp_program import WHOLE_SLACK, Program
from combgrad.solvers.kernels.program_branch import search_program

#: Entries of the rows, zeros included, that a dense tableau is small for.
MOST_ENTRIES = 400_000
#: Bounds of variables for which a point and its cost are far from rounding.
LARGEST_BOUND = 1e3
#: Operations, of a nanosecond at most, that a search may try beside those of a first relaxation,
#: and how many times as many it may take where it seems to come to an end within.
TRIAL, PATIENCE = 10_000_000, 100
#: Operations in a second of a time limit, so few that most of it is left to the backend.
HURRY = 2e8
#: Digits that whole coefficients may have, in bits.
_BITS = 40


def unit_of(coefficients: np.ndarray) -> float:
    """The largest number of which all coefficients are multiples, 0 where there is none to speak
    of."""
    exponents = np.frexp(coefficients)[1]
    scale = _BITS - int(exponents.max(initial=0))
    whole = np.ldexp(coefficients, scale)
    if (whole != np.rint(whole)).any():
        return 0.0
    return float(np.ldexp(float(np.gcd.reduce(whole.astype(np.int64))), -scale))


class Search:
    """Branch and bound on one program, from the same start for all costs: an answer depends on its
    own costs alone, and costs at most 1e-10 of the largest cost more than the best."""

    def __init__(self, program: Program, time_limit: float | None) -> None:
        matrix = program.matrix
        self.rows = matrix.indptr.astype(np.int32), matrix.indices.astype(np.int32), matrix.data
        self.lower, self.upper = self._tightened(program)
        m, n = matrix.shape
        trial = TRIAL + 3 * (m + n) * m * n
        limit = 2**60 if time_limit is None else int(min(time_limit * HURRY, 2**60))
        self.work = np.array([trial, PATIENCE * trial], dtype=np.int64).clip(max=limit)

    @staticmethod
    def suits(program: Program) -> bool:
        """Whether the program is one that this search takes on."""
        m, n = program.matrix.shape
        sizes = np.maximum(np.abs(program.least), np.abs(program.most))
        small = m * n <= MOST_ENTRIES and sizes.max(initial=0.0) <= LARGEST_BOUND
        return bool(program.integer.all() and small)

    @staticmethod
    def _tightened(program: Program) -> tuple[np.ndarray, np.ndarray]:
        """Finite bounds of the rows, at multiples of what all coefficients are multiples of."""
        lower, upper, matrix = program.lower.copy(), program.upper.copy(), program.matrix
        for i, (start, end) in enumerate(zip(matrix.indptr[:-1], matrix.indptr[1:], strict=True)):
            values, columns = matrix.data[start:end], matrix.indices[start:end]
            ends = values * program.least[columns], values * program.most[columns]
            # One beyond what is possible, where no row ever ends.
            lower[i] = max(lower[i], np.minimum(*ends).sum() - 1)
            upper[i] = min(upper[i], np.maximum(*ends).sum() + 1)
            unit = unit_of(values)
            if unit:
                lower[i] = np.ceil(lower[i] / unit - 1e-9) * unit
                upper[i] = np.floor(upper[i] / unit + 1e-9) * unit
        return lower, upper

    def minimise(self, costs: np.ndarray, least: np.ndarray, most: np.ndarray) -> np.ndarray | None:
        """The best point (n,) for costs (n,) of at most 1 in size, within bounds least and most
        (n,); None where there is none or the search gave up."""
        least, most = np.ceil(least), np.floor(most)
        if (self.lower > self.upper).any() or (least > most).any():
            return None
        point = np.empty(len(costs))
        complete, found = search_program(
            costs,
            *self.rows,
            self.lower,
            self.upper,
            least,
            most,
            WHOLE_SLACK / 2,
            self.work,
            point,
        )
        return point if complete and found else None
