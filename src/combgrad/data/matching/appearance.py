"""What a network is given of the pictures of a pair: pixels, or features of points and pictures."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from combgrad.data.base import Block, cached
from combgrad.data.files.pictures import SIDE
from combgrad.data.frozen import Frozen
from combgrad.data.matching.marked import MarkedPictures
from combgrad.data.matching.shape_context import shape_contexts, unit
from combgrad.networks.backbones import Backbone, read_out

#: Pictures that the backbone sees at a time.
BLOCK = 16


@dataclass(frozen=True, eq=False)
class ShownPairs:
    """B pairs whose points have been chosen and brought into an order.

    Attributes:
        pictures: (B, 2), their numbers.
        rows: of the points shown, (n,) for either picture of each pair.
        category: (B,).
    """

    pictures: np.ndarray
    rows: list[tuple[np.ndarray, np.ndarray]]
    category: np.ndarray

    @property
    def nodes(self) -> int:
        """N, the most points of a picture."""
        return max(len(rows) for sides in self.rows for rows in sides)


class Appearance(Protocol):
    """Gives the columns of a batch that say what the pictures look like."""

    def columns(self, shown: ShownPairs) -> dict[str, Tensor]:
        """`images` (B, 2, 3, SIDE, SIDE), or `features` (B, 2, N, C) and `whole` (B, 2, G)."""


class Pixels:
    """Pictures as they are, (P, 3, SIDE, SIDE) uint8."""

    def __init__(self, pixels: np.ndarray) -> None:
        self.pixels = pixels

    def columns(self, shown: ShownPairs) -> dict[str, Tensor]:
        """`images` (B, 2, 3, SIDE, SIDE) uint8."""
        return {"images": torch.from_numpy(self.pixels[shown.pictures])}


class Described:
    """Features (M, C) of all points and (P, G) of all pictures, known beforehand."""

    def __init__(self, features: np.ndarray, whole: np.ndarray) -> None:
        self.features, self.whole = features, whole

    def columns(self, shown: ShownPairs) -> dict[str, Tensor]:
        """`features` (B, 2, N, C) and `whole` (B, 2, G) float32."""
        channels = self.features.shape[1]
        found = np.zeros((*shown.pictures.shape, shown.nodes, channels), dtype=np.float32)
        for pair, sides in enumerate(shown.rows):
            for side, rows in enumerate(sides):
                found[pair, side, : len(rows)] = self.features[rows]
        whole = np.asarray(self.whole[shown.pictures], dtype=np.float32)
        return {"features": torch.from_numpy(found), "whole": torch.from_numpy(whole)}


class ShapeContexts:
    """Of the points alone: how the other points shown lie around each (see shape_contexts).

    The features of a picture are the mean of those of its points, scaled to length 1.
    """

    def __init__(self, points: np.ndarray) -> None:
        self.points = points

    def columns(self, shown: ShownPairs) -> dict[str, Tensor]:
        """`features` (B, 2, N, 60) and `whole` (B, 2, 60) float32."""
        pairs = [[shape_contexts(self.points[rows]) for rows in sides] for sides in shown.rows]
        channels = pairs[0][0].shape[1]
        features = np.zeros((*shown.pictures.shape, shown.nodes, channels), dtype=np.float32)
        whole = np.zeros((*shown.pictures.shape, channels), dtype=np.float32)
        for pair, sides in enumerate(pairs):
            for side, found in enumerate(sides):
                features[pair, side, : len(found)] = found
                whole[pair, side] = unit(found.mean(0))
        return {"features": torch.from_numpy(features), "whole": torch.from_numpy(whole)}


def described_by(
    backbone: Backbone, marked: MarkedPictures, pixels: np.ndarray, cache: Path | None
) -> Described:
    """The features that a frozen backbone has for all points and pictures, each computed once.

    They are kept in `cache` unless that is None.
    """
    frozen = Frozen(backbone)
    key = (*frozen.key, marked.points, marked.ends, _digest(pixels))
    blocks = cached(cache, "matching-features", key, lambda: _blocks(frozen, marked, pixels))
    return Described(blocks["features"], blocks["whole"])


def _digest(pixels: np.ndarray) -> str:
    """A sha256, of which a few pictures at a time are in memory."""
    digest = hashlib.sha256()
    for start in range(0, len(pixels), BLOCK):
        digest.update(np.ascontiguousarray(pixels[start : start + BLOCK]).data)
    return digest.hexdigest()


def _blocks(frozen: Frozen, marked: MarkedPictures, pixels: np.ndarray) -> Iterator[Block]:
    for start in range(0, len(marked), BLOCK):
        numbers = range(start, min(start + BLOCK, len(marked)))
        rows = [marked.rows(number) for number in numbers]
        points = np.zeros((len(rows), max(map(len, rows)), 2), dtype=np.float32)
        for place, own in enumerate(rows):
            points[place, : len(own)] = marked.points[own]
        found = frozen(torch.from_numpy(np.array(pixels[start : start + BLOCK])))
        places = torch.from_numpy(points).to(frozen.device)
        read = read_out(found.maps, places, SIDE).cpu().numpy()
        yield {
            "features": np.concatenate([read[i, : len(own)] for i, own in enumerate(rows)]),
            "whole": found.whole.cpu().numpy(),
        }
