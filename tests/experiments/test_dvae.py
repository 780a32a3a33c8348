"""DVAE: against a transcription in numpy, and from configuration to record."""

import math

import numpy as np
import pytest
import torch

from combgrad.experiments import DVAEExperiment
from combgrad.gradients import IMLE, Identity
from combgrad.layer import CombinatorialLayer
from combgrad.losses import kl_to_share, kl_to_uniform, pixel_cross_entropy
from combgrad.networks import DVAE
from combgrad.pictures.codes import draw_codes
from combgrad.projections import Std
from combgrad.runs.configuration import compose
from combgrad.runs.run import run
from combgrad.solvers import TopK

BATCH, ROWS, ENTRIES = 3, 20, 20


class FixedNoise:
    """The same numbers in every draw."""

    def __init__(self, values):
        self.values = values

    def __call__(self, logits, generator=None):
        return logits + self.values


def make(gradient, projection=None, hidden=(32, 16)):
    torch.manual_seed(0)
    net = DVAE(hidden=hidden).double()
    layer = CombinatorialLayer(TopK(10), gradient, projection)
    noise = torch.randn(BATCH * ROWS, ENTRIES, dtype=torch.float64)
    images = torch.rand(BATCH, 784, dtype=torch.float64)
    experiment = DVAEExperiment(
        noise=FixedNoise(noise), net=net, layer=layer, optimizer=torch.optim.Adam
    )
    return experiment, images, noise.numpy()


def affine(module):
    """The matrices (in, out) and biases of a dense network."""
    linears = [part for part in module if isinstance(part, torch.nn.Linear)]
    return [(part.weight.detach().numpy().T, part.bias.detach().numpy()) for part in linears]


def forward(layers, x):
    """All activations, the last without ReLU."""
    found = [x]
    for i, (matrix, bias) in enumerate(layers):
        x = x @ matrix + bias
        found.append(x if i == len(layers) - 1 else np.maximum(x, 0))
        x = found[-1]
    return found


def backward(layers, found, grad):
    """Gradients (weight, bias) of each layer, and of the input."""
    grads = []
    for i in reversed(range(len(layers))):
        if i < len(layers) - 1:
            grad = grad * (found[i + 1] > 0)
        grads.insert(0, (grad.T @ found[i], grad.sum(0)))
        grad = grad @ layers[i][0].T
    return grads, grad


def largest(values, k=10):
    chosen = np.zeros_like(values)
    np.put_along_axis(chosen, np.argsort(-values, axis=1)[:, :k], 1.0, axis=1)
    return chosen


def transcription(experiment, images, noise, method):
    """n_elbo, its parts, all gradients, and dL/dy with what reaches the costs, in numpy."""
    encoder, decoder = affine(experiment.net.encoder), affine(experiment.net.decoder)
    x = images.numpy()
    up = forward(encoder, x)
    logits = up[-1].reshape(-1, ENTRIES)
    perturbed = logits + noise
    codes = largest(perturbed)
    down = forward(decoder, codes.reshape(BATCH, -1))
    pixels = down[-1]
    bce = (np.log1p(np.exp(pixels)) - x * pixels).sum(1)
    q = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    rows = (q * (np.log(q + 1e-20) - math.log(1 / ENTRIES))).sum(1)
    kl = rows.reshape(BATCH, ROWS).sum(1)
    grad_decoder, g = backward(decoder, down, (1 / (1 + np.exp(-pixels)) - x) / BATCH)
    g = g.reshape(-1, ENTRIES)
    if method == "imle":
        update = (largest(perturbed - 10 * g) - codes) / 10
    else:
        centred = -perturbed + perturbed.mean(1, keepdims=True)
        length = np.linalg.norm(centred, axis=1, keepdims=True)
        unit = centred / length
        update = (-g - unit * (unit * -g).sum(1, keepdims=True)) / length
        update -= update.mean(1, keepdims=True)
    entropy = (q * np.log(q)).sum(1, keepdims=True)
    at_logits = -update + q * (np.log(q) - entropy) / BATCH
    grad_encoder, _ = backward(encoder, up, at_logits.reshape(BATCH, -1))
    return bce, kl, grad_encoder + grad_decoder, g, update


