"""Maps made here in the published format: the same ones on every machine, for the same seed."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from combgrad.data.npy import DataFileError, save_array, save_blocks
from combgrad.data.splits import SPLITS, fingerprint
from combgrad.data.warcraft import terrain
from combgrad.data.warcraft.files import COSTS, MAPS, PATHS, MapSplit, load_split, split_file
from combgrad.data.warcraft.maps import paint
from combgrad.data.warcraft.tiles import PIXELS
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


def _blocks(recipe: Recipe) -> Iterator[tuple[np.ndarray, ...]]:
    """All maps of a recipe; of the last block as many as it takes."""
    for start in range(0, recipe.count, BLOCK):
        kept = min(BLOCK, recipe.count - start)
        yield tuple(part[:kept] for part in make_block(recipe, start // BLOCK))


def generate(recipe: Recipe) -> MapSplit:
    """The maps of a recipe, in memory."""
    maps, costs, paths = (list(parts) for parts in zip(*_blocks(recipe), strict=True))
    return MapSplit(maps, costs, paths)


def generate_cached(folder: Path | None, recipe: Recipe) -> MapSplit:
    """The maps of a recipe on the disk, in `folder` under their fingerprint; None: in memory.

    A damaged file is made anew. Raises OSError, naming the file, where the disk is full.
    """
    if folder is None:
        return generate(recipe)
    mark = fingerprint(GENERATOR_VERSION, recipe)
    place = folder / f"warcraft-{recipe.cells}-{recipe.split}-{mark[:16]}"
    try:
        stored = load_split(place, recipe.split, recipe.cells)
        if len(stored) == recipe.count:
            return stored
    except DataFileError:
        pass
    _write(place, recipe)
    return load_split(place, recipe.split, recipe.cells)


def _write(place: Path, recipe: Recipe) -> None:
    costs, paths = [], []

    def pixels() -> Iterator[np.ndarray]:
        for block in _blocks(recipe):
            costs.append(block[1])
            paths.append(block[2])
            yield block[0]

    side = PIXELS * recipe.cells
    target = split_file(place, recipe.split, MAPS)
    save_blocks(target, (recipe.count, side, side, 3), np.uint8, pixels())
    save_array(split_file(place, recipe.split, COSTS), np.concatenate(costs))
    save_array(split_file(place, recipe.split, PATHS), np.concatenate(paths))
