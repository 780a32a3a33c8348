"""Electricity prices and what is decided by them: files, splits, and the stand-in."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.optimize import LinearConstraint, milp

from archive_files import write_zip
from combgrad.data.base import Place
from combgrad.data.decisions.datamodule import Decisions
from combgrad.data.energy import generated
from combgrad.data.energy.files import load_days, load_items, load_load
from combgrad.data.energy.loads import read_load
from combgrad.data.energy.prices import COLUMNS, FEATURES, read_prices
from combgrad.data.energy.sets import (
    SIZES,
    EnergyKnapsack,
    EnergyKnapsackStandIn,
    EnergySchedules,
    EnergySchedulesStandIn,
)
from combgrad.data.files.npy import DataFileError
from combgrad.solvers import EnergyScheduling
from combgrad.solvers.spending import spent

REAL = Path(os.environ.get("COMBGRAD_DATA", "nowhere")) / "energy"
real = pytest.mark.skipif(not REAL.is_dir(), reason="COMBGRAD_DATA has no energy")


def text(days, gaps=()):
    """Days in the published form: every number tells its day, half hour and column."""
    lines = ["#DateTime Holiday " + " ".join(COLUMNS)]
    for day in range(days):
        for slot in range(48):
            values = [f"{1000 * day + slot + column / 100:.2f}" for column in range(16)]
            values[6] = str(slot)
            for column in [c for d, s, c in gaps if (d, s) == (day, slot)]:
                values[column] = "NaN"
            hour = f"{slot // 2:02d}:{slot % 2 * 30:02d}"
            lines.append(f'"tue {day + 1}/11/2011 {hour}" "New Year\'s Eve" ' + "  ".join(values))
    return "\n".join(lines)


LOAD = (
    "30\n1\n2\n0 190 0.1 0.0\n50\n1 170 0.1 0.1\n60\n2\n0 10 1 25 471.40\n26\n1 23 8 47 40.0\n6\n"
)


def test_prices_are_read_by_their_column():
    days = read_prices(text(2), "here")
    assert days.dates == ["1/11/2011", "2/11/2011"]
    assert days.features.shape == (2, 48, 8)
    columns = [COLUMNS.index(name) for name in FEATURES]
    np.testing.assert_allclose(days.features[1, 3], [1003 + column / 100 for column in columns])
    np.testing.assert_allclose(days.prices[1], 1000.15 + np.arange(48))


def test_a_day_with_a_gap_is_left_out_but_for_carbon_which_is_filled():
    wind, carbon, temperature, price = (COLUMNS.index(name) for name in (
        "ForecastWindProduction", "CO2Intensity", "ORKTemperature", "SMPEP2"))  # fmt: skip
    gaps = [(0, 5, wind), (1, 7, carbon), (1, 8, carbon), (2, 0, temperature), (3, 47, price)]
    days = read_prices(text(4, gaps), "here")
    assert days.dates == ["2/11/2011", "3/11/2011"]
    np.testing.assert_allclose(days.features[0, :, 7], 1000.12 + np.arange(48))


@pytest.mark.parametrize(
    ("content", "match"),
    [
        ("", "0 half hours"),
        ("\n".join(text(1).splitlines()[:-1]), "47 half hours, no whole days"),
        (text(1).replace(" 14.00", " 14", 1) + "\nnonsense", "line 50: is no quoted date"),
        (text(1).replace("tue 1/11/2011 10:00", "tue 2/11/2011 10:00"), "1/11/2011 are not 0 to"),
    ],
)
def test_what_are_no_prices_is_named(content, match):
    with pytest.raises(DataFileError, match=f"here.*{match}"):
        read_prices(content, "here")


def test_a_load_is_read_with_energy_of_half_an_hour():
    tasks, capacities = read_load(LOAD, "here")
    np.testing.assert_allclose(
        tasks, [[10, 1, 25, 0.4714 / 2, 26], [23, 8, 47, 0.02, 6]], rtol=1e-12
    )
    assert capacities.tolist() == [[50], [60]]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("30\n1", "15\n1"),
        ("1 170", "2 170"),
        ("1 23 8", "0 23 8"),
        ("\n6\n", "\n"),
        ("\n6\n", "\n6\n7\n"),
        ("0 10 1 25", "0 30 1 25"),
        ("471.40", "much"),
        ("\n2\n0 10", "\n-2\n0 10"),
        ("\n2\n0 10", "\n1000000000000\n0 10"),
        ("30\n1\n2", "30\n1000000\n1000000"),
    ],
)
def test_what_is_no_load_is_named(old, new):
    assert old in LOAD
    with pytest.raises(DataFileError, match="here: is no scheduling instance"):
        read_load(LOAD.replace(old, new), "here")


def write_items(folder, days=(452 + 100, 237), **changes):
    random = np.random.default_rng(0)
    count = [48 * n for n in days]
    features = random.normal(size=(sum(count), 9))
    features[:, 0] = np.repeat(np.arange(sum(days)), 48)
    values = random.uniform(0, 300, sum(count))
    arrays = {
        "X_1gtrain": features[: count[0]],
        "X_1gtest": features[count[0] :],
        "y_train": values[: count[0]],
        "y_test": values[count[0] :],
        "weights": np.tile([3, 5, 7], 16),
    }
    folder.mkdir(exist_ok=True)
    np.savez(folder / "Data.npz", **arrays | changes)
    return features, values


@pytest.mark.filterwarnings("ignore:.*its sha256 is")
def test_knapsacks_of_a_file_are_split_by_their_days(tmp_path):
    features, values = write_items(tmp_path / "energy")
    place, chosen = Place(tmp_path), EnergyKnapsack(capacity=20)
    sizes = {"train": 5, "val": 3, "test": 237}
    by_day = features.reshape(789, 48, 9)[:, :, 1:]
    mean, deviation = by_day[:452].mean((0, 1)), by_day[:452].std((0, 1))
    for split, start in (("train", 0), ("val", 452), ("test", 552)):
        rows = chosen.rows(place, split, sizes)
        days = slice(start, start + sizes[split])
        np.testing.assert_array_equal(rows["true_costs"], -values.reshape(789, 48)[days])
        np.testing.assert_array_equal(rows["weights"][0], np.tile([3, 5, 7], 16))
        weights = np.tile([3.0, 5, 7], 16)[:, None]
        plain = (by_day[days] - mean) / deviation
        np.testing.assert_allclose(rows["features"][:, :, :8], plain * weights / 5)
        np.testing.assert_allclose(rows["features"][0, :, 8:], (weights - 5) / np.sqrt(8 / 3))


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"y_train": np.zeros(47)}, "must be as many, of whole days"),
        ({"y_test": np.full(237 * 48, np.nan)}, "not finite"),
        ({"weights": np.zeros(48, int)}, "weights below 1"),
        ({"weights": np.ones(47, int)}, "weights.npy: expected int"),
        ({"X_1gtrain": np.zeros((552 * 48, 9))}, "one day after another"),
    ],
)
def test_what_are_no_items_is_named(tmp_path, changes, match):
    write_items(tmp_path, **changes)
    with pytest.raises(DataFileError, match=match):
        load_items(tmp_path / "Data.npz")


def test_missing_files_are_named_with_what_needs_none(tmp_path):
    for chosen, name in ((EnergyKnapsack(), "Data.npz"), (EnergySchedules(), "ICON_data.zip")):
        with pytest.raises(DataFileError, match=rf"energy/{name}.*choose data=\w+_stand_in"):
            chosen.fingerprint(Place(tmp_path, free=chosen.free))
        with pytest.raises(DataFileError, match=r"docs/decisions-data\.md>.*data=\w+_stand_in"):
            Decisions(chosen)


@pytest.mark.parametrize("load", [0, 9, 1.5])
def test_settings_that_cannot_be_are_refused(load):
    with pytest.raises(ValueError, match=r"data\.collection\.load"):
        EnergySchedules(load=load)
    with pytest.raises(ValueError, match=r"data\.collection\.capacity"):
        EnergyKnapsack(capacity=0)


def test_another_file_is_read_with_a_warning(tmp_path):
    write_zip(tmp_path / "ICON_data.zip", {"data/prices2013.dat": text(2), "load1/day02.txt": LOAD})
    with pytest.warns(UserWarning, match="results need not compare"):
        EnergySchedules().fingerprint(Place(tmp_path))
    assert len(load_days(tmp_path / "ICON_data.zip").dates) == 2
    assert len(load_load(tmp_path / "ICON_data.zip", 1, 2).tasks) == 2
    with pytest.raises(DataFileError, match=r"holds no load1/day01\.txt"):
        load_load(tmp_path / "ICON_data.zip", 1, 1)


@pytest.mark.parametrize("days", [(500, 289), (552, 100)])
def test_days_that_would_come_into_other_splits_are_refused(tmp_path, days):
    write_items(tmp_path, days)
    told = rf"Data\.npz: has {sum(days)} days, the first {days[0]} of them for training; the set"
    with pytest.raises(DataFileError, match=told):
        EnergyKnapsack().rows(Place(tmp_path), "test", SIZES)
    write_zip(tmp_path / "ICON_data.zip", {"data/prices2013.dat": text(2), "load1/day01.txt": LOAD})
    with pytest.raises(DataFileError, match=r"ICON_data\.zip: has 2 days"):
        EnergySchedules().rows(Place(tmp_path), "train", SIZES)


@pytest.mark.parametrize("chosen", [EnergyKnapsackStandIn(), EnergySchedulesStandIn()])
def test_the_stand_in_makes_decisions_that_pay(chosen):
    data = Decisions(chosen, train_size=20, eval_size=30)
    data.setup()
    assert data.source == "stand-in"
    for split, count in (("train", 20), ("val", 30), ("test", 30)):
        columns = data.columns(split)
        assert columns["features"].shape == (count, *chosen.feature_shape)
        assert columns["true_costs"].shape == columns["target"].shape == (count, 48)
    # Deciding by the day before costs more, yet less than deciding by nothing but chance.
    before = data.columns("test")["true_costs"][:-1]
    columns = {name: column[1:] for name, column in data.columns("test").items()}
    others = {n: c for n, c in columns.items() if n not in ("features", "true_costs", "target")}
    costs = columns["true_costs"]
    chance = torch.randn(costs.shape, generator=torch.Generator().manual_seed(0))
    said = [spent(costs, chosen.solver()(w, **others)).mean() for w in (costs, before, chance)]
    assert said[0] < said[1] < said[2]
    assert chosen.available(Place(None)) == SIZES


def test_the_stand_in_has_the_form_of_the_files():
    days, items = generated.made_days(), generated.made_items()
    assert days.features.shape == items.features.shape == (sum(SIZES.values()), 48, 8)
    assert sorted(items.weights.tolist()) == [3] * 16 + [5] * 16 + [7] * 16
    assert (days.prices >= 0).all()
    assert (items.values >= 0).all()
    assert len(generated.made_load(3, 10, 1).tasks) == 10


@real
def test_both_published_files_tell_of_the_same_days():
    days, items = load_days(REAL / "ICON_data.zip"), load_items(REAL / "Data.npz")
    assert len(days.dates) == 789
    assert {"25/3/2012", "27/10/2012", "31/3/2013"}.isdisjoint(days.dates)
    # Five half hours of CO2 are filled in, which theirs do linearly too.
    np.testing.assert_allclose(items.features, days.features, atol=1e-9)
    assert items.published_for_training == SIZES["train"] + SIZES["val"]
    noise = items.values - items.weights * days.prices
    assert abs(noise.mean()) < 1
    assert noise.std() == pytest.approx(42.3, abs=0.1)


@real
def test_a_published_load_is_scheduled_as_highs_does():
    days, load = load_days(REAL / "ICON_data.zip"), load_load(REAL / "ICON_data.zip", 1, 5)
    prices = torch.from_numpy(days.prices[[10, 400, 700]].astype(np.float32)).double()
    found = spent(prices, EnergyScheduling()(prices, **load._asdict()))
    for row, cost in zip(prices.numpy(), found.tolist(), strict=True):
        assert cost == pytest.approx(by_highs(row, *load), rel=1e-9)


def by_highs(prices, tasks, capacities):
    """The least cost by a program that is written down row by row."""
    options = [
        (t, m, s)
        for t, (n, e, late, _, _) in enumerate(tasks)
        for m in range(len(capacities))
        for s in range(int(e), int(late - n) + 1)
    ]
    costs = [tasks[t, 3] * prices[s : s + int(tasks[t, 0])].sum() for t, _, s in options]
    once = [[float(t == task) for t, _, _ in options] for task in range(len(tasks))]
    rows = [
        [tasks[t, 4] * (m == machine and s <= slot < s + tasks[t, 0]) for t, m, s in options]
        for machine in range(len(capacities))
        for slot in range(48)
    ]
    most = np.repeat(capacities[:, 0], 48)
    limits = [LinearConstraint(once, 1, 1), LinearConstraint(rows, -np.inf, most)]
    whole = np.ones(len(options))
    return milp(costs, integrality=whole, constraints=limits, options={"mip_rel_gap": 0.0}).fun


@real
def test_the_published_files_make_decisions(tmp_path):
    for name in ("Data.npz", "ICON_data.zip"):
        shutil.copy(REAL / name, tmp_path / name)
    for chosen in (EnergyKnapsack(), EnergySchedules(load=1, day=1)):
        data = Decisions(chosen, train_size=8, eval_size=4, path=tmp_path)
        data.setup()
        assert data.source == "original"
        assert bool(torch.isfinite(data.columns("test")["target"]).all())
