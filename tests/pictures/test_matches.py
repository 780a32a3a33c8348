"""The picture of pairs: right and wrong matches between the points where they belong."""

import numpy as np
import pytest
from matplotlib.collections import LineCollection, PathCollection
from matplotlib.colors import to_rgba

from combgrad.pictures.matches import GAP, RIGHT, SIDE, WRONG, draw_matches
from combgrad.pictures.saving import save_figure

#: Three points that match in order, and one of padding.
TARGET = np.diag([1.0, 1, 1, 0])
#: The first is right, the second takes the third's, and the third takes none.
FOUND = np.array([[1.0, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0], [0, 0, 0, 0]])
POINTS = np.array(
    [
        [[10.0, 20], [30, 40], [50, 60], [0, 0]],
        [[200.0, 100], [210, 110], [220, 120], [0, 0]],
    ]
)


def drawn(count=1, **changes):
    arrays = {"points": POINTS, "target": TARGET, "found": FOUND}
    settings = {name: np.stack([array] * count) for name, array in arrays.items()}
    return draw_matches(**settings | {"names": [f"pair ${n}" for n in range(count)]} | changes)


def collections_of(axes, kind):
    return [part for part in axes.collections if type(part) is kind]


def test_lines_join_what_was_matched_and_say_whether_it_is_right():
    (axes,) = drawn().axes
    right, wrong = collections_of(axes, LineCollection)
    shift = SIDE + GAP
    assert [path.vertices.tolist() for path in right.get_paths()] == [
        [[10, 20], [200 + shift, 100]]
    ]
    assert [path.vertices.tolist() for path in wrong.get_paths()] == [
        [[30, 40], [220 + shift, 120]]
    ]
    assert tuple(right.get_colors()[0]) == to_rgba(RIGHT)
    assert tuple(wrong.get_colors()[0]) == to_rgba(WRONG)
    assert axes.get_title() == "pair $0: 1 of 3 matches found"


def test_points_are_full_where_matched_hollow_where_not_and_padding_is_not_drawn():
    (axes,) = drawn().axes
    shift = SIDE + GAP
    found = [
        (part.get_offsets().tolist(), len(part.get_facecolors()) > 0)
        for part in collections_of(axes, PathCollection)
    ]
    assert found == [
        ([[10, 20], [30, 40]], True),
        ([[50, 60]], False),
        ([[200 + shift, 100], [220 + shift, 120]], True),
        ([[210 + shift, 110]], False),
    ]


def test_photographs_lie_under_their_points(tmp_path):
    generator = np.random.default_rng(0)
    photographs = generator.integers(0, 256, (3, 2, SIDE, SIDE, 3), dtype=np.uint8)
    figure = drawn(3, photographs=photographs)
    assert len(figure.axes) == 4
    for axes, pair in zip(figure.axes, photographs, strict=False):
        for image, side, left in zip(axes.images, pair, (0, SIDE + GAP), strict=True):
            np.testing.assert_array_equal(image.get_array(), side)
            assert tuple(image.get_extent()) == (left, left + SIDE, SIDE, 0)
    assert not figure.axes[3].has_data()
    assert save_figure(figure, tmp_path / "pairs.png").stat().st_size > 10_000


@pytest.mark.parametrize(
    "changes",
    [
        {"points": POINTS},
        {"points": np.empty((0, 2, 4, 2)), "target": np.empty((0, 4, 4)), "names": []},
        {"target": TARGET[None, :3]},
        {"found": np.stack([FOUND] * 2)},
        {"names": ["a", "b"]},
        {"photographs": np.zeros((1, 2, 9, 9, 3), dtype=np.uint8)},
    ],
)
def test_arrays_of_other_shapes_are_refused(changes):
    with pytest.raises(ValueError, match="with N at least 1"):
        drawn(**changes)
