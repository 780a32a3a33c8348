"""The pictures of days and of mazes show what they are given."""

import numpy as np
import pytest

from combgrad.pictures.mazes import draw_mazes
from combgrad.pictures.price_days import draw_days
from combgrad.pictures.saving import save_figure


def days(sign=1.0):
    random = np.random.default_rng(0)
    costs, true = random.normal(size=(2, 3, 48))
    chosen = (random.random((2, 3, 48)) < 0.3).astype(float)
    return costs, sign * np.abs(true), *chosen


@pytest.mark.parametrize(("sign", "name"), [(1.0, "cost"), (-1.0, "value")])
def test_days_show_what_was_decided_and_what_it_cost(tmp_path, sign, name):
    costs, true, best, found = days(sign)
    figure = draw_days(costs, true, best, found)
    shown = [axes for axes in figure.axes if axes.get_xlabel()]
    assert len(shown) == 3
    for day, axes in enumerate(shown):
        paid, least = np.abs(true[day]) @ found[day], np.abs(true[day]) @ best[day]
        assert axes.get_xlabel() == f"hour; {name} {paid:.4g}, best {least:.4g}"
        np.testing.assert_array_equal([bar.get_height() for bar in axes.patches], best[day])
        np.testing.assert_array_equal(axes.lines[0].get_ydata()[:-1], found[day])
        # Costs and decisions alike reach from midnight to midnight, the last half hour included.
        for steps in (axes.lines[0], *(line for top in figure.axes[:3] for line in top.lines)):
            assert (steps.get_xdata()[0], steps.get_xdata()[-1]) == (0, 24)
    np.testing.assert_array_equal(figure.axes[0].lines[0].get_ydata()[:-1], np.abs(true[0]))
    figure.canvas.draw()
    for axes in figure.axes[:6]:
        assert axes.get_legend().get_window_extent().y0 >= axes.bbox.y1 - 1
    save_figure(figure, tmp_path / "days.png")
    assert (tmp_path / "days.png").read_bytes().startswith(b"\x89PNG")


def test_mazes_show_both_ways_and_their_costs(tmp_path):
    true = np.array([[[1.0, 100, 1], [1, 100, 1], [1, 1, 1]]])
    best = np.array([[[1.0, 0, 1], [1, 0, 1], [0, 1, 0]]])
    found = np.array([[[1.0, 1, 1], [0, 0, 0], [0, 0, 0]]])
    figure = draw_mazes(true / 100, true + 1, true, best, found)
    panels = [axes for axes in figure.axes if axes.get_label() != "<colorbar>"]
    assert [axes.get_title() for axes in panels] == [
        "what is seen", "a shortest way", "the way found", "predicted costs"
    ]  # fmt: skip
    assert panels[2].get_xlabel() == "cost 102, best 5"
    np.testing.assert_array_equal(panels[3].images[0].get_array(), true[0] + 1)
    save_figure(figure, tmp_path / "mazes.png")
    assert (tmp_path / "mazes.png").read_bytes().startswith(b"\x89PNG")


def test_arrays_of_different_instances_are_refused():
    costs, true, best, found = days()
    with pytest.raises(ValueError, match=r"\(N, H\), with N at least 1"):
        draw_days(costs, true, best, found[:2])
    with pytest.raises(ValueError, match=r"\(N, H, W\), with N at least 1"):
        draw_mazes(costs, true, best, found, found)
