"""Experiments under autocast: what is compared, counted and averaged is in single precision."""

import pytest
import torch
from torch import nn

from combgrad.experiments import DVAEExperiment
from combgrad.experiments.bags import label_costs
from combgrad.experiments.measuring import Means
from combgrad.experiments.metric_learning import MetricLearning
from combgrad.experiments.retrieval import RetrievalExperiment
from combgrad.gradients import Identity
from combgrad.layer import CombinatorialLayer
from combgrad.losses import Recall
from combgrad.networks import DVAE, ClassNet, GlobeNet, RetrievalNet, SmallCNN
from combgrad.networks.cell_costs import CellCosts
from combgrad.networks.headline import HeadlineNet, expected_word
from combgrad.networks.l2x import L2XNet
from combgrad.networks.matching import Affinity
from combgrad.networks.predictors import CostPredictor
from combgrad.networks.warcraft import PathNet, TerrainNet
from combgrad.solvers import Ranking, TopK

IMAGES = torch.randint(
    0, 256, (12, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
)


def mixed():
    return torch.autocast("cpu", dtype=torch.bfloat16)


def test_means_of_halves_go_on_counting():
    # A sum of threes in bfloat16 stands still long before the thousandth.
    means = Means()
    for _ in range(1000):
        means.add("error", torch.tensor(3.0, dtype=torch.bfloat16), 7)
    assert float(means.take()["error"]) == pytest.approx(3 / 7)


def test_a_retrieval_compares_images_by_cosines_in_single_precision(monkeypatch):
    net = RetrievalNet(SmallCNN(4), embedding=6)
    part = RetrievalExperiment(
        net=net,
        layer=CombinatorialLayer(Ranking(), Identity()),
        optimizer=None,
        loss=Recall(),
        memory="none",
    )
    seen = {}
    monkeypatch.setattr(part, "keep", lambda stage, **rows: seen.update(rows))
    judge = part.judge
    monkeypatch.setattr(
        part, "judge", lambda scores, *rest: seen.update(scores=scores) or judge(scores, *rest)
    )
    with mixed():
        part.step({"label": torch.arange(12) % 3, "images": IMAGES}, "val")
    found = seen["embedding"].double()
    for query, scores in enumerate(seen["scores"]):
        others = [n for n in range(12) if n != query]
        expected = torch.stack([(found[query] * found[n]).sum() for n in others]).float()
        torch.testing.assert_close(scores, expected, rtol=1e-6, atol=1e-6)


def test_a_loss_of_embeddings_is_the_same_under_autocast():
    pytest.importorskip("pytorch_metric_learning")
    embeddings = nn.functional.normalize(torch.randn(12, 5), dim=1)
    loss = MetricLearning("multi_similarity")
    with mixed():
        found = loss(embeddings, torch.arange(12) % 3)
    assert torch.equal(found, loss(embeddings, torch.arange(12) % 3))


def test_similarities_of_points_are_found_in_single_precision():
    affinity = Affinity(8, 4)
    first, second, pair = torch.randn(2, 5, 8), torch.randn(2, 6, 8), torch.zeros(2, 4)
    with torch.no_grad(), mixed():
        found = affinity(first, second, pair)
        weights = torch.tanh(affinity.coefficients(pair)).double()
    for b, i, j in ((0, 0, 0), (0, 4, 5), (1, 2, 3)):
        product = (first[b, i].double() * weights[b] * second[b, j]).sum()
        expected = torch.log1p(product.exp()) - 0.5
        torch.testing.assert_close(found[b, i, j], expected.float(), rtol=1e-4, atol=1e-4)


def test_networks_answer_in_single_precision():
    flags = torch.randn(4, 3, 20, 40)
    l2x = L2XNet(dims=5)
    tokens, vectors = torch.randint(0, 7, (3, 20)), torch.randn(7, 5)
    with mixed():
        assert GlobeNet(16)(flags).dtype == torch.float32
        logits = ClassNet(5, SmallCNN(4))(IMAGES)
        assert logits.dtype == torch.float32
        costs = label_costs(logits.unflatten(0, (4, 3)), torch.arange(12).view(4, 3) % 5)
        assert costs.dtype == torch.float32
        scores = l2x.selector(tokens, vectors)
        assert scores.dtype == torch.float32
        assert bool(l2x.predictor(tokens, (scores > 0).bfloat16(), 5, vectors).isfinite().all())


def test_networks_of_double_precision_answer_in_double():
    pictures = torch.randn(2, 3, 16, 16, dtype=torch.float64)
    for net in (TerrainNet(2), PathNet(2), ClassNet(5, SmallCNN(4)), RetrievalNet(SmallCNN(4), 6)):
        assert net.double()(pictures).dtype == torch.float64


@pytest.mark.parametrize(
    ("made", "shape"),
    [(CellCosts, (2, 1, 6, 6)), (lambda: CostPredictor(3, 5, positive=True), (4, 3))],
    ids=["cells", "features"],
)
def test_costs_become_positive_in_single_precision(made, shape):
    net, inputs = made(), torch.randn(shape)
    with torch.no_grad(), mixed():
        halves, costs = net.layers(inputs), net(inputs)
    assert (halves.dtype, costs.dtype) == (torch.bfloat16, torch.float32)
    expected = torch.log1p(halves.double().exp()).view_as(costs).float()
    torch.testing.assert_close(costs, expected, rtol=1e-6, atol=1e-7)


def test_words_of_headlines_are_told_apart_in_single_precision():
    articles, size = torch.randint(4, 9, (3, 5)), torch.tensor([5, 3, 4])
    net = HeadlineNet(6, 4, 8, 8)
    with mixed():
        assert net.unroll(articles, size, size, expected_word)[0].dtype == torch.float32


def test_noise_falls_on_logits_in_single_precision():
    seen = []

    def noise(logits, generator):
        seen.append(logits.dtype)
        return logits

    net, layer = DVAE([8], rows=2, entries=4), CombinatorialLayer(TopK(2), Identity())
    part = DVAEExperiment(net=net, layer=layer, optimizer=None, noise=noise)
    logits = torch.randn(3, 2, 4).bfloat16()
    codes = part.codes(logits)
    assert (seen, codes.dtype) == ([torch.float32], torch.bfloat16)
    assert codes.sum(dim=2).tolist() == [[2, 2]] * 3
