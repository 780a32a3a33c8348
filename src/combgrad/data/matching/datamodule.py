"""Pairs of pictures with marked points, as a LightningDataModule."""

from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np
import torch

from combgrad.arguments import LARGEST_SEED
from combgrad.data.base import Place
from combgrad.data.batch_plans import BatchPlan, Fresh
from combgrad.data.batches import Column
from combgrad.data.datamodule import (
    TensorDataModule,
    check_collection,
    check_url,
    check_whole,
    user_path,
)
from combgrad.data.files.pictures import all_pixels
from combgrad.data.frozen import checked_backbone
from combgrad.data.matching.appearance import (
    Appearance,
    Described,
    Pixels,
    ShapeContexts,
    described_by,
)
from combgrad.data.matching.batches import (
    Endless,
    Listed,
    Numbered,
    PairBatches,
)
from combgrad.data.matching.marked import Collection, KeyPointSet
from combgrad.data.matching.pairs import GivenPairs
from combgrad.data.splits import SPLITS
from combgrad.networks.backbones import Backbone


class KeyPointPairs(TensorDataModule):
    """Pairs of pictures whose marked points are to be matched.

    A batch has `points` (B, 2, N, 2) float32, (x, y) in pixels of pictures at 256 x 256, 0 at
    padding, `present` (B, 2, N) bool, `edges` (B, 2, E, 2) int64, directed edges by the numbers of
    their nodes, -1 at padding, `target` (B, N, N) float32, 1 where a point of the first picture
    (rows) and one of the second match, and `category` (B,) int64, into `categories`. Beside these
    it has either `images` (B, 2, 3, 256, 256) uint8 or `features` (B, 2, N, C) and `whole`
    (B, 2, G) float32: those of a frozen backbone, those that came with the set, or shape contexts
    of the points. N and E are the most of the batch; points come in random order.

    A training pair depends on `order_seed`, epoch and its place in it alone: the category is drawn
    first, each as likely as the other, then two of its pictures, or one of the pairs that the set
    gives. The pairs of validation and test are always the same. A set without a validation split
    validates on the test's pairs.

    Args:
        collection: the set of key points.
        train_size: pairs of an epoch.
        eval_size: pairs of each category, for validation and test each; of given ones at most.
        batch_size: pairs of a training step, over all processes.
        seed: of the choice of pairs for validation and test, and of the order of their points.
        order_seed: of the training pairs.
        common_points: whether only points are shown that are marked in both pictures; where not, a
            point may match nothing, and its row or column of the target is 0.
        geometry_only: whether features are made of the points, though there are pictures.
        backbone: makes features of the pictures where it is frozen; else, and where it is None,
            batches have the pictures.
        path: the folder that holds the set.
        url: the address of the set's archive, for sets that have one archive.
        cache: folder for decoded pictures and features, or None to have them in memory.
        workers: processes that put pairs together, beside the one that trains.

    Raises ValueError for a setting that cannot be; `setup` and `data_fingerprint` raise
    DataFileError or DownloadError where the files are not right.
    """

    eval_batch_size = 100

    def __init__(
        self,
        collection: KeyPointSet,
        train_size: int = 16_000,
        eval_size: int = 1_000,
        batch_size: int = 8,
        seed: int = 0,
        order_seed: int = 0,
        common_points: bool = True,
        geometry_only: bool = False,
        backbone: Backbone | None = None,
        path: str | None = None,
        url: str | None = None,
        cache: str | None = None,
        workers: int = 0,
    ) -> None:
        super().__init__(train_size, eval_size, batch_size, order_seed, workers)
        check_whole("seed", seed, 0, LARGEST_SEED)
        check_set(collection, url)
        check_url(url, collection.source)
        for name, value in (("common_points", common_points), ("geometry_only", geometry_only)):
            if not isinstance(value, bool):
                raise ValueError(f"data.{name} is {value!r}; give true or false.")
        self.set, self.seed, self.source = collection, seed, collection.source
        self.common_points, self.geometry_only = common_points, geometry_only
        self.backbone = checked_backbone(backbone)
        self.files = Place(user_path(path), url, user_path(cache, "cache"))
        if self.source == "original":
            self.files.check_given(collection, "key-points")
        self._collection: Collection | None = None
        self._appearance: Appearance | None = None

    @property
    def collection(self) -> Collection:
        """The pictures with their points and the pairs of each split, read once."""
        if self._collection is None:
            self._collection = read_once(self.set, self.files)
        return self._collection

    @property
    def categories(self) -> tuple[str, ...]:
        """The names of the categories."""
        return self.collection.categories

    @property
    def validates_on_test(self) -> bool:
        """Whether validation and test are the same pairs."""
        return "val" not in self.collection.splits

    @property
    def data_fingerprint(self) -> str:
        """Changes whenever points or pairs do; says at once that a file is missing."""
        return self.set.mark() or self.collection.fingerprint()

    def setup(self, stage: str | None = None) -> None:
        """Read the set and what its pictures look like, once."""
        del stage
        if self._appearance is None:
            self._appearance = self._look()
            # Pictures are large, and those of many pairs would not fit into memory.
            if isinstance(self._appearance, Pixels):
                self.eval_batch_size = 1

    def _look(self) -> Appearance:
        marked, cache = self.collection.marked, self.files.cache
        if self.geometry_only or self.set.only_points:
            return ShapeContexts(marked.points)
        if marked.features is not None and marked.whole is not None:
            return Described(marked.features, marked.whole)
        assert marked.files is not None
        pixels = all_pixels(marked.files, cache)
        if self.backbone is None or not self.backbone.frozen:
            return Pixels(pixels)
        return described_by(self.backbone, marked, pixels, cache)

    def columns(self, split: str) -> Mapping[str, Column]:
        """Which two pictures each pair of a split has and their category; of the first epoch."""
        table = self.table(split)
        pairs = [table.pair(number) for number in range(len(table))]
        return {
            "pictures": torch.tensor([(pair.first, pair.second) for pair in pairs]),
            "category": torch.tensor([pair.category for pair in pairs]),
        }

    def photographs(self, split: str, numbers: Sequence[int]) -> np.ndarray | None:
        """The pictures (N, 2, 256, 256, 3) uint8 of pairs, or None where the set has none."""
        files = self.collection.marked.files
        if files is None:
            return None
        table = self.table(split)
        pairs = [table.pair(number) for number in numbers]
        shown = [[files[n].pixels() for n in (pair.first, pair.second)] for pair in pairs]
        return np.array(shown).transpose(0, 1, 3, 4, 2)

    def _own(self, split: str) -> str:
        """The split whose pairs a split has."""
        return "test" if split == "val" and self.validates_on_test else split

    def _seed(self, split: str) -> tuple[int, int]:
        seed = self.order_seed if split == "train" else self.seed
        return seed, SPLITS.index(self._own(split))

    def _fixed(self, split: str) -> GivenPairs:
        """The pairs of validation or test."""
        return self.collection.splits[self._own(split)].fixed(self.eval_size, self._seed(split))

    def table(self, split: str) -> PairBatches:
        """Answers the numbers of pairs with a batch; of training pairs any number is one."""
        if self._appearance is None:
            raise RuntimeError("setup() must be called before batches are asked for")
        marked, pool = self.collection.marked, self.collection.splits[self._own(split)]
        if split == "train":
            pairs: Numbered = Endless(pool, self.train_size)
        else:
            pairs = Listed(self._fixed(split))
        return PairBatches(marked, pairs, self._appearance, self._seed(split), self.common_points)

    def train_plan(self, rows: int) -> BatchPlan:
        """Pairs that are new in every epoch."""
        return Fresh(rows, self.batch_size)


@lru_cache(maxsize=4)
def read_once(collection: KeyPointSet, place: Place) -> Collection:
    """What a set holds, read once by a process: the 71,000 files of SPair take ten seconds."""
    return collection.read(place)


def check_set(collection: KeyPointSet, url: object) -> None:
    """Raise ValueError for settings that do not go together with the set of key points."""
    check_collection(collection, KeyPointSet, "key points", "data=synthetic")
    if url is not None and not collection.one_archive and collection.source == "original":
        raise ValueError(
            f"data.url is given, and {type(collection).__name__} has no archive of its own to "
            f"download; leave it out."
        )
