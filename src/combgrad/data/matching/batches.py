"""Batches of pairs, padded to the largest, that depend only on a seed and the pairs' numbers."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from combgrad.data.matching.appearance import Appearance, ShownPairs
from combgrad.data.matching.graphs import delaunay_edges
from combgrad.data.matching.marked import MarkedPictures
from combgrad.data.matching.pairs import GivenPairs, Pair, PairPool, bits


class Numbered(Protocol):
    """Pairs by number; the generator is that of the number."""

    def __len__(self) -> int:
        """How many there are, or make an epoch."""

    def pair(self, number: int, generator: np.random.Generator) -> Pair:
        """The pair of a number."""


@dataclass(frozen=True)
class Endless:
    """Every number draws a pair of its own; `count` of them make an epoch."""

    pool: PairPool
    count: int

    def __len__(self) -> int:
        return self.count

    def pair(self, number: int, generator: np.random.Generator) -> Pair:
        """A random pair."""
        return self.pool.draw(generator)


@dataclass(frozen=True)
class Listed:
    """The same pairs again and again."""

    pairs: GivenPairs

    def __len__(self) -> int:
        return len(self.pairs)

    def pair(self, number: int, generator: np.random.Generator) -> Pair:
        """The pair in that row."""
        return self.pairs[number]


class PairBatches(Dataset[dict[str, Tensor]]):
    """Indexing with the numbers (B,) of pairs gives a batch.

    It has `points` (B, 2, N, 2) float32, (x, y) in pixels, `present` (B, 2, N) bool, `edges`
    (B, 2, E, 2) int64, the nodes of directed edges, -1 at padding, `target` (B, N, N) float32, 1
    where a point of the first picture (rows) and one of the second have the same label, `category`
    (B,) int64, and what the appearance gives. The points of each picture come in random order.

    Args:
        marked: the pictures.
        pairs: which pair a number means.
        appearance: what the pictures look like.
        seed: of the drawing and the order of points, together with the pair's number.
        common: whether only points that are marked in both pictures are shown.
    """

    def __init__(
        self,
        marked: MarkedPictures,
        pairs: Numbered,
        appearance: Appearance,
        seed: tuple[int, ...],
        common: bool = True,
    ) -> None:
        self.marked, self.pairs, self.appearance = marked, pairs, appearance
        self.seed, self.common = seed, common

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, numbers: Tensor) -> dict[str, Tensor]:
        shown = self._shown(numbers.tolist())
        return {**self._graphs(shown), **self.appearance.columns(shown)}

    def pair(self, number: int) -> Pair:
        """The pair of a number."""
        return self.pairs.pair(number, np.random.default_rng((*self.seed, number)))

    def _shown(self, numbers: list[int]) -> ShownPairs:
        pairs, rows = [], []
        for number in numbers:
            generator = np.random.default_rng((*self.seed, number))
            pair = self.pairs.pair(number, generator)
            first, second = self._points(pair)
            pairs.append(pair)
            rows.append((generator.permutation(first), generator.permutation(second)))
        pictures = np.array([(pair.first, pair.second) for pair in pairs])
        return ShownPairs(pictures, rows, np.array([pair.category for pair in pairs]))

    def _points(self, pair: Pair) -> list[np.ndarray]:
        """The rows of the points that are shown of either picture."""
        marks = self.marked.marks
        wanted = marks[pair.first] & marks[pair.second] & pair.shown
        sides = []
        for picture in (pair.first, pair.second):
            rows = self.marked.rows(picture)
            if self.common:
                labels = self.marked.labels[rows]
                rows = rows[(labels >= 0) & (bits(np.maximum(labels, 0)) & wanted > 0)]
            sides.append(rows)
        return sides

    def _graphs(self, shown: ShownPairs) -> dict[str, Tensor]:
        size = (len(shown.rows), 2, shown.nodes)
        points = np.zeros((*size, 2), dtype=np.float32)
        present = np.zeros(size, dtype=bool)
        target = np.zeros((size[0], size[2], size[2]), dtype=np.float32)
        graphs = []
        for pair, sides in enumerate(shown.rows):
            for side, rows in enumerate(sides):
                points[pair, side, : len(rows)] = self.marked.points[rows]
                present[pair, side, : len(rows)] = True
                graphs.append(delaunay_edges(self.marked.points[rows]))
            one, other = (self.marked.labels[rows] for rows in sides)
            same = (one[:, None] == other) & (one[:, None] >= 0)
            target[pair, : len(one), : len(other)] = same
        edges = np.full((len(graphs), max(map(len, graphs)), 2), -1, dtype=np.int64)
        for place, graph in enumerate(graphs):
            edges[place, : len(graph)] = graph
        return {
            "points": torch.from_numpy(points),
            "present": torch.from_numpy(present),
            "edges": torch.from_numpy(edges.reshape(*size[:2], -1, 2)),
            "target": torch.from_numpy(target),
            "category": torch.from_numpy(shown.category),
        }
