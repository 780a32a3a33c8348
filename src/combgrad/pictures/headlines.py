"""Headlines that were found, below the true ones and their articles."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from combgrad.pictures.blank import blank
from combgrad.pictures.labels import INK
from combgrad.pictures.tour_lines import TOUR as SHARED
from combgrad.pictures.tour_lines import WRONG as OTHER

#: Characters of a line, what is beside it, and how many lines of an article are shown.
COLUMNS, LEFT, RIGHT, ARTICLE_LINES = 100, 11, 5, 2

#: Inches of a character and of a line, at the size of the letters in points.
_WIDTH, _HEIGHT, _SIZE = 0.0837, 0.19, 10

_QUIET = "#66757f"


class Shown(NamedTuple):
    """The words of an article, of its headline, and of the one that was found for it."""

    article: Sequence[str]
    true: Sequence[str]
    found: Sequence[str]


def draw_headlines(shown: Sequence[Shown]) -> Figure:
    """A sheet of articles' beginnings, true headlines and those found.

    Of a headline found the words that the true one has are underlined, the others not, in another
    colour. What is too long for its line ends in dots. Raises ValueError for none.
    """
    if not shown:
        raise ValueError("there are no headlines to draw; pass at least one.")
    lines = (ARTICLE_LINES + 3) * len(shown) + 1
    width = LEFT + COLUMNS + RIGHT
    size = (_WIDTH * width, _HEIGHT * lines)
    figure = blank(size, fitted=False)
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.set_axis_off()
    axes.set(xlim=(0, width), ylim=(lines, 0))
    for number, one in enumerate(shown):
        _draw_one(axes, 1 + number * (ARTICLE_LINES + 3), one)
    return figure


def _draw_one(axes: Axes, line: int, one: Shown) -> None:
    beginning = textwrap.wrap(" ".join(one.article), COLUMNS)
    if len(beginning) > ARTICLE_LINES:
        beginning[ARTICLE_LINES - 1] += " ..."
    beginning = beginning[:ARTICLE_LINES]
    for offset, text in enumerate(beginning, ARTICLE_LINES - len(beginning)):
        _write(axes, LEFT, line + offset, text, _QUIET)
    for offset, (label, words) in enumerate((("true", one.true), ("found", one.found))):
        below = line + ARTICLE_LINES + offset
        _write(axes, 2, below, label, _QUIET)
        column = LEFT
        for word in words:
            if column + len(word) > LEFT + COLUMNS:
                _write(axes, column, below, "...", _QUIET)
                break
            alike = word in one.true
            colour = INK if label == "true" else SHARED if alike else OTHER
            _write(axes, column, below, word, colour)
            if label == "found" and alike:
                end = column + len(word)
                axes.plot([column, end], [below + 0.42] * 2, color=SHARED, linewidth=1)
            column += len(word) + 1


def _write(axes: Axes, column: int, line: int, text: str, colour: str) -> None:
    axes.text(
        column, line, text, color=colour, size=_SIZE, family="monospace", va="center",
        parse_math=False,
    )  # fmt: skip
