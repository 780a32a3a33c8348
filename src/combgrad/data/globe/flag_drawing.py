"""Small national flags drawn from one-line descriptions.

A description is a list of instructions separated by semicolons, painted one over the other:

    field COLOUR                    one colour
    rows COLOUR COLOUR*3 ...        horizontal stripes from the top, *n makes one n times as high
    columns COLOUR COLOUR*3 ...     vertical stripes from the hoist
    SHAPE COLOUR NUMBER ...         a figure, see SHAPES for the numbers each one takes

Any instruction may end in `in x0 y0 x1 y1`: stripes then fill that box, and figures are cut to it.
Lengths are hundredths of the flag's height, so x runs from 0 (hoist) to 200 and y from 0 (top)
to 100; angles are degrees clockwise from straight up.

All geometry is decided in integers on a lattice of 32 points per unit, which is what makes the
pixels the same on every machine.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

FLAG_SHAPE = (20, 40, 3)

UNITS_HIGH, UNITS_WIDE = 100, 200
LATTICE_PER_UNIT = 32
SUPERSAMPLING = 8

COLOURS = {
    "white": 0xFFFFFF,
    "black": 0x000000,
    "grey": 0x8C8C8C,
    "red": 0xD0142C,
    "scarlet": 0xEE2233,
    "crimson": 0xE30A17,
    "vermilion": 0xDA3A1D,
    "maroon": 0x8F1838,
    "orange": 0xFF8A2A,
    "saffron": 0xFF9933,
    "gold": 0xFCD116,
    "brown": 0x8A5A2B,
    "green": 0x007A3D,
    "emerald": 0x10A04A,
    "forest": 0x01411C,
    "darkgreen": 0x00563F,
    "blue": 0x0039A6,
    "cobalt": 0x0A5CAB,
    "navy": 0x012169,
    "azure": 0x4A9BE0,
    "sky": 0x74B6E4,
    "turquoise": 0x00A7C4,
}

_STEP = UNITS_HIGH * LATTICE_PER_UNIT // (FLAG_SHAPE[0] * SUPERSAMPLING)
_Y = (_STEP // 2 + _STEP * np.arange(FLAG_SHAPE[0] * SUPERSAMPLING, dtype=np.int64))[:, None]
_X = (_STEP // 2 + _STEP * np.arange(FLAG_SHAPE[1] * SUPERSAMPLING, dtype=np.int64))[None, :]

Point = tuple[float, float]
Box = tuple[float, float, float, float]
WHOLE_FLAG: Box = (0, 0, UNITS_WIDE, UNITS_HIGH)


def draw_flag(description: str) -> np.ndarray:
    """Return the flag described, as (row, column, RGB channel) uint8 of shape (20, 40, 3)."""
    samples = np.full((_Y.size, _X.size, 3), 255, dtype=np.uint8)
    for instruction in description.split(";"):
        try:
            _paint(samples, instruction)
        except ValueError as error:
            raise ValueError(f"flag description {description!r}: {error}") from None
    height, width, channels = FLAG_SHAPE
    blocks = samples.reshape(height, SUPERSAMPLING, width, SUPERSAMPLING, channels)
    count = SUPERSAMPLING**2
    sums = blocks.sum(axis=(1, 3), dtype=np.int64)
    return ((sums + count // 2) // count).astype(np.uint8)


def _paint(samples: np.ndarray, instruction: str) -> None:
    head, _, tail = instruction.partition(" in ")
    words = head.split()
    if not words:
        raise ValueError("an instruction is empty")
    box = WHOLE_FLAG
    if tail:
        x0, y0, x1, y1 = _numbers(tail.split(), "x0 y0 x1 y1", instruction)
        box = (x0, y0, x1, y1)
    name, arguments = words[0], words[1:]
    if name in STRIPES:
        _paint_stripes(samples, name, arguments, box)
    elif name in SHAPES:
        if not arguments:
            raise ValueError(f"{name!r} names no colour")
        shape = SHAPES[name]
        numbers = _numbers(arguments[1:], shape.arguments, instruction)
        samples[shape.mask(*numbers) & _box(*box)] = _rgb(arguments[0])
    else:
        raise ValueError(f"unknown shape {name!r}; the shapes are {', '.join((*STRIPES, *SHAPES))}")


def _paint_stripes(samples: np.ndarray, name: str, words: list[str], box: Box) -> None:
    if not words or (name == "field" and len(words) > 1):
        wanted = "one colour" if name == "field" else "at least one colour"
        raise ValueError(f"{name!r} takes {wanted}, got {len(words)}")
    pairs = [word.partition("*")[::2] for word in words]
    colours = [_rgb(colour) for colour, _ in pairs]
    weights = [_number(weight) if weight else 1.0 for _, weight in pairs]
    if min(weights) <= 0:
        raise ValueError(f"stripe widths must be positive, got {' '.join(words)!r}")
    x0, y0, x1, y1 = box
    before = 0.0
    for colour, weight in zip(colours, weights, strict=True):
        start, stop = before / sum(weights), (before + weight) / sum(weights)
        if name == "columns":
            stripe = (x0 + start * (x1 - x0), y0, x0 + stop * (x1 - x0), y1)
        else:
            stripe = (x0, y0 + start * (y1 - y0), x1, y0 + stop * (y1 - y0))
        samples[_box(*stripe)] = colour
        before += weight


def _rgb(colour: str) -> tuple[int, int, int]:
    if colour not in COLOURS:
        raise ValueError(f"unknown colour {colour!r}; the colours are {', '.join(COLOURS)}")
    value = COLOURS[colour]
    return value >> 16, (value >> 8) & 255, value & 255


def _number(word: str) -> float:
    try:
        value = float(word)
    except ValueError:
        raise ValueError(f"{word!r} is not a number") from None
    if not math.isfinite(value) or abs(value) > 10 * UNITS_WIDE:
        raise ValueError(f"{word!r} is out of range")
    return value


def _numbers(words: list[str], arguments: str, instruction: str) -> list[float]:
    fixed = len(arguments.removesuffix(" ...").split())
    surplus = len(words) - fixed
    right = surplus >= 0 and surplus % 2 == 0 if arguments.endswith("...") else surplus == 0
    if not right:
        raise ValueError(
            f"{instruction.strip()!r} needs the numbers '{arguments}', got {len(words)} of them"
        )
    return [_number(word) for word in words]


def _lattice(*lengths: float) -> list[int]:
    # Rounding first to 1e-6 keeps the last bits of sin and cos, which differ between
    # maths libraries, from deciding which lattice point a vertex falls on.
    return [math.floor(round(length * LATTICE_PER_UNIT, 6) + 0.5) for length in lengths]


def _box(x0: float, y0: float, x1: float, y1: float) -> np.ndarray:
    left, top, right, bottom = _lattice(x0, y0, x1, y1)
    return (left <= _X) & (right > _X) & (top <= _Y) & (bottom > _Y)


def _disc(x: float, y: float, radius: float) -> np.ndarray:
    if radius < 0:
        raise ValueError(f"a disc or hole has the negative radius {radius:g}")
    centre_x, centre_y, reach = _lattice(x, y, radius)
    return (_X - centre_x) ** 2 + (_Y - centre_y) ** 2 < reach**2


def _ring(x: float, y: float, radius: float, thickness: float) -> np.ndarray:
    return _disc(x, y, radius) & ~_disc(x, y, radius - thickness)


def _crescent(
    x: float, y: float, radius: float, cut_x: float, cut_y: float, cut_radius: float
) -> np.ndarray:
    return _disc(x, y, radius) & ~_disc(cut_x, cut_y, cut_radius)


def _polygon(*coordinates: float) -> np.ndarray:
    xs, ys = _lattice(*coordinates[::2]), _lattice(*coordinates[1::2])
    inside = np.zeros((_Y.size, _X.size), dtype=bool)
    for x0, y0, x1, y1 in zip(xs, ys, xs[1:] + xs[:1], ys[1:] + ys[:1], strict=True):
        if y0 > y1:
            x0, y0, x1, y1 = x1, y1, x0, y0
        first, last = np.searchsorted(_Y[:, 0], [y0, y1])
        rows = _Y[first:last]
        inside[first:last] ^= (_X - x0) * (y1 - y0) < (rows - y0) * (x1 - x0)
    return inside


def _mirror(axis: float, *coordinates: float) -> np.ndarray:
    half = list(zip(coordinates[::2], coordinates[1::2], strict=True))
    outline = half + [(2 * axis - x, y) for x, y in reversed(half)]
    return _polygon(*(value for point in outline for value in point))


def _burst(
    x: float, y: float, radius: float, inner_radius: float, points: float, turn: float
) -> np.ndarray:
    count = int(points)
    if count != points or count < 2:
        raise ValueError(f"a burst needs a whole number of points from 2, got {points:g}")
    outline = []
    for corner in range(2 * count):
        angle = math.radians(turn + 180 * corner / count)
        reach = radius if corner % 2 == 0 else inner_radius
        outline += [x + reach * math.sin(angle), y - reach * math.cos(angle)]
    return _polygon(*outline)


def _stars(radius: float, *coordinates: float) -> np.ndarray:
    # The inner corners of a pentagram lie at 0.382 of its radius, the square of 1 / golden ratio.
    mask = np.zeros((_Y.size, _X.size), dtype=bool)
    for x, y in zip(coordinates[::2], coordinates[1::2], strict=True):
        mask |= _burst(x, y, radius, 0.382 * radius, 5, 0)
    return mask


def _bar(x0: float, y0: float, x1: float, y1: float, thickness: float) -> np.ndarray:
    start_x, start_y, end_x, end_y, width = _lattice(x0, y0, x1, y1, thickness)
    step_x, step_y = end_x - start_x, end_y - start_y
    length_squared = step_x**2 + step_y**2
    along = (_X - start_x) * step_x + (_Y - start_y) * step_y
    across = (_X - start_x) * step_y - (_Y - start_y) * step_x
    near = 4 * across**2 < width**2 * length_squared
    return near & (along >= 0) & (along <= length_squared)


def _cross(x: float, y: float, thickness: float) -> np.ndarray:
    half = thickness / 2
    upright = _box(x - half, 0, x + half, UNITS_HIGH)
    return upright | _box(0, y - half, UNITS_WIDE, y + half)


def _saltire(thickness: float, x0: float, y0: float, x1: float, y1: float) -> np.ndarray:
    return _bar(x0, y0, x1, y1, thickness) | _bar(x0, y1, x1, y0, thickness)


@dataclass(frozen=True)
class Shape:
    """A figure of the language: the numbers it takes and its (row, column) sample mask."""

    arguments: str
    mask: Callable[..., np.ndarray]


STRIPES = ("field", "rows", "columns")

SHAPES = {
    "disc": Shape("x y radius", _disc),
    "ring": Shape("x y radius thickness", _ring),
    "crescent": Shape("x y radius cut_x cut_y cut_radius", _crescent),
    "polygon": Shape("x0 y0 x1 y1 x2 y2 ...", _polygon),
    "mirror": Shape("axis x0 y0 x1 y1 ...", _mirror),
    "burst": Shape("x y radius inner_radius points turn", _burst),
    "stars": Shape("radius x y ...", _stars),
    "bar": Shape("x0 y0 x1 y1 thickness", _bar),
    "cross": Shape("x y thickness", _cross),
    "saltire": Shape("thickness x0 y0 x1 y1", _saltire),
}
