"""The Globe TSP data set from one of its three sources, as a LightningDataModule."""

from typing import Literal

import torch
from torch import Tensor

from combgrad.arguments import LARGEST_SEED, check_range
from combgrad.data.corruption import flip_labels
from combgrad.data.datamodule import (
    TensorDataModule,
    check_whole,
    choose,
    user_path,
)
from combgrad.data.globe.countries import COUNTRY_COUNT, Countries
from combgrad.data.globe.instances import Instances
from combgrad.data.globe.sources import Asked, Original, Pictures, Regenerated
from combgrad.data.globe.sphere import Distance, check_distance
from combgrad.data.splits import SPLITS

SourceName = Literal["regenerated", "pictures", "original"]
SOURCES: tuple[type[Regenerated | Pictures | Original], ...] = (Regenerated, Pictures, Original)

#: Fewer make no tour.
LEAST_CITIES = 3


class GlobeTSP(TensorDataModule):
    """Instances of k capitals out of 100 countries, with their flags and shortest tours.

    A batch has `cities` (B, k) int64 into the flags, `target` (B, E) float32 0/1 and `true_costs`
    (B, E) float32, E = k(k-1)/2. `flags` is (C, 20, 40, 3) uint8 and `lonlat` (C, 2) in degrees.

    Args:
        cities: k, the number of cities of an instance, 3 to 100.
        source: `regenerated` draws flags itself, `pictures` takes them from an npz at `path`,
            `original` reads the published folder at or below `path`, or downloads it from `url`.
        distance: `chord` or `great_circle`; labels and model must use the same one.
        train_size, eval_size: instances for training, and each for validation and test.
        batch_size: instances of a training step, over all processes.
        seed: of the generated instances.
        order_seed: of the training order and of flipped labels.
        label_rho: each training label is flipped with probability rho/k, once (A-32).
        cache: folder for generated instances, or None.

    Raises ValueError for a setting that cannot be.
    """

    def __init__(
        self,
        cities: int,
        source: SourceName = "regenerated",
        distance: Distance = "chord",
        train_size: int = 10_000,
        eval_size: int = 1_000,
        batch_size: int = 50,
        seed: int = 0,
        order_seed: int = 0,
        label_rho: float = 0.0,
        path: str | None = None,
        url: str | None = None,
        cache: str | None = None,
    ) -> None:
        super().__init__(train_size, eval_size, batch_size, order_seed)
        check_whole("cities", cities, LEAST_CITIES, COUNTRY_COUNT)
        check_distance(distance)
        check_whole("seed", seed, 0, LARGEST_SEED)
        chosen = choose(SOURCES, source, path, url)
        self.cities, self.source, self.distance = cities, source, distance
        self.seed = seed
        self.label_probability = check_range("corruption.label_rho", label_rho, cities) / cities
        self.url = url
        places = user_path(path), url, user_path(cache, "cache")
        self.origin = chosen(Asked(cities, seed, distance, *places))
        self.instances: dict[str, Instances] = {}

    @property
    def countries(self) -> Countries:
        """The flags and capitals, read once."""
        return self.origin.countries

    @property
    def flags(self) -> Tensor:
        """The flags (C, 20, 40, 3) uint8 that `cities` points into."""
        return torch.tensor(self.countries.flags)

    @property
    def data_fingerprint(self) -> str:
        """Changes whenever the data of a run could; cheap, generates nothing."""
        return self.origin.fingerprint

    def setup(self, stage: str | None = None) -> None:
        """Read or generate all splits once, and flip training labels where asked to."""
        del stage
        if self.instances:
            return
        for split in SPLITS:
            self.instances[split] = self.origin.instances(split, self._size(split))
        if self.label_probability > 0:
            train = self.instances["train"]
            generator = torch.Generator().manual_seed(self.order_seed)
            flipped = flip_labels(train.target, self.label_probability, generator)
            self.instances["train"] = Instances(train.cities, flipped, train.true_costs)

    def columns(self, split: str) -> dict[str, Tensor]:
        """The instances of a split."""
        return self.instances[split].columns()
