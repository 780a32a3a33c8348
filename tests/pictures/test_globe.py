"""The picture of the Globe TSP: panels, alignment, labels and saved figures."""

import matplotlib.image
import numpy as np
import pytest

from combgrad.pictures import save_figure
from combgrad.pictures.globe import GlobePanel, align, draw_learned_globe, draw_tours
from combgrad.pictures.labels import spread
from combgrad.pictures.sphere import unit_vectors

PARIS = unit_vectors(2.35, 48.86)
LIMA = unit_vectors(-77.03, -12.05)


def random_places(count, seed=0):
    points = np.random.default_rng(seed).normal(size=(count, 3))
    return points / np.linalg.norm(points, axis=1, keepdims=True)


def ring_tour(k):
    return np.stack([np.arange(k), (np.arange(k) + 1) % k], axis=1)


def random_flags(count, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, 20, 40, 3), dtype=np.uint8)


@pytest.mark.parametrize("handedness", [1.0, -1.0])
def test_align_recovers_an_orthogonal_matrix(handedness):
    true = random_places(30)
    matrix, _ = np.linalg.qr(np.random.default_rng(5).normal(size=(3, 3)))
    matrix[:, 0] *= handedness * np.sign(np.linalg.det(matrix))
    assert np.linalg.det(matrix) == pytest.approx(handedness)
    found = align(true @ matrix, true)
    np.testing.assert_allclose(found, matrix, atol=1e-12)
    np.testing.assert_allclose(true @ matrix @ found.T, true, atol=1e-12)


def test_cards_do_not_cover_each_other_or_a_city():
    rng = np.random.default_rng(2)
    anchors = np.vstack([rng.uniform(-0.3, 0.3, (18, 2)), [[0.1, 0.1], [0.1, 0.1]]])
    size = np.tile([0.1, 0.05], (20, 1))
    bounds = np.array([[-1.0, -1.0], [1.0, 1.0]])
    centres = spread(anchors, size, 0.01, bounds, np.empty((0, 2)))
    gap = np.abs(centres[:, None] - centres[None]) + 1e3 * np.eye(20)[..., None]
    assert (gap > 0.85 * size[0]).any(axis=2).all()
    assert (np.abs(centres[:, None] - anchors[None]) > 0.4 * size[0]).any(axis=2).all()
    assert np.abs(centres).max() <= 1


def saved_colours(figure, path):
    save_figure(figure, path)
    image = matplotlib.image.imread(path)
    assert image.shape[1] == 1400
    assert path.read_bytes().startswith(b"\x89PNG")
    return len(np.unique((image[..., :3] * 255).astype(np.uint8).reshape(-1, 3), axis=0))


@pytest.mark.parametrize("k", [3, 5, 20])
@pytest.mark.parametrize("regional", [True, False])
def test_tours_are_drawn(tmp_path, k, regional):
    places = random_places(k, seed=k)
    if regional:
        places = places + 4 * PARIS
        places /= np.linalg.norm(places, axis=1, keepdims=True)
    tour, flags, names = ring_tour(k), random_flags(k), [f"City {i}" for i in range(k)]
    panels = [
        GlobePanel("true", places, tour, flags, names),
        GlobePanel("learned", places[::-1], tour, flags, names, ghosts=places, wrong=tour[:1]),
    ]
    path = tmp_path / "deep" / "folder" / "tours.png"
    assert saved_colours(draw_tours(panels, title="Tours"), path) > 500
    assert [p.name for p in path.parent.iterdir()] == ["tours.png"]


def colour_share(figure, path, hexadecimal):
    save_figure(figure, path)
    image = (matplotlib.image.imread(path)[..., :3] * 255).round().astype(int)
    wanted = [int(hexadecimal[i : i + 2], 16) for i in (0, 2, 4)]
    return (np.abs(image - wanted).max(axis=2) < 12).mean()


def test_wrong_edges_have_their_own_colour(tmp_path):
    places = unit_vectors([0.0, 20.0, 10.0], [10.0, 10.0, 40.0])
    right = GlobePanel("", places, ring_tour(3))
    wrong = GlobePanel("", places, ring_tour(3), wrong=np.array([[1, 0]]))
    assert colour_share(draw_tours([right]), tmp_path / "a.png", "d55e00") == 0
    assert colour_share(draw_tours([wrong]), tmp_path / "b.png", "d55e00") > 1e-4


def test_matrix_and_edge_list_name_the_same_tour():
    places = random_places(5)
    matrix = np.zeros((5, 5))
    matrix[ring_tour(5)[:, 0], ring_tour(5)[:, 1]] = 1
    as_list = GlobePanel("", places, ring_tour(5)).edges()
    assert GlobePanel("", places, matrix).edges() == as_list
    assert GlobePanel("", places, matrix + matrix.T).edges() == as_list
    assert len(as_list) == 5


@pytest.mark.parametrize("view", ["auto", "globe", "map"])
def test_coincident_and_antipodal_cities_are_drawn(tmp_path, view):
    places = np.stack([PARIS, PARIS, -PARIS, LIMA])
    panel = GlobePanel("", places, ring_tour(4), random_flags(4), list("ABCD"))
    assert saved_colours(draw_tours([panel], view=view), tmp_path / "p.png") > 200


def test_two_antipodal_cities_alone(tmp_path):
    panel = GlobePanel("", np.stack([PARIS, -PARIS]), np.array([[0, 1]]))
    assert saved_colours(draw_tours([panel], view="globe"), tmp_path / "p.png") > 200


def test_far_cities_call_for_a_map():
    near = GlobePanel("", unit_vectors([0.0, 20.0, 40.0], [0.0, 10.0, 20.0]), ring_tour(3))
    far = GlobePanel("", unit_vectors([0.0, 120.0, 240.0], [0.0, 10.0, 20.0]), ring_tour(3))
    shape = [np.ptp(draw_tours([p]).axes[0].get_xlim()) for p in (near, far)]
    assert shape[0] <= 2.1 < 5 < shape[1]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"positions": 2 * random_places(3)}, "unit vectors"),
        ({"ghosts": random_places(4)}, "ghosts must be"),
        ({"flags": random_flags(2)}, "2 flags for 3 cities"),
        ({"names": ["A"]}, "1 names for 3 cities"),
    ],
)
def test_panel_rejects_what_does_not_fit(change, message):
    fields = {"title": "", "positions": random_places(3), "tour": ring_tour(3)}
    with pytest.raises(ValueError, match=message):
        GlobePanel(**{**fields, **change})


def test_learned_globe_states_the_median_error(tmp_path):
    true = random_places(100)
    mirror = np.diag([1.0, 1.0, -1.0])
    figure = draw_learned_globe(true @ mirror, true, random_flags(100), ["Somewhere"] * 100)
    assert any("100 capitals: median error 0 km" in text.get_text() for text in figure.texts)
    assert saved_colours(figure, tmp_path / "learned.png") > 500


def test_saving_replaces_and_a_failure_leaves_the_old_picture(tmp_path):
    path = tmp_path / "p.png"
    path.write_bytes(b"old")

    class Broken:
        def savefig(self, target, **_):
            target.write_bytes(b"half")
            raise OSError("disk full")

        def clear(self):
            self.cleared = True

    broken = Broken()
    with pytest.raises(OSError, match="disk full"):
        save_figure(broken, path)
    assert path.read_bytes() == b"old"
    assert broken.cleared
    assert [p.name for p in tmp_path.iterdir()] == ["p.png"]
