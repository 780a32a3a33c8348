"""Tours through cities, where the time that each way takes is predicted."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.spatial.distance import pdist

from combgrad.arguments import check_range
from combgrad.data.datamodule import check_whole
from combgrad.data.decisions.polynomial import Drawn, Polynomial, around_one
from combgrad.data.decisions.problems import Graph
from combgrad.solvers import TSP, Solver


@dataclass(frozen=True)
class Tours(Polynomial):
    """The shortest tour through k cities, of costs (k(k-1)/2,), the upper triangle row by row.

    c_j = d_j + e_j ((B x)_j / sqrt(p) + 3)^deg / 3^(deg - 1), rounded to four digits, with d the
    distances of places that are drawn with the instances and shared by all of them, and B = 0/1
    entries times numbers uniform in -2 to 2.

    Args:
        cities: k.
        noise_width: e is uniform in 1 - noise_width to 1 + noise_width.
        features, deg, draw_seed: see Polynomial.
    """

    cities: int = 20
    noise_width: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_whole("collection.cities", self.cities, 3)
        check_range("data.collection.noise_width", self.noise_width)

    @property
    def cost_shape(self) -> tuple[int, ...]:
        """(k(k-1)/2,)."""
        return (self.cities * (self.cities - 1) // 2,)

    @cached_property
    def graph(self) -> Graph:
        """The places of the cities, and the ways between them."""
        edges = np.stack(np.triu_indices(self.cities, 1), axis=1)
        return Graph(self._places(np.random.RandomState(self.draw_seed)), edges)

    def _places(self, random: np.random.RandomState) -> np.ndarray:
        half = self.cities // 2
        spread = random.uniform(-2, 2, (half, 2))
        return np.concatenate([spread, random.normal(0, 1, (self.cities - half, 2))])

    def solver(self) -> Solver:
        """The shortest tour."""
        return TSP()

    def drawn(self, count: int) -> Drawn:
        """`count` instances."""
        random = np.random.RandomState(self.draw_seed)
        distances = pdist(self._places(random))
        shape = (*self.cost_shape, self.features)
        matrix = random.binomial(1, 0.5, shape) * random.uniform(-2, 2, shape)
        features = random.normal(0, 1, (count, self.features))
        said = (features @ matrix.T / np.sqrt(self.features) + 3) ** self.deg / 3 ** (self.deg - 1)
        costs = distances + said * around_one(random, self.noise_width, said.shape)
        return Drawn(features.astype(np.float32), np.around(costs, 4).astype(np.float32))
