"""Figure 8a: the gradients are those of the formulas, and stand in the order of the scores."""

import numpy as np
import pytest
from matplotlib.colors import to_hex

from combgrad.pictures.score_gradients import RELEVANT, draw_score_gradients
from combgrad.plans.example_8a import LAM, SCORES, steps
from combgrad.plans.example_8a import RELEVANT as PLACES
from combgrad.plans.grids import PlanError, load_plans

COUNT = len(SCORES)


def slopes_of_the_loss():
    """dL/drank of log(1 + log(1 + r)), r irrelevant ones ahead, ranks divided by their number."""
    found = np.zeros(COUNT)
    for number, place in enumerate(PLACES):
        ahead = place - number  # the scores are in descending order
        found[place] = COUNT / len(PLACES) / (1 + np.log1p(ahead)) / (1 + ahead)
    return found


def ranks(scores):
    return np.array([1 + sum(other > score for other in scores) for score in scores]) / COUNT


def test_the_steps_are_those_of_the_formulas():
    slope, scores = slopes_of_the_loss(), np.array(SCORES)
    found = steps()
    assert list(found) == ["Identity, no projection", "Identity with std", "Blackbox, λ = 0.5"]
    plain, projected, blackbox = found.values()
    np.testing.assert_allclose(plain, slope, rtol=1e-5)
    centred = scores - scores.mean()
    unit = centred / np.linalg.norm(centred)
    jacobian = (np.eye(COUNT) - np.outer(unit, unit)) / np.linalg.norm(centred)
    jacobian = jacobian @ (np.eye(COUNT) - 1 / COUNT)
    np.testing.assert_allclose(projected, jacobian.T @ slope, atol=1e-5)
    moved = (ranks(scores + LAM * slope) - ranks(scores)) / LAM
    np.testing.assert_allclose(blackbox, -moved, atol=1e-5)


def test_identity_moves_the_relevant_alone_and_the_others_move_both():
    plain, projected, blackbox = (step != 0 for step in steps().values())
    relevant = np.isin(np.arange(COUNT), PLACES)
    assert np.array_equal(plain, relevant)
    assert projected.all()
    assert blackbox[~relevant].sum() == 4


def test_bars_stand_in_the_order_of_the_scores():
    scores, step = np.array([0.1, 0.9, 0.5]), np.array([1.0, 2.0, 0.0])
    figure = draw_score_gradients(scores, np.array([True, False, False]), {"a $method": step})
    above, below = figure.get_axes()
    assert [bar.get_height() for bar in above.patches] == [0.9, 0.5, 0.1]
    assert [bar.get_height() for bar in below.patches] == [2.0, 0.0, 1.0]
    marked = [to_hex(bar.get_facecolor()) == RELEVANT for bar in below.patches]
    assert marked == [False, False, True]
    assert below.lines[0].get_xdata().tolist() == [1]
    figure.canvas.draw()


def test_what_does_not_fit_is_refused():
    for steps_ in ({}, {"a": np.ones(3)}):
        with pytest.raises(ValueError, match=r"pass \(n,\) for each"):
            draw_score_gradients(np.ones(2), np.ones(2, dtype=bool), steps_)


def test_it_needs_no_runs():
    with pytest.raises(PlanError, match=r"needs no runs: python scripts/figures\.py 8a"):
        load_plans("figure", "8a")
    assert [plan.name for plan in load_plans("figure", "8")] == ["figure8b"]