@pytest.mark.parametrize(
    ("gradient", "projection", "method"),
    [(Identity(), Std(), "identity"), (IMLE(lam=10.0), None, "imle")],
    ids=["identity-std", "imle"],
)
def test_loss_and_gradients_equal_a_transcription(gradient, projection, method):
    experiment, images, noise = make(gradient, projection)
    bce, kl, grads, g, update = transcription(experiment, images, noise, method)
    loss, values = experiment.step({"images": images}, "train")
    np.testing.assert_allclose(values["reconstruction"].detach().numpy(), bce, rtol=1e-10)
    np.testing.assert_allclose(values["kl"].detach().numpy(), kl, rtol=1e-8)
    np.testing.assert_allclose(values["n_elbo"].detach().numpy(), bce + kl, rtol=1e-10)
    assert float(loss.detach()) == pytest.approx(float((bce + kl).mean()))
    loss.backward()
    expected = [array for pair in grads for array in pair]
    parameters = list(experiment.net.parameters())
    for parameter, array in zip(parameters, expected, strict=True):
        np.testing.assert_allclose(parameter.grad.numpy(), array, rtol=1e-7, atol=1e-12)
    means = experiment._means["train"].take()
    lengths = np.linalg.norm(update, axis=1), np.linalg.norm(g, axis=1)
    assert float(means["norm_ratio"]) == pytest.approx((lengths[0] / lengths[1]).mean())
    moved = lengths[0] > 0
    cosines = np.zeros(len(g))
    cosines[moved] = -(update * g).sum(1)[moved] / (lengths[0] * lengths[1])[moved]
    assert float(means["cosine"]) == pytest.approx(cosines.mean())


def test_each_row_of_the_code_has_ten_ones():
    experiment, images, _ = make(Identity(), Std())
    codes = experiment.codes(experiment.net.encode(images))
    assert codes.shape == (BATCH, ROWS, ENTRIES)
    assert bool(((codes == 0) | (codes == 1)).all())
    assert bool((codes.sum(2) == 10).all())


def test_a_model_that_knows_nothing_has_no_divergence_and_one_bit_a_pixel():
    images = torch.rand(4, 784)
    torch.testing.assert_close(
        kl_to_uniform(torch.zeros(4, 20, 20)), torch.zeros(4), atol=1e-4, rtol=0
    )
    bits = pixel_cross_entropy(torch.zeros(4, 784), images)
    assert bits.tolist() == pytest.approx([543.43] * 4, abs=0.01)
    certain = torch.zeros(1, 20, 20).index_fill_(2, torch.tensor(3), 200.0)
    assert float(kl_to_uniform(certain)) == pytest.approx(20 * math.log(20), rel=1e-6)


@pytest.mark.parametrize("share", [0.5, 0.1])
def test_entries_as_bernoulli_variables_are_compared_as_torch_does(share):
    logits = 3 * torch.randn(4, 2, 5, dtype=torch.float64)
    p = torch.distributions.Bernoulli(logits=logits + math.log(share / (1 - share)))
    prior = torch.distributions.Bernoulli(torch.tensor(share, dtype=torch.float64))
    expected = torch.distributions.kl_divergence(p, prior).sum((1, 2))
    torch.testing.assert_close(kl_to_share(logits, share), expected)
    assert float(kl_to_share(torch.zeros(1, 2, 5), share)) == pytest.approx(0.0, abs=1e-6)
    with pytest.raises(ValueError, match="share is 1"):
        kl_to_share(logits, 1)


@pytest.mark.parametrize(
    "loss",
    [
        kl_to_uniform,
        lambda logits: kl_to_share(logits, 0.5),
        lambda logits: pixel_cross_entropy(logits.flatten(1), torch.zeros(3, 400)),
    ],
    ids=["rows", "entries", "pixels"],
)
def test_losses_of_halves_are_summed_in_single_precision(loss):
    logits = (0.1 * torch.randn(3, 20, 20)).bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(loss(logits), loss(logits.float()))
    assert torch.equal(loss(logits), loss(logits.float()))


def test_the_divergence_can_be_that_of_entries():
    experiment, images, _ = make(Identity(), Std())
    logits = experiment.net.encode(images)
    experiment.divergence = "entries"
    _, values = experiment.step({"images": images}, "train")
    torch.testing.assert_close(values["kl"], kl_to_share(logits, 10 / ENTRIES))
    with pytest.raises(ValueError, match=r"task.divergence is 'rates'; choose 'rows' or"):
        DVAEExperiment(
            divergence="rates", net=experiment.net, layer=experiment.layer, optimizer=None
        )


