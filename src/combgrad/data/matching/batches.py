"""Batches of pairs, padded to the largest, that depend only on a seed and the pairs' numbers."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from combgrad.data.matching.appearance import Appearance, ShownPairs
from combgrad.data.matching.graphs import delaunay_edges
from combgrad.data.matching.marked import MarkedPictures
from combgrad.data.matching.pairs import GivenPairs, Pair, PairPool, bits


class Numbered(Protocol):
    """Pairs by number; the generator is that of the number."""

    def pair(self, number: int, generator: np.random.Generator) -> Pair:
        """The pair of a number."""


@dataclass(frozen=True)
class Endless:
    """Every number draws a pair of its own."""

    pool: PairPool

    def pair(self, number: int, generator: np.random.Generator) -> Pair:
        """A random pair."""
        return self.pool.draw(generator)


@dataclass(frozen=True)
class Listed:
    """The same pairs again and again."""

    pairs: GivenPairs

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


class NumberSampler(Sampler[Tensor]):
    """The numbers of one batch after another; every epoch has numbers of its own, or the same ones.

    Each of `world` processes gets every world-th number.

    Args:
        count: numbers of an epoch.
        batch_size: of this process.
        endless: whether epoch e has the numbers from e * count on, and not those from 0 on; what
            does not divide evenly among the processes is then left out.
    """

    def __init__(
        self, count: int, batch_size: int, *, endless: bool, rank: int, world: int
    ) -> None:
        self.count, self.batch_size, self.endless = count, batch_size, endless
        self.rank, self.world = rank, world
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the numbers of the next pass; Lightning calls it at the start of every epoch."""
        self.epoch = epoch

    def _mine(self) -> range:
        count = self.count - self.count % self.world if self.endless else self.count
        start = self.epoch * self.count if self.endless else 0
        return range(start + self.rank, start + count, self.world)

    def __len__(self) -> int:
        return -(-len(self._mine()) // self.batch_size)

    def __iter__(self) -> Iterator[Tensor]:
        yield from torch.tensor(self._mine(), dtype=torch.int64).split(self.batch_size)
