"""Instances of Globe TSP: which cities, and the shortest tour through them."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from combgrad.data.base import Block, cached
from combgrad.data.globe.sphere import Distance, edge_distances, unit_vectors
from combgrad.data.splits import SPLITS, check_size
from combgrad.solvers import TSP

#: Part of every fingerprint; raise it when the generator changes what it makes.
GENERATOR_VERSION = 1

#: Instances between two steps of the bar.
LABELLED_AT_ONCE = 500


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


def generate(lonlat: np.ndarray, recipe: Recipe) -> Iterator[Block]:
    """Blocks of `cities` (N, k) and `tour` (N, E), uint8, for capitals at lonlat (C, 2) in degrees.

    The tours are optimal: they come from the exact solver, whichever one a run trains with.
    """
    chosen = choose_cities(recipe.count, recipe.cities, len(lonlat), recipe.seed, recipe.split)
    solver, words = TSP(), f"tours of {recipe.cities} cities ({recipe.split})"
    with tqdm(total=recipe.count, desc=words, unit=" tours", delay=2.0, mininterval=5.0) as bar:
        for part in chosen.split(LABELLED_AT_ONCE):
            tour = solver(true_costs(part, lonlat, recipe.distance))
            yield {"cities": part.numpy().astype(np.uint8), "tour": tour.numpy().astype(np.uint8)}
            bar.update(len(part))


def generate_cached(folder: Path | None, lonlat: np.ndarray, recipe: Recipe) -> Instances:
    """The instances of a recipe, with the chosen cities and tours kept in `folder`."""
    stored = cached(
        folder,
        f"globe-{recipe.cities}-{recipe.split}",
        ("exact tours", GENERATOR_VERSION, lonlat, recipe),
        lambda: generate(lonlat, recipe),
    )
    chosen = torch.from_numpy(stored["cities"].astype(np.int64))
    target = torch.from_numpy(stored["tour"].astype(np.float32))
    return Instances(chosen, target, true_costs(chosen, lonlat, recipe.distance).to(torch.float32))
