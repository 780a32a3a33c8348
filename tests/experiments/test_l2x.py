"""Learning to Explain: the step against formulas, and from configuration to record."""

import math
from types import SimpleNamespace

import pytest
import torch

from combgrad.errors import IncompatibleError
from combgrad.experiments import L2XExperiment
from combgrad.gradients import IMLE, Identity
from combgrad.layer import CombinatorialLayer
from combgrad.metrics import subset_precision
from combgrad.networks import L2XNet
from combgrad.projections import Std
from combgrad.runs.configuration import compose
from combgrad.runs.run import run
from combgrad.solvers import Cached, Ranking, TopK

BATCH, LENGTH, DIMS, WORDS, K = 3, 12, 6, 20, 2


class FixedNoise:
    """The same numbers in every draw."""

    def __init__(self, values):
        self.values = values

    def __call__(self, logits, generator=None):
        return logits + self.values


def make(gradient=None, projection=None, noise=None):
    torch.manual_seed(0)
    layer = CombinatorialLayer(TopK(K), gradient or Identity(), projection)
    net = L2XNet(DIMS, rate=0.0).double()
    experiment = L2XExperiment(noise=noise, net=net, layer=layer, optimizer=torch.optim.Adam)
    vectors = torch.randn(WORDS, DIMS, dtype=torch.float64)
    vectors[0] = 0
    attach(experiment, embeddings=vectors)
    tokens = torch.randint(1, WORDS, (BATCH, LENGTH))
    tokens[1, :5] = 0
    batch = {"tokens": tokens, "rating": torch.rand(BATCH, dtype=torch.float64)}
    return experiment, batch


def attach(experiment, length=LENGTH, **data):
    experiment.trainer = SimpleNamespace(
        datamodule=SimpleNamespace(length=length, annotated=None, **data)
    )
    experiment.setup("fit")


def largest(values):
    return torch.zeros_like(values).scatter_(1, values.topk(K, dim=1).indices, 1.0)


@pytest.mark.parametrize("method", ["identity", "imle"])
def test_loss_and_gradient_at_the_logits_equal_the_formulas(method):
    noise = torch.randn(BATCH, LENGTH, dtype=torch.float64)
    if method == "identity":
        experiment, batch = make(Identity(), Std(), FixedNoise(noise))
    else:
        experiment, batch = make(IMLE(lam=1000.0, divide=False), None, FixedNoise(noise))
    tokens, rating = batch["tokens"], batch["rating"]
    logits = experiment.net.selector(tokens, experiment.vectors).detach()
    chosen = largest(logits + noise).requires_grad_()
    predicted = experiment.rate(tokens, chosen)
    error = (predicted - rating) ** 2
    (g,) = torch.autograd.grad(error.mean(), chosen)
    if method == "identity":
        centred = logits + noise - (logits + noise).mean(1, keepdim=True)
        length = centred.norm(dim=1, keepdim=True)
        unit = centred / length
        expected = (g - unit * (unit * g).sum(1, keepdim=True)) / length
        expected = expected - expected.mean(1, keepdim=True)
    else:
        expected = chosen.detach() - largest(logits + noise - 1000 * g)
    loss, values = experiment.step(batch, "train")
    torch.testing.assert_close(values["mse"], error)
    assert float(loss.detach()) == pytest.approx(float(error.detach().mean()))
    loss.backward()
    found = torch.autograd.grad(
        experiment.net.selector(tokens, experiment.vectors),
        list(experiment.net.selector.parameters()),
        expected,
    )
    for parameter, gradient in zip(experiment.net.selector.parameters(), found, strict=True):
        torch.testing.assert_close(parameter.grad, gradient)


def test_noise_acts_while_training_only():
    experiment, batch = make(noise=FixedNoise(1e3 * torch.eye(BATCH, LENGTH)))
    logits = experiment.net.selector(batch["tokens"], experiment.vectors)
    assert torch.equal(experiment.choose(batch["tokens"]), largest(logits.detach()))
    noisy = experiment.choose(batch["tokens"], noisy=True)
    assert bool((noisy.diagonal() == 1).all())
    assert bool((noisy.sum(1) == K).all())


def test_a_review_shorter_than_k_is_answered_with_padding_which_never_matters():
    experiment, batch = make()
    batch["tokens"][0, :-1] = 0
    chosen = experiment.choose(batch["tokens"])
    assert float(chosen[0].detach().sum()) == K
    relevant = batch["tokens"] != 0
    assert float(subset_precision(chosen, relevant)[0].detach()) <= 1 / K


