"""Maps with walls that are made up, in the form of the published ones: a stand-in."""

import numpy as np

from combgrad.data.mazes.files import SIDE, Mazes, steps_to
from combgrad.data.splits import SPLITS

#: Part of every fingerprint; raise it when other maps are made.
VERSION = 1

#: Maps of each split, as published.
SIZES = {"train": 800, "val": 100, "test": 100}

#: Walls of a map, and how wide their gaps are.
WALLS, GAP = 5, 3


def made_mazes(split: str) -> Mazes:
    """The maps of a split: straight walls from side to side, each with a gap, and a free goal."""
    random = np.random.default_rng([SIDE, VERSION, SPLITS.index(split)])
    count = SIZES[split]
    free = np.ones((count, SIDE, SIDE), dtype=bool)
    for maze in free:
        for _ in range(WALLS):
            place, gap = random.integers(2, SIDE - 2), random.integers(0, SIDE - GAP)
            wall = maze if random.random() < 0.5 else maze.T
            wall[place] = False
            wall[place, gap : gap + GAP] = True
    goals = np.array([_free_cell(random, maze) for maze in free])
    return Mazes(free, goals, steps_to(free, goals))


def _free_cell(random: np.random.Generator, maze: np.ndarray) -> np.ndarray:
    cells = np.argwhere(maze)
    chosen: np.ndarray = cells[random.integers(len(cells))]
    return chosen
