"""Decisions by tomorrow's electricity prices, by the half hour: what to pack, and what to run when.

The days are in their order: of the first 552, as published for training, the last 100 are for
validation, and all days after them for the test.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from combgrad.arguments import check_count
from combgrad.data.base import Place
from combgrad.data.datamodule import check_whole
from combgrad.data.decisions.problems import DecisionSet, part_of
from combgrad.data.energy import generated
from combgrad.data.energy.files import (
    ARCHIVE,
    ARCHIVE_SHA256,
    ITEMS,
    ITEMS_SHA256,
    LOAD_DAYS,
    LOADS,
    Items,
    load_days,
    load_items,
    load_load,
)
from combgrad.data.energy.loads import Load
from combgrad.data.energy.prices import FEATURES, SLOTS, Days
from combgrad.data.files.known import checked_sha256
from combgrad.data.files.npy import REMEDY, DataFileError
from combgrad.data.splits import fingerprint
from combgrad.solvers import EnergyScheduling, Knapsack, Solver

#: Part of every fingerprint; raise it when the same files give other rows.
VERSION = 1

#: Days of each split, in their order.
SIZES = {"train": 452, "val": 100, "test": 237}
DAYS, FIRST = sum(SIZES.values()), SIZES["train"] + SIZES["val"]


def items_file(place: Place) -> Path:
    """Where the knapsacks lie; DataFileError where they do not."""
    return place.look_for(ITEMS, "the set of knapsacks")


def archive(place: Place) -> Path:
    """Where prices and scheduling instances lie; DataFileError where they do not."""
    return place.look_for(ARCHIVE, "the set of schedules")


def check_days(file: Path, days: int, first: int) -> None:
    """DataFileError for a file of other days, which would come into the wrong splits."""
    if (days, first) != (DAYS, FIRST):
        raise DataFileError(
            f"{file}: has {days} days, the first {first} of them for training; the set has {DAYS}, "
            f"of which the first {FIRST} are. {REMEDY}"
        )


def standardised(features: np.ndarray) -> np.ndarray:
    """Features (D, 48, F) less their mean, by their deviation, both of the days for training."""
    known = features[part_of("train", SIZES)]
    mean, deviation = known.mean(axis=(0, 1)), known.std(axis=(0, 1))
    found: np.ndarray = (features - mean) / np.where(deviation > 0, deviation, 1.0)
    return found


@dataclass(frozen=True)
class EnergyKnapsack(DecisionSet):
    """Half hours of a day as items of 3, 5 or 7 units, of which a knapsack takes the most valuable.

    A half hour is worth its price times its weight, with noise, as published. Its nine features are
    the eight standardised ones of the price, times the weight by the mean weight, and the weight,
    standardised: one linear map for all half hours can predict a price, times the known weight.
    Source: Mandi, Demirovic, Stuckey and Guns, Smart Predict-and-Optimize for Hard Combinatorial
    Optimization Problems, AAAI 2020, whose published files these are.

    Args:
        capacity: units of the knapsack; all items together weigh 240.

    Raises ValueError for a capacity that cannot be.
    """

    capacity: int = 60

    source: ClassVar[str] = "original"
    free: ClassVar[str] = "data=pto_energy_stand_in"

    def __post_init__(self) -> None:
        check_count("capacity", self.capacity, "data.collection")

    @property
    def feature_shape(self) -> tuple[int, ...]:
        """(48, 9)."""
        return (SLOTS, len(FEATURES) + 1)

    @property
    def cost_shape(self) -> tuple[int, ...]:
        """(48,)."""
        return (SLOTS,)

    def solver(self) -> Solver:
        """The most valuable knapsack."""
        return Knapsack(None, self.capacity)

    def items(self, place: Place) -> Items:
        """The items of all days; raises DataFileError."""
        file = items_file(place)
        items = load_items(file)
        check_days(file, len(items.values), items.published_for_training)
        return items

    def available(self, place: Place) -> Mapping[str, int]:
        """Days of each split."""
        del place
        return SIZES

    def rows(self, place: Place, split: str, sizes: Mapping[str, int]) -> dict[str, np.ndarray]:
        """The first days of a split, with the weights of the items."""
        items = self.items(place)
        part = part_of(split, SIZES)
        weights = np.broadcast_to(items.weights, items.values.shape)
        mean, deviation = items.weights.mean(), items.weights.std() or 1.0
        share, offset = weights[:, :, None] / mean, (weights[:, :, None] - mean) / deviation
        features = np.concatenate([standardised(items.features) * share, offset], axis=2)
        rows = {
            "features": features[part],
            "true_costs": -items.values[part],
            "weights": weights[part],
        }
        return {name: array[: sizes[split]] for name, array in rows.items()}

    def fingerprint(self, place: Place) -> str:
        """Of the file."""
        digest = checked_sha256(items_file(place), ITEMS_SHA256)
        return fingerprint("energy knapsack", VERSION, digest)


@dataclass(frozen=True)
class EnergyKnapsackStandIn(EnergyKnapsack):
    """The same with made-up days, for those who have no files."""

    source: ClassVar[str] = "stand-in"

    def items(self, place: Place) -> Items:
        """Made-up items."""
        del place
        return generated.made_items()

    def fingerprint(self, place: Place) -> str:
        """Of the generator."""
        del place
        return fingerprint("energy knapsack made up", VERSION, generated.VERSION)


@dataclass(frozen=True)
class EnergySchedules(DecisionSet):
    """The tasks of a day on machines, when energy is cheap: ICON's energy-cost aware scheduling.

    Costs are the prices of the 48 half hours in euro a MWh, a solution is the energy used in each,
    in MWh, features are the eight of each half hour, standardised. All days have the same tasks, of
    one published instance. Sources: Simonis et al., CSPLib problem 059; Mandi et al., AAAI 2020,
    who leave out the costs of idling and switching too.

    Args:
        load: 1 to 8, of the published instances: 10 tasks on 3 machines to 50 on 10.
        day: 1 to 14, of that load.

    Raises ValueError for a load that cannot be.
    """

    load: int = 1
    day: int = 1

    source: ClassVar[str] = "original"
    free: ClassVar[str] = "data=pto_energy_scheduling_stand_in"
    whole: ClassVar[bool] = False

    def __post_init__(self) -> None:
        check_whole("collection.load", self.load, 1, LOADS)
        check_whole("collection.day", self.day, 1, LOAD_DAYS)

    @property
    def feature_shape(self) -> tuple[int, ...]:
        """(48, 8)."""
        return (SLOTS, len(FEATURES))

    @property
    def cost_shape(self) -> tuple[int, ...]:
        """(48,)."""
        return (SLOTS,)

    def solver(self) -> Solver:
        """The cheapest schedule."""
        return EnergyScheduling()

    def days(self, place: Place) -> Days:
        """All days; raises DataFileError."""
        file = archive(place)
        days = load_days(file)
        check_days(file, len(days.prices), FIRST)
        return days

    def schedule(self, place: Place) -> Load:
        """What is to run on each; raises DataFileError."""
        return load_load(archive(place), self.load, self.day)

    def available(self, place: Place) -> Mapping[str, int]:
        """Days of each split."""
        del place
        return SIZES

    def rows(self, place: Place, split: str, sizes: Mapping[str, int]) -> dict[str, np.ndarray]:
        """The first days of a split, with the tasks and machines of each."""
        days, load = self.days(place), self.schedule(place)
        part, count = part_of(split, SIZES), len(days.prices)
        rows = {
            "features": standardised(days.features)[part],
            "true_costs": days.prices[part],
            "tasks": np.broadcast_to(load.tasks, (count, *load.tasks.shape))[part],
            "capacities": np.broadcast_to(load.capacities, (count, *load.capacities.shape))[part],
        }
        return {name: array[: sizes[split]] for name, array in rows.items()}

    def fingerprint(self, place: Place) -> str:
        """Of the file, and of the tasks that are chosen."""
        digest = checked_sha256(archive(place), ARCHIVE_SHA256)
        return fingerprint("energy schedules", VERSION, self.load, self.day, digest)


@dataclass(frozen=True)
class EnergySchedulesStandIn(EnergySchedules):
    """The same with made-up days and tasks, ten on three machines, for those who have no files.

    Args:
        load: its number is that of other tasks.
        day: likewise.
    """

    source: ClassVar[str] = "stand-in"

    def days(self, place: Place) -> Days:
        """Made-up days."""
        del place
        return generated.made_days()

    def schedule(self, place: Place) -> Load:
        """Made-up tasks."""
        del place
        return generated.made_load(3, 10, seed=LOAD_DAYS * self.load + self.day + 1)

    def fingerprint(self, place: Place) -> str:
        """Of the generator, and of the tasks that are chosen."""
        del place
        made = (generated.VERSION, self.load, self.day)
        return fingerprint("energy schedules made up", VERSION, *made)
