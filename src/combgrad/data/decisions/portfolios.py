"""Portfolios of assets whose returns are predicted, within a budget of risk."""

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np

from combgrad.arguments import check_count, check_range
from combgrad.data.decisions.polynomial import Drawn, Polynomial
from combgrad.solvers import Portfolio, Solver


@dataclass(frozen=True)
class Portfolios(Polynomial):
    """The portfolio of the highest return: max <r, y> over shares y with y' S y <= gamma mean(S).

    r = (0.05 B x / sqrt(p) + 0.1^(1/deg))^deg + L f + 0.01 tau e, and the true costs are -r, with f
    and e normal and L uniform in -0.0025 tau to 0.0025 tau. S = L L' + (0.01 tau)^2 I is shared by
    all instances.

    Args:
        assets: how many there are.
        noise_level: tau.
        gamma: risk that is allowed, in means of the covariance.
        features, deg, draw_seed: see Polynomial.
    """

    whole: ClassVar[bool] = False

    assets: int = 50
    noise_level: float = 1.0
    gamma: float = 2.25

    def __post_init__(self) -> None:
        super().__post_init__()
        check_count("assets", self.assets, "data.collection")
        for name in ("noise_level", "gamma"):
            check_range(f"data.collection.{name}", getattr(self, name))

    @property
    def cost_shape(self) -> tuple[int, ...]:
        """(assets,)."""
        return (self.assets,)

    @cached_property
    def covariance(self) -> np.ndarray:
        """S, (assets, assets)."""
        _, loadings = self._factors(np.random.RandomState(self.draw_seed))
        return loadings @ loadings.T + (0.01 * self.noise_level) ** 2 * np.eye(self.assets)

    def _factors(self, random: np.random.RandomState) -> tuple[np.ndarray, np.ndarray]:
        """B and L, (assets, p) both."""
        matrix = random.binomial(1, 0.5, (self.assets, self.features))
        most = 0.0025 * self.noise_level
        return matrix, random.uniform(-most, most, matrix.shape)

    def solver(self) -> Solver:
        """The best portfolio within gamma times the mean covariance."""
        return Portfolio(self.covariance, self.gamma * float(self.covariance.mean()))

    def drawn(self, count: int) -> Drawn:
        """`count` instances."""
        random = np.random.RandomState(self.draw_seed)
        matrix, loadings = self._factors(random)
        features = random.normal(0, 1, (count, self.features))
        said = 0.05 * (features @ matrix.T) / np.sqrt(self.features)
        returns = (said + 0.1 ** (1 / self.deg)) ** self.deg
        noise = random.randn(count, self.features + self.assets)
        factors, own = noise[:, : self.features], noise[:, self.features :]
        returns = returns + (factors @ loadings.T + 0.01 * self.noise_level * own)
        return Drawn(features.astype(np.float32), -returns.astype(np.float32))
