"""Geometry of the unit sphere: x towards 0° N 0° E, y towards 0° N 90° E, z to the north pole."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

EARTH_RADIUS_KM = 6371.0
_PARALLEL = 1e-9


def unit_vectors(longitude: ArrayLike, latitude: ArrayLike) -> Floats:
    """Unit vectors (..., 3) = (cos φ cos λ, cos φ sin λ, sin φ) of λ and φ (...) in degrees."""
    lam = np.radians(np.asarray(longitude, dtype=np.float64))
    phi = np.radians(np.asarray(latitude, dtype=np.float64))
    return np.stack([np.cos(phi) * np.cos(lam), np.cos(phi) * np.sin(lam), np.sin(phi)], axis=-1)


def longitude_latitude(points: Floats) -> tuple[Floats, Floats]:
    """Longitude (...) in (-180, 180] and latitude (...), in degrees, of unit vectors (..., 3)."""
    longitude = np.degrees(np.arctan2(points[..., 1], points[..., 0]))
    latitude = np.degrees(np.arcsin(np.clip(points[..., 2], -1.0, 1.0)))
    return longitude, latitude


def angles(first: Floats, second: Floats) -> Floats:
    """Angles (...) = atan2(|a × b|, a · b), in radians, between vectors (..., 3)."""
    sine = np.linalg.norm(np.cross(first, second), axis=-1)
    return np.arctan2(sine, np.sum(first * second, axis=-1))


def distances_km(first: Floats, second: Floats) -> Floats:
    """Great-circle distances (...) in kilometres between unit vectors (..., 3)."""
    return EARTH_RADIUS_KM * angles(first, second)


def great_circle(start: Floats, end: Floats, step_degrees: float = 1.0) -> Floats:
    """The shorter arc (p, 3), p >= 2: a cos θ + t sin θ, where t is the unit tangent at a = start.

    Antipodal ends have no shorter arc: theirs runs over a pole.
    """
    normal = np.cross(start, end)
    if np.linalg.norm(normal) < _PARALLEL:
        pole = np.array([0.0, 0.0, 1.0])
        over_pole = np.linalg.norm(np.cross(start, pole)) > _PARALLEL
        normal = np.cross(start, pole if over_pole else np.array([1.0, 0.0, 0.0]))
    normal = normal / np.linalg.norm(normal)
    tangent = np.cross(normal, start)
    total = float(angles(start, end))
    count = 2 + int(np.degrees(total) / step_degrees)
    theta = np.linspace(0.0, total, count)[:, None]
    return start * np.cos(theta) + tangent * np.sin(theta)


def align(predicted: Floats, true: Floats) -> Floats:
    """The orthogonal Q (3, 3) that minimises Σ_i |Q predicted_i - true_i|², for (n, 3) vectors.

    Tours do not fix handedness, so Q may reflect; apply it as ``predicted @ Q.T``.
    """
    left, _, right = np.linalg.svd(np.asarray(true, float).T @ np.asarray(predicted, float))
    return left @ right
