"""Outlines of the continents, for drawing."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from combgrad.pictures.sphere import Floats, angles, great_circle, unit_vectors

#: Between two points of an outline.
_GAP_DEGREES = 2.0


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
    """Ring (p, 3) without wide gaps, of flat longitude, latitude pairs in tenths of a degree."""
    corners = np.reshape(tenths, (-1, 2)) / 10.0
    points = unit_vectors(corners[:, 0], corners[:, 1])
    following = np.roll(points, -1, axis=0)
    # Nearly all sides are short, and of a short one only the start is wanted.
    short = np.degrees(angles(points, following)) < _GAP_DEGREES
    sides = zip(points, following, short, strict=True)
    arcs = [a[None] if near else great_circle(a, b, _GAP_DEGREES)[:-1] for a, b, near in sides]
    return np.concatenate(arcs)