def test_subset_precision_is_the_share_of_chosen_words_that_matter():
    chosen = torch.tensor([[1.0, 1.0, 0.0, 0.0], [0.0, 1.0, 1.0, 0.0]])
    relevant = torch.tensor([[True, False, True, True], [False, True, True, True]])
    assert subset_precision(chosen, relevant).tolist() == [0.5, 1.0]


def test_a_cache_of_a_solver_that_chooses_k_will_do():
    layer = CombinatorialLayer(Cached(TopK(K)), Identity())
    assert L2XExperiment(net=L2XNet(DIMS), layer=layer, optimizer=None).k == K


def test_a_solver_that_chooses_no_subset_is_refused():
    with pytest.raises(IncompatibleError, match=r"solver=Ranking does not\. Use solver=topk"):
        L2XExperiment(
            net=L2XNet(DIMS), layer=CombinatorialLayer(Ranking(), Identity()), optimizer=None
        )


def test_more_words_than_a_review_has_are_refused_before_training():
    experiment, _ = make()
    attach(experiment, length=K, embeddings=torch.zeros(WORDS, DIMS))
    with pytest.raises(ValueError, match=r"solver\.k is 2, and a row holds 1 words"):
        attach(experiment, length=K - 1, embeddings=torch.zeros(WORDS, DIMS))


def test_vectors_of_another_width_are_refused():
    experiment, _ = make()
    with pytest.raises(ValueError, match=r"have 5 dimensions .* for 6; set model\.dims=5"):
        attach(experiment, embeddings=torch.zeros(WORDS, 5))


def smoke(root, *overrides):
    words = ["experiment=l2x_k5", "profile=smoke", f"paths.root={root}", "logger=none"]
    # Every epoch and test chooses words in all annotated reviews, however short the training.
    return run(compose([*words, "pictures=false", "+data.annotated_size=100", *overrides]))


CHOICES = {
    "std": ("pictures=true",),
    "none": ("proj=none", "aspect=palate"),
    "imle": ("proj=none", "grad=imle"),
    "l2x": ("proj=none", "grad=l2x"),
    "softsub": ("proj=none", "grad=softsub"),
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    root = tmp_path_factory.mktemp("l2x")
    return root, {name: smoke(root, *words) for name, words in CHOICES.items()}


@pytest.mark.parametrize("name", CHOICES)
def test_a_run_makes_a_record(runs, name):
    record = runs[1][name]
    assert (record.profile, record.data_source) == ("smoke", "stand-in")
    assert 0 < record.metrics["last/mse"] < 0.5
    limit = record.metrics["test/subset_precision_limit"]
    assert 0 <= record.metrics["test/subset_precision"] <= limit <= 1
    for curve in ("train/mse", "val/mse", "val/subset_precision"):
        assert len(record.curves[curve]) == 1
        assert math.isfinite(record.curves[curve][0])


def test_a_run_shows_reviews_with_the_chosen_words_marked(runs):
    (page,) = runs[0].glob("outputs/l2x_k5-identity-std-*/words.html")
    text = page.read_text(encoding="utf-8")
    assert "5 words of its review" in text
    assert "aroma" in text


def test_other_seeds_split_the_held_out_reviews_otherwise_but_have_the_same_data(runs):
    root, records = runs
    other = smoke(root, "seed=1")
    assert other.data_fingerprint == records["std"].data_fingerprint
    assert other.metrics["test/mse"] != records["std"].metrics["test/mse"]


def test_the_paper_protocol():
    config = compose(["experiment=l2x_k10", "profile=paper", "data=beer", "data.path=."])
    assert (config.trainer.max_epochs, config.data.batch_size) == (20, 40)
    assert (config.data.length, config.data.source, config.data.aspect) == (
        350,
        "original",
        "aroma",
    )
    assert (config.optimizer.lr, config.optimizer.eps) == (1e-3, 1e-7)
    assert (config.noise.k, config.noise.tau, config.noise.s) == (10, 1.0, 10)
    assert config.noise.form == "scale"
    imle = compose(["experiment=l2x_k10", "grad=imle"])
    assert (imle.grad.lam, imle.grad.divide, imle.grad.noise) == (1000.0, False, None)


@pytest.mark.parametrize("grad", ["l2x", "softsub"])
def test_relaxations_draw_their_own_noise(grad):
    config = compose(["experiment=l2x_k5", f"grad={grad}", "proj=none"])
    assert config.noise is None
    assert config.grad.variant == "tfi"
    assert config.grad.tau == {"l2x": 0.1, "softsub": 0.5}[grad]
