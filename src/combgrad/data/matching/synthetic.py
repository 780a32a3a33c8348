"""Made-up things with marked points: a stand-in for photographs, made by a seed alone."""

from dataclasses import astuple, dataclass
from typing import ClassVar

import numpy as np

from combgrad.arguments import LARGEST_SEED, check_range
from combgrad.data.base import Place
from combgrad.data.datamodule import check_whole
from combgrad.data.files.pictures import SIDE
from combgrad.data.matching.marked import (
    Annotation,
    Collection,
    KeyPointSet,
    MarkedPictures,
    gather,
)
from combgrad.data.matching.pairs import LABELS, LEAST_COMMON, DrawnPairs
from combgrad.data.matching.shape_context import unit
from combgrad.data.splits import SPLITS, fingerprint

#: Raise it when the same settings give other things.
GENERATOR_VERSION = 1

#: What a category's points may be turned by (radians), scaled by and sheared by, and how far their
#: middle may lie from that of the picture, as a share of its side.
TURN, SCALES, SHEAR, SHIFT = 0.5, (0.6, 1.0), 0.2, 0.1

#: Half the side of a thing at scale 1, as a share of the picture's.
EXTENT = 0.4

#: Bumps that bend a thing, and their width, as a share of its extent.
BUMPS, BUMP_WIDTH = 4, 0.6

#: How much stronger than a feature that says something one is that says nothing.
DISTRACTION = 1.5


@dataclass(frozen=True)
class Synthetic(KeyPointSet):
    """Categories of things, each with points of its own; a picture shows one of them deformed.

    A picture's points are the category's under an affine map and a few smooth bumps; some are
    hidden, and outliers lie anywhere. The first half of a point's C features is the category's own
    direction for it plus Gaussian noise, the second half is noise alone and stronger, so that there
    is something to learn; then all are scaled to length 1. A picture's are their mean.

    Args:
        categories: how many there are.
        pictures: of each category, in each split.
        points: of each category, up to 64.
        outliers: points of every picture that match nothing; they are shown where
            `data.common_points` is false.
        hidden: the share of a category's points that a picture lacks, in expectation.
        channels: C, an even number.
        noise: deviation of the noise over the length of a point's own features.
        bending: how far a bump moves a point at most, as a share of the thing's extent.
        seed: of everything.
    """

    source: ClassVar[str] = "stand-in"

    categories: int = 8
    pictures: int = 50
    points: int = 12
    outliers: int = 0
    hidden: float = 0.1
    channels: int = 32
    noise: float = 1.0
    bending: float = 0.15
    seed: int = 0

    def __post_init__(self) -> None:
        for name, least, most in (
            ("categories", 1, 1000),
            ("pictures", 2, 100_000),
            ("points", LEAST_COMMON, LABELS),
            ("outliers", 0, 1000),
            ("channels", 2, 4096),
            ("seed", 0, LARGEST_SEED),
        ):
            check_whole(f"collection.{name}", getattr(self, name), least, most)
        if self.channels % 2:
            raise ValueError(f"data.collection.channels is {self.channels}; it must be even.")
        for name, highest in (("hidden", 0.5), ("noise", 1e3), ("bending", 10.0)):
            check_range(f"data.collection.{name}", getattr(self, name), highest)

    def mark(self) -> str:
        """A digest of the settings, from which everything follows."""
        return fingerprint(GENERATOR_VERSION, *astuple(self))

    def read(self, place: Place) -> Collection:
        """All pictures of all splits."""
        del place
        names = tuple(f"thing {number}" for number in range(self.categories))
        made: list[Annotation] = []
        features: list[np.ndarray] = []
        members = {}
        for number, split in enumerate(SPLITS):
            first = len(made)
            for category in range(self.categories):
                thing = self._thing(category)
                for picture in range(self.pictures):
                    generator = np.random.default_rng((self.seed, category, number + 1, picture))
                    points, labels = self._points(thing[0], generator)
                    name = f"{names[category]}, picture {picture} of {split}"
                    made.append(Annotation(name, category, points, labels))
                    features.append(self._features(thing[1], labels, generator))
            members[split] = np.arange(first, len(made))
        table = gather(made)
        marked = MarkedPictures(
            names=table.names,
            category=table.category,
            ends=table.ends,
            points=table.points,
            labels=table.labels,
            features=np.concatenate(features),
            whole=np.stack([unit(rows.mean(0)) for rows in features]),
        )
        splits = {
            split: DrawnPairs(numbers, marked.category, marked.marks, names)
            for split, numbers in members.items()
        }
        return Collection(names, marked, splits)

    def _thing(self, category: int) -> tuple[np.ndarray, np.ndarray]:
        """A category's points (n, 2) in [-1, 1], well apart, and their directions (n, C/2)."""
        generator = np.random.default_rng((self.seed, category, 0, 0))
        points = generator.uniform(-1, 1, (1, 2))
        for _ in range(self.points - 1):
            tried = generator.uniform(-1, 1, (10, 2))
            nearest = np.linalg.norm(tried[:, None] - points, axis=2).min(1)
            points = np.concatenate([points, tried[[nearest.argmax()]]])
        return points, unit(generator.normal(size=(self.points, self.channels // 2)))

    def _points(
        self, thing: np.ndarray, generator: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """The points of one picture in pixels, outliers last, and their labels."""
        centres = generator.uniform(-1, 1, (BUMPS, 2))
        moves = self.bending * generator.uniform(-1, 1, (BUMPS, 2))
        away = ((thing[:, None] - centres) ** 2).sum(2)
        bent = thing + np.exp(-away / (2 * BUMP_WIDTH**2)) @ moves
        turn = generator.uniform(-TURN, TURN)
        turned = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
        sheared = np.array([[1, generator.uniform(-SHEAR, SHEAR)], [0, 1]])
        scale = EXTENT * generator.uniform(*SCALES)
        middle = 0.5 + generator.uniform(-SHIFT, SHIFT, 2)
        placed = middle + scale * bent @ (turned @ sheared).T
        shown = np.sort(generator.permutation(self.points)[: self._count(generator)])
        outliers = generator.uniform(0, 1, (self.outliers, 2))
        points = SIDE * np.clip(np.concatenate([placed[shown], outliers]), 0, 1)
        return points, np.concatenate([shown, np.full(self.outliers, -1)])

    def _count(self, generator: np.random.Generator) -> int:
        """How many of a category's points are shown, enough for any two pictures to match."""
        least = (self.points + LEAST_COMMON + 1) // 2
        return max(least, self.points - generator.binomial(self.points, self.hidden))

    def _features(
        self, directions: np.ndarray, labels: np.ndarray, generator: np.random.Generator
    ) -> np.ndarray:
        """(n, C) float32; an outlier has a direction of its own."""
        half = self.channels // 2
        own = unit(generator.normal(size=(len(labels), half)))
        known = labels >= 0
        own[known] = directions[labels[known]]
        own += self.noise / np.sqrt(half) * generator.normal(size=own.shape)
        other = DISTRACTION / np.sqrt(half) * generator.normal(size=own.shape)
        return unit(np.concatenate([own, other], axis=1)).astype(np.float32)
