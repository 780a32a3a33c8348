"""Knapsacks of items whose values are predicted, of one or several dimensions."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from combgrad.arguments import check_count, check_range
from combgrad.data.decisions.polynomial import Drawn, Polynomial, around_one, polynomial
from combgrad.solvers import ILP, Knapsack, Solver

#: Weights have two digits after the point, and solvers want whole numbers.
HUNDREDTHS = 100


@dataclass(frozen=True)
class Knapsacks(Polynomial):
    """The most valuable items that fit: max <v, y> over y in {0, 1}^m with <weights_k, y> <= b_k.

    v_j = ceil(5 e_j (((B x)_j / sqrt(p) + 3)^deg + 1) / 3.5^deg), and the true costs are -v. The
    weights, uniform in 3.00 to 7.99, are drawn with the instances and shared by all of them.

    Args:
        items: m.
        dimensions: how many kinds of weight an item has.
        capacity: b, of each kind or of all, with at most two digits after the point.
        noise_width: e is uniform in 1 - noise_width to 1 + noise_width.
        features, deg, draw_seed: see Polynomial.
    """

    items: int = 32
    dimensions: int = 1
    capacity: float | Sequence[float] = 20.0
    noise_width: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("items", "dimensions"):
            check_count(name, getattr(self, name), "data.collection")
        check_range("data.collection.noise_width", self.noise_width)
        given = self.capacity
        each = [given] * self.dimensions if isinstance(given, int | float) else [*given]
        if len(each) != self.dimensions:
            raise ValueError(
                f"data.collection.capacity has {len(each)} entries for {self.dimensions} "
                f"dimensions; give one for each, or one for all."
            )
        for room in each:
            hundredths = HUNDREDTHS * check_range("data.collection.capacity", room)
            if abs(hundredths - round(hundredths)) > 1e-6:
                raise ValueError(
                    f"data.collection.capacity is {room}; weights have two digits after the point, "
                    f"so give no more."
                )
        object.__setattr__(self, "capacity", tuple(map(float, each)))

    @property
    def cost_shape(self) -> tuple[int, ...]:
        """(m,)."""
        return (self.items,)

    @cached_property
    def weights(self) -> np.ndarray:
        """The weights (dimensions, m) in hundredths, whole numbers."""
        return self._weights(np.random.RandomState(self.draw_seed))

    def _weights(self, random: np.random.RandomState) -> np.ndarray:
        return random.choice(np.arange(300, 800), size=(self.dimensions, self.items))

    def solver(self) -> Solver:
        """The best packing: dynamic programming in one dimension, an integer program in several."""
        assert isinstance(self.capacity, tuple)  # made so when the set was
        room = [round(HUNDREDTHS * each) for each in self.capacity]
        if self.dimensions == 1:
            return Knapsack(self.weights[0], room[0])
        return ILP(self.weights, upper=room)

    def drawn(self, count: int) -> Drawn:
        """`count` instances."""
        random = np.random.RandomState(self.draw_seed)
        self._weights(random)
        matrix = random.binomial(1, 0.5, (self.items, self.features))
        features = random.normal(0, 1, (count, self.features))
        values = 5 * polynomial(features, matrix, self.deg)
        values = np.ceil(values * around_one(random, self.noise_width, values.shape))
        return Drawn(features.astype(np.float32), -values.astype(np.float32))
