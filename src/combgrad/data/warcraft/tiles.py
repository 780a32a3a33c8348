"""Tiles of 8 x 8 pixels, drawn by formulas: what each terrain looks like from above.

In shapes, V stands for DRAWN, and P for the 8 * POINTS points across a tile.
"""

import functools

import numpy as np

#: Pixels of a cell's side, as published.
PIXELS = 8

#: Drawings of each terrain, and shades of each drawing from dull and dark to fresh and bright.
DRAWN, SHADES = 64, 8

#: Points across a pixel at which a tile is computed before they are averaged.
POINTS = 4

#: Of the drawing; the tiles are the same in every map of every seed.
SEED = 20200501

#: How much the red, green and blue of the outermost shades differ from the middle.
SHADING = np.array([0.10, 0.14, 0.16])

Colour = tuple[float, float, float]


@functools.cache
def tiles() -> np.ndarray:
    """All tiles (5, SHADES, DRAWN, 8, 8, 3) float32, 0 to 255, by terrain; read-only."""
    generator = np.random.default_rng(SEED)
    shades = np.linspace(-1.0, 1.0, SHADES)[:, None, None, None, None] * SHADING
    drawn = [_averaged(draw(generator)) * (1 + shades) for draw in DRAWINGS]
    bank = np.stack(drawn).astype(np.float32)
    bank.setflags(write=False)
    return bank


def _averaged(points: np.ndarray) -> np.ndarray:
    """Pixels (V, 8, 8, 3) from points (V, P, P, 3)."""
    total = np.zeros((DRAWN, PIXELS, PIXELS, 3))
    for row in range(POINTS):
        for column in range(POINTS):
            total += points[:, row::POINTS, column::POINTS]
    return total / POINTS**2


def _grid() -> tuple[np.ndarray, np.ndarray]:
    """The rows and columns (P, P) of all points, in pixels."""
    places = (np.arange(PIXELS * POINTS) + 0.5) / POINTS
    return places[:, None] + 0 * places, places + 0 * places[:, None]


def _grain(generator: np.random.Generator, pixels: int) -> np.ndarray:
    """Noise (V, P, P, 1) in [-1, 1], the same within squares of `pixels`."""
    side = PIXELS // pixels
    noise = generator.uniform(-1.0, 1.0, (DRAWN, side, side, 1))
    return noise.repeat(pixels * POINTS, 1).repeat(pixels * POINTS, 2)


def _ground(
    generator: np.random.Generator, colour: Colour, coarse: float, fine: float
) -> np.ndarray:
    grain = 1 + coarse * _grain(generator, 2) + fine * _grain(generator, 1)
    return np.array(colour) * grain


def _blob(
    generator: np.random.Generator, radius: tuple[float, float], low: float, high: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Offsets (V, P, P) down and right of a random centre, in radii, and the distance."""
    rows, columns = _grid()
    shape = (DRAWN, 1, 1)
    size = generator.uniform(*radius, shape)
    down = (rows - generator.uniform(low, high, shape)) / size
    right = (columns - generator.uniform(1.8, PIXELS - 1.8, shape)) / size
    return down, right, np.sqrt(down * down + right * right)


def _earth(generator: np.random.Generator) -> np.ndarray:
    """Smooth and brown, with pebbles."""
    picture = _ground(generator, (140, 117, 86), 0.05, 0.04)
    for _ in range(3):
        down, right, distance = _blob(generator, (0.4, 0.9), 1.0, 7.0)
        picture[distance < 1] *= 1.15
        picture[(distance > 1) & (distance < 1.6) & (down + right > 0)] *= 0.88
    return picture


def _grass(generator: np.random.Generator) -> np.ndarray:
    """Green, with blades that are lighter at the tip than at the root."""
    picture = _ground(generator, (84, 118, 56), 0.06, 0.09)
    rows, columns = _grid()
    for _ in range(7):
        down = rows - generator.uniform(0.5, 6.0, (DRAWN, 1, 1))
        right = columns - generator.uniform(0.5, 7.5, (DRAWN, 1, 1))
        blade = np.abs(right) < 0.45
        picture[blade & (down > 0) & (down < 1.4)] *= 1.28
        picture[blade & (down > 1.4) & (down < 2.2)] *= 0.78
    return picture


def _forest(generator: np.random.Generator) -> np.ndarray:
    """Two to four round crowns, lit from the upper left, over ground in their shadow."""
    picture = _ground(generator, (72, 104, 48), 0.08, 0.08)
    dark, bright = np.array((34.0, 68.0, 30.0)), np.array((154.0, 192.0, 92.0))
    leaves = _grain(generator, 1)
    for low, chance in ((1.2, 0.7), (2.4, 1.0), (4.2, 1.0), (5.6, 0.7)):
        grown = generator.random((DRAWN, 1, 1)) < chance
        down, right, distance = _blob(generator, (1.5, 2.3), low, low + 1.0)
        picture[grown & ((down - 0.35) ** 2 + (right - 0.35) ** 2 < 1)] *= 0.6
        light = np.clip(0.5 - 0.5 * (down + right), 0, 1)[..., None]
        crown = (dark + (bright - dark) * light) * (1 + 0.12 * leaves)
        picture = np.where((grown & (distance < 1))[..., None], crown, picture)
    return picture


def _stone(generator: np.random.Generator) -> np.ndarray:
    """Two or three boulders on bare ground, with a light face, a dark one and one between."""
    picture = _ground(generator, (130, 110, 82), 0.06, 0.05)
    faces = np.array([(88.0, 74.0, 56.0), (144.0, 124.0, 96.0), (206.0, 184.0, 150.0)])
    for low, chance in ((1.4, 1.0), (3.2, 0.6), (5.2, 1.0)):
        there = generator.random((DRAWN, 1, 1)) < chance
        down, right, _ = _blob(generator, (1.6, 2.5), low, low + 1.2)
        across = np.maximum(np.abs(down), np.abs(right))
        edge = np.maximum(across, 0.72 * (np.abs(down) + np.abs(right)))
        face = 1 + (down + right < -0.4).astype(int) - (down + right > 0.4)
        picture = np.where((there & (edge < 1))[..., None], faces[face], picture)
    return picture


def _water(generator: np.random.Generator) -> np.ndarray:
    """Blue, with bent waves from left to right that meet those of the next tile."""
    rows, columns = _grid()
    bend = generator.uniform(-1.2, 1.2, (DRAWN, 1, 1)) * columns * (PIXELS - columns) / 16
    wave = np.abs(((rows + bend) / 4) % 1 * 2 - 1)
    light = np.where(wave > 0.72, 1.3, 0.92 + 0.1 * wave)[..., None]
    return np.array((66.0, 108.0, 140.0)) * light * (1 + 0.03 * _grain(generator, 1))


#: In the order of Terrain.
DRAWINGS = (_earth, _grass, _forest, _stone, _water)
