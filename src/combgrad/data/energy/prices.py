"""Half-hourly prices of the Irish market, 2011 to 2013, as text: the file `prices2013.dat`.

Source: the ICON challenge on forecasting and scheduling, prices of SEMO; Ifrim, O'Sullivan and
Simonis, Properties of energy-price forecasts for scheduling, CP 2012.
"""

import re
from typing import NamedTuple

import numpy as np

from combgrad.data.files.npy import REMEDY, DataFileError

SLOTS = 48

#: The columns of numbers, after the date and the holiday.
COLUMNS = (
    *("HolidayFlag", "DayOfWeek", "WeekOfYear", "Day", "Month", "Year", "PeriodOfDay"),
    *("ForecastWindProduction", "SystemLoadEA", "SMPEA", "ORKTemperature", "ORKWindspeed"),
    *("CO2Intensity", "ActualWindProduction", "SystemLoadEP2", "SMPEP2"),
)

#: What is known before the day, as the published knapsack data have it.
FEATURES = (
    *("HolidayFlag", "DayOfWeek", "WeekOfYear", "Month"),
    *("ForecastWindProduction", "SystemLoadEA", "SMPEA", "CO2Intensity"),
)

PRICE = "SMPEP2"

#: The feature whose few gaps are filled, linearly; a day with any other gap is left out. One of its
#: gaps is a 0, which this feature never is.
MENDED = "CO2Intensity"

_ROW = re.compile(r'"\w+ (\d+/\d+/\d+) \d\d:\d\d" "[^"]*" +(.*)')


class Days(NamedTuple):
    """D days of 48 half hours.

    Attributes:
        dates: of the days, as `31/12/2013`.
        features: (D, 48, 8) float64, named FEATURES.
        prices: (D, 48) float64, in euro a MWh.
    """

    dates: list[str]
    features: np.ndarray
    prices: np.ndarray


def read_prices(text: str, name: str) -> Days:
    """The whole days of the file's text, in its order; raises DataFileError with `name`."""
    rows, dates = [], []
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("#") or not line.strip():
            continue
        found = _ROW.fullmatch(line.strip())
        try:
            values = [float(value) for value in found[2].split()] if found else []
        except ValueError:
            values = []
        if found is None or len(values) != len(COLUMNS):
            raise DataFileError(
                f"{name}, line {number}: is no quoted date and holiday with {len(COLUMNS)} numbers "
                f"after them. {REMEDY}"
            )
        dates.append(found[1])
        rows.append(values)
    table = np.array(rows, dtype=np.float64).reshape(-1, len(COLUMNS))
    if not len(table) or len(table) % SLOTS:
        raise DataFileError(f"{name}: has {len(table)} half hours, no whole days. {REMEDY}")
    days = table.reshape(-1, SLOTS, len(COLUMNS))
    _check_order(days, dates, name)
    return _whole(days, dates[::SLOTS])


def _check_order(days: np.ndarray, dates: list[str], name: str) -> None:
    """DataFileError unless each day has its half hours in order."""
    right = (days[:, :, COLUMNS.index("PeriodOfDay")] == np.arange(SLOTS)).all(axis=1)
    right &= [len({*dates[i : i + SLOTS]}) == 1 for i in range(0, len(dates), SLOTS)]
    if not right.all():
        first = int((~right).argmax())
        raise DataFileError(
            f"{name}: the half hours of the day {dates[first * SLOTS]} are not 0 to 47 in order. "
            f"{REMEDY}"
        )


def _whole(days: np.ndarray, dates: list[str]) -> Days:
    """The days without gaps, but for those that are mended."""
    features = days[:, :, [COLUMNS.index(name) for name in FEATURES]]
    prices = days[:, :, COLUMNS.index(PRICE)]
    mended = FEATURES.index(MENDED)
    needed = np.delete(features, mended, axis=2)
    kept = np.isfinite(needed).all(axis=(1, 2)) & np.isfinite(prices).all(axis=1)
    kept &= (features[:, :, mended] > 0).any(axis=1)
    features, prices = features[kept], prices[kept]
    places = np.arange(SLOTS)
    for day in features:
        there = day[:, mended] > 0
        day[:, mended] = np.interp(places, places[there], day[there, mended])
    return Days([date for date, keep in zip(dates, kept, strict=True) if keep], features, prices)
