"""Figures 2 and 9: steps are those of the formulas, regions those of the cheapest solution."""

import numpy as np
import pytest

from combgrad.pictures.cost_regions import draw_plane
from combgrad.plans.example_regions import (
    CORNERS,
    COSTS,
    LAM,
    PLANE,
    SPACE_COSTS,
    SPACE_SLOPE,
    WANTED,
    interpolated,
    plane_slope,
    plane_steps,
    space_steps,
)
from combgrad.plans.figures import DRAWN
from combgrad.plans.grids import EXAMPLES, PlanError, load_plans

W = np.array(COSTS)


def cheapest(w):
    return np.array(min(CORNERS, key=lambda y: y[0] * w[0] + y[1] * w[1]))


def test_the_steps_in_the_plane_are_those_of_the_formulas():
    slope = cheapest(W) - WANTED
    np.testing.assert_allclose(plane_slope(), slope)
    assert np.linalg.norm(slope) > 0
    identity, norm, blackbox = plane_steps().values()
    np.testing.assert_allclose(identity, slope)
    length = np.linalg.norm(W)
    unit = W / length
    np.testing.assert_allclose(norm, (slope - unit * (unit @ slope)) / length)
    np.testing.assert_allclose(blackbox, -(cheapest(W + LAM * slope) - cheapest(W)) / LAM)


def test_the_interpolation_has_the_slope_of_blackbox():
    *_, blackbox = plane_steps().values()
    small = 1e-6
    found = [
        (interpolated((W + e)[None]) - interpolated((W - e)[None]))[0] / (2 * small)
        for e in small * np.eye(2)
    ]
    np.testing.assert_allclose(found, -blackbox, rtol=1e-6)


def test_the_interpolation_is_continuous_and_the_loss_itself_far_from_the_borders():
    slope = plane_slope()
    line = np.linspace(-2, 2, 4001)[:, None] * [0.6, -0.8] + [0.1, 0.3]
    values = interpolated(line)
    # Its gradients are differences of corners over lambda.
    most = max(np.linalg.norm(np.subtract(a, b)) for a in CORNERS for b in CORNERS) / LAM
    assert np.abs(np.diff(values)).max() <= 1.001 * most * 4 / 4000
    far = 1000 * np.array([[1.0, 0.2], [-0.7, 0.7]])
    np.testing.assert_allclose(interpolated(far), [slope @ cheapest(w) for w in far])


def test_the_steps_in_space_are_those_of_the_formulas():
    w, slope = np.array(SPACE_COSTS), np.array(SPACE_SLOPE)
    assert np.linalg.norm(w) == pytest.approx(1)
    identity, norm, std = space_steps().values()
    np.testing.assert_allclose(identity, slope)
    np.testing.assert_allclose(norm, slope - w * (w @ slope))
    centre = np.eye(3) - 1 / 3
    unit = centre @ w / np.linalg.norm(centre @ w)
    jacobian = (np.eye(3) - np.outer(unit, unit)) @ centre / np.linalg.norm(centre @ w)
    np.testing.assert_allclose(std, jacobian.T @ slope)
    # What the picture shows of it: no length, no mean.
    assert (PLANE @ std) @ (PLANE @ w) == pytest.approx(0)
    assert std.sum() == pytest.approx(0)
    np.testing.assert_allclose(PLANE @ PLANE.T, np.eye(2), atol=1e-12)


def test_both_are_drawn_and_need_no_runs():
    assert set(DRAWN) == set(EXAMPLES)
    for number in "29":
        DRAWN[f"figure{number}"]().canvas.draw()
        with pytest.raises(PlanError, match=rf"needs no runs: .* {number}\."):
            load_plans("figure", number)


def test_the_regions_are_painted_by_the_cheapest():
    figure = draw_plane(
        lambda points: (points[:, 0] < 0).astype(int),
        {0: "right", 1: "left"},
        np.array([1.0, 0.0]),
        {"a $method": np.array([0.0, 1.0])},
        np.array([2.0, 0.0]),
        lambda points: points[:, 0],
        reach=1.0,
    )
    axes = figure.get_axes()[0]
    painted = axes.collections[0].get_array().reshape(400, 400)
    assert set(painted[:, :200].ravel()) == {1}
    assert set(painted[:, 200:].ravel()) == {0}
    places = {text.get_text(): text.get_position() for text in axes.texts if text.get_text()}
    assert places["left"][0] < 0 < places["right"][0]
