"""Days of prices that are made up, in the form of the published ones: a stand-in.

Prices have a trough at night and a peak in the evening, more on working days and in winter, less
with wind; what is forecast of load, wind and price is right but for noise.
"""

import numpy as np

from combgrad.data.energy.files import Items
from combgrad.data.energy.loads import Load
from combgrad.data.energy.prices import SLOTS, Days

#: Part of every fingerprint; raise it when other numbers are made.
VERSION = 1

#: Days that there are, and how many of them are the first part, as published.
DAYS, FIRST = 789, 552

#: Of the items, sixteen times each.
WEIGHTS = (3, 5, 7)

#: Noise of an item's value, and of a price that was forecast, in deviations.
VALUE_NOISE, FORECAST_NOISE = 40.0, 12.0


def made_days() -> Days:
    """All days, with the features that `FEATURES` names."""
    random = np.random.default_rng([20131231, VERSION])
    day, hour = np.arange(DAYS)[:, None], np.arange(SLOTS)[None, :] / 2
    weekday = (day + 1) % 7
    week = (day // 7 + 43) % 52 + 1
    holiday = (random.random((DAYS, 1)) < 0.03).astype(np.float64)
    wind = np.clip(450 + 300 * _walk(random, DAYS * SLOTS, 0.98).reshape(DAYS, SLOTS), 5, None)
    working = 1.0 - 0.12 * ((weekday == 0) | (weekday == 6)) - 0.08 * holiday
    winter = np.cos(2 * np.pi * (week - 2) / 52)
    load = working * (3000 + 350 * winter + 900 * _shape(hour))
    surge = np.maximum(_walk(random, DAYS, 0.6), 0.0)[:, None] * 25 * _bump(hour, 17.5, 1.5)
    price = 20 + 0.018 * load - 0.012 * wind + 10 * _bump(hour, 17.5, 1.5) + surge
    price = np.maximum(price + 6 * random.standard_normal(price.shape), 0.0)
    features = np.stack(
        [
            holiday + 0 * hour,
            weekday + 0 * hour,
            week + 0 * hour,
            (week - 1) * 12 // 52 + 1 + 0 * hour,
            wind * (1 + 0.1 * random.standard_normal(wind.shape)),
            load * (1 + 0.02 * random.standard_normal(load.shape)),
            price + FORECAST_NOISE * random.standard_normal(price.shape),
            600 - 0.25 * wind + 20 * random.standard_normal(wind.shape),
        ],
        axis=2,
    )
    return Days([f"day {number}" for number in range(DAYS)], features, price)


def made_items() -> Items:
    """The half hours of all days as items, worth their price times their weight, with noise."""
    days = made_days()
    random = np.random.default_rng([3, 5, 7, VERSION])
    weights = random.permutation(np.repeat(WEIGHTS, SLOTS // len(WEIGHTS)))
    noise = VALUE_NOISE * random.standard_normal(days.prices.shape)
    return Items(days.features, np.maximum(weights * days.prices + noise, 0.0), weights, FIRST)


def made_load(machines: int, tasks: int, seed: int) -> Load:
    """Tasks with windows of up to a day, and machines with room for each task alone at least."""
    random = np.random.default_rng([seed, machines, tasks, VERSION])
    length = random.integers(1, 21, tasks)
    earliest = random.integers(0, SLOTS - length)
    latest = earliest + length + random.integers(1, SLOTS - length - earliest + 1)
    power = random.uniform(20, 750, tasks)
    use = np.rint(5.5 * power)
    table = np.stack([length, earliest, latest, power / 2 / 1000, use], axis=1).astype(np.float64)
    return Load(table, np.rint(random.uniform(5300, 5600, (machines, 1))))


def _walk(random: np.random.Generator, count: int, memory: float) -> np.ndarray:
    """Numbers (count,) of mean 0 and deviation 1, each near the one before."""
    steps = np.sqrt(1 - memory**2) * random.standard_normal(count)
    walk = np.empty(count)
    last = 0.0
    for index in range(count):
        last = memory * last + steps[index]
        walk[index] = last
    return walk


def _bump(hour: np.ndarray, centre: float, width: float) -> np.ndarray:
    return np.exp(-(((hour - centre) / width) ** 2))


def _shape(hour: np.ndarray) -> np.ndarray:
    """How demand goes through the day, about 0 at night and 1 in the evening."""
    return 0.75 / (1 + np.exp(-(hour - 7))) - 0.5 * _bump(hour, 24, 3) + 0.35 * _bump(hour, 18, 2)
