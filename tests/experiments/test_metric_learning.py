"""Losses of embeddings from another package: the formulas in plain loops, and what is refused."""

import math
import sys

import numpy as np
import pytest
import torch

from combgrad.errors import MissingPackageError
from combgrad.experiments.metric_learning import MetricLearning

CLASSES = [0, 0, 0, 1, 1, 2, 2, 2, 2]


@pytest.fixture
def embeddings():
    pytest.importorskip("pytorch_metric_learning")
    drawn = torch.randn(len(CLASSES), 4, generator=torch.Generator().manual_seed(0))
    return torch.nn.functional.normalize(drawn, dim=1).requires_grad_()


def cosines(embeddings):
    vectors = embeddings.detach().double().numpy()
    return vectors @ vectors.T


def pairs(same):
    """The others of each element that are of its class, or of another."""
    numbers = range(len(CLASSES))
    return [[j for j in numbers if j != i and (CLASSES[i] == CLASSES[j]) is same] for i in numbers]


def by_triplets(s):
    found = []
    for a, (own, other) in enumerate(zip(pairs(True), pairs(False), strict=True)):
        for p in own:
            gaps = [s[a, p] - s[a, n] for n in other]
            found += [0.2 - gap for gap in gaps if 0 < gap <= 0.2]
    return np.mean(found)


def by_similarities(s):
    each = []
    for a, (own, other) in enumerate(zip(pairs(True), pairs(False), strict=True)):
        near = [s[a, p] for p in own if s[a, p] - 0.1 < max(s[a, n] for n in other)]
        far = [s[a, n] for n in other if s[a, n] + 0.1 > min(s[a, p] for p in own)]
        own_part = math.log1p(sum(math.exp(-2 * (x - 0.5)) for x in near)) / 2
        each.append(own_part + math.log1p(sum(math.exp(50 * (x - 0.5)) for x in far)) / 50)
    return np.mean(each)


def by_histograms(s, bins=10):
    squared = 2 - 2 * s
    centres, width = np.linspace(0, 4, bins + 1), 4 / bins
    share = np.maximum(0, 1 - np.abs(squared[:, :, None] - centres) / width)
    each = []
    for a, (own, other) in enumerate(zip(pairs(True), pairs(False), strict=True)):
        right, wrong = share[a, own].sum(0), share[a, other].sum(0)
        before = right.cumsum() + wrong.cumsum()
        kept = before > 0
        precision = right.cumsum()[kept] / before[kept]
        each.append((right[kept] * precision).sum() / len(own))
    return 1 - np.mean(each)


@pytest.mark.parametrize(
    ("name", "formula"),
    [
        ("triplet", by_triplets),
        ("multi_similarity", by_similarities),
        ("fast_ap", by_histograms),
    ],
)
def test_a_loss_is_its_formula_and_has_a_gradient(embeddings, name, formula):
    loss = MetricLearning(name)(embeddings, torch.tensor(CLASSES))
    assert float(loss.detach()) == pytest.approx(formula(cosines(embeddings)), rel=1e-4)
    loss.backward()
    assert bool(embeddings.grad.any())


@pytest.mark.parametrize("name", ["triplet", "multi_similarity", "fast_ap"])
def test_nothing_to_compare_is_no_loss(embeddings, name):
    for some in ([0], [0, 3]):
        loss = MetricLearning(name)(embeddings.detach()[some], torch.tensor(CLASSES)[some])
        assert float(loss) == 0


def test_another_name_is_refused():
    with pytest.raises(
        ValueError, match=r"task\.objective\.name is 'contrastive'; choose 'triplet'"
    ):
        MetricLearning("contrastive")


def test_without_the_package_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "pytorch_metric_learning", None)
    monkeypatch.setitem(sys.modules, "pytorch_metric_learning.losses", None)
    with pytest.raises(MissingPackageError, match="metric-learning"):
        MetricLearning("triplet")
