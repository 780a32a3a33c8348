"""Where each solution is the cheapest, in two and three dimensions, and where updates lead."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap, to_rgb
from matplotlib.figure import Figure
from numpy.typing import NDArray

from combgrad.pictures.blank import blank
from combgrad.pictures.labels import HALO, INK
from combgrad.pictures.plots import COLOURS, FAINT

Floats = NDArray[np.float64]
#: From costs (N, n) to the number (N,) of the solution that is the cheapest.
Cheapest = Callable[[Floats], NDArray[np.int64]]

#: Pale, so that arrows stand out; neighbours differ.
REGIONS = ("#cfe3f3", "#fbe0cc", "#cdeade", "#f3dbe8", "#fbedcc", "#e3e6ea")

_FINE = 400


def _grid(reach: float) -> tuple[Floats, Floats, Floats]:
    """Coordinates (F, F) each of a square around 0, and its points (F F, 2)."""
    line = np.linspace(-reach, reach, _FINE)
    x, y = np.meshgrid(line, line)
    return x, y, np.stack([x.ravel(), y.ravel()], axis=1)


def _paint(axes: Axes, cheapest: Cheapest, reach: float, names: Mapping[int, str]) -> None:
    """The regions, with the names of their solutions in the middle of them."""
    x, y, points = _grid(reach)
    which = cheapest(points).reshape(x.shape)
    count = max(names) + 1
    axes.pcolormesh(
        x, y, which, cmap=ListedColormap(REGIONS[:count]), vmin=-0.5, vmax=count - 0.5,
        rasterized=True, shading="nearest",
    )  # fmt: skip
    for number, name in names.items():
        # A direction well inside the cone, also where it reaches over the seam of the angles.
        inside = points[(which.ravel() == number) & (np.hypot(*points.T) > 0.1 * reach)]
        if len(inside):
            middle = (inside / np.linalg.norm(inside, axis=1, keepdims=True)).mean(axis=0)
            place = 0.84 * reach * middle / np.linalg.norm(middle)
            axes.text(place[0], place[1], name, color=FAINT, ha="center", va="center", size=11)
    axes.set(xlim=(-reach, reach), ylim=(-reach, reach), xticks=[], yticks=[], aspect="equal")


def _pair(place: Floats) -> tuple[float, float]:
    return float(place[0]), float(place[1])


def _arrow(axes: Axes, start: Floats, step: Floats, colour: str, **style: Any) -> None:
    if np.linalg.norm(step) > 0:
        shape = {"arrowstyle": "-|>", "color": colour, "linewidth": 2, "shrinkA": 0, "shrinkB": 0}
        axes.annotate("", _pair(start + step), xytext=_pair(start), arrowprops=shape | style)


def _mark_costs(axes: Axes, place: Floats) -> None:
    axes.plot(*place, "o", color=INK, markersize=7)
    axes.annotate(
        "w", _pair(place), xytext=(6, 5), textcoords="offset points", size=12, color=INK,
        path_effects=[HALO],
    )  # fmt: skip


def draw_plane(
    cheapest: Cheapest,
    names: Mapping[int, str],
    costs: Floats,
    steps: Mapping[str, Floats],
    moved: Floats,
    interpolated: Callable[[Floats], Floats],
    reach: float = 2.0,
) -> Figure:
    """Costs of two entries: the regions with a step of each method, and Blackbox's interpolation.

    `steps` are -dL/dw (2,) by method, `moved` (2,) is w + lam dL/dy, `interpolated` answers costs
    (N, 2) with the value (N,) of which Blackbox takes the slope; the last of the steps is its.
    """
    figure = blank((9.0, 5.3), dpi=150)
    left, right = figure.subplots(1, 2)
    for axes in (left, right):
        _paint(axes, cheapest, reach, names)
        _mark_costs(axes, costs)
    for (name, step), colour in zip(steps.items(), COLOURS, strict=False):
        _arrow(left, costs, step, colour)
        left.plot([], [], color=colour, linewidth=2, label=name)
    left.set_title("Costs, and one step of each method", size=12, color=INK)
    x, y, points = _grid(reach)
    lines = right.contour(x, y, interpolated(points).reshape(x.shape), 12, cmap="cividis")
    lines.set_linewidth(1.2)
    blackbox = COLOURS[len(steps) - 1]
    dashed = {"linestyle": "--", "linewidth": 1.2}
    _arrow(right, costs, moved - costs, FAINT, **dashed)
    _arrow(right, costs, [*steps.values()][-1], blackbox)
    right.plot([], [], color=FAINT, **dashed, label="w to w + λ dL/dy")
    right.set_title("What Blackbox descends", size=12, color=INK)
    for axes in (left, right):
        axes.legend(
            loc="upper center", bbox_to_anchor=(0.5, -0.02), ncols=2, frameon=False, fontsize=10
        )
    return figure


def draw_space(
    cheapest: Cheapest,
    names: Mapping[int, str],
    costs: Floats,
    steps: Mapping[str, Floats],
    plane: Floats,
) -> Figure:
    """Costs of three entries: the regions on the unit sphere, and in the plane of equal mean.

    `costs` (3,) lie on the sphere, `steps` are -dL/dw (3,) by method, `plane` (2, 3) are two unit
    vectors that span the costs of mean 0.
    """
    figure = blank((9.0, 5.3), dpi=150)
    ball = figure.add_subplot(1, 2, 1, projection="3d")
    flat = figure.add_subplot(1, 2, 2)
    _draw_ball(ball, cheapest, costs, steps)
    _paint(flat, lambda points: cheapest(points @ plane), 1.5, names)
    start = plane @ costs
    turn, radius = np.linspace(0, 2 * np.pi, 200), np.linalg.norm(start)
    flat.plot(radius * np.cos(turn), radius * np.sin(turn), color=FAINT, linewidth=1)
    _mark_costs(flat, start)
    for (name, step), colour in zip(steps.items(), COLOURS, strict=False):
        _arrow(flat, start, plane @ step, colour)
        flat.plot([], [], color=colour, linewidth=2, label=name)
    ball.set_title("Costs of length 1", size=12, color=INK)
    flat.set_title("The same, seen along (1, 1, 1)", size=12, color=INK)
    figure.legend(loc="outside lower center", ncols=len(steps), frameon=False, fontsize=10)
    return figure


def _draw_ball(ball: Any, cheapest: Cheapest, costs: Floats, steps: Mapping[str, Floats]) -> None:
    turn, height = np.meshgrid(np.linspace(0, 2 * np.pi, 361), np.linspace(0, np.pi, 181))
    points = np.stack(
        [np.sin(height) * np.cos(turn), np.sin(height) * np.sin(turn), np.cos(height)], axis=-1
    )
    which = cheapest(points.reshape(-1, 3)).reshape(turn.shape)
    colours = np.array([to_rgb(colour) for colour in REGIONS])[which]
    surface = ball.plot_surface(
        *np.moveaxis(points, -1, 0), facecolors=colours, rcount=181, ccount=361, shade=False,
        linewidth=0, antialiased=False,
    )  # fmt: skip
    surface.set_rasterized(True)
    ball.computed_zorder = False
    axis = np.array([1, 1, 1]) / np.sqrt(3)
    ball.plot(*np.outer(axis, [1, 1.7]), color=INK, linewidth=1.2, zorder=3)
    ball.text(*(1.8 * axis), "(1, 1, 1)", size=10, color=INK)
    for step, colour in zip(steps.values(), COLOURS, strict=False):
        ball.quiver(*costs, *step, color=colour, linewidth=2, arrow_length_ratio=0.25, zorder=4)
    ball.plot(*costs[:, None], "o", color=INK, markersize=6, zorder=5)
    ball.text(*(1.15 * costs), "w", size=12, color=INK, zorder=6)
    ball.set(xlim=(-0.7, 0.7), ylim=(-0.7, 0.7), zlim=(-0.7, 0.7))
    ball.view_init(elev=28, azim=20)
    ball.set_box_aspect((1, 1, 1))
    ball.set_axis_off()
