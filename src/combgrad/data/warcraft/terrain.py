"""Which terrain covers each cell of a map, and what it costs to cross it."""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np


class Terrain(IntEnum):
    """The five terrains, cheapest first."""

    EARTH = 0
    GRASS = 1
    FOREST = 2
    STONE = 3
    WATER = 4


#: What crossing a cell of each terrain costs, 0.8 to 9.2, and the same in tenths: the five levels
#: of the published maps. Which of them looks like what is our own choice.
TENTHS = np.array([8, 12, 53, 77, 92], dtype=np.float32)
COSTS = TENTHS / 10

#: Widths of the box that noise is blurred with three times, in cells: of the land's large forms, of
#: its small ones, and of the lines that rivers and roads follow.
WIDE, NARROW, WINDING = 4, 2, 7

#: Deviations of height at which lakes end, the rocks begin, and roads end.
SHORE, ROCKS, PEAKS = -0.95, 0.85, 1.5

#: Deviations of moisture below which earth is bare, and above which trees grow.
BARE, WOODED = -0.95, 0.35


@dataclass(frozen=True, eq=False)
class Land:
    """N maps: terrain (N, k, k) uint8, and height (N, k + 2, k + 2) of the cells and around them.

    Heights have mean 0 and deviation 1; the cell [i, j] has the height [i + 1, j + 1].
    """

    terrain: np.ndarray
    height: np.ndarray


def make_land(generator: np.random.Generator, count: int, cells: int) -> Land:
    """Lakes, rocks, woods and bare earth where smooth fields are low or high; rivers and roads."""
    size = cells + 2
    height = _land_field(generator, count, size)
    moisture = _land_field(generator, count, size)[:, 1:-1, 1:-1]
    ground = height[:, 1:-1, 1:-1]
    terrain = np.full(ground.shape, Terrain.GRASS, dtype=np.uint8)
    terrain[moisture > WOODED] = Terrain.FOREST
    terrain[moisture < BARE] = Terrain.EARTH
    terrain[ground > ROCKS] = Terrain.STONE
    terrain[(ground < SHORE) | _winding_line(generator, count, cells)] = Terrain.WATER
    terrain[_winding_line(generator, count, cells) & (ground < PEAKS)] = Terrain.EARTH
    return Land(terrain, height)


def _land_field(generator: np.random.Generator, count: int, size: int) -> np.ndarray:
    wide, narrow = (smooth_noise(generator, count, size, width) for width in (WIDE, NARROW))
    return 0.8 * wide + 0.6 * narrow


def _winding_line(generator: np.random.Generator, count: int, cells: int) -> np.ndarray:
    """The cells (N, k, k) at which a smooth field changes its sign; in some maps there are none."""
    field = smooth_noise(generator, count, cells + 1, WINDING)
    above = field > generator.uniform(-2.0, 2.0, (count, 1, 1))
    here = above[:, :-1, :-1]
    return (here != above[:, 1:, :-1]) | (here != above[:, :-1, 1:])


def smooth_noise(generator: np.random.Generator, count: int, size: int, width: int) -> np.ndarray:
    """Noise (count, size, size) of mean 0 and deviation 1, blurred with a box of `width`, thrice.

    Sums in a fixed order only, no library for linear algebra: the same bits on every machine.
    """
    box = np.ones(width)
    kernel = np.convolve(np.convolve(box, box), box)
    whole = size + len(kernel) - 1
    field = generator.random((count, whole, whole)) - 0.5
    for axis in (1, 2):
        for _ in range(3):
            field = _box_sums(field, width, axis)
    # Uniform numbers have the variance 1/12.
    return field * (np.sqrt(12.0) / (kernel * kernel).sum())


def _box_sums(field: np.ndarray, width: int, axis: int) -> np.ndarray:
    length = field.shape[axis] - width + 1
    windows = [slice(None)] * field.ndim
    total = np.zeros_like(field.take(range(length), axis))
    for start in range(width):
        windows[axis] = slice(start, start + length)
        total += field[tuple(windows)]
    return total
