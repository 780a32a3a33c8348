"""Maps with obstacles: the published layout, distances, starts, and the stand-in."""

import os
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from combgrad.data.base import Place
from combgrad.data.decisions.datamodule import Decisions
from combgrad.data.files.npy import DataFileError
from combgrad.data.mazes.files import NOWHERE, SIDE, load_mazes, steps_to
from combgrad.data.mazes.generated import made_mazes
from combgrad.data.mazes.sets import MazePaths, MazePathsStandIn, _far_cell
from combgrad.networks import CellCosts
from combgrad.solvers.spending import spent

REAL = Path(os.environ.get("COMBGRAD_DATA", "nowhere")) / "mazes" / "mazes_032_moore_c8.npz"


def plain_steps(free, goal):
    """Breadth first in plain loops."""
    steps = np.full(free.shape, np.inf)
    ring, steps[tuple(goal)] = [tuple(goal)], 0
    while ring:
        following = []
        for i, j in ring:
            for k in range(max(0, i - 1), min(len(free), i + 2)):
                for m in range(max(0, j - 1), min(len(free), j + 2)):
                    if free[k, m] and steps[k, m] == np.inf:
                        steps[k, m] = steps[i, j] + 1
                        following.append((k, m))
        ring = following
    return steps


def arrays(count=4, seed=0):
    """The twelve arrays of a file with few maps."""
    found = {}
    for part in range(3):
        random = np.random.default_rng([seed, part])
        free = random.random((count, SIDE, SIDE)) < 0.7
        goals, distances = np.zeros((2, count, 1, SIDE, SIDE))
        for maze in range(count):
            cells = np.argwhere(free[maze])
            goal = cells[random.integers(len(cells))]
            goals[(maze, 0, *goal)] = 1
            steps = plain_steps(free[maze], goal)
            distances[maze, 0] = np.where(np.isinf(steps), NOWHERE, -steps)
        policies = np.zeros((count, 8, 1, SIDE, SIDE))
        four = (free.astype(np.float32), goals, policies, distances)
        found |= {f"arr_{4 * part + place}": array for place, array in enumerate(four)}
    return found


def test_a_file_in_the_published_layout_is_read(tmp_path):
    stored = arrays()
    np.savez_compressed(tmp_path / "mazes_032_moore_c8.npz", **stored)
    for part, split in enumerate(("train", "val", "test")):
        mazes = load_mazes(tmp_path / "mazes_032_moore_c8.npz", split)
        np.testing.assert_array_equal(mazes.free, stored[f"arr_{4 * part}"] == 1)
        for goal, mark in zip(mazes.goals, stored[f"arr_{4 * part + 1}"], strict=True):
            assert mark[0][tuple(goal)] == 1
        np.testing.assert_array_equal(mazes.steps[0], plain_steps(mazes.free[0], mazes.goals[0]))


def spoilt(what):
    stored = arrays(3)
    if what == "maps":
        stored["arr_0"][1, 0, 0] = 0.5
    elif what == "goals":
        stored["arr_1"][1] = 0
    elif what == "distances":
        stored["arr_3"][2, 0, 5, 5] = -1.5
    elif what == "fewer":
        stored["arr_3"] = stored["arr_3"][:2]
    elif what == "smaller":
        stored["arr_0"] = stored["arr_0"][:, :16]
    else:
        del stored["arr_0"]
    return stored


@pytest.mark.parametrize(
    ("what", "match"),
    [
        ("maps", "instance 1 has cells other than 0 and 1"),
        ("goals", "instance 1 has no goal, or several"),
        ("distances", "instance 2 has distances that are not those of its map"),
        ("fewer", "3 maps, 3 goals and 2 distances"),
        ("smaller", "expected float of shape"),
        ("missing", r"holds no arr_0\.npy"),
    ],
)
def test_a_file_that_is_not_right_is_named(tmp_path, what, match):
    np.savez(tmp_path / "a.npz", **spoilt(what))
    with pytest.raises(DataFileError, match=rf"a\.npz.*{match}"):
        load_mazes(tmp_path / "a.npz", "train")


