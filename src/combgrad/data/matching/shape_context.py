"""Descriptors of points by where the others lie: no picture is needed."""

import numpy as np

#: Rings by distance, in mean distances of the point set: five, their widths growing by a constant
#: factor; the innermost and the outermost have no other bound.
RINGS = np.geomspace(1 / 8, 2, 6)[1:-1]

SECTORS = 12

CHANNELS = (len(RINGS) + 1) * SECTORS


def shape_contexts(points: np.ndarray) -> np.ndarray:
    """The shape contexts (n, 60) float32 of points (n, 2): histograms, scaled to length 1.

    Entry 12 r + s of a point counts the others in ring r and sector s around it: rings by the
    distance over the mean distance of all pairs, with bounds from 1/8 to 2 that grow by a constant
    factor, sectors of 30 degrees from the x axis on. They stay the same when all points are moved
    or scaled, not when they are turned. A point without others has zeros.

    Source: Belongie, Malik, Puzicha, Shape Matching and Object Recognition, PAMI 2002.
    """
    count = len(points)
    away = points[None, :].astype(np.float64) - points[:, None]
    distance = np.linalg.norm(away, axis=2)
    others = ~np.eye(count, dtype=bool)
    mean = distance[others].mean() if count > 1 else 0.0
    ring = np.digitize(distance / mean if mean > 0 else distance, RINGS)
    angle = np.arctan2(away[..., 1], away[..., 0]) % (2 * np.pi)
    sector = np.minimum((angle / (2 * np.pi) * SECTORS).astype(np.int64), SECTORS - 1)
    found = np.zeros((count, CHANNELS), dtype=np.float32)
    one, other = np.nonzero(others)
    np.add.at(found, (one, (ring * SECTORS + sector)[one, other]), 1)
    return unit(found)


def unit(vectors: np.ndarray) -> np.ndarray:
    """Vectors (..., C) scaled to Euclidean length 1; zero stays zero."""
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.asarray(vectors / np.where(length > 0, length, 1))
