"""Outlines of the continents, for drawing."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from combgrad.pictures.sphere import Floats, great_circle, unit_vectors


@dataclass(frozen=True, eq=False)
class Coastline:
    """Closed rings of unit vectors, each (p, 3), interior on the left: land, and lakes in it."""

    land: tuple[Floats, ...]
    lakes: tuple[Floats, ...]


@cache
def load_coastline() -> Coastline:
    """Natural Earth's 1:110m land (public domain), taken from the npm package world-atlas 2.0.2.

    The file holds tenths of a degree; islands below 2500 km² were left out.
    """
    stored = json.loads(Path(__file__).with_name("land.json").read_text(encoding="utf-8"))
    return Coastline(
        land=tuple(_ring(flat) for flat in stored["land"]),
        lakes=tuple(_ring(flat) for flat in stored["lakes"]),
    )


def _ring(tenths: list[int]) -> Floats:
    """Ring (p, 3), no gap above 2°, of flat longitude, latitude pairs in tenths of a degree."""
    corners = np.reshape(tenths, (-1, 2)) / 10.0
    points = unit_vectors(corners[:, 0], corners[:, 1])
    sides = zip(points, np.roll(points, -1, axis=0), strict=True)
    return np.concatenate([great_circle(a, b, step_degrees=2.0)[:-1] for a, b in sides])
