"""The Globe TSP data set from one of its three sources, as a LightningDataModule."""

import hashlib
import warnings
from typing import Literal, get_args

import torch
from torch import Tensor

from combgrad.arguments import LARGEST_SEED, check_range
from combgrad.data.corruption import flip_labels
from combgrad.data.datamodule import (
    TensorDataModule,
    check_choice,
    check_url,
    check_whole,
    user_path,
)
from combgrad.data.globe import countries as country_sets
from combgrad.data.globe import original as original_set
from combgrad.data.globe.instances import (
    GENERATOR_VERSION,
    Instances,
    Recipe,
    generate_cached,
)
from combgrad.data.globe.sphere import Distance, check_distance
from combgrad.data.splits import SPLITS, fingerprint
from combgrad.solvers.edges import matrix_to_edges

Source = Literal["regenerated", "pictures", "original"]

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
        source: Source = "regenerated",
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
        check_whole("cities", cities, LEAST_CITIES, country_sets.COUNTRY_COUNT)
        check_distance(distance)
        check_choice("source", source, get_args(Source))
        check_url(url, source)
        check_whole("seed", seed, 0, LARGEST_SEED)
        if source != "regenerated" and path is None:
            raise ValueError(
                f"data.source={source} needs data.path=<where it lies>, or COMBGRAD_DATA set; "
                f"data.source=regenerated needs nothing."
            )
        self.cities, self.source, self.distance = cities, source, distance
        self.seed = seed
        self.label_probability = check_range("corruption.label_rho", label_rho, cities) / cities
        self.path = user_path(path)
        self.url = url
        self.cache = user_path(cache, "cache")
        self.instances: dict[str, Instances] = {}
        self._countries: country_sets.Countries | None = None
        self._original: original_set.OriginalGlobe | None = None

    @property
    def countries(self) -> country_sets.Countries:
        """The flags and capitals, read once."""
        if self._countries is None:
            self._countries = self._read_countries()
        return self._countries

    @property
    def flags(self) -> Tensor:
        """The flags (C, 20, 40, 3) uint8 that `cities` points into."""
        return torch.tensor(self.countries.flags)

    @property
    def data_fingerprint(self) -> str:
        """Changes whenever the data of a run could; cheap, generates nothing."""
        common = (self.source, self.countries.flags, self.countries.lonlat, self.cities)
        if self._original is not None:
            return fingerprint(*common, self._original_digest())
        return fingerprint(*common, GENERATOR_VERSION, self.distance, self.seed)

    def _read_countries(self) -> country_sets.Countries:
        if self.source == "regenerated":
            return country_sets.regenerated()
        assert self.path is not None  # checked at construction
        if self.source == "pictures":
            return country_sets.pictures(self.path)
        folder = original_set.PUBLISHED.find_or_download(self.path, url=self.url)
        self._original = original_set.load_original(folder, self.cities)
        return self._original.countries

    def _original_digest(self) -> str:
        assert self._original is not None
        digest = hashlib.sha256()
        for split in SPLITS:
            part = self._original.splits[split]
            digest.update(part.indices.tobytes() + part.tours.tobytes())
        return digest.hexdigest()

    def _size(self, split: str) -> int:
        return self.train_size if split == "train" else self.eval_size

    def _load(self, split: str) -> Instances:
        lonlat = self.countries.lonlat
        if self._original is None:
            count = self._size(split)
            recipe = Recipe(self.cities, count, self.seed, split, self.distance)
            return generate_cached(self.cache, lonlat, recipe)
        part = self._original.splits[split]
        everything = Instances(
            torch.from_numpy(part.indices),
            matrix_to_edges(torch.from_numpy(part.tours)).to(torch.float32),
            matrix_to_edges(torch.from_numpy(part.distances)).to(torch.float32),
        )
        return everything.first(self._size(split), split)

    def setup(self, stage: str | None = None) -> None:
        """Read or generate all splits once, and flip training labels where asked to."""
        del stage
        if self.instances:
            return
        for split in SPLITS:
            self.instances[split] = self._load(split)
        if self._original is not None and self._original.distance_kind != self.distance:
            warnings.warn(
                f"the tours of the original data were found with {self._original.distance_kind} "
                f"distances, and the model compares {self.distance} distances: up to a fifth of "
                f"the tours then differ. Set data.distance where the kinds can be made to agree.",
                stacklevel=2,
            )
        if self.label_probability > 0:
            train = self.instances["train"]
            generator = torch.Generator().manual_seed(self.order_seed)
            flipped = flip_labels(train.target, self.label_probability, generator)
            self.instances["train"] = Instances(train.cities, flipped, train.true_costs)

    def columns(self, split: str) -> dict[str, Tensor]:
        """The instances of a split."""
        return self.instances[split].columns()
