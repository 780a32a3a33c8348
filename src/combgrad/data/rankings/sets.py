"""The whole ranking of ten kinds of sushi from some of a person's comparisons."""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from combgrad.arguments import LARGEST_SEED
from combgrad.data.base import Place
from combgrad.data.datamodule import check_whole
from combgrad.data.decisions.problems import DecisionSet, part_of
from combgrad.data.files.known import checked_sha256
from combgrad.data.files.npy import DataFileError
from combgrad.data.rankings.preflib import read_orders
from combgrad.data.splits import fingerprint
from combgrad.solvers import Ranking, Solver

#: Part of every fingerprint; raise it when the same settings give other rows.
VERSION = 1

KINDS = 10
PAIRS = [*itertools.combinations(range(KINDS), 2)]

FILES = ("rankings/sushi.soc", "sushi.soc", "00014-00000001.soc")
SHA256 = "af374669dce6551e66d15ffa087c7744ce5e0b14e4265fc6c57e4fe7672de3a4"

#: People of each split.
SIZES = {"train": 3500, "val": 500, "test": 1000}

#: How large a share of the people of the stand-in has each of three tastes, and how far a person is
#: from it, in deviations of what the kinds are worth.
TASTES, PERSONAL = (0.5, 0.3, 0.2), 0.8


@dataclass(frozen=True)
class Sushi(DecisionSet):
    """A person's ranks of ten kinds of sushi, from some of the comparisons of two kinds.

    The published rankings come without features of people, so that some of their own comparisons
    are these: of all 45 pairs (i, j), i < j, `comparisons` drawn for each person are known, 1 where
    i is liked better, -1 where j is, 0 where it is not known. The true costs are 11 - r of the true
    ranks r, so that `Ranking` answers r, and the regret of ranks y is <c, y> - <c, r> =
    sum (y - r)^2 / 2, half of Spearman's squared distance: rho = 1 - regret / 82.5.
    Source of the data: Kamishima, Nantonac collaborative filtering, KDD 2003; PrefLib 00014.

    Args:
        comparisons: 0 to 45 that are known of each person.
        seed: of who is in which split, and which comparisons are known.

    Raises ValueError for settings that cannot be.
    """

    comparisons: int = 10
    seed: int = 0

    source: ClassVar[str] = "original"
    free: ClassVar[str] = "data=pto_sushi_stand_in"

    def __post_init__(self) -> None:
        check_whole("collection.comparisons", self.comparisons, 0, len(PAIRS))
        check_whole("collection.seed", self.seed, 0, LARGEST_SEED)

    @property
    def feature_shape(self) -> tuple[int, ...]:
        """(45,)."""
        return (len(PAIRS),)

    @property
    def cost_shape(self) -> tuple[int, ...]:
        """(10,)."""
        return (KINDS,)

    def solver(self) -> Solver:
        """Ranks, 1 for the largest cost."""
        return Ranking()

    def available(self, place: Place) -> Mapping[str, int]:
        """People of each split."""
        del place
        return SIZES

    def ranks(self, place: Place) -> np.ndarray:
        """The ranks (N, 10) of all people; raises DataFileError."""
        path = _file(place)
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            raise DataFileError(f"{path}: cannot be read ({error}).") from error
        ranks = read_orders(text, str(path)).ranks
        if ranks.shape != (sum(SIZES.values()), KINDS):
            raise DataFileError(
                f"{path}: has the orders of {ranks.shape[0]} people of {ranks.shape[1]} kinds; the "
                f"set has {sum(SIZES.values())} of {KINDS}. Restore the file from its source."
            )
        return ranks

    def rows(self, place: Place, split: str, sizes: Mapping[str, int]) -> dict[str, np.ndarray]:
        """The first people of a split."""
        # The file has people of the same order together.
        random = np.random.default_rng([self.seed, VERSION])
        ranks = random.permutation(self.ranks(place))[part_of(split, SIZES)]
        drawn = np.random.default_rng([self.seed, VERSION, [*SIZES].index(split)])
        order = drawn.random((len(ranks), len(PAIRS))).argsort(axis=1)
        known = order.argsort(axis=1) < self.comparisons
        first, second = np.array(PAIRS).T
        features = np.sign(ranks[:, second] - ranks[:, first]) * known
        count = sizes[split]
        return {"features": features[:count], "true_costs": (KINDS + 1 - ranks)[:count]}

    def fingerprint(self, place: Place) -> str:
        """Of the file and the settings."""
        digest = checked_sha256(_file(place), SHA256)
        return fingerprint("sushi", VERSION, self.comparisons, self.seed, digest)


def _file(place: Place) -> Path:
    return place.look_for(FILES, "the set of rankings of sushi")


@dataclass(frozen=True)
class SushiStandIn(Sushi):
    """The same of made-up people, who have one of three tastes and a bit of their own."""

    source: ClassVar[str] = "stand-in"

    def ranks(self, place: Place) -> np.ndarray:
        """Made-up ranks."""
        del place
        random = np.random.default_rng([KINDS, VERSION])
        people = sum(SIZES.values())
        worth = random.standard_normal((len(TASTES), KINDS))
        taste = random.choice(len(TASTES), people, p=TASTES)
        liked = worth[taste] + PERSONAL * random.standard_normal((people, KINDS))
        return (-liked).argsort(axis=1).argsort(axis=1) + 1

    def fingerprint(self, place: Place) -> str:
        """Of the settings."""
        del place
        return fingerprint("sushi made up", VERSION, self.comparisons, self.seed)
