"""The picture of a tour during the training: which instance, and what is drawn of it."""

import matplotlib.image
import numpy as np
import pytest
import torch

from combgrad.data.globe.countries import Countries
from combgrad.experiments.globe_pictures import Moment, draw_moments, most_improved, room_on_map
from combgrad.pictures import save_figure
from combgrad.pictures.globe import GlobePanel
from combgrad.pictures.globe_training import draw_training
from combgrad.pictures.projection import WorldMap
from combgrad.pictures.sphere import unit_vectors

# Five places around Europe and Africa, the corners of a pentagon, in order.
LONLAT = np.array([[0.0, 0.0], [40.0, 0.0], [50.0, 35.0], [20.0, 60.0], [-10.0, 35.0]])
PLACES = unit_vectors(*LONLAT.T)
RING = np.array([[0, 1], [1, 2], [2, 3], [3, 4], [4, 0]])
# Edges of five cities, row by row: 01 02 03 04 12 13 14 23 24 34; the ring, and its complement.
TARGET = torch.tensor([1.0, 0, 0, 1, 1, 0, 0, 1, 0, 1])


def a_panel(places=PLACES, wrong=None):
    return GlobePanel("a moment", places, RING, ghosts=PLACES, wrong=wrong)


def countries():
    flags = np.random.default_rng(0).integers(0, 256, (5, 20, 40, 3), dtype=np.uint8)
    names = tuple("ABCDE")
    return Countries(names=names, capitals=names, iso2=names, lonlat=LONLAT, flags=flags)


def test_every_moment_has_a_map_with_both_tours(tmp_path):
    figure = draw_training([a_panel(), a_panel(-PLACES), a_panel(wrong=RING[:1])], RING, "Title")
    assert [axes.get_title() for axes in figure.axes] == ["a moment"] * 3
    lefts = [round(axes.get_position().x0, 3) for axes in figure.axes]
    lows = [round(axes.get_position().y0, 3) for axes in figure.axes]
    assert lefts[0] == lefts[2] < lefts[1]
    assert lows[0] == lows[1] > lows[2]
    for axes in figure.axes:
        (dashed,) = [
            lines for lines in axes.collections if lines.get_linestyles()[0][1] is not None
        ]
        ends = [path.vertices[[0, -1]] for path in dashed.get_paths()]
        expected, _ = WorldMap().flatten(PLACES)
        np.testing.assert_allclose(ends, expected[RING], atol=1e-9)
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend == ["correct edge", "wrong edge", "true place, joined to the learned one"]
    path = save_figure(figure, tmp_path / "training.png")
    image = (matplotlib.image.imread(path)[..., :3] * 255).round().astype(int)
    assert image.shape[1] == 1400
    assert len(np.unique(image.reshape(-1, 3), axis=0)) > 500


def test_panels_need_the_true_places():
    without = GlobePanel("", PLACES, RING)
    for panels in ([], [a_panel(), without]):
        with pytest.raises(ValueError, match="each with ghosts"):
            draw_training(panels, RING, "")


def test_the_instance_that_gained_most_is_shown_where_a_map_has_most_room():
    first, last = torch.tensor([0.2, 0.0, 0.2, 1.0]), torch.tensor([1.0, 0.4, 1.0, 1.0])
    assert most_improved(first, last, np.array([0.1, 9.0, 0.2, 9.0])) == 2
    assert most_improved(first, last, np.array([0.3, 9.0, 0.2, 9.0])) == 0


def test_room_is_that_between_the_two_nearest_cities_of_a_tour_the_map_does_not_cut():
    lonlat = np.array([[0.0, 0.0], [60.0, 0.0], [90.0, 0.0], [-160.0, 0.0], [0.0, 90.0]])
    points = unit_vectors(*lonlat.T)
    instances = np.array([[0, 1, 2], [0, 1, 4], [0, 1, 3]])
    expected = [1 - np.cos(np.radians(30)), 1 - np.cos(np.radians(60)), -1.0]
    np.testing.assert_allclose(room_on_map(points, instances), expected)


def test_titles_tell_the_moment_its_accuracy_and_its_error():
    # Two instances, of which only the first is wrong before the training.
    before = torch.tensor([0.0, 1, 0, 1, 1, 1, 0, 0, 0, 1])
    instances = torch.tensor([[0, 1, 2, 3, 4], [4, 3, 2, 1, 0]])
    targets = torch.stack([TARGET, TARGET])
    right = int((before * TARGET).sum())
    mirror = PLACES * [1.0, 1.0, -1.0]
    moments = {
        0: Moment(PLACES[[1, 2, 3, 4, 0]], torch.stack([before, TARGET])),
        1: Moment(mirror, targets),
        30: Moment(PLACES, targets),
    }
    figure = draw_moments(countries(), PLACES, moments, instances, targets)
    titles = [axes.get_title().split("\n") for axes in figure.axes]
    assert [when for when, _ in titles] == [
        "before the training",
        "after 1 epoch",
        "after 30 epochs",
    ]
    assert f"{100 * (right / 5 + 1) / 2:.1f} % of all test edges right" in titles[0][1]
    # A mirrored globe is turned right: tours do not tell left from right.
    for _, numbers in titles[1:]:
        assert numbers == "100.0 % of all test edges right, median error of the capitals 0 km"
    names = {text.get_text() for text in figure.axes[2].texts}
    assert names == set("ABCDE")
