"""The picture of bags: a frame that tells right from wrong, and the label found."""

import matplotlib.colors
import numpy as np
import pytest

from combgrad.pictures.bags import draw_bags
from combgrad.pictures.neighbours import RIGHT, WRONG

IMAGES = np.zeros((2, 3, 5, 5, 3), dtype=np.uint8)
NAMES = [["a", "b", "c"], ["d", "a name far too long to stand there", "f"]]


def test_each_image_has_the_label_found_and_a_frame_that_tells_whether_it_is_right():
    right = np.array([[True, False, True], [False, True, True]])
    figure = draw_bags(IMAGES, right, NAMES)
    assert [axes.get_title() for axes in figure.axes[:4]] == ["a", "b", "c", "d"]
    assert figure.axes[4].get_title() == "a name far too lo…"
    for axes, good in zip(figure.axes, right.flatten(), strict=True):
        line = axes.spines["left"]
        wanted = RIGHT if good else WRONG
        assert matplotlib.colors.to_hex(line.get_edgecolor()) == matplotlib.colors.to_hex(wanted)
        assert line.get_linestyle() == ("-" if good else "--")
    assert len(figure.legends[0].get_texts()) == 2


def test_arrays_that_do_not_fit_are_refused():
    right = np.ones((2, 3), dtype=bool)
    for images, found, names in (
        (IMAGES[:1], right, NAMES),
        (IMAGES, right[:, :2], NAMES),
        (IMAGES, right, [["a", "b", "c"]]),
        (IMAGES[:0], right[:0], []),
    ):
        with pytest.raises(ValueError, match=r"pass \(N, b, H, W, 3\)"):
            draw_bags(images, found, names)
