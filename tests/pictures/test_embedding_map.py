"""A map of embeddings: principal components, which classes are told apart, what is refused."""

import numpy as np
import pytest

from combgrad.pictures.embedding_map import draw_embedding_map, principal

RNG = np.random.default_rng(0)
LABELS = np.repeat([3, 5, 7], 20)


def test_components_are_the_longest_axes_of_a_cloud_that_was_turned():
    across = RNG.standard_normal((200, 4)) * [1, 9, 0.1, 3]
    across -= across.mean(axis=0)
    turn, _ = np.linalg.qr(RNG.standard_normal((4, 4)))
    # Independent in the sample too, so that the axes are those of the cloud.
    across, _ = np.linalg.qr(across)
    across *= [1, 9, 0.1, 3]
    points, shares = principal(across @ turn + 5)
    for place, axis in enumerate((1, 3)):
        sign = np.sign(points[0, place] * across[0, axis])
        np.testing.assert_allclose(points[:, place], sign * across[:, axis], atol=1e-9)
    np.testing.assert_allclose(shares, [81 / 91.01, 9 / 91.01])
    turned, _ = principal(-(across @ turn))
    np.testing.assert_allclose(turned, -points, atol=1e-9)


def test_embeddings_that_are_all_one_have_a_map_too():
    points, shares = principal(np.ones((5, 3)))
    assert not points.any()
    assert not shares.any()


def test_classes_shown_have_colours_and_names_of_their_own():
    figure = draw_embedding_map(RNG.standard_normal((60, 4)), LABELS, {3: "_a", 7: "a $bird"})
    (axes,) = figure.get_axes()
    assert [len(part.get_offsets()) for part in axes.collections] == [20, 20, 20]
    colours = {tuple(part.get_facecolor()[0]) for part in axes.collections}
    assert len(colours) == 3
    texts = [text.get_text().strip("\u200b") for text in figure.legends[0].get_texts()]
    assert texts == ["other classes", "_a", "a $bird"]
    figure.canvas.draw()


def test_what_does_not_fit_is_refused():
    for embeddings, labels in (
        (np.ones((3, 1)), np.ones(3)),
        (np.ones((3, 2)), np.ones(4)),
        (np.ones(3), np.ones(3)),
    ):
        with pytest.raises(ValueError, match=r"pass \(N, D\), D >= 2"):
            draw_embedding_map(embeddings, labels, {})
