"""Boosted trees: scikit-learn's own answers, and one clear error where it is missing."""

import sys

import pytest
import torch

from combgrad.errors import MissingPackageError
from combgrad.networks import BoostedTrees


def rows(seed=0):
    random = torch.Generator().manual_seed(seed)
    features = torch.randn(80, 3, generator=random)
    return features, torch.stack([features.sum(1), features[:, 0] ** 2, -features[:, 1]], dim=1)


def test_each_cost_has_the_trees_that_scikit_learn_finds():
    ensemble = pytest.importorskip("sklearn.ensemble", reason="scikit-learn is not installed")
    features, costs = rows()
    net = BoostedTrees((3,), iterations=7, learning_rate=0.3, leaves=5, least=4)
    assert not net.fitted
    with pytest.raises(RuntimeError, match="no trees yet"):
        net(features)
    net.fit(features, costs)
    found = net(features).detach()
    for number in range(3):
        theirs = ensemble.HistGradientBoostingRegressor(
            max_iter=7, learning_rate=0.3, max_leaf_nodes=5, min_samples_leaf=4
        ).fit(features.double().numpy(), costs[:, number].double().numpy())
        expected = torch.from_numpy(theirs.predict(features.double().numpy())).float()
        torch.testing.assert_close(found[:, number], expected)
    with torch.no_grad():
        net.offset[1] = 2.0
    torch.testing.assert_close(net(features).detach() - found, torch.tensor([[0.0, 2, 0]] * 80))
    square = BoostedTrees((3, 1), iterations=2)
    square.fit(features[:, :, None], costs[:, :, None])
    assert square(features[:, :, None]).shape == (80, 3, 1)


def test_shared_trees_are_those_that_scikit_learn_finds_for_all_costs_as_rows():
    ensemble = pytest.importorskip("sklearn.ensemble", reason="scikit-learn is not installed")
    features = torch.randn(40, 3, 2, generator=torch.Generator().manual_seed(0))
    costs = features.square().sum(dim=2)
    net = BoostedTrees((3,), iterations=7, leaves=5, least=4, shared=True)
    net.fit(features, costs)
    rows, entries = features.double().view(120, 2).numpy(), costs.double().flatten().numpy()
    theirs = ensemble.HistGradientBoostingRegressor(
        max_iter=7, max_leaf_nodes=5, min_samples_leaf=4
    ).fit(rows, entries)
    expected = torch.from_numpy(theirs.predict(rows)).float().view(40, 3)
    torch.testing.assert_close(net(features).detach(), expected)
    with pytest.raises(ValueError, match=r"share need \(N, 3, F\)"):
        net.fit(features[:, :2], costs)


def test_costs_of_another_shape_are_refused():
    pytest.importorskip("sklearn", reason="scikit-learn is not installed")
    features, costs = rows()
    for wrong in (costs[:, :2], costs[:40]):
        with pytest.raises(ValueError, match=r"pass N rows of both, with costs \(N, 3\)"):
            BoostedTrees((3,)).fit(features, wrong)


def test_numbers_that_cannot_be_are_refused_before_the_package_is_looked_for():
    for name in ("iterations", "leaves", "least"):
        with pytest.raises(ValueError, match=rf"model\.{name} is 0"):
            BoostedTrees((3,), **{name: 0})


def test_without_scikit_learn_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.ensemble", None)
    with pytest.raises(MissingPackageError, match=r"scikit-learn: pip install .*\[trees\]"):
        BoostedTrees((3,))