def test_steps_are_those_of_a_plain_search():
    random = np.random.default_rng(3)
    free = random.random((20, 9, 9)) < 0.6
    goals = random.integers(0, 9, (20, 2))
    free[np.arange(20), goals[:, 0], goals[:, 1]] = True
    for maze, goal, steps in zip(free, goals, steps_to(free, goals), strict=True):
        np.testing.assert_array_equal(steps, plain_steps(maze, goal))


def check_ways(chosen, path=None):
    """Every target is a way over free cells, as long as the distances say, from far away."""
    data = Decisions(chosen, train_size=12, eval_size=12, path=path)
    data.setup()
    columns = data.columns("test")
    place = Place(path)
    mazes = chosen.mazes(place, "test")
    ways = columns["target"].bool().numpy()
    assert not (ways & ~mazes.free[:12]).any()
    start, end = columns["start"].numpy(), columns["end"].numpy()
    rows = np.arange(12)
    assert (end == mazes.goals[:12]).all()
    steps = mazes.steps[:12][rows, start[:, 0], start[:, 1]]
    cost = spent(columns["true_costs"], columns["target"])
    np.testing.assert_array_equal(cost.numpy(), steps + 1)
    for maze, taken in zip(mazes.steps, steps, strict=False):
        there = maze[np.isfinite(maze)]
        assert (there <= taken).mean() > 0.55
    return columns


def test_a_start_is_one_of_the_farthest_cells_with_a_way():
    steps = np.random.default_rng(0).permutation(100).astype(float).reshape(10, 10)
    steps[steps >= 80] = np.inf
    nearest, farthest = (
        _far_cell(SimpleNamespace(integers=pick), steps)
        for pick in (lambda low, high: low, lambda low, high: high - 1)
    )
    # Of 80 cells with a way 55 % are 44, with the steps 0 to 43.
    assert (steps[tuple(nearest)], steps[tuple(farthest)]) == (44, 79)


def test_targets_of_the_stand_in_are_shortest_ways():
    columns = check_ways(MazePathsStandIn(noise=0.0))
    np.testing.assert_array_equal(
        columns["features"][:, 0].numpy() == 1, columns["true_costs"].numpy() == 1
    )
    seen = Decisions(MazePathsStandIn(noise=0.5), train_size=4, eval_size=12)
    seen.setup()
    noise = seen.columns("test")["features"] - columns["features"]
    assert noise.std() == pytest.approx(0.5, rel=0.02)
    assert torch.equal(seen.columns("test")["target"], columns["target"])


def test_made_up_maps_are_connected_enough_and_differ_by_split():
    train, test = made_mazes("train"), made_mazes("test")
    assert len(train.free) == 800
    assert not np.array_equal(train.free[:100], test.free)
    assert np.isfinite(test.steps[test.free]).mean() > 0.5


@pytest.mark.parametrize("settings", [{"noise": -1.0}, {"seed": -1}])
def test_settings_that_cannot_be_are_refused(settings):
    with pytest.raises(ValueError, match=r"data\.collection\."):
        MazePaths(**settings)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataFileError, match=r"mazes_032_moore_c8\.npz.*data=mazes_stand_in"):
        MazePaths().fingerprint(Place(tmp_path, free=MazePaths.free))


def test_a_file_of_other_maps_is_named(tmp_path):
    np.savez_compressed(tmp_path / "mazes_032_moore_c8.npz", **arrays())
    told = r"mazes_032_moore_c8\.npz: has 4 maps of the val split; the set has 100"
    with pytest.raises(DataFileError, match=told):
        MazePaths().rows(Place(tmp_path), "val", {"train": 4, "val": 4, "test": 4})


def test_the_costs_of_cells_depend_on_what_is_near():
    net = CellCosts(2, (4,))
    pictures = torch.zeros(1, 2, 9, 9)
    other = pictures.clone()
    other[0, :, 4, 4] = 1.0
    near = (net(pictures) != net(other))[0]
    assert net(pictures).shape == (1, 9, 9)
    assert bool((net(pictures) > 0).all())
    assert near.nonzero().sub(4).abs().max() <= 2
    with pytest.raises(ValueError, match=r"model\.hidden"):
        CellCosts(1, (0,))


@pytest.mark.skipif(not REAL.is_file(), reason="COMBGRAD_DATA has no mazes")
def test_published_mazes_make_shortest_ways():
    check_ways(MazePaths(), REAL.parent.parent)
