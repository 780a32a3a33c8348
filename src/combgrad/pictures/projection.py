"""Two ways to flatten the sphere: a hemisphere seen from afar, and a map of the whole world."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from combgrad.pictures.sphere import Floats, longitude_latitude

Bools = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Stroke:
    """A connected piece (p, 2) of a projected curve, and whether it lies behind the horizon."""

    points: Floats
    hidden: bool


class Projection(Protocol):
    """What a drawing needs of a projection; plane coordinates are in radii of the sphere."""

    def flatten(self, points: Floats) -> tuple[Floats, Bools]:
        """Plane coordinates (m, 2) and whether each is hidden (m,), of unit vectors (m, 3)."""

    def strokes(self, curve: Floats) -> list[Stroke]:
        """The pieces of a curve (p, 3), cut where it leaves the picture."""

    def areas(self, ring: Floats) -> list[Floats]:
        """Closed loops (q, 2), to be filled together by the nonzero rule, of a ring (p, 3)."""

    def outline(self) -> Floats:
        """The closed border (q, 2) of the picture."""


@dataclass(frozen=True, eq=False)
class Orthographic:
    """The hemisphere around ``centre`` (3,), seen from infinitely far: the unit disc."""

    centre: Floats

    @cached_property
    def axes(self) -> Floats:
        """Rows (3, 3): right (east at the centre), up (north at the centre), towards the viewer."""
        forward = self.centre / np.linalg.norm(self.centre)
        east = np.array([-forward[1], forward[0], 0.0])
        length = np.linalg.norm(east)
        # At a pole every direction is south (or north); any meridian may point up.
        east = east / length if length > 1e-9 else np.array([0.0, 1.0, 0.0])
        return np.stack([east, np.cross(forward, east), forward])

    def flatten(self, points: Floats) -> tuple[Floats, Bools]:
        """(x, y) = (right · p, up · p) as (m, 2); hidden (m,) where forward · p < 0."""
        turned = points @ self.axes.T
        return turned[:, :2], turned[:, 2] < 0

    def strokes(self, curve: Floats) -> list[Stroke]:
        """Pieces of a curve (p, 3) cut at the horizon, seen and hidden alike."""
        depth = curve @ self.centre
        pieces = _split(curve, self.centre, (depth[:-1] < 0) != (depth[1:] < 0))
        # A piece's ends lie on the horizon, where rounding decides the sign of the depth.
        return [
            Stroke(self.flatten(piece)[0], bool((piece @ self.centre).sum() < 0))
            for piece in pieces
        ]

    def areas(self, ring: Floats) -> list[Floats]:
        """The seen part of a ring (p, 3) as loops (q, 2); hidden points slide out to the horizon.

        Sliding is continuous but at the antipode: a ring around the antipode comes out as the
        border of its complement, clockwise, and needs the disc added.
        """
        flat, hidden = self.flatten(ring)
        if hidden.all():
            return []
        loop = _slide_to_circle(flat, hidden) if hidden.any() else flat
        x, y = loop.T
        signed_area = 0.5 * float(np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y))
        # No land covers most of a hemisphere, so a complement is far larger than rounding.
        return [loop, self.outline()] if signed_area < -0.5 else [loop]

    def outline(self) -> Floats:
        """The unit circle (q, 2), anticlockwise."""
        theta = np.linspace(0.0, 2 * np.pi, 361)[:-1]
        return np.stack([np.cos(theta), np.sin(theta)], axis=1)


@dataclass(frozen=True, eq=False)
class WorldMap:
    """The whole world in the Natural Earth projection (Šavrič, Jenny, Patterson et al., 2011)."""

    central_longitude: float = 11.0

    def flatten(self, points: Floats) -> tuple[Floats, Bools]:
        """Plane coordinates (m, 2) of unit vectors (m, 3); nothing is ever hidden."""
        return _natural_earth(*self._relative(points)), np.zeros(len(points), dtype=bool)

    def strokes(self, curve: Floats) -> list[Stroke]:
        """Pieces of a curve (p, 3) cut at the meridian opposite the central one."""
        lam, _ = self._relative(curve)
        across = np.radians(self.central_longitude + 90.0)
        normal = np.array([np.cos(across), np.sin(across), 0.0])
        return [
            Stroke(self._flatten_piece(piece), hidden=False)
            for piece in _split(curve, normal, np.abs(np.diff(lam)) > np.pi)
        ]

    def areas(self, ring: Floats) -> list[Floats]:
        """The ring (p, 3) as loops (q, 2), once for each turn of the world in which it shows."""
        lam, phi = self._relative(np.concatenate([ring, ring[:1]]))
        lam = np.unwrap(lam)
        turn = lam[-1] - lam[0]
        if abs(turn) > np.pi:
            # A ring around a pole never closes on a map: run past both sides, then to the pole.
            lam = np.concatenate([lam[:-1] - turn, lam[:-1], lam + turn])
            phi = np.concatenate([phi[:-1], phi[:-1], phi])
            pole = np.copysign(np.pi / 2, phi.mean())
            lam = np.concatenate([lam, lam[[-1, 0]]])
            return [_natural_earth(lam, np.concatenate([phi, [pole, pole]]))]
        shifts = [lam + 2 * np.pi * k for k in (-1, 0, 1)]
        return [_natural_earth(s, phi) for s in shifts if s.min() < np.pi and s.max() > -np.pi]

    def outline(self) -> Floats:
        """The border (q, 2): both outermost meridians and the lines of the poles."""
        rise = np.linspace(-np.pi / 2, np.pi / 2, 91)
        lam = np.concatenate([np.full(91, np.pi), np.full(91, -np.pi)])
        return _natural_earth(lam, np.concatenate([rise, rise[::-1]]))

    def _relative(self, points: Floats) -> tuple[Floats, Floats]:
        """Longitude from the centre in [-π, π) and latitude, both (m,) in radians."""
        longitude, latitude = longitude_latitude(points)
        lam = (longitude - self.central_longitude + 180.0) % 360.0 - 180.0
        return np.radians(lam), np.radians(latitude)

    def _flatten_piece(self, piece: Floats) -> Floats:
        """Plane coordinates (p, 2) of a piece (p, 3); an end on the seam stays on its own side."""
        lam, phi = self._relative(piece)
        for end, inner in ((0, 1), (-1, -2)):
            if abs(lam[end]) > np.pi - 1e-9:
                lam[end] = np.copysign(np.pi, lam[inner])
        return _natural_earth(lam, phi)


def _natural_earth(lam: Floats, phi: Floats) -> Floats:
    """(λ P(φ²), φ Q(φ²)) as (m, 2), the published polynomials; λ may lie beyond ±π."""
    s = phi**2
    width = 0.8707 + s * (-0.131979 + s * (-0.013791 + s**3 * (0.003971 - 0.001529 * s)))
    height = 1.007226 + s * (0.015085 + s**2 * (-0.044475 + s * (0.028874 - 0.005916 * s)))
    return np.stack([lam * width, phi * height], axis=-1)


def _split(curve: Floats, normal: Floats, crossed: Bools) -> list[Floats]:
    """A curve (p, 3) cut where ``crossed`` (p-1,) says it meets the plane of ``normal``."""
    pieces = []
    head = np.empty((0, 3))
    begin = 0
    for i in map(int, np.flatnonzero(crossed)):
        before, after = curve[i] @ normal, curve[i + 1] @ normal
        gap = before - after
        share = np.clip(before / gap, 0.0, 1.0) if gap else 0.5
        meeting = curve[i] + share * (curve[i + 1] - curve[i])
        meeting = meeting / np.linalg.norm(meeting)
        pieces.append(np.concatenate([head, curve[begin : i + 1], meeting[None]]))
        head, begin = meeting[None], i + 1
    return [*pieces, np.concatenate([head, curve[begin:]])]


def _slide_to_circle(flat: Floats, hidden: Bools) -> Floats:
    """The loop (q, 2) of a ring (p, 2) whose hidden points (p,) move out to the unit circle."""
    closed = np.concatenate([flat, flat[:1]])
    away = np.concatenate([hidden, hidden[:1]])
    theta = np.unwrap(np.arctan2(closed[:, 1], closed[:, 0]))
    behind = away[:-1] & away[1:]
    # Near the antipode neighbours may lie far apart on the circle: follow it between them.
    counts = np.where(behind, 1 + (np.abs(np.diff(theta)) / 0.02).astype(int), 1)
    places = np.concatenate([i + np.arange(n) / n for i, n in enumerate(counts)])
    knots = np.arange(len(closed))
    angle = np.interp(places, knots, theta)
    inside = np.stack([np.interp(places, knots, closed[:, c]) for c in (0, 1)], axis=1)
    on_circle = np.repeat(behind | away[:-1], counts)
    return np.where(on_circle[:, None], np.stack([np.cos(angle), np.sin(angle)], axis=1), inside)
