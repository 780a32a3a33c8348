"""The polynomial data sets of predict-then-optimise, number for number those of PyEPO.

Features are x ~ N(0, I) in R^p, costs a polynomial of B x with a random 0/1 matrix B, times noise
around 1. Sources: Elmachtoub and Grigas, Management Science 2022, section 6; Tang and Khalil,
Mathematical Programming Computation 2024, whose `genData` draw the same numbers from the same seed.
"""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import NamedTuple

import numpy as np

from combgrad.arguments import LARGEST_SEED, check_count, check_range
from combgrad.data.base import Place
from combgrad.data.datamodule import check_whole
from combgrad.data.decisions.problems import DecisionSet, Graph, part_of
from combgrad.data.splits import SPLITS, fingerprint
from combgrad.solvers import GraphShortestPath, Solver

#: Part of every fingerprint; raise it when the same settings give other numbers.
GENERATOR_VERSION = 1

#: Settings that a fingerprint leaves out, as runs of one cell differ in them.
DRAWN = "draw_seed"


class Drawn(NamedTuple):
    """Features (N, p) and costs or values (N, n), float32."""

    features: np.ndarray
    costs: np.ndarray


@dataclass(frozen=True)
class Polynomial(DecisionSet):
    """Instances of a generated problem; a subclass says what is drawn, and who solves it.

    The instances of training, validation and test are the first, next and last ones of one draw,
    so that they depend on how many there are of all.

    Args:
        features: p.
        deg: degree of the polynomial.
        draw_seed: of everything that is random; PyEPO's is 135 where none is given.

    Raises ValueError for a setting that cannot be.
    """

    features: int = 5
    deg: int = 1
    draw_seed: int = 135

    def __post_init__(self) -> None:
        for name in ("features", "deg"):
            check_count(name, getattr(self, name), "data.collection")
        check_whole("collection.draw_seed", self.draw_seed, 0, LARGEST_SEED)

    @abstractmethod
    def drawn(self, count: int) -> Drawn:
        """`count` instances, with the costs that are minimised."""

    @property
    def feature_shape(self) -> tuple[int, ...]:
        """(p,)."""
        return (self.features,)

    def rows(self, place: Place, split: str, sizes: Mapping[str, int]) -> dict[str, np.ndarray]:
        """The instances of a split."""
        del place
        drawn = self.drawn(sum(sizes[name] for name in SPLITS))
        part = part_of(split, sizes)
        return {"features": drawn.features[part], "true_costs": drawn.costs[part]}

    def fingerprint(self, place: Place) -> str:
        """Of the settings, but for the seed of the draw."""
        del place
        kept = [(f.name, getattr(self, f.name)) for f in fields(self) if f.name != DRAWN]
        return fingerprint(type(self).__name__, GENERATOR_VERSION, *kept)


@dataclass(frozen=True)
class ShortestPaths(Polynomial):
    """Ways across a grid, right or down, from its first to its last node.

    c_j = e_j (((B x)_j / sqrt(p) + 3)^deg + 1) / 3.5^deg for the edges j: row by row, of each the
    edges to the right, then those down.

    Args:
        grid: rows and columns of nodes.
        noise_width: e is uniform in 1 - noise_width to 1 + noise_width.
        features, deg, draw_seed: see Polynomial.
    """

    grid: Sequence[int] = (5, 5)
    noise_width: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range("data.collection.noise_width", self.noise_width)
        sizes = [check_count("grid", size, "data.collection") for size in self.grid]
        if len(sizes) != 2 or min(sizes) < 2:
            raise ValueError(
                f"data.collection.grid is {sizes}; give rows and columns of nodes, at least "
                f"2 of each, such as [5,5]."
            )
        object.__setattr__(self, "grid", tuple(sizes))

    @cached_property
    def graph(self) -> Graph:
        """Nodes at whole places, y downwards, and edges to the right and down."""
        rows, columns = self.grid
        number = np.arange(rows * columns).reshape(rows, columns)
        edges = []
        for row in range(rows):
            edges.append(np.stack([number[row, :-1], number[row, 1:]], axis=1))
            if row + 1 < rows:
                edges.append(np.stack([number[row], number[row + 1]], axis=1))
        places = np.stack(np.divmod(number.ravel(), columns)[::-1], axis=1)
        return Graph(places.astype(np.float64), np.concatenate(edges))

    @property
    def cost_shape(self) -> tuple[int, ...]:
        """(E,)."""
        return (len(self.graph.edges),)

    def solver(self) -> Solver:
        """The cheapest path from the first to the last node."""
        nodes = self.grid[0] * self.grid[1]
        return GraphShortestPath(self.graph.edges, nodes, 0, nodes - 1, directed=True)

    def drawn(self, count: int) -> Drawn:
        """`count` instances."""
        random = np.random.RandomState(self.draw_seed)
        matrix = random.binomial(1, 0.5, (*self.cost_shape, self.features))
        features = random.normal(0, 1, (count, self.features))
        costs = polynomial(features, matrix, self.deg)
        costs *= around_one(random, self.noise_width, costs.shape)
        return Drawn(features.astype(np.float32), costs.astype(np.float32))


def polynomial(features: np.ndarray, matrix: np.ndarray, deg: int) -> np.ndarray:
    """((B x)_j / sqrt(p) + 3)^deg + 1, over 3.5^deg, of x (N, p) and B (n, p): (N, n)."""
    said = features @ matrix.T / np.sqrt(matrix.shape[1])
    return ((said + 3) ** deg + 1) / 3.5**deg


def around_one(random: np.random.RandomState, width: float, shape: tuple[int, ...]) -> np.ndarray:
    """Noise uniform in 1 - width to 1 + width."""
    return random.uniform(1 - width, 1 + width, shape)
