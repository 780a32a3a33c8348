"""Maps as pictures: tiles on terrain, ragged borders, light and shadow."""

import numpy as np

from combgrad.data.warcraft.terrain import WIDE, Land, smooth_noise
from combgrad.data.warcraft.tiles import DRAWN, PIXELS, SHADES, tiles

#: How far a pixel may take its terrain from, in pixels, which frays the borders of cells.
REACH = 2

#: Brightness of the darkest and of the brightest day.
DAY = (0.78, 1.16)

#: Change of brightness by a slope of one deviation of height a cell, and the limits of it.
SLOPE, SHADOW, GLARE = 0.12, 0.72, 1.28

#: How much more red and less blue the warmest light has than white light.
WARMTH = 0.1

#: Levels that a pixel is off by, at most.
NOISE = 4


def paint(generator: np.random.Generator, land: Land) -> np.ndarray:
    """Pictures (N, 8k, 8k, 3) uint8, RGB, of N maps."""
    count, cells, _ = land.terrain.shape
    place = np.arange(cells * PIXELS, dtype=np.int32) % PIXELS
    within = place[:, None] * PIXELS + place
    tile = _enlarged(_choose_tiles(generator, land.terrain.shape))
    picture = np.float32(0)
    # The mean of two: where their borders differ, one terrain passes into the other.
    for _ in range(2):
        kind = _ragged(generator, land.terrain) * (SHADES * DRAWN) + tile
        picture = picture + tiles().reshape(-1, 3).take(kind * PIXELS**2 + within, axis=0)
    light = 0.5 * _light(generator, land.height)
    picture *= light[..., None] * _tint(generator, count)
    noise = generator.random(light.shape, dtype=np.float32) * (2 * NOISE + 1) - NOISE
    picture += noise[..., None]
    return np.clip(picture, 0, 255, out=picture).astype(np.uint8)


def _choose_tiles(generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Shade * DRAWN + drawing of each cell (N, k, k), int32; only shades change slowly."""
    drawing = generator.integers(0, DRAWN, shape)
    smooth = SHADES * (0.5 + 0.25 * smooth_noise(generator, shape[0], shape[1], WIDE))
    shade = np.clip(smooth + generator.uniform(-0.5, 0.5, shape), 0, SHADES - 1)
    return (shade.astype(np.int32) * DRAWN + drawing).astype(np.int32)


def _enlarged(cells: np.ndarray, times: int = PIXELS) -> np.ndarray:
    """Every entry of (N, k, k) `times` beside and below itself."""
    return cells.repeat(times, 1).repeat(times, 2)


def _ragged(generator: np.random.Generator, terrain: np.ndarray) -> np.ndarray:
    """The terrain of every pixel (N, 8k, 8k), int32: that of a cell up to REACH pixels away."""
    count, cells, _ = terrain.shape
    side = cells * PIXELS
    place = np.arange(side, dtype=np.int32)
    taken = []
    for own in (place[:, None], place):
        # The same for 2 x 2 pixels: single ones would make the border a blur.
        step = generator.integers(-REACH, REACH + 1, (count, side // 2, side // 2), dtype=np.int32)
        taken.append(np.clip(own + _enlarged(step, 2), 0, side - 1) // PIXELS)
    number = np.arange(count, dtype=np.int32)[:, None, None]
    return terrain.astype(np.int32).take((number * cells + taken[0]) * cells + taken[1])


def _light(generator: np.random.Generator, height: np.ndarray) -> np.ndarray:
    """Brightness of pixels (N, 8k, 8k), float32: of the day, and of slopes lit from above left."""
    rise = height[:, 1:, 1:] - height[:, :-1, :-1]
    day = generator.uniform(*DAY, (len(height), 1, 1))
    light = day * np.clip(1 + SLOPE * rise, SHADOW, GLARE)
    return _between(_between(light.astype(np.float32), 1), 2)


def _between(corners: np.ndarray, axis: int) -> np.ndarray:
    """Values at the pixels between corners of cells, along one axis."""
    first = np.moveaxis(corners, axis, -1)
    share = ((np.arange(PIXELS) + 0.5) / PIXELS).astype(np.float32)
    low, high = first[..., :-1, None], first[..., 1:, None]
    between = low + (high - low) * share
    return np.moveaxis(between.reshape(*first.shape[:-1], -1), -1, axis)


def _tint(generator: np.random.Generator, count: int) -> np.ndarray:
    """The colour of the light on each map, (N, 1, 1, 3) float32."""
    warmth = generator.uniform(-WARMTH, WARMTH, (count, 1, 1, 1))
    return (1 + warmth * np.array([1.0, 0.0, -1.0])).astype(np.float32)
