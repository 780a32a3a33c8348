"""Where Globe TSP comes from: flags drawn here or given as pictures, or the published set."""

import warnings
from abc import abstractmethod
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch

from combgrad.data.base import Source
from combgrad.data.globe import countries as country_sets
from combgrad.data.globe.countries import Countries
from combgrad.data.globe.instances import GENERATOR_VERSION, Instances, Recipe, generate_cached
from combgrad.data.globe.original import PUBLISHED, OriginalGlobe, load_original
from combgrad.data.globe.sphere import Distance
from combgrad.data.splits import SPLITS, fingerprint, sha256_of
from combgrad.solvers.edges import matrix_to_edges


@dataclass(frozen=True)
class Asked:
    """Which instances are asked for, and where files are and go."""

    cities: int
    seed: int
    distance: Distance
    path: Path | None
    url: str | None
    cache: Path | None

    def mark(self, name: str, countries: Countries) -> str:
        """The fingerprint of instances that are generated for these countries."""
        flags, lonlat = countries.flags, countries.lonlat
        return fingerprint(
            name, flags, lonlat, self.cities, GENERATOR_VERSION, self.distance, self.seed
        )

    def instances(self, countries: Countries, split: str, count: int) -> Instances:
        """The first `count` instances that are generated for a split."""
        recipe = Recipe(self.cities, count, self.seed, split, self.distance)
        return generate_cached(self.cache, countries.lonlat, recipe)


class Generated(Source):
    """Instances that are generated for some flags and capitals, which a subclass has."""

    def __init__(self, asked: Asked) -> None:
        self.asked = asked

    @property
    @abstractmethod
    def countries(self) -> Countries:
        """The flags and capitals."""

    @property
    def fingerprint(self) -> str:
        """Of flags, capitals and what decides the instances; generates none."""
        return self.asked.mark(self.name, self.countries)

    def instances(self, split: str, count: int) -> Instances:
        """The first `count` instances of a split."""
        return self.asked.instances(self.countries, split, count)


class Regenerated(Generated):
    """Flags drawn here, and instances with their shortest tours."""

    name = "regenerated"
    choice = "data.source=regenerated"

    @cached_property
    def countries(self) -> Countries:
        """The flags and capitals."""
        return country_sets.regenerated()


class Pictures(Generated):
    """Flags from an npz at `path`, and instances as those of `Regenerated`."""

    name = "pictures"
    choice = "data.source=pictures"
    needs = "where it lies, see docs/data.md"

    @cached_property
    def countries(self) -> Countries:
        """The flags and capitals; raises DataFileError."""
        assert self.asked.path is not None  # checked when the source was chosen
        return country_sets.pictures(self.asked.path)


class Original(Source):
    """The published folder at or below `path`, or its archive, downloaded."""

    name = "original"
    choice = "data.source=original"
    needs = "where it lies, see docs/data.md"
    downloads = True

    def __init__(self, asked: Asked) -> None:
        self.asked = asked

    @cached_property
    def published(self) -> OriginalGlobe:
        """All of one size, found and checked once; raises DataFileError or DownloadError."""
        assert self.asked.path is not None  # checked when the source was chosen
        folder = PUBLISHED.find_or_download(self.asked.path, url=self.asked.url)
        return load_original(folder, self.asked.cities)

    @property
    def countries(self) -> Countries:
        """The flags and capitals."""
        return self.published.countries

    @property
    def fingerprint(self) -> str:
        """Of flags, capitals, and all instances and tours."""
        parts = [self.published.splits[split] for split in SPLITS]
        digest = sha256_of(*(a.tobytes() for part in parts for a in (part.indices, part.tours)))
        flags, lonlat = self.countries.flags, self.countries.lonlat
        return fingerprint(self.name, flags, lonlat, self.asked.cities, digest)

    def instances(self, split: str, count: int) -> Instances:
        """The first `count` instances of a split; ValueError where there are fewer."""
        self._compare_distances()
        part = self.published.splits[split]
        everything = Instances(
            torch.from_numpy(part.indices),
            matrix_to_edges(torch.from_numpy(part.tours)).to(torch.float32),
            matrix_to_edges(torch.from_numpy(part.distances)).to(torch.float32),
        )
        return everything.first(count, split)

    def _compare_distances(self) -> None:
        kind, asked = self.published.distance_kind, self.asked.distance
        if kind != asked:
            warnings.warn(
                f"the tours of the original data were found with {kind} distances, and the model "
                f"compares {asked} distances: up to a fifth of the tours then differ. Set "
                f"data.distance where the kinds can be made to agree.",
                stacklevel=2,
            )
