"""Geometry behind the globe pictures: projections, great circles and the coastline."""

import numpy as np
import pytest

from combgrad.pictures.land import load_coastline
from combgrad.pictures.projection import Orthographic, WorldMap
from combgrad.pictures.sphere import (
    distances_km,
    great_circle,
    longitude_latitude,
    unit_vectors,
)

PARIS = unit_vectors(2.35, 48.86)
LIMA = unit_vectors(-77.03, -12.05)


@pytest.fixture(scope="module")
def on_land():
    """Even-odd test: how many coasts lie between a place and the north pole, which is sea?"""
    rings = load_coastline().land
    sides = np.concatenate([np.stack([r, np.roll(r, -1, axis=0)], axis=1) for r in rings])
    lam, phi = longitude_latitude(sides)

    def test(longitude, latitude):
        first, second = ((lam - longitude + 180) % 360 - 180).T
        crossed = ((first < 0) != (second < 0)) & (np.abs(first - second) < 180)
        share = first[crossed] / (first - second)[crossed]
        height = phi[crossed, 0] + share * (phi[crossed, 1] - phi[crossed, 0])
        return int((height > latitude).sum()) % 2 == 1

    return test


def shoelace(loop):
    x, y = loop.T
    return 0.5 * np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y)


def circle_around(centre, degrees):
    """Points of a small circle, anticlockwise seen from outside."""
    right, up, forward = Orthographic(centre).axes
    theta = np.linspace(0, 2 * np.pi, 181)[:-1, None]
    r = np.radians(degrees)
    return np.cos(r) * forward + np.sin(r) * (np.cos(theta) * right + np.sin(theta) * up)


def test_unit_vectors_round_trip():
    longitude, latitude = np.array([-179.0, 0.0, 12.5, 180.0]), np.array([-60.0, 0.0, 41.9, 10.0])
    back = longitude_latitude(unit_vectors(longitude, latitude))
    np.testing.assert_allclose(back, (longitude, latitude), atol=1e-12)


def test_orthographic_by_hand():
    centre = unit_vectors(20.0, 0.0)
    points = unit_vectors([20.0, 110.0, 50.0, 20.0, -160.0], [0.0, 0.0, 0.0, 30.0, 0.0])
    flat, hidden = Orthographic(centre).flatten(points)
    np.testing.assert_allclose(flat, [[0, 0], [1, 0], [0.5, 0], [0, 0.5], [0, 0]], atol=1e-12)
    assert hidden[[0, 2, 3, 4]].tolist() == [False, False, False, True]


def test_orthographic_has_right_handed_axes_at_a_pole():
    axes = Orthographic(np.array([0.0, 0.0, 1.0])).axes
    np.testing.assert_allclose(axes @ axes.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(axes) == pytest.approx(1.0)


def test_stroke_is_cut_at_the_horizon():
    arc = great_circle(unit_vectors(0.0, 20.0), unit_vectors(150.0, 20.0))
    front, back = Orthographic(np.array([1.0, 0.0, 0.0])).strokes(arc)
    assert (front.hidden, back.hidden) == (False, True)
    np.testing.assert_allclose(front.points[-1], back.points[0])
    assert np.linalg.norm(front.points[-1]) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("angle", "share"), [(0, 0.25), (40, 0.25 * np.cos(np.radians(40))), (150, 0), (180, 0)]
)
def test_orthographic_area_of_a_cap(angle, share):
    # A cap of 30 degrees in front is an ellipse: sin²(30°) of the disc, foreshortened.
    cap = circle_around(unit_vectors(angle, 0.0), 30.0)
    loops = Orthographic(np.array([1.0, 0.0, 0.0])).areas(cap)
    assert sum(map(shoelace, loops)) == pytest.approx(np.pi * share, abs=2e-3)


def test_orthographic_area_of_a_cap_on_the_horizon():
    cap = circle_around(unit_vectors(90.0, 0.0), 30.0)
    (loop,) = Orthographic(np.array([1.0, 0.0, 0.0])).areas(cap)
    # The seen half of the cap is the circular segment beyond x = cos 30°.
    half = np.radians(30.0)
    assert shoelace(loop) == pytest.approx(half - np.sin(half) * np.cos(half), abs=2e-3)


def test_orthographic_area_around_the_antipode_is_what_the_complement_leaves():
    cap = circle_around(unit_vectors(179.9, 0.1), 100.0)
    loops = Orthographic(np.array([1.0, 0.0, 0.0])).areas(cap)
    expected = np.pi * (1 - np.sin(np.radians(80.0)) ** 2)
    assert sum(map(shoelace, loops)) == pytest.approx(expected, abs=2e-3)


def test_world_map_by_hand():
    flat, hidden = WorldMap(0.0).flatten(unit_vectors([0.0, 90.0, 0.0], [0.0, 0.0, 90.0]))
    s = (np.pi / 2) ** 2
    height = 1.007226 + 0.015085 * s - 0.044475 * s**3 + 0.028874 * s**4 - 0.005916 * s**5
    expected = [[0, 0], [0.8707 * np.pi / 2, 0], [0, np.pi / 2 * height]]
    np.testing.assert_allclose(flat, expected, atol=1e-9)
    assert not hidden.any()


