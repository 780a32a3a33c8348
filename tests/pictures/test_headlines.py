"""An alignment and a sheet of headlines: what is drawn, and what is refused."""

import numpy as np
import pytest
from matplotlib.colors import to_hex

from combgrad.pictures.alignment import GAP, MATCH, draw_alignment
from combgrad.pictures.headlines import OTHER, SHARED, Shown, draw_headlines

COSTS = np.arange(6.0).reshape(2, 3)


def path(*moves):
    found = np.zeros((3, 4, 3))
    for move in moves:
        found[move] = 1
    return found


def test_matches_are_solid_through_a_cell_and_gaps_dotted_along_its_edge():
    moves = ((0, 0, 0), (1, 1, 1), (1, 2, 0))
    figure = draw_alignment(COSTS, path(*moves), ["a", "$b"], ["a", "x", "$b"])
    axes, _ = figure.get_axes()
    assert np.array_equal(axes.get_images()[0].get_array(), COSTS)
    assert [text.get_text() for text in axes.get_xticklabels()] == ["a", "x", "$b"]
    assert [text.get_text() for text in axes.get_yticklabels()] == ["a", "$b"]
    drawn = {
        (tuple(line.get_xdata()), tuple(line.get_ydata())): (line.get_color(), line.get_linestyle())
        for line in axes.get_lines()
    }
    assert {place: (to_hex(colour), style) for place, (colour, style) in drawn.items()} == {
        ((-0.5, 0.5), (-0.5, 0.5)): (to_hex(MATCH), "-"),
        ((0.5, 1.5), (0.5, 0.5)): (to_hex(GAP), ":"),
        ((1.5, 2.5), (0.5, 1.5)): (to_hex(MATCH), "-"),
    }


@pytest.mark.parametrize(
    ("costs", "found"), [(COSTS.T, ["a", "b"]), (COSTS, ["a"]), (COSTS[:0], [])]
)
def test_an_alignment_of_other_words_is_refused(costs, found):
    with pytest.raises(ValueError, match=r"pass \(n, m\), \(n\+1, m\+1, 3\)"):
        draw_alignment(costs, path((0, 0, 0)), found, ["a", "b", "c"])


def test_a_long_headline_ends_in_dots_within_the_sheet():
    words = [f"{'w' * 8}{n}" for n in range(30)]
    figure = draw_headlines([Shown(["x"], words, words[:10])])
    (axes,) = figure.get_axes()
    true, found = ([t for t in axes.texts if t.get_position()[1] == line + 0.0] for line in (3, 4))
    # Ten words of nine letters and the spaces between them are 99 of 100 columns.
    assert [text.get_text() for text in true] == ["true", *words[:10], "..."]
    assert [text.get_text() for text in found] == ["found", *words[:10]]
    figure.canvas.draw()
    ends = [text.get_window_extent().x1 for text in axes.texts]
    assert max(ends) < figure.bbox.width


def test_words_of_the_true_headline_are_told_from_others():
    long = ["word"] * 80
    figure = draw_headlines([Shown(long, ["a", "b"], ["b", "c"]), Shown(["x"], ["y"], [])])
    (axes,) = figure.get_axes()
    texts = [(text.get_text(), text.get_color()) for text in axes.texts]
    assert ("b", SHARED) in texts
    assert ("c", OTHER) in texts
    assert ("y", OTHER) not in texts
    assert any(text.endswith("word ...") for text, _ in texts)
    assert len(axes.get_lines()) == 1
    with pytest.raises(ValueError, match="no headlines to draw"):
        draw_headlines([])
