"""The shortest way through a map with obstacles, seen through noise."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from combgrad.arguments import LARGEST_SEED, check_range
from combgrad.data.base import Place
from combgrad.data.datamodule import check_whole
from combgrad.data.decisions.problems import DecisionSet
from combgrad.data.files.known import checked_sha256
from combgrad.data.files.npy import REMEDY, DataFileError
from combgrad.data.mazes import generated
from combgrad.data.mazes.files import FILES, SHA256, SIDE, Mazes, load_mazes
from combgrad.data.splits import SPLITS, fingerprint
from combgrad.solvers import ShortestPath, Solver

#: Part of every fingerprint; raise it when the same settings give other rows.
VERSION = 1

#: What a cell costs, free or not: a way through an obstacle costs more than any that goes round.
FREE, OBSTACLE = 1.0, 100.0

#: Starts are among the cells that are farther from the goal than this share of all.
NEARER = 0.55


@dataclass(frozen=True)
class MazePaths(DecisionSet):
    """Ways from a start to the goal of a map, with steps to all 8 neighbours.

    Features are the map as a picture (1, 32, 32), 1 where a cell is free, with noise; true costs
    are 1 for a free cell and 100 for an obstacle, so that the best way is a published shortest one,
    and its cost the number of its cells. Each map has one start, drawn from the 45 % of the cells
    with a way to the goal that are farthest from it.

    Args:
        noise: deviation of what is added to each pixel, 0 for the published maps as they are.
        seed: of starts and noise.

    Raises ValueError for settings that cannot be.
    """

    noise: float = 0.0
    seed: int = 0

    source: ClassVar[str] = "original"
    free: ClassVar[str] = "data=mazes_stand_in"

    def __post_init__(self) -> None:
        check_range("data.collection.noise", self.noise)
        check_whole("collection.seed", self.seed, 0, LARGEST_SEED)

    @property
    def feature_shape(self) -> tuple[int, ...]:
        """(1, 32, 32)."""
        return (1, SIDE, SIDE)

    @property
    def cost_shape(self) -> tuple[int, ...]:
        """(32, 32)."""
        return (SIDE, SIDE)

    def solver(self) -> Solver:
        """The cheapest path; costs below 0, which some losses ask for, count as 0."""
        return ShortestPath(negative="clamp")

    def available(self, place: Place) -> Mapping[str, int]:
        """Maps of each split."""
        del place
        return generated.SIZES

    def mazes(self, place: Place, split: str) -> Mazes:
        """The maps of a split; raises DataFileError."""
        file = _file(place)
        mazes = load_mazes(file, split)
        if len(mazes.goals) != generated.SIZES[split]:
            raise DataFileError(
                f"{file}: has {len(mazes.goals)} maps of the {split} split; the set has "
                f"{generated.SIZES[split]}. {REMEDY}"
            )
        return mazes

    def rows(self, place: Place, split: str, sizes: Mapping[str, int]) -> dict[str, np.ndarray]:
        """The first maps of a split, with their starts and goals."""
        mazes = self.mazes(place, split)
        random = np.random.default_rng([self.seed, VERSION, SPLITS.index(split)])
        noise = random.standard_normal(mazes.free.shape)
        rows = {
            "features": (mazes.free + self.noise * noise)[:, None],
            "true_costs": np.where(mazes.free, FREE, OBSTACLE),
            "start": np.array([_far_cell(random, steps) for steps in mazes.steps]),
            "end": mazes.goals,
        }
        return {name: array[: sizes[split]] for name, array in rows.items()}

    def fingerprint(self, place: Place) -> str:
        """Of the file and the settings."""
        digest = checked_sha256(_file(place), SHA256)
        return fingerprint("mazes", VERSION, float(self.noise), self.seed, digest)


def _file(place: Place) -> Path:
    return place.look_for(FILES, "the set of mazes")


def _far_cell(random: np.random.Generator, steps: np.ndarray) -> np.ndarray:
    """One of the cells (row, column) that are far from the goal, of those with a way to it."""
    cells = np.argwhere(np.isfinite(steps))
    far = np.argsort(steps[tuple(cells.T)], kind="stable")
    first = int(NEARER * len(far))
    chosen: np.ndarray = cells[far[random.integers(first, len(far))]]
    return chosen


@dataclass(frozen=True)
class MazePathsStandIn(MazePaths):
    """The same on made-up maps, for those who have no file."""

    source: ClassVar[str] = "stand-in"

    def mazes(self, place: Place, split: str) -> Mazes:
        """Made-up maps."""
        del place
        return generated.made_mazes(split)

    def fingerprint(self, place: Place) -> str:
        """Of the generator and the settings."""
        del place
        made = (generated.VERSION, float(self.noise), self.seed)
        return fingerprint("mazes made up", VERSION, *made)
