"""Tours of capitals on a globe or a world map, and where a network believes the capitals lie."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from combgrad.pictures.backdrop import draw_earth, draw_locator
from combgrad.pictures.labels import INK, Cards, draw_cards, draw_flag, draw_names
from combgrad.pictures.layout import add_legend, lay_out, lay_out_atlas, pixel
from combgrad.pictures.projection import Orthographic, Projection, WorldMap
from combgrad.pictures.sphere import Floats, align, angles, distances_km, great_circle
from combgrad.pictures.tour_lines import draw_cities, draw_edge, draw_ghosts

__all__ = ["GlobePanel", "align", "draw_learned_globe", "draw_panel", "draw_tours"]

View = Literal["auto", "globe", "map"]

_WIDEST_DEGREES = 80.0
_WHOLE_GLOBE = 0.75
_CLOSEST = 0.15
_LENS = 0.3
_NAMED_CITIES = 10


@dataclass(frozen=True, eq=False)
class GlobePanel:
    """One tour of k cities.

    ``positions`` and ``ghosts`` (the true places, joined to the positions) are unit vectors
    (k, 3); ``tour`` is an adjacency matrix (k, k) or an edge list (m, 2), ``wrong`` an edge list
    of those to be drawn as mistakes; ``flags`` are (k, 20, 40, 3) uint8.
    """

    title: str
    positions: Floats
    tour: NDArray[np.generic]
    flags: NDArray[np.uint8] | None = None
    names: Sequence[str] | None = None
    ghosts: Floats | None = None
    wrong: NDArray[np.integer] | None = None

    def __post_init__(self) -> None:
        k = len(self.positions)
        for name in ("positions", "ghosts"):
            points = getattr(self, name)
            if points is None:
                continue
            if np.shape(points) != (k, 3):
                raise ValueError(f"{name} must be ({k}, 3), not {np.shape(points)}")
            if not np.allclose(np.linalg.norm(points, axis=1), 1.0, atol=1e-3):
                raise ValueError(f"{name} must be unit vectors")
        for name in ("flags", "names"):
            given = getattr(self, name)
            if given is not None and len(given) != k:
                raise ValueError(f"{len(given)} {name} for {k} cities")

    def places(self) -> Floats:
        """Positions and ghosts together, (k, 3) or (2k, 3)."""
        both = self.positions if self.ghosts is None else np.vstack([self.positions, self.ghosts])
        return np.asarray(both, dtype=np.float64)

    def edges(self) -> dict[tuple[int, int], bool]:
        """Undirected edges (i < j) of the tour, and whether each is wrong."""
        tour = np.asarray(self.tour)
        k = len(self.positions)
        listed = np.argwhere(tour) if tour.shape == (k, k) else tour.reshape(-1, 2)
        edges = {_undirected(edge): False for edge in listed}
        if self.wrong is not None:
            edges.update({_undirected(edge): True for edge in np.reshape(self.wrong, (-1, 2))})
        return edges


def draw_tours(
    panels: Sequence[GlobePanel],
    *,
    title: str | None = None,
    view: View = "auto",
    share_centre: bool = True,
) -> Figure:
    """One picture of all panels: globes side by side, or world maps one above the other.

    ``auto`` takes globes if every city of every panel lies within 80° of its panel's centre.
    """
    if not panels:
        raise ValueError("there is no panel to draw")
    own = [panel.places() for panel in panels]
    around = [np.vstack(own)] * len(panels) if share_centre else own
    centres = [_middle(points) for points in around]
    spreads = [
        float(np.degrees(angles(centre, points).max()))
        for centre, points in zip(centres, around, strict=True)
    ]
    as_map = view == "map" or (view == "auto" and max(spreads) > _WIDEST_DEGREES)
    figure, boxes = lay_out(len(panels), as_map, title)
    for panel, axes, centre, widest in zip(panels, boxes, centres, spreads, strict=True):
        projection = WorldMap() if as_map else Orthographic(centre)
        draw_panel(axes, panel, projection, None if as_map else _reach(widest))
    wrong = any(any(panel.edges().values()) for panel in panels)
    ghosts = any(panel.ghosts is not None for panel in panels)
    add_legend(figure, tour=True, wrong=wrong, ghosts=ghosts)
    return figure


def draw_learned_globe(
    predicted: Floats,
    true: Floats,
    flags: NDArray[np.uint8] | None = None,
    names: Sequence[str] | None = None,
) -> Figure:
    """Learned places (n, 3), aligned with the true ones (n, 3), and lines to where they belong.

    A map of the world, and below it a closer look at the two most crowded parts.
    """
    true = np.asarray(true, dtype=np.float64)
    learned = np.asarray(predicted, dtype=np.float64) @ align(predicted, true).T
    median = np.median(distances_km(learned, true))
    title = f"Where the network puts {len(true)} capitals: median error {median:,.0f} km"
    figure, whole, lenses = lay_out_atlas(title)
    _draw_learned(whole, WorldMap(), None, learned, true, flags, names)
    for axes, centre in zip(lenses, _crowds(true, len(lenses)), strict=True):
        _draw_learned(axes, Orthographic(centre), _LENS, learned, true, flags, names)
    add_legend(figure, tour=False, wrong=False, ghosts=True)
    return figure


def draw_panel(axes: Axes, panel: GlobePanel, projection: Projection, reach: float | None) -> None:
    """The Earth, the tour, the true places, the cities and their flags."""
    axes.set_title(panel.title, size=13, color=INK, pad=6)
    positions = np.asarray(panel.positions, dtype=np.float64)
    frame = draw_earth(axes, projection, reach)
    if isinstance(projection, Orthographic) and reach is not None:
        draw_locator(axes, projection, reach)
    if panel.ghosts is not None:
        draw_ghosts(axes, frame, projection, positions, np.asarray(panel.ghosts, np.float64))
    for (i, j), wrong in panel.edges().items():
        draw_edge(axes, frame, projection, positions[[i, j]], wrong)
    draw_cities(axes, projection, positions)
    few = len(positions) <= _NAMED_CITIES
    names = panel.names if few else None
    if panel.flags is None and names is None:
        return
    at, _ = projection.flatten(positions)
    arcs = [great_circle(positions[i], positions[j]) for i, j in panel.edges()]
    lines, _ = projection.flatten(np.concatenate([np.empty((0, 3)), *arcs]))
    cards = Cards(panel.flags, names, 48.0 if few else 34.0)
    draw_cards(axes, at, cards, pixel(axes), lines)


def _draw_learned(
    axes: Axes,
    projection: Projection,
    reach: float | None,
    learned: Floats,
    true: Floats,
    flags: NDArray[np.uint8] | None,
    names: Sequence[str] | None,
) -> None:
    """Flags or dots, and names, at the learned places (n, 3), joined to the true ones (n, 3)."""
    frame = draw_earth(axes, projection, reach)
    if isinstance(projection, Orthographic) and reach is not None:
        draw_locator(axes, projection, reach)
    draw_ghosts(axes, frame, projection, learned, true, marker=4.5)
    at, hidden = projection.flatten(learned)
    shown = np.flatnonzero(~hidden & frame.contains_points(at))
    # The worst come last, on top: they are what a reader looks for.
    order = shown[np.argsort(distances_km(learned, true)[shown])]
    if flags is None:
        draw_cities(axes, projection, learned[shown])
    else:
        for i in order:
            draw_flag(axes, flags[i], at[i], np.array([22.0, 11.0]) * pixel(axes))
    if names is not None:
        markers, behind = projection.flatten(true)
        worst = order[::-1]
        named = [names[i] for i in worst]
        draw_names(axes, at[worst], markers[~behind], named, pixel(axes))


def _crowds(places: Floats, count: int) -> list[Floats]:
    """Centres (3,) of the discs, ``_LENS`` wide, with most places (n, 3), one by one."""
    apart = np.arccos(np.clip(places @ places.T, -1.0, 1.0))
    radius = np.arcsin(_LENS)
    left = np.ones(len(places), dtype=bool)
    centres = []
    for _ in range(count):
        chosen = np.argmax(((apart < radius) & left).sum(axis=1) * left)
        centres.append(_middle(places[apart[chosen] < radius]))
        # The discs must not show the same cities twice.
        left &= apart[chosen] > 2 * radius
    return centres


def _middle(points: Floats) -> Floats:
    """The direction (3,) of the mean of unit vectors (m, 3); any, where they cancel out."""
    mean = points.mean(axis=0)
    length = np.linalg.norm(mean)
    return mean / length if length > 1e-6 else np.array([1.0, 0.0, 0.0])


def _reach(widest: float) -> float | None:
    """Radius of the disc to zoom in on, for cities within ``widest`` degrees; None for no zoom."""
    reach = max(1.12 * float(np.sin(np.radians(widest))) + 0.03, _CLOSEST)
    return reach if reach < _WHOLE_GLOBE else None


def _undirected(edge: NDArray[np.integer]) -> tuple[int, int]:
    """The ends of an edge (2,), the smaller first."""
    i, j = sorted(int(end) for end in edge)
    return i, j
