"""New arrays of zeros: `np.zeros` is compiled anew for every form of its arguments, these once."""

import numpy as np
from numpy.typing import NDArray

from combgrad.solvers.kernels import inner


@inner
def floats(n: int) -> NDArray[np.float64]:
    """(n,) of double precision."""
    return np.zeros(n)


@inner
def integers(n: int) -> NDArray[np.int64]:
    """(n,) of integers."""
    return np.zeros(n, dtype=np.int64)


@inner
def flags(n: int) -> NDArray[np.bool_]:
    """(n,) of truth values."""
    return np.zeros(n, dtype=np.bool_)


@inner
def float_matrix(rows: int, columns: int) -> NDArray[np.float64]:
    """(rows, columns) of double precision."""
    return floats(rows * columns).reshape(rows, columns)


@inner
def integer_matrix(rows: int, columns: int) -> NDArray[np.int64]:
    """(rows, columns) of integers."""
    return integers(rows * columns).reshape(rows, columns)


@inner
def flag_matrix(rows: int, columns: int) -> NDArray[np.bool_]:
    """(rows, columns) of truth values."""
    return flags(rows * columns).reshape(rows, columns)
