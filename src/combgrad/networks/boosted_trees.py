"""Gradient-boosted trees from features to costs, fitted by scikit-learn."""

import importlib
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from combgrad.arguments import check_count, check_positive
from combgrad.errors import MissingPackageError
from combgrad.files.installation import extra


class BoostedTrees(nn.Module):
    """Features (B, *F) -> costs (B, *S), each by boosted regression trees of its own.

    `shared` has the same trees for every cost, from features of its own, (B, *S, F).
    `fit` finds the trees, by least squares, the same for the same seed; they are no weights, and no
    part of the state. What a gradient step may move is `offset` (*S), which is added to what the
    trees say and starts at 0. Source: Ke et al., NeurIPS 2017, as scikit-learn's
    HistGradientBoostingRegressor has it.

    Args:
        iterations: trees for each cost.
        learning_rate: what each tree counts.
        leaves: of a tree, at most.
        least: rows in a leaf.
        seed: of the bins where there are many rows.
        shared: whether each cost has features of its own and all have the same trees.

    Raises ValueError for numbers that cannot be, MissingPackageError without scikit-learn.
    """

    def __init__(
        self,
        costs: tuple[int, ...],
        iterations: int = 100,
        learning_rate: float = 0.1,
        leaves: int = 31,
        least: int = 20,
        seed: int = 0,
        shared: bool = False,
    ) -> None:
        super().__init__()
        self.shared = shared
        for name, value in (("iterations", iterations), ("leaves", leaves), ("least", least)):
            check_count(name, value, "model")
        rate = check_positive("learning_rate", learning_rate, "model")
        try:
            self._ensemble: Any = importlib.import_module("sklearn.ensemble")
        except ModuleNotFoundError as error:
            raise MissingPackageError(
                f"boosted trees need a package, scikit-learn: {extra('trees')}."
            ) from error
        self.settings = {
            "max_iter": iterations,
            "learning_rate": rate,
            "max_leaf_nodes": leaves,
            "min_samples_leaf": least,
            "early_stopping": False,
            "random_state": seed,
        }
        self.offset = nn.Parameter(torch.zeros(tuple(costs)))
        self._trees: list[Any] = []

    @property
    def fitted(self) -> bool:
        """Whether there are trees."""
        return bool(self._trees)

    def fit(self, features: Tensor, costs: Tensor) -> None:
        """Find the trees of all costs from rows (N, *F) and (N, *S); ValueError for others."""
        if costs.shape[1:] != self.offset.shape or len(costs) != len(features):
            raise ValueError(
                f"BoostedTrees: features have shape {tuple(features.shape)} and costs "
                f"{tuple(costs.shape)}; pass N rows of both, with costs "
                f"(N, {', '.join(map(str, self.offset.shape))})."
            )
        rows, entries = self._rows(features), _flat(costs)
        if self.shared:
            entries = entries.reshape(-1, 1)
        self._trees = [
            self._ensemble.HistGradientBoostingRegressor(**self.settings).fit(rows, entry)
            for entry in entries.T
        ]

    def forward(self, features: Tensor) -> Tensor:
        """The costs (B, *S); RuntimeError before `fit`."""
        if not self._trees:
            raise RuntimeError("BoostedTrees has no trees yet; call fit(features, costs) first.")
        rows = self._rows(features)
        said = np.stack([tree.predict(rows) for tree in self._trees], axis=1)
        found = torch.from_numpy(said).to(self.offset)
        return found.view(len(features), *self.offset.shape) + self.offset

    def _rows(self, features: Tensor) -> np.ndarray:
        """What each tree sees: a row for each instance, or where they are shared for each cost."""
        if not self.shared:
            return _flat(features)
        if features.shape[1:-1] != self.offset.shape:
            raise ValueError(
                f"BoostedTrees: features have shape {tuple(features.shape)}; trees that all costs "
                f"share need (N, {', '.join(map(str, self.offset.shape))}, F). Use shared=False "
                f"(model=boosted_trees)."
            )
        return _flat(features.flatten(0, -2))


def _flat(rows: Tensor) -> np.ndarray:
    return rows.detach().cpu().flatten(1).double().numpy()
