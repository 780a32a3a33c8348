"""Maps with obstacles as published: `mazes_032_moore_c8.npz`, checked against their distances.

Twelve arrays without names, four for each of training, validation and test: maps (N, 32, 32), 1
where a cell is free; goals (N, 1, 32, 32), 1 at the goal; best policies, which are not needed; and
distances (N, 1, 32, 32), the steps to the goal with a minus sign, -1024 where none lead there.
Source: Yonetani et al., Path Planning using Neural A* Search, ICML 2021, after Bhardwaj, Choudhury
and Scherer, Learning Heuristic Search via Imitation, CoRL 2017.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from combgrad.data.files.members import load_npz
from combgrad.data.files.npy import DataFileError, check_rows
from combgrad.data.splits import SPLITS

SIDE = 32

#: What the file has for the distance of a cell from which no way leads to the goal.
NOWHERE = -1024.0

FILES = ("mazes/mazes_032_moore_c8.npz", "mazes_032_moore_c8.npz")
SHA256 = "8153402e23dc20098d4f4135de34b5c88316b36e56f5d0c8d59410307499b426"

#: More than the published file takes once it is unpacked.
LIMIT_BYTES = 200 * 10**6

#: Of the four arrays of a split those that are read: maps, goals and distances.
_READ = (0, 1, 3)


class Mazes(NamedTuple):
    """N maps.

    Attributes:
        free: (N, 32, 32) bool, where one may go.
        goals: (N, 2) int64, row and column.
        steps: (N, 32, 32) float64, of the shortest way to the goal over free cells, with steps to
            all 8 neighbours; inf where there is none.
    """

    free: np.ndarray
    goals: np.ndarray
    steps: np.ndarray


def load_mazes(path: Path, split: str) -> Mazes:
    """The maps of a split; raises DataFileError."""
    names = [f"arr_{4 * SPLITS.index(split) + place}" for place in _READ]
    shapes = ((None, SIDE, SIDE), (None, 1, SIDE, SIDE), (None, 1, SIDE, SIDE))
    wanted = {name: (shape, "f") for name, shape in zip(names, shapes, strict=True)}
    found = load_npz(path, wanted, LIMIT_BYTES)
    return _checked(path, *(found[name] for name in names))


def _checked(path: Path, maps: np.ndarray, goals: np.ndarray, distances: np.ndarray) -> Mazes:
    if not len(maps) == len(goals) == len(distances) > 0:
        counts = f"{len(maps)} maps, {len(goals)} goals and {len(distances)} distances"
        raise DataFileError(f"{path}: has {counts} of a split. Restore the file from its source.")
    check_rows(path, maps, np.isin(maps, (0, 1)).all((1, 2)), "has cells other than 0 and 1")
    marks = goals[:, 0] == 1
    lone = (marks.sum((1, 2)) == 1) & (np.abs(goals[:, 0]).sum((1, 2)) == 1)
    check_rows(path, maps, lone, "has no goal, or several")
    free = maps == 1
    flat = marks.reshape(len(maps), -1).argmax(axis=1)
    places = np.stack(np.unravel_index(flat, (SIDE, SIDE)), axis=1)
    steps = np.where(distances[:, 0] == NOWHERE, np.inf, -distances[:, 0])
    right = (steps == steps_to(free, places)).all((1, 2))
    check_rows(path, maps, right, "has distances that are not those of its map")
    return Mazes(free, places, steps)


def steps_to(free: np.ndarray, goals: np.ndarray) -> np.ndarray:
    """The steps (N, H, W) of the shortest way to the goals (N, 2) over free cells (N, H, W)."""
    steps = np.full(free.shape, np.inf)
    rows = np.arange(len(free))
    reached = np.zeros_like(free)
    reached[rows, goals[:, 0], goals[:, 1]] = free[rows, goals[:, 0], goals[:, 1]]
    number = 0
    while reached.any():
        steps[reached] = number
        number += 1
        wide = np.pad(reached, ((0, 0), (1, 1), (1, 1)))
        tall = wide[:, :-2] | wide[:, 1:-1] | wide[:, 2:]
        near = tall[:, :, :-2] | tall[:, :, 1:-1] | tall[:, :, 2:]
        reached = near & free & np.isinf(steps)
    return steps
