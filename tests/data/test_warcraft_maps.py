"""Generated maps of Warcraft: repeatable, rightly labelled, and no game of colours."""

import hashlib
import time

import networkx as nx
import numpy as np
import pytest

from combgrad.data.warcraft.generated import Recipe, generate, make_block
from combgrad.data.warcraft.maps import paint
from combgrad.data.warcraft.terrain import Land, Terrain, make_land, smooth_noise
from combgrad.data.warcraft.tiles import tiles

LEVELS = [0.8, 1.2, 5.3, 7.7, 9.2]
EARTH, GRASS, FOREST, STONE, WATER = range(5)


def made(cells=4, count=30, seed=0, split="train"):
    """Maps, costs and paths, each one array."""
    split = generate(Recipe(cells, count, seed, split))
    return [np.concatenate(parts) for parts in (split.maps, split.costs, split.paths)]


@pytest.fixture(scope="module")
def land():
    """200 maps of 12 x 12 cells: terrain, and pictures."""
    generator = np.random.default_rng(5)
    made = make_land(generator, 200, 12)
    return made.terrain, paint(generator, made)


def cells_of(pictures):
    """The tiles (N k k, 8, 8, 3) of pictures, row by row."""
    count, side = pictures.shape[:2]
    parts = pictures.reshape(count, side // 8, 8, side // 8, 8, 3)
    return parts.transpose(0, 1, 3, 2, 4, 5).reshape(-1, 8, 8, 3).astype(float)


def test_format_is_the_published_one():
    maps, costs, paths = made(cells=12, count=3)
    assert (maps.dtype, maps.shape) == (np.uint8, (3, 96, 96, 3))
    assert (costs.dtype, costs.shape) == (np.float32, (3, 12, 12))
    assert (paths.dtype, paths.shape) == (np.uint8, (3, 12, 12))


def test_the_same_seed_gives_the_same_bytes_on_every_machine():
    block = make_block(Recipe(4, 1, 0, "train"), 0)
    digest = hashlib.sha256(b"".join(part.tobytes() for part in block)).hexdigest()
    # Another one means that the generator makes other maps: raise its GENERATOR_VERSION.
    assert digest[:16] == "b829d696befdc55e"


def test_fewer_maps_are_the_first_of_more():
    many = made(count=230)
    for count in (1, 99, 100, 101, 200, 230):
        for part, whole in zip(made(count=count), many, strict=True):
            np.testing.assert_array_equal(part, whole[:count], strict=True)


def test_seeds_splits_sizes_and_blocks_have_maps_of_their_own():
    first = made()[0]
    for other in (made(seed=1), made(split="val"), made(split="test"), made(count=130)):
        assert not (other[0][-30:] == first).all(axis=(1, 2, 3)).any()
    larger = made(cells=6)[0]
    assert not (larger[:, :32, :32] == first).all(axis=(1, 2, 3)).any()
    assert len({picture.tobytes() for picture in made(count=300)[0]}) == 300


def test_noise_has_deviation_one_and_is_as_smooth_as_its_width():
    for width, expected in ((1, 0.0), (2, 15 / 20)):  # the kernel of width 2 is 1 3 3 1
        noise = smooth_noise(np.random.default_rng(0), 400, 20, width)
        assert noise.shape == (400, 20, 20)
        assert noise.mean() == pytest.approx(0, abs=0.02)
        assert noise.var() == pytest.approx(1, abs=0.03)
        for here, there in (
            (noise[:, 1:], noise[:, :-1]),
            (noise[:, :, 1:], noise[:, :, :-1]),
        ):
            assert (here * there).mean() == pytest.approx(expected, abs=0.03)


def test_costs_are_the_five_levels_in_the_documented_shares():
    costs = made(cells=12, count=300)[1]
    levels, counts = np.unique(costs, return_counts=True)
    np.testing.assert_array_equal(levels, np.array(LEVELS, dtype=np.float32))
    shares = counts / counts.sum()
    np.testing.assert_allclose(shares, [0.15, 0.26, 0.20, 0.18, 0.21], atol=0.03)
    kinds = [len(np.unique(one)) for one in costs]
    assert np.mean(np.array(kinds) >= 4) > 0.9  # most maps have at least four terrains


def tenths(costs):
    """Costs in whole numbers, whose sums are exact."""
    whole = np.rint(10 * costs.astype(float)).astype(int)
    np.testing.assert_allclose(whole, 10 * costs, rtol=1e-6)
    return whole


def test_labels_are_cheapest_paths_by_networkx():
    _, costs, paths = made(cells=12, count=20)
    for weights, path in zip(tenths(costs), paths, strict=True):
        graph = nx.DiGraph()
        for row, column in np.ndindex(12, 12):
            for down, right in np.ndindex(3, 3):
                there = (row + down - 1, column + right - 1)
                if there != (row, column) and min(there) >= 0 and max(there) < 12:
                    graph.add_edge((row, column), there, weight=weights[there])
        best = nx.dijkstra_path_length(graph, (0, 0), (11, 11)) + weights[0, 0]
        assert (weights * path).sum() == best
        assert set(np.unique(path)) == {0, 1}
        marked = graph.subgraph([tuple(cell) for cell in np.argwhere(path)])
        assert nx.has_path(marked, (0, 0), (11, 11))


def all_paths(side):
    """The cells (M, side * side) of all simple paths between two corners, by trying them all."""
    last = side * side - 1
    places = [divmod(cell, side) for cell in range(last + 1)]
    neighbours = [
        [there for there, (y, x) in enumerate(places) if 0 < max(abs(y - row), abs(x - col)) < 2]
        for row, col in places
    ]
    found = []

    def walk(cell, seen):
        if cell == last:
            found.append(seen)
            return
        for there in neighbours[cell]:
            if not seen >> there & 1:
                walk(there, seen | 1 << there)

    walk(0, 1)
    return (np.array(found)[:, None] >> np.arange(last + 1)) & 1


def test_labels_of_small_maps_are_the_best_of_all_paths():
    every = all_paths(4)
    assert len(every) == 96_371  # ways of a king across 4 x 4 squares, OEIS A140518
    _, costs, paths = made(cells=4, count=100)
    totals = tenths(costs).reshape(100, 16) @ every.T
    np.testing.assert_array_equal((tenths(costs) * paths).sum((1, 2)), totals.min(1))
    possible = set(map(tuple, every.tolist()))
    assert all(tuple(path) in possible for path in paths.reshape(100, 16).tolist())


def test_a_straight_walk_is_seldom_the_cheapest():
    _, costs, paths = made(cells=12, count=500)
    best = (costs * paths).sum((1, 2))
    straight = np.diagonal(costs, axis1=1, axis2=2).sum(1)
    assert 1.40 < (straight / best).mean() < 1.65
    assert (straight <= best + 1e-3).mean() < 0.10
    assert 14.5 < paths.sum((1, 2)).mean() < 16.5


def test_lakes_and_woods_are_larger_than_a_cell(land):
    terrain, _ = land
    for here, there in (
        (terrain[:, 1:], terrain[:, :-1]),
        (terrain[:, :, 1:], terrain[:, :, :-1]),
    ):
        assert (here == there).mean() > 0.5  # 0.21 if cells were drawn one by one


def test_tiles_are_all_different_and_look_like_their_terrain():
    bank = tiles()
    assert bank.shape == (5, 8, 64, 8, 8, 3)
    assert bank.dtype == np.float32
    assert not bank.flags.writeable
    assert 0 <= bank.min() <= bank.max() < 255
    assert len({tile.tobytes() for tile in bank.reshape(-1, 192)}) == 5 * 8 * 64
    red, green, blue = bank.mean(axis=(1, 2, 3, 4)).T
    assert all(green[kind] > red[kind] > blue[kind] for kind in (GRASS, FOREST))
    assert all(red[kind] > green[kind] > blue[kind] for kind in (EARTH, STONE))
    assert blue[WATER] > green[WATER] > red[WATER]
    contrast = bank.mean(-1).std(axis=(3, 4)).mean(axis=(1, 2))
    assert contrast[FOREST] > 2 * contrast[GRASS]
    assert contrast[STONE] > 2 * contrast[EARTH]
    shades = bank.mean(axis=(0, 2, 3, 4, 5))
    assert (np.diff(shades) > 0).all()
    assert [terrain.name for terrain in Terrain] == ["EARTH", "GRASS", "FOREST", "STONE", "WATER"]


def test_neighbours_pass_into_each_other_at_the_border_and_nowhere_else():
    terrain = np.full((50, 6, 6), GRASS, dtype=np.uint8)
    terrain[:, :, 3:] = WATER
    picture = paint(np.random.default_rng(0), Land(terrain, np.zeros((50, 8, 8)))).astype(int)
    bluer = (picture[..., 2] - picture[..., 1]).swapaxes(0, 2).reshape(48, -1)
    wet = (bluer > 0).mean(1)
    assert (wet[:22] == 0).all()
    assert (wet[26:] > 0.99).all()
    assert (np.diff(wet[21:27]) > 0.02).all()
    # Grass is about 55 greener than blue, and water about 25 bluer than green.
    between = ((bluer > -35) & (bluer < 5)).mean(1)
    assert between[22:26].min() > 5 * max(between[:22].max(), between[26:].max())


@pytest.mark.parametrize(("rise", "brightness"), [(0, 1.0), (1, 1.12), (-1, 0.88), (9, 1.28)])
def test_slopes_that_face_the_upper_left_are_bright(rise, brightness):
    terrain = np.full((20, 4, 4), EARTH, dtype=np.uint8)
    height = np.broadcast_to(np.add.outer(np.arange(6.0), np.arange(6.0)) / 2, (20, 6, 6))
    flat, sloped = (
        paint(np.random.default_rng(0), Land(terrain, factor * height)).mean()
        for factor in (0, rise)
    )
    assert sloped / flat == pytest.approx(brightness, abs=0.02)


def test_brightness_varies_within_a_terrain_and_two_pairs_share_their_colours(land):
    terrain, pictures = land
    means = cells_of(pictures).mean(axis=(1, 2))
    kinds = terrain.ravel()
    for kind in range(5):
        assert means[kinds == kind].mean(1).std() > 10  # of 256 levels
    for one, other in ((GRASS, FOREST), (EARTH, STONE)):
        distance = means[kinds == one].mean(0) - means[kinds == other].mean(0)
        assert (np.abs(distance) < 0.5 * means[kinds == one].std(0)).all()


def textures(parts):
    """What a look at neighbouring pixels says of tiles: deviation, and mean steps in brightness."""
    grey = parts.mean(-1)
    steps = (
        grey[:, :, 1:] - grey[:, :, :-1],
        grey[:, 1:] - grey[:, :-1],
        grey[:, 1:, 1:] - grey[:, :-1, :-1],
        grey[:, 1:, :-1] - grey[:, :-1, 1:],
    )
    return np.stack([grey.std(axis=(1, 2)), *(np.abs(s).mean(axis=(1, 2)) for s in steps)], axis=1)


def probe(features, kinds):
    """The accuracy of multinomial logistic regression on one half, fitted to the other."""
    scaled = (features - features.mean(0)) / features.std(0)
    scaled = np.column_stack([scaled, np.ones(len(scaled))])
    half = len(kinds) // 2
    given, wanted = scaled[:half], np.eye(5)[kinds[:half]]
    weights = np.zeros((scaled.shape[1], 5))
    for _ in range(500):
        scores = given @ weights
        chances = np.exp(scores - scores.max(1, keepdims=True))
        chances /= chances.sum(1, keepdims=True)
        weights -= 2.0 * given.T @ (chances - wanted) / half
    return ((scaled[half:] @ weights).argmax(1) == kinds[half:]).mean()


def test_colour_alone_does_not_tell_the_terrain_but_texture_with_it_does(land):
    terrain, pictures = land
    parts, kinds = cells_of(pictures)[::4], terrain.ravel()[::4]
    colour = parts.mean(axis=(1, 2))
    by_colour = probe(colour, kinds)
    by_texture = probe(textures(parts), kinds)
    by_both = probe(np.column_stack([colour, textures(parts)]), kinds)
    assert 0.60 < by_colour < 0.76
    assert 0.76 < by_texture < 0.90
    assert by_both > 0.97


def test_twelve_thousand_maps_take_less_than_a_minute():
    make_block(Recipe(12, 1, 0, "train"), 0)  # compiles the solver, draws the tiles
    started = time.process_time()
    made(cells=12, count=600)
    assert time.process_time() - started < 60 / 20