def test_the_network_starts_as_keras_would():
    net = DVAE()
    shapes = [tuple(p.shape) for p in net.parameters() if p.ndim == 2]
    assert shapes == [(512, 784), (256, 512), (400, 256), (256, 400), (512, 256), (784, 512)]
    for parameter in net.parameters():
        if parameter.ndim == 1:
            assert not bool(parameter.any())
        else:
            limit = math.sqrt(6 / sum(parameter.shape))
            assert 0.99 * limit < float(parameter.abs().max().detach()) <= limit
            assert float(parameter.std().detach()) == pytest.approx(limit / math.sqrt(3), rel=0.02)


def test_the_picture_shows_what_it_is_given():
    rng = np.random.default_rng(0)
    images, codes, found = rng.random((2, 16)), rng.random((2, 5, 3)), rng.random((2, 16))
    axes = draw_codes(images, codes, found).axes
    shown = [np.asarray(axis.images[0].get_array()) for axis in axes]
    expected = [*images.reshape(2, 4, 4), *codes, *found.reshape(2, 4, 4)]
    for picture, array in zip(shown, expected, strict=True):
        np.testing.assert_array_equal(picture, array)


def smoke(root, *overrides):
    words = ["experiment=dvae", "profile=smoke", f"paths.root={root}", "logger=none"]
    return run(compose([*words, "pictures=false", *overrides]))


CHOICES = {
    "std": ("pictures=true",),
    "none": ("proj=none", "optimizer=sgd"),
    "mean": ("proj=mean", "data.split=50-10-10"),
    "norm": ("proj=norm", "noise.form=scale"),
    "imle": ("proj=none", "grad=imle"),
    "noiseless": ("noise=none",),
}


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    root = tmp_path_factory.mktemp("dvae")
    found = {name: smoke(root, *words) for name, words in CHOICES.items()}
    assert len(list(root.glob("outputs/dvae-identity-std-*/codes.png"))) == 1
    return found


@pytest.mark.parametrize("name", CHOICES)
def test_a_run_makes_a_record_with_the_curves_of_the_figures(records, name):
    record = records[name]
    assert (record.profile, record.data_source) == ("smoke", "stand-in")
    for curve in ("train/n_elbo", "val/n_elbo", "train/norm_ratio", "train/cosine"):
        assert len(record.curves[curve]) == 1
        assert math.isfinite(record.curves[curve][0])
    parts = record.metrics["test/reconstruction"] + record.metrics["test/kl"]
    assert record.metrics["test/n_elbo"] == pytest.approx(parts, rel=1e-5)
    assert 0 < record.metrics["test/n_elbo"] < 600


def test_the_projections_do_to_the_gradient_what_they_should(records):
    found = {
        name: [record.curves[f"train/{curve}"][0] for curve in ("norm_ratio", "cosine")]
        for name, record in records.items()
    }
    assert found["none"] == pytest.approx([1, 1])
    # The mean's Jacobian is a projection: the ratio of lengths is the cosine.
    assert found["mean"][0] == pytest.approx(found["mean"][1], rel=1e-5)
    assert found["std"][0] < found["std"][1] < 1


def test_validation_on_the_test_set_has_its_curve_too_and_the_same_noise_as_the_test(records):
    record = records["std"]
    assert record.curves["test/n_elbo"] == record.curves["val/n_elbo"]
    assert record.metrics["test/n_elbo"] == record.curves["test/n_elbo"][0]
    assert "test/n_elbo" not in records["mean"].curves
    assert records["mean"].metrics["test/n_elbo"] != records["mean"].curves["val/n_elbo"][0]


def test_the_paper_protocol():
    config = compose(["experiment=dvae", "profile=paper", "data=mnist", "grad=imle", "proj=none"])
    assert (config.trainer.max_epochs, config.data.batch_size) == (100, 100)
    assert (config.data.train_size, config.data.source) == (60_000, "original")
    assert (config.optimizer.lr, config.optimizer.eps) == (1e-3, 1e-7)
    assert (config.noise.k, config.noise.tau, config.noise.s) == (10, 10.0, 10)
    assert config.noise.form == "rate"
    assert (config.grad.lam, config.grad.noise, config.grad.samples) == (10.0, None, 1)
    assert (config.monitor.metric, config.monitor.mode) == ("val/n_elbo", "min")
