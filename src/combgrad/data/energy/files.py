"""The published files on Irish electricity: `ICON_data.zip` and `Data.npz`."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from combgrad.data.energy.loads import Load, read_load
from combgrad.data.energy.prices import FEATURES, SLOTS, Days, read_prices
from combgrad.data.files.members import load_npz, read_members
from combgrad.data.files.npy import REMEDY, DataFileError

PRICES = "data/prices2013.dat"

#: Scheduling instances of each number of tasks and machines.
LOADS, LOAD_DAYS = 8, 14

#: More than the published files take once they are unpacked.
LIMIT_BYTES = 50 * 10**6

ARCHIVE = ("energy/ICON_data.zip", "ICON_data.zip")
ARCHIVE_SHA256 = "3ea0ecf68627d74f16e41b07c4a1a38fcd86e0e3477724e501a2aadd7ea94147"

ITEMS = ("energy/Data.npz", "Data.npz")
ITEMS_SHA256 = "7b512a53d6568af4a5c9b4d600086dc7acf49903d67bd434a05ce55bd828e07e"


class Items(NamedTuple):
    """The half hours of D days as the items of knapsacks.

    Attributes:
        features: (D, 48, 8) float64, named FEATURES, which tell of the price.
        values: (D, 48) float64, the price times the weight, with noise, at least 0.
        weights: (48,) int64, the same for all days.
        published_for_training: how many of the days, the first ones, were published as such.
    """

    features: np.ndarray
    values: np.ndarray
    weights: np.ndarray
    published_for_training: int


def load_days(archive: Path) -> Days:
    """The days of `ICON_data.zip` with their prices; raises DataFileError."""
    return read_prices(_text(archive, PRICES), f"{archive}, {PRICES}")


def load_load(archive: Path, load: int, day: int) -> Load:
    """A scheduling instance of `ICON_data.zip`, such as load1/day01.txt; raises DataFileError."""
    name = f"load{load}/day{day:02d}.txt"
    return read_load(_text(archive, name), f"{archive}, {name}")


def _text(archive: Path, name: str) -> str:
    return read_members(archive, [name], LIMIT_BYTES)[name].decode("latin1")


def load_items(path: Path) -> Items:
    """The knapsack data of `Data.npz`; raises DataFileError."""
    rows = (None, 1 + len(FEATURES))
    found = load_npz(
        path,
        {
            **{f"X_1g{part}": (rows, "iuf") for part in ("train", "test")},
            **{f"y_{part}": ((None,), "iuf") for part in ("train", "test")},
            "weights": ((SLOTS,), "iu"),
        },
        LIMIT_BYTES,
    )
    features = np.concatenate([found["X_1gtrain"], found["X_1gtest"]]).astype(np.float64)
    values = np.concatenate([found["y_train"], found["y_test"]]).astype(np.float64)
    known, weights = len(found["y_train"]), found["weights"].astype(np.int64)
    days = np.repeat(np.arange(len(values) // SLOTS), SLOTS)
    if not (len(values) % SLOTS == known % SLOTS == 0 and len(features) == len(values) > 0):
        raise DataFileError(
            f"{path}: has {len(features)} half hours with features and {len(values)} with values, "
            f"{known} of them for training; they must be as many, of whole days. {REMEDY}"
        )
    # The first column is the number of the day.
    if not (np.array_equal(features[:, 0], days) and np.isfinite(features).all()):
        raise DataFileError(f"{path}: the half hours are not those of one day after another, or "
                            f"their features are not finite. {REMEDY}")  # fmt: skip
    if not (np.isfinite(values).all() and (weights > 0).all()):
        raise DataFileError(f"{path}: has values that are not finite, or weights below 1. {REMEDY}")
    return Items(
        features[:, 1:].reshape(-1, SLOTS, len(FEATURES)),
        values.reshape(-1, SLOTS),
        weights,
        known // SLOTS,
    )
