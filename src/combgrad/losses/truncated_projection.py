"""A projection onto a cone by an interior-point method that is stopped before its end."""

import importlib
from typing import Any

import numpy as np
import scipy

from combgrad.errors import MissingPackageError


def stopped_short(point: np.ndarray, normals: np.ndarray, steps: int) -> np.ndarray:
    """a N for the a that Clarabel has after some steps towards the least |a N - point|^2, a >= 0.

    The point is (n,), the normals N (m, n), without which 0 is the nearest. The first steps may
    leave some a below 0.
    Raises MissingPackageError without the package clarabel.
    """
    if not len(normals):
        return np.zeros_like(point)
    clarabel = _package()
    settings = clarabel.DefaultSettings()
    settings.verbose, settings.max_threads, settings.max_iter = False, 1, steps
    # Both would change where the first steps lead.
    settings.presolve_enable = settings.equilibrate_enable = False
    square = scipy.sparse.triu(scipy.sparse.csc_array(2 * normals @ normals.T), format="csc")
    below = scipy.sparse.csc_array(-scipy.sparse.eye_array(len(normals)))
    problem = (square, -2 * normals @ point, below, np.zeros(len(normals)))
    cones = [clarabel.NonnegativeConeT(len(normals))]
    return np.asarray(clarabel.DefaultSolver(*problem, cones, settings).solve().x) @ normals


def _package() -> Any:
    try:
        return importlib.import_module("clarabel")
    except ModuleNotFoundError as error:
        raise MissingPackageError(
            "ConeAligned(aim='truncated') needs the package clarabel: pip install "
            "'combgrad[values]', the extra `values` of this project; or take loss.aim=inner."
        ) from error