def test_world_map_cuts_an_arc_at_the_date_line():
    arc = great_circle(unit_vectors(170.0, 10.0), unit_vectors(-170.0, 10.0))
    east, west = WorldMap(0.0).strokes(arc)
    assert east.points[-1, 0] == pytest.approx(-west.points[0, 0])
    assert east.points[-1, 1] == pytest.approx(west.points[0, 1])
    edge_x = WorldMap(0.0).outline()[:, 0].max()
    assert 0.98 * edge_x < east.points[-1, 0] <= edge_x
    for piece in (east.points, west.points):
        assert np.abs(np.diff(piece[:, 0])).max() < 0.05


def test_world_map_moves_the_cut_with_its_centre():
    arc = great_circle(unit_vectors(170.0, 10.0), unit_vectors(-170.0, 10.0))
    assert len(WorldMap(180.0).strokes(arc)) == 1
    assert len(WorldMap(0.0).strokes(great_circle(PARIS, LIMA))) == 1


def test_world_map_repeats_a_ring_on_the_seam_and_closes_one_around_a_pole():
    seam = WorldMap(0.0).areas(circle_around(unit_vectors(180.0, 0.0), 10.0))
    assert len(seam) == 2
    (polar,) = WorldMap(0.0).areas(circle_around(np.array([0.0, 0.0, -1.0]), 20.0))
    south = WorldMap(0.0).outline()[:, 1].min()
    assert polar[:, 1].min() == pytest.approx(south)
    # It spans the whole map and more, so no gap is left at either side.
    assert polar[:, 0].min() < -np.pi
    assert polar[:, 0].max() > np.pi


def test_arc_lies_on_the_sphere_in_the_plane_of_its_ends():
    arc = great_circle(PARIS, LIMA)
    np.testing.assert_allclose(arc[[0, -1]], [PARIS, LIMA], atol=1e-12)
    np.testing.assert_allclose(np.linalg.norm(arc, axis=1), 1.0)
    np.testing.assert_allclose(arc @ np.cross(PARIS, LIMA), 0.0, atol=1e-12)
    assert distances_km(arc[:-1], arc[1:]).sum() == pytest.approx(distances_km(PARIS, LIMA))


def test_arc_between_equal_and_between_antipodal_ends():
    np.testing.assert_allclose(great_circle(PARIS, PARIS), [PARIS, PARIS])
    over = great_circle(PARIS, -PARIS)
    np.testing.assert_allclose(over[-1], -PARIS, atol=1e-12)
    assert np.abs(over[:, 2]).max() > 0.999
    pole = np.array([0.0, 0.0, 1.0])
    np.testing.assert_allclose(np.linalg.norm(great_circle(pole, -pole), axis=1), 1.0)


def test_distance_in_km():
    # A quarter of a great circle of the mean Earth.
    assert distances_km(*unit_vectors([0.0, 90.0], [0.0, 0.0])) == pytest.approx(10007.543, abs=1)


def test_coastline_is_on_the_sphere_and_fine():
    coast = load_coastline()
    assert len(coast.land) > 100
    for ring in (*coast.land, *coast.lakes):
        np.testing.assert_allclose(np.linalg.norm(ring, axis=1), 1.0)
        longitude, latitude = longitude_latitude(ring)
        assert np.abs(longitude).max() <= 180
        assert np.abs(latitude).max() <= 90
        assert distances_km(ring, np.roll(ring, -1, axis=0)).max() < 250


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ((134.0, -25.0), True),
        ((-53.0, -10.0), True),
        ((100.0, 62.0), True),
        ((178.0, 67.0), True),
        ((45.0, -85.0), True),
        ((-100.0, -80.0), True),
        ((-150.0, 0.0), False),
        ((180.0, 20.0), False),
        ((-30.0, 35.0), False),
        ((0.0, 88.0), False),
    ],
)
def test_land_is_where_it_should_be(on_land, place, expected):
    assert on_land(*place) is expected


@pytest.mark.parametrize("longitude", range(-180, 180, 45))
def test_filled_globe_shows_as_much_land_as_there_is(on_land, longitude):
    centre = unit_vectors(float(longitude), 10.0)
    globe = Orthographic(centre)
    coast = load_coastline()
    drawn = sum(shoelace(loop) for ring in coast.land for loop in globe.areas(ring))
    # A Fibonacci lattice covers the sphere evenly; orthographic area weighs a place by its depth.
    count = 2000
    turn = np.degrees(np.arange(count) * np.pi * (3 - np.sqrt(5)))
    places = unit_vectors(turn, np.degrees(np.arcsin((2 * np.arange(count) + 1) / count - 1)))
    places = places[places @ centre > 0]
    land = np.array([on_land(*longitude_latitude(place)) for place in places])
    weights = places @ centre
    assert drawn / np.pi == pytest.approx(weights @ land / weights.sum(), abs=0.01)
