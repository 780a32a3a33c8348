"""Queries with their nearest images: frames and what is refused."""

import numpy as np
import pytest
from matplotlib.colors import to_hex

from combgrad.pictures.neighbours import RIGHT, WRONG, draw_neighbours

IMAGES = np.random.default_rng(0).integers(0, 256, (2, 4, 5, 5, 3), dtype=np.uint8)
FOUND = np.array([[True, False, True], [False, False, True]])


def test_right_and_wrong_images_differ_in_colour_and_line():
    figure = draw_neighbours(IMAGES, FOUND, ["a bird", "a $car"])
    axes = figure.get_axes()
    assert len(axes) == 8
    assert [a.get_title(loc="left") for a in axes[::4]] == ["a bird", "a $car"]
    for query in range(2):
        for place in range(3):
            spine = axes[4 * query + 1 + place].spines["top"]
            right = FOUND[query, place]
            assert to_hex(spine.get_edgecolor()) == to_hex(RIGHT if right else WRONG)
            assert spine.get_linestyle() == ("-" if right else "--")
            shown = axes[4 * query + 1 + place].get_images()[0].get_array()
            assert np.array_equal(shown, IMAGES[query, place + 1])


def test_what_does_not_fit_is_refused():
    for images, right, names in (
        (IMAGES[:0], FOUND[:0], []),
        (IMAGES, FOUND[:, :2], ["a", "b"]),
        (IMAGES, FOUND, ["a"]),
        (IMAGES[..., 0], FOUND, ["a", "b"]),
    ):
        with pytest.raises(ValueError, match=r"pass \(Q, 1 \+ K, H, W, 3\)"):
            draw_neighbours(images, right, names)
