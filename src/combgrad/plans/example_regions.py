"""Figures 2 and 9: which costs have which solution, and what the methods do, computed anew."""

import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray

from combgrad.gradients import Blackbox, GradientMethod, Identity
from combgrad.layer import CombinatorialLayer
from combgrad.pictures.cost_regions import draw_plane, draw_space
from combgrad.projections import Norm, Projection, Std
from combgrad.solvers import Ranking, Solver, Trait, from_function

Floats = NDArray[np.float64]
Method = tuple[GradientMethod, Projection | None]

#: The solutions of the plane, costs, the solution that is wanted, and Blackbox's step.
CORNERS = ((1, 0.1), (0.5, 0.9), (-0.4, 0.8), (-1, 0.1), (-0.3, -0.9), (0.7, -0.7))
COSTS = (1.25, 0.15)
WANTED = (-0.4, 0.8)
LAM = 1.3

#: Costs of three entries, of length 1, and dL/dy of their ranks.
SPACE_COSTS = (0.8, 0.0, 0.6)
SPACE_SLOPE = (-0.55, 0.2, 0.1)
#: Two unit vectors that span the costs of mean 0.
PLANE = np.array([[1, -1, 0], [1, 1, -2]]) / np.sqrt([[2], [6]])
RANKS = ((1, 2, 3), (1, 3, 2), (2, 3, 1), (3, 2, 1), (3, 1, 2), (2, 1, 3))


def corner_solver() -> Solver:
    """y(w) = argmin <w, y> over the corners."""
    corners = np.array(CORNERS, dtype=float)
    return from_function(lambda w: corners[(corners @ w).argmin()], {Trait.SCALE_INVARIANT})


def steps_of(
    solver: Solver, costs: tuple[float, ...], slope: Floats, methods: dict[str, Method]
) -> dict[str, Floats]:
    """By the name of each method, -dL/dw (n,) for costs (n,) and dL/dy (n,)."""
    found = {}
    for name, (gradient, projection) in methods.items():
        w = torch.tensor([costs], dtype=torch.float64, requires_grad=True)
        layer = CombinatorialLayer(solver, gradient, projection)
        layer(w).backward(torch.tensor(slope)[None])
        assert w.grad is not None
        found[name] = -w.grad[0].numpy()
    return found


def plane_slope() -> Floats:
    """dL/dy = y - y* of the loss |y - y*|^2 / 2."""
    return corner_solver()(torch.tensor([COSTS], dtype=torch.float64))[0].numpy() - WANTED


def plane_steps() -> dict[str, Floats]:
    """-dL/dw (2,) of each method."""
    methods: dict[str, Method] = {
        "Identity": (Identity(), None),
        "Identity with norm": (Identity(), Norm()),
        f"Blackbox, λ = {LAM:g}": (Blackbox(LAM), None),
    }
    return steps_of(corner_solver(), COSTS, plane_slope(), methods)


def interpolated(costs: Floats) -> Floats:
    """f_lam (N,) of costs (N, 2), whose gradient is Blackbox's.

    f_lam(w) = f(y_lam) - (<w, y(w)> - <w, y_lam>) / lam with y_lam = y(w + lam dL/dy) and
    f(y) = <dL/dy, y>. Source: Vlastelica et al., ICLR 2020, equation 5.
    """
    slope, corners = plane_slope(), np.array(CORNERS, dtype=float)
    moved = corners[((costs + LAM * slope) @ corners.T).argmin(axis=1)]
    least = (costs @ corners.T).min(axis=1)
    return moved @ slope - (least - (costs * moved).sum(axis=1)) / LAM


def draw_2() -> Figure:
    """Two costs: regions, steps, and the interpolation of Blackbox."""
    corners = np.array(CORNERS, dtype=float)
    return draw_plane(
        lambda points: (points @ corners.T).argmin(axis=1),
        dict(enumerate(("A", "B", "C = y*", "D = y", "E", "F"))),
        np.array(COSTS),
        plane_steps(),
        COSTS + LAM * plane_slope(),
        interpolated,
    )


def space_steps() -> dict[str, Floats]:
    """-dL/dw (3,) of Identity with each of two projections, for ranks of three costs."""
    methods: dict[str, Method] = {
        "Identity": (Identity(), None),
        "with norm": (Identity(), Norm()),
        "with std": (Identity(), Std()),
    }
    return steps_of(Ranking(), SPACE_COSTS, np.array(SPACE_SLOPE), methods)


def draw_9() -> Figure:
    """Three costs: the regions of their ranks on the sphere, and in the plane of equal mean."""
    ranks = np.array(RANKS, dtype=float)
    return draw_space(
        lambda points: (points @ ranks.T).argmin(axis=1),
        {number: " ".join(map(str, row)) for number, row in enumerate(RANKS)},
        np.array(SPACE_COSTS),
        space_steps(),
        PLANE,
    )
