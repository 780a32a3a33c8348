"""Maps made here in the published format: the same ones on every machine, for the same seed."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from combgrad.data.base import Block, cached
from combgrad.data.splits import SPLITS
from combgrad.data.warcraft import terrain
from combgrad.data.warcraft.files import COSTS, MAPS, PATHS, MapSplit
from combgrad.data.warcraft.maps import paint
from combgrad.solvers.shortest_path import ShortestPath

#: Part of every fingerprint; raise it when the generator changes what it makes.
GENERATOR_VERSION = 1

#: Maps that are made together, from a seed of their own: fewer maps are the first of more.
BLOCK = 100


@dataclass(frozen=True)
class Recipe:
    """What maps are made from: cells of a side, how many maps, the seed, and the split."""

    cells: int
    count: int
    seed: int
    split: str


def make_block(recipe: Recipe, number: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """BLOCK maps as in MapSplit: pixels uint8, costs float32 and paths uint8.

    A path is y(w) = argmin <w, y> over the paths from the upper left to the lower right cell, both
    counted, with steps to all 8 neighbours.
    """
    stream = [recipe.seed, SPLITS.index(recipe.split), recipe.cells, number]
    generator = np.random.default_rng(stream)
    land = terrain.make_land(generator, BLOCK, recipe.cells)
    # In whole numbers equally cheap paths are exactly that, and no rounding chooses among them.
    paths = ShortestPath()(torch.from_numpy(terrain.TENTHS[land.terrain])).to(torch.uint8)
    return paint(generator, land), terrain.COSTS[land.terrain], paths.numpy()


def blocks(recipe: Recipe) -> Iterator[Block]:
    """All maps of a recipe; of the last block as many as it takes."""
    for start in range(0, recipe.count, BLOCK):
        kept = min(BLOCK, recipe.count - start)
        parts = make_block(recipe, start // BLOCK)
        yield {what: part[:kept] for what, part in zip((MAPS, COSTS, PATHS), parts, strict=True)}


def generate(recipe: Recipe, folder: Path | None = None) -> MapSplit:
    """The maps of a recipe, kept on the disk in `folder`; None: in memory.

    Raises OSError, naming the entry, where the disk is full.
    """
    name = f"warcraft-{recipe.cells}-{recipe.split}"
    stored = cached(folder, name, (GENERATOR_VERSION, recipe), lambda: blocks(recipe))
    return MapSplit([stored[MAPS]], [stored[COSTS]], [stored[PATHS]])
