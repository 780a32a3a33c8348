"""Instances of Globe TSP: which cities, and the shortest tour through them."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from combgrad.data.npy import load_array, save_array
from combgrad.data.splits import SPLITS, check_size, fingerprint
from combgrad.solvers.base import Solver
from combgrad.solvers.edges import edge_count
from combgrad.sphere import Distance, edge_distances, unit_vectors

#: Part of every fingerprint; raise it when the generator changes what it makes.
GENERATOR_VERSION = 1


@dataclass(frozen=True)
class Instances:
    """N instances: cities (N, k) int64, target (N, E) float32 0/1, true costs (N, E) float32."""

    cities: Tensor
    target: Tensor
    true_costs: Tensor

    def first(self, count: int, split: str) -> "Instances":
        """The first `count` instances; ValueError where there are fewer."""
        check_size(count, len(self.cities), split)
        return Instances(self.cities[:count], self.target[:count], self.true_costs[:count])

    def columns(self) -> dict[str, Tensor]:
        """The tensors by name, as a batch holds them."""
        return {"cities": self.cities, "target": self.target, "true_costs": self.true_costs}


def true_costs(cities: Tensor, lonlat: np.ndarray, distance: Distance) -> Tensor:
    """Distances (N, E) in float64 between the capitals of each instance."""
    points = unit_vectors(torch.tensor(lonlat))
    return edge_distances(points[cities], distance)


def choose_cities(count: int, cities: int, countries: int, seed: int, split: str) -> Tensor:
    """`count` random sets (N, k) of distinct countries; fewer are a prefix of more."""
    stream = np.random.default_rng([seed, SPLITS.index(split), cities])
    keys = stream.random((count, countries))
    return torch.from_numpy(np.argsort(keys, axis=1)[:, :cities].copy())


@dataclass(frozen=True)
class Recipe:
    """What instances are made from, besides the capitals: how many, how large, by which numbers."""

    cities: int
    count: int
    seed: int
    split: str
    distance: Distance


def generate(lonlat: np.ndarray, recipe: Recipe, solver: Solver) -> Instances:
    """Instances of capitals at lonlat (C, 2), in degrees, with optimal tours."""
    chosen = choose_cities(recipe.count, recipe.cities, len(lonlat), recipe.seed, recipe.split)
    costs = true_costs(chosen, lonlat, recipe.distance)
    return Instances(chosen, solver(costs).to(torch.float32), costs.to(torch.float32))


def generate_cached(
    folder: Path | None, lonlat: np.ndarray, recipe: Recipe, solver: Solver
) -> Instances:
    """`generate`, with the chosen cities and tours kept in `folder` under their fingerprint."""
    if folder is None:
        return generate(lonlat, recipe, solver)
    mark = fingerprint(GENERATOR_VERSION, lonlat, recipe)
    path = folder / f"globe-{recipe.cities}-{recipe.split}-{mark[:16]}.npy"
    stored = _read(path, recipe.count, recipe.cities) if path.exists() else None
    if stored is not None:
        chosen, tours = stored
        costs = true_costs(chosen, lonlat, recipe.distance)
        return Instances(chosen, tours.to(torch.float32), costs.to(torch.float32))
    made = generate(lonlat, recipe, solver)
    packed = np.concatenate(
        [made.cities.numpy().astype(np.uint8), made.target.numpy().astype(np.uint8)], axis=1
    )
    save_array(path, packed)
    return made


def _read(path: Path, count: int, cities: int) -> tuple[Tensor, Tensor] | None:
    """The stored cities and tours, or None for a file that is damaged and must be made anew."""
    try:
        packed = load_array(path, shape=(count, cities + edge_count(cities)), dtype_kind="u")
    except (OSError, ValueError):
        return None
    table = torch.from_numpy(packed.astype(np.int64))
    return table[:, :cities], table[:, cities:]
