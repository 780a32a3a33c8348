"""A collapsed globe as the flat map it is: where its places lie, and which names can be read."""

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from combgrad.data.globe.countries import regenerated
from combgrad.data.globe.sphere import unit_vectors
from combgrad.experiments.globe_pictures import draw
from combgrad.pictures.globe_spot import REACH, draw_spot, flat_map, is_spot, readable
from combgrad.pictures.saving import save_picture

COUNTRIES = regenerated()
TRUE = unit_vectors(torch.tensor(COUNTRIES.lonlat)).numpy()
DEGREES = COUNTRIES.lonlat - COUNTRIES.lonlat.mean(axis=0)


def chart(scale, turn=0.0, mirrored=False):
    """Places of a sphere that are, near its pole, the map with longitude and latitude as axes."""
    angle = np.radians(turn)
    axes = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    flat = scale * (DEGREES * [-1 if mirrored else 1, 1]) @ axes
    places = np.concatenate([flat, np.sqrt(1 - (flat**2).sum(axis=1, keepdims=True))], axis=1)
    return Rotation.from_rotvec([0.4, -1.1, 0.7]).apply(places)


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("turn", [0.0, 70.0, 200.0])
def test_the_map_has_east_to_the_right_and_north_up_however_it_lies(turn, mirrored):
    points = flat_map(chart(1e-5, turn, mirrored), TRUE)
    np.testing.assert_allclose(points, 1e-5 * DEGREES, atol=2e-6)


def test_a_spot_is_what_lies_close_together():
    assert is_spot(chart(0.9 * REACH / np.linalg.norm(DEGREES, axis=1).max()))
    assert not is_spot(chart(1.1 * REACH / np.linalg.norm(DEGREES, axis=1).max()))
    assert not is_spot(TRUE)


def test_no_name_hides_another_and_lonely_ones_are_named():
    points = np.array(
        [[0.0, 0.0], [0.001, 0.0], [0.5, 0.5], [1.0, 0.0], [0.0, 0.021], [0.1, 0.001]]
    )
    names = ["near", "nearer", "alone", "right", "above", "a long one of the same height"]
    named = readable(points, names)
    assert {2, 3, 4, 5} <= set(named)
    assert len({0, 1} & set(named)) == 1
    assert set(readable(points, ["a name of forty letters and a few more..."] * 6)) == {2, 3, 4, 5}


def test_the_picture_of_a_spot(tmp_path):
    figure = draw_spot(chart(1e-6), TRUE, COUNTRIES.names)
    axes = figure.axes[0]
    width = 2e-6 * np.linalg.norm(DEGREES, axis=1).max()
    assert f"a flat map, {width:.1e} radii wide" in axes.get_title()
    (dots,) = axes.collections
    np.testing.assert_allclose(dots.get_array(), COUNTRIES.lonlat[:, 0])
    shown = {text.get_text() for text in axes.texts}
    assert shown <= set(COUNTRIES.names)
    assert len(shown) > 20
    assert save_picture(figure, tmp_path, "spot").stat().st_size > 10_000


def test_a_run_that_has_collapsed_has_the_picture():
    instance, tour = torch.arange(5), torch.tensor([1.0, 0, 0, 1, 1, 0, 0, 1, 0, 1])
    for places, more in ((TRUE, set()), (chart(1e-6), {"spot"})):
        figures = draw(COUNTRIES, TRUE, places, instance, tour, tour)
        assert set(figures) == {"tour", "learned_globe"} | more
