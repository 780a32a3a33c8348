"""The picture of maps: paths where they belong, wrong cells crossed out, costs as they are."""

import re

import matplotlib.image
import numpy as np
import pytest
from matplotlib.colors import to_rgba

from combgrad.pictures.saving import save_figure
from combgrad.pictures.terrain import RIGHT, WRONG, draw_maps

# The second path leaves the first one for the two cells that lie below it.
CHEAPEST = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1]])
FOUND = np.array([[1, 0, 0], [1, 0, 0], [0, 1, 1]])
COSTS = np.array([[1.0, 5, 5], [4, 2, 5], [5, 3, 1]])


def drawn(count=2, pixels=8):
    """A figure of `count` maps of random pixels, all with the paths above."""
    maps = np.random.default_rng(0).integers(
        0, 256, (count, 3 * pixels, 3 * pixels, 3), dtype=np.uint8
    )
    grids = [np.stack([grid] * count) for grid in (CHEAPEST, FOUND, 10 * COSTS, COSTS)]
    return maps, draw_maps(maps, *grids)


def rows_of(figure):
    """The five panels of each row, without the colour bars."""
    panels = [axes for axes in figure.axes if axes.get_label() != "<colorbar>"]
    return [panels[start : start + 5] for start in range(0, len(panels), 5)]


def lines_of(axes):
    """The ends of the lines of the uppermost collection, each from x, y to x, y, and colours."""
    top = max(axes.collections, key=lambda collection: collection.get_zorder())
    ends = [path.vertices.tolist() for path in top.get_paths()]
    return ends, [tuple(colour) for colour in top.get_colors()]


@pytest.mark.parametrize("pixels", [1, 8])
def test_each_row_has_its_map_three_times_and_both_costs(pixels):
    maps, figure = drawn(pixels=pixels)
    titles = [axes.get_title() for axes in rows_of(figure)[0]]
    assert titles == ["map", "cheapest path", "predicted path", "predicted costs", "true costs"]
    assert len(rows_of(figure)) == 2
    for picture, row in zip(maps, rows_of(figure), strict=True):
        for axes in row[:3]:
            np.testing.assert_array_equal(axes.images[0].get_array(), picture)
            # Cells have their centres at whole numbers, rows go down.
            assert tuple(axes.images[0].get_extent()) == (-0.5, 2.5, 2.5, -0.5)
        np.testing.assert_array_equal(row[3].images[0].get_array(), 10 * COSTS)
        np.testing.assert_array_equal(row[4].images[0].get_array(), COSTS)
        assert row[3].images[0].get_clim() == (10, 50)
        assert row[4].images[0].get_clim() == (1, 5)


def test_the_cheapest_path_is_drawn_through_the_middle_of_its_cells():
    axes = rows_of(drawn()[1])[1][1]
    ends, colours = lines_of(axes)
    assert ends == [[[0, 0], [1, 1]], [[1, 1], [2, 2]]]
    assert set(colours) == {to_rgba(RIGHT)}
    dots, crosses = axes.lines
    assert dots.get_xydata().tolist() == [[0, 0], [1, 1], [2, 2]]
    assert crosses.get_xydata().tolist() == []


def test_cells_beside_the_cheapest_path_are_crossed_out():
    axes = rows_of(drawn()[1])[1][2]
    ends, colours = lines_of(axes)
    # Down, aslant to row 2 and column 1, and on to the right.
    expected = {((0, 0), (0, 1)): WRONG, ((0, 1), (1, 2)): WRONG, ((1, 2), (2, 2)): WRONG}
    links = {tuple(map(tuple, line)): c for line, c in zip(ends, colours, strict=True)}
    assert links == {line: to_rgba(colour) for line, colour in expected.items()}
    dots, crosses = axes.lines
    assert dots.get_xydata().tolist() == [[0, 0], [2, 2]]
    assert crosses.get_xydata().tolist() == [[0, 1], [1, 2]]
    assert dots.get_marker() != crosses.get_marker()  # not told apart by colour alone
    dashed = min(axes.collections, key=lambda collection: collection.get_zorder())
    assert [path.vertices.tolist() for path in dashed.get_paths()] == [
        [[0, 0], [1, 1]],
        [[1, 1], [2, 2]],
    ]


def test_the_price_of_the_predicted_path_is_told():
    # 1 + 4 + 3 + 1 = 9 instead of 1 + 2 + 1 = 4.
    for row in rows_of(drawn()[1]):
        assert row[2].get_xlabel() == "2.250 times the cheapest"


def test_no_price_is_told_of_what_is_no_path():
    grids = [np.array([grid]) for grid in (CHEAPEST, FOUND, COSTS, COSTS)]
    for gap in ((1, 0), (0, 0), (2, 2)):
        grids[1] = FOUND[None].copy()
        grids[1][0][gap] = 0
        figure = draw_maps(np.zeros((1, 24, 24, 3), np.uint8), *grids, predicted="logits")
        (row,) = rows_of(figure)
        assert row[2].get_xlabel() == "no path from corner to corner"
        assert row[3].get_title() == "logits"


def test_the_picture_on_the_disk_has_colours_of_all_parts(tmp_path):
    path = save_figure(drawn(count=1)[1], tmp_path / "maps.png")
    image = (matplotlib.image.imread(path)[..., :3] * 255).round().astype(int)
    seen = set(map(tuple, image.reshape(-1, 3).tolist()))
    for colour in (RIGHT, WRONG):
        assert tuple(int(255 * part + 0.5) for part in to_rgba(colour)[:3]) in seen
    assert len(seen) > 200


@pytest.mark.parametrize(
    ("which", "shape"),
    [
        (0, (48,)),
        (0, (2, 24, 24)),
        (0, (2, 25, 25, 3)),
        (0, (3, 24, 24, 3)),
        (1, (2, 3)),
        (1, (2, 0, 0)),
        (3, (2, 3, 4)),
    ],
)
def test_arrays_that_do_not_belong_together_are_named(which, shape):
    arrays = [np.zeros((2, 24, 24, 3), np.uint8), *(np.ones((2, 3, 3)) for _ in range(4))]
    arrays[which] = np.zeros(shape)
    name = ("maps", "targets", "found", "costs", "true_costs")[which]
    with pytest.raises(ValueError, match=rf"{name} {re.escape(str(shape))}.*N, p k, p k"):
        draw_maps(*arrays)


def test_no_maps_are_refused():
    with pytest.raises(ValueError, match="N at least 1"):
        draw_maps(np.zeros((0, 24, 24, 3)), *(np.ones((0, 3, 3)) for _ in range(4)))
