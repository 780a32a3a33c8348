"""Portfolios: the numbers that PyEPO draws, and decisions within the budget of risk."""

from dataclasses import replace

import numpy as np
import pytest

from combgrad.data.base import Place
from combgrad.data.decisions.datamodule import Decisions
from combgrad.data.decisions.portfolios import Portfolios

SIZES = {"train": 6, "val": 3, "test": 3}
NOWHERE = Place(None)


def test_the_numbers_are_those_that_pyepo_drew():
    """Written down from PyEPO 2.2.7: genData(2, 3, 4, deg=2, noise_level=0.5, seed=7)."""
    made = Portfolios(features=3, deg=2, noise_level=0.5, draw_seed=7, assets=4)
    drawn = made.drawn(2)
    features = [[1.65069969, 0.15433554, -0.38713994], [2.02907222, -0.04538603, -1.4506787]]
    returns = [
        [0.10280325, 0.12494881, 0.14031544, 0.08875346],
        [0.09558354, 0.11938472, 0.15217014, 0.07481801],
    ]
    np.testing.assert_allclose(drawn.features, features, rtol=1e-6)
    np.testing.assert_allclose(-drawn.costs, returns, rtol=1e-6)
    assert made.covariance[0].tolist() == pytest.approx(
        [2.65466785e-05, 5.36162553e-07, 8.34895913e-07, 3.32506291e-07]
    )
    assert made.covariance[2, 3] == pytest.approx(2.04442169e-06)


@pytest.mark.parametrize("deg", [1, 4, 6])
def test_all_splits_together_are_what_pyepo_draws(deg):
    portfolio = pytest.importorskip("pyepo.data.portfolio", reason="PyEPO is not installed")
    covariance, x, r = portfolio.genData(12, 5, 50, deg=deg, noise_level=0.5, seed=135)
    made = replace(Portfolios(), deg=deg, noise_level=0.5)
    parts = [made.rows(NOWHERE, split, SIZES) for split in SIZES]
    found = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    np.testing.assert_array_equal(found["features"], x.astype(np.float32))
    np.testing.assert_array_equal(found["true_costs"], -r)
    np.testing.assert_array_equal(made.covariance, covariance)


def test_targets_are_within_the_budget_and_earn_more_than_any_single_share_mixed_in():
    data = Decisions(Portfolios(assets=6, deg=4), train_size=8, eval_size=4)
    columns, covariance = data.columns("train"), data.collection.covariance
    assert not data.collection.whole
    for costs, shares in zip(*(columns[n].double() for n in ("true_costs", "target")), strict=True):
        assert float(shares.sum()) == pytest.approx(1)
        assert float(shares.min()) >= 0
        risk = shares.numpy() @ covariance @ shares.numpy()
        assert risk <= 2.25 * covariance.mean() * (1 + 1e-5)
        best = float(costs @ shares)
        even = np.full(6, 1 / 6)
        assert best <= float(costs.numpy() @ even) + 1e-9
        for asset in range(6):
            for step in (0.01, 0.1, 0.5):
                mixed = (1 - step) * shares.numpy() + step * np.eye(6)[asset]
                if mixed @ covariance @ mixed <= 2.25 * covariance.mean():
                    assert best <= float(costs.numpy() @ mixed) + 1e-7


@pytest.mark.parametrize(
    "changes", [{"assets": 0}, {"noise_level": -1.0}, {"gamma": float("nan")}, {"gamma": "much"}]
)
def test_settings_that_cannot_be_are_refused_by_name(changes):
    (name,) = changes
    with pytest.raises(ValueError, match=rf"data\.collection\.{name} is"):
        Portfolios(**changes)
