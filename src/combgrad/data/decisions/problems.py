"""Decision problems with predicted costs: the one form that every set of them is read into."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar, NamedTuple

import numpy as np

from combgrad.data.base import Place
from combgrad.data.datamodule import check_collection
from combgrad.data.splits import SPLITS
from combgrad.networks.boosted_trees import BoostedTrees
from combgrad.networks.predictors import CostPredictor
from combgrad.solvers import Solver

#: A set that needs no files, for messages.
FREE = "data=pto_shortest_path"


class Graph(NamedTuple):
    """Where the nodes of a problem on a graph lie, for pictures.

    Attributes:
        nodes: their places (V, 2), x and y.
        edges: the two nodes of each, integers (E, 2), in the order of the costs.
    """

    nodes: np.ndarray
    edges: np.ndarray


class DecisionSet(ABC):
    """Instances of a decision problem: their features, their true costs, and who solves them.

    A subclass is a frozen dataclass, one for each origin of the data, made without touching any.
    Costs are minimised, as all solvers have it: for a problem that maximises values v they are -v.
    """

    #: Where the data come from, for the record: `regenerated`, `original` or `stand-in`.
    source: ClassVar[str] = "regenerated"

    #: What needs no files in its place, for messages.
    free: ClassVar[str] = FREE

    #: Whether solutions are of whole numbers, so that the worst of several best ones can be told.
    whole: ClassVar[bool] = True

    @property
    @abstractmethod
    def feature_shape(self) -> tuple[int, ...]:
        """The shape *F of the features of an instance, (F,) or (*S, F) with F for each cost."""

    @property
    @abstractmethod
    def cost_shape(self) -> tuple[int, ...]:
        """The shape *S of the costs of an instance."""

    @abstractmethod
    def solver(self) -> Solver:
        """The exact solver: y(w) = argmin <w, y> of costs (B, *S)."""

    def available(self, place: Place) -> Mapping[str, int] | None:
        """How many instances there are by split, of which a run takes at most what it asks for.

        None where as many as are asked for can be made.
        """
        del place
        return None

    @abstractmethod
    def rows(self, place: Place, split: str, sizes: Mapping[str, int]) -> dict[str, np.ndarray]:
        """The instances of `train`, `val` or `test`, N = sizes[split] of them, always the same.

        `features` (N, *F) and `true_costs` (N, *S); whatever else is there describes the instances
        to the solver, one entry for each by the names of its `per_row`. Sizes are those of all
        splits. Raises ValueError where there are fewer, DataFileError for files that are missing
        or not what they should be.
        """

    @abstractmethod
    def fingerprint(self, place: Place) -> str:
        """Changes whenever a row could, but for `draw_seed` where it has one; cheap.

        So it does where `solver` could answer a row otherwise, but for what the settings of the set
        say: solutions are kept by it. Says at once that a file is missing.
        """

    @property
    def graph(self) -> Graph | None:
        """The graph whose edges have the costs, where it can be drawn."""
        return None


def part_of(split: str, sizes: Mapping[str, int]) -> slice:
    """The rows of a split where those of all splits lie one after another."""
    start = sum(sizes[other] for other in SPLITS[: SPLITS.index(split)])
    return slice(start, start + sizes[split])


def checked_set(collection: object) -> DecisionSet:
    """The set; ValueError for a `data.collection` of anything else."""
    check_collection(collection, DecisionSet, "decision problems", FREE)
    assert isinstance(collection, DecisionSet)
    return collection


def solver_of(collection: DecisionSet) -> Solver:
    """The exact solver of a set's problem, as `solver=of_data` has it; ValueError for no set."""
    return checked_set(collection).solver()


def predictor_of(
    collection: DecisionSet,
    hidden: Sequence[int] = (),
    shared: bool = False,
    positive: bool = False,
) -> CostPredictor:
    """A network from the features of a set to its costs, see `CostPredictor`."""
    shapes = checked_set(collection).feature_shape, collection.cost_shape
    return CostPredictor(*shapes, hidden, shared=shared, positive=positive)


def trees_of(
    collection: DecisionSet,
    iterations: int = 100,
    learning_rate: float = 0.1,
    leaves: int = 31,
    least: int = 20,
    seed: int = 0,
    shared: bool = False,
) -> BoostedTrees:
    """Boosted trees from the features of a set to its costs, see `BoostedTrees`."""
    costs = checked_set(collection).cost_shape
    return BoostedTrees(costs, iterations, learning_rate, leaves, least, seed, shared)
