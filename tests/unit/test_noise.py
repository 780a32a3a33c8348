"""Noise has the distribution it claims, tails included, and comes from torch's generators."""

import math

import numpy as np
import pytest
import torch
from hydra.utils import instantiate
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf
from scipy import integrate, stats

from combgrad.runs.configuration import CONFIG_FOLDER, compose
from combgrad.sampling.noise import Gumbel, SumOfGamma

NOISES = [Gumbel(2.0), SumOfGamma(10, 10.0), SumOfGamma(5, 1.0, form="rate")]
MIDDLES = (torch.arange(200_000, dtype=torch.float64) + 0.5) / 200_000
DEVICES = [
    "cpu",
    pytest.param(
        "cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
    ),
]


def scales_of(noise: SumOfGamma) -> np.ndarray:
    if noise.form == "rate":
        return np.array([i / noise.k for i in range(1, noise.s + 1)])
    return np.array([noise.k / i for i in range(1, noise.s + 1)])


def sum_at(noise: SumOfGamma, u: np.ndarray) -> np.ndarray:
    """The quantiles of the plain sum of Gamma variables."""
    values = noise.quantile(torch.from_numpy(u)).numpy()
    return values * noise.k / noise.tau + math.log(noise.s)


def drawn_as_gammas(noise: SumOfGamma, count: int) -> np.ndarray:
    random = np.random.default_rng(1)
    total = sum(random.gamma(1 / noise.k, scale, count) for scale in scales_of(noise))
    return noise.tau / noise.k * (total - math.log(noise.s))


@pytest.mark.parametrize(
    ("noise", "mean", "deviation"),
    [
        (SumOfGamma(10, 10.0), 0.626, 3.94),
        (SumOfGamma(10, 10.0, form="rate"), -1.75, 0.62),
        (SumOfGamma(10, 1.0), 0.063, 0.394),
        (Gumbel(1.0), 0.5772, 1.2825),
        (Gumbel(3.0), 3 * 0.5772, 3 * 1.2825),
    ],
)
def test_moments_are_the_known_ones(noise, mean, deviation):
    values = noise.quantile(MIDDLES)
    assert float(values.mean()) == pytest.approx(mean, abs=0.005 if abs(mean) > 0.5 else 5e-4)
    assert float(values.std()) == pytest.approx(deviation, rel=0.01)
    torch.manual_seed(0)
    sample = noise.sample((300_000,), dtype=torch.float64)
    assert abs(float(sample.mean() - values.mean())) < 5 * deviation / 300_000**0.5
    assert float(sample.std()) == pytest.approx(deviation, rel=0.02)


@pytest.mark.parametrize("s", [1, 2, 10, 40])
def test_with_k_1_it_is_the_largest_of_s_exponentials_down_to_far_tails(s):
    noise = SumOfGamma(1, 1.0, s)
    tails = np.concatenate([np.linspace(0.01, 0.5, 1000), 2.0 ** -np.arange(2, 40)])
    exact = -np.log1p(-(tails ** (1 / s)))
    np.testing.assert_allclose(sum_at(noise, tails), exact, rtol=2e-5)
    exact = -np.log(-np.expm1(np.log1p(-tails) / s))
    np.testing.assert_allclose(sum_at(noise, 1 - tails), exact, rtol=0, atol=2e-5)


@pytest.mark.parametrize("k", [1, 2, 5, 10])
def test_with_one_term_it_is_one_gamma_down_to_far_tails(k):
    noise = SumOfGamma(k, 1.0, s=1)
    tails = np.concatenate([np.linspace(0.01, 0.5, 1000), 2.0 ** -np.arange(2, 40)])
    below = stats.gamma.cdf(sum_at(noise, tails), 1 / k, scale=k)
    np.testing.assert_allclose(below, tails, rtol=1e-4)
    above = stats.gamma.sf(sum_at(noise, 1 - tails), 1 / k, scale=k)
    np.testing.assert_allclose(above, tails, rtol=1e-4)


@pytest.mark.parametrize("form", ["scale", "rate"])
@pytest.mark.parametrize("k", [2, 10])
def test_two_terms_agree_with_their_convolution(k, form):
    noise = SumOfGamma(k, 1.0, s=2, form=form)
    first, second = scales_of(noise)
    u = np.array([0.05, 0.3, 0.5, 0.8, 0.99, 1 - 2**-12, 1 - 2**-24])
    for value, above in zip(sum_at(noise, u), 1 - u, strict=True):

        def integrand(t, value=value):
            rest = stats.gamma.sf(value - t, 1 / k, scale=second)
            return math.exp(-t / first) * rest / math.gamma(1 / k) / first ** (1 / k)

        # The density's t^(1/k - 1) is integrated as a weight, for it has no limit at 0.
        both, _ = integrate.quad(
            integrand, 0, value, weight="alg", wvar=(1 / k - 1, 0), epsabs=1e-13, limit=200
        )
        assert both + stats.gamma.sf(value, 1 / k, scale=first) == pytest.approx(above, rel=1e-4)


@given(
    k=st.integers(1, 30),
    s=st.integers(3, 12),
    form=st.sampled_from(["scale", "rate"]),
    rate=st.floats(0.05, 20),
)
@settings(max_examples=20, deadline=None)
def test_the_laplace_transform_is_the_product_of_the_terms(k, s, form, rate):
    noise = SumOfGamma(k, 1.0, s, form)
    scales = scales_of(noise)
    rate = rate / scales.max()
    product = math.prod((1 + rate * scale) ** (-1 / k) for scale in scales)
    average = np.exp(-rate * sum_at(noise, MIDDLES.numpy())).mean()
    assert average == pytest.approx(product, abs=1e-5)


@pytest.mark.parametrize("form", ["scale", "rate"])
@pytest.mark.parametrize(("k", "tau", "s"), [(10, 10.0, 10), (5, 1.0, 10), (15, 1.0, 10)])
def test_samples_are_those_of_gamma_variables(k, tau, s, form):
    noise = SumOfGamma(k, tau, s, form)
    count = 100_000
    torch.manual_seed(2)
    sample = noise.sample((count,)).double().numpy()
    # exceeded by equal distributions once in a million times
    limit = math.sqrt(math.log(2e6) / count)
    gammas = drawn_as_gammas(noise, count)
    assert stats.ks_2samp(sample, gammas).statistic < limit
    other = SumOfGamma(k, tau, s, "rate" if form == "scale" else "scale")
    assert stats.ks_2samp(sample, drawn_as_gammas(other, count)).statistic > 5 * limit
    for u in (0.001, 0.1, 0.5, 0.9, 0.999):
        below = (gammas <= float(noise.quantile(torch.tensor(u)))).mean()
        assert abs(below - u) < 5 * math.sqrt(u * (1 - u) / count)


def test_k_noises_add_up_to_nearly_a_gumbel_noise():
    torch.manual_seed(3)
    total = SumOfGamma(5, 2.0, s=100).sample((50_000, 5)).double().sum(dim=1).numpy()
    # The largest of 100 exponentials less log 100 is within 0.003 of Gumbel in distribution.
    limit = 0.003 + math.sqrt(math.log(2e6) / 2 / 50_000)
    assert stats.kstest(total, stats.gumbel_r(scale=2.0).cdf).statistic < limit


def test_gumbel_quantiles_solve_the_formula():
    u = torch.cat([torch.linspace(0.01, 0.99, 99), torch.tensor([1e-9, 1 - 2**-20])]).double()
    x = Gumbel(2.0).quantile(u)
    torch.testing.assert_close(torch.exp(-torch.exp(-x / 2)), u)


def test_the_largest_perturbed_logit_is_a_draw_from_the_softmax():
    torch.manual_seed(4)
    logits = torch.tensor([0.0, 1.0, -1.0, 2.0])
    chosen = Gumbel(2.0)(logits.expand(100_000, 4)).argmax(dim=1)
    frequency = torch.bincount(chosen, minlength=4) / 100_000
    expected = torch.softmax(logits / 2, dim=0)
    assert bool(((frequency - expected).abs() < 5 * (expected / 100_000).sqrt()).all())


@pytest.mark.parametrize("noise", NOISES)
def test_quantiles_rise_across_all_cells_and_end_in_finite_extremes(noise):
    tails = 2.0 ** -torch.linspace(1, 52, 40_001, dtype=torch.float64)
    ends = torch.tensor([0.0, 2**-53, 0.5, 1 - 2**-53, 1.0], dtype=torch.float64)
    u = torch.cat([tails, 1 - tails, ends]).sort().values
    values = noise.quantile(u)
    assert bool(torch.isfinite(values).all())
    assert bool((values.diff() >= -1e-12).all())
    middle = noise.quantile(torch.tensor([0.5 - 2**-54, 0.5, 0.5 + 2**-53], dtype=torch.float64))
    assert float(middle.max() - middle.min()) < 1e-7


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("noise", NOISES)
def test_the_generator_decides_in_every_dtype(noise, device):
    generator = torch.Generator(device)
    wide = noise.sample((30, 4), torch.float64, device, generator.manual_seed(5))
    assert wide.shape == (30, 4)
    assert wide.device.type == device
    for dtype, step in [(torch.float32, 1e-6), (torch.float16, 1e-3), (torch.bfloat16, 8e-3)]:
        narrow = noise.sample((30, 4), dtype, device, generator.manual_seed(5))
        assert narrow.dtype == dtype
        torch.testing.assert_close(narrow.double(), wide, rtol=step, atol=10 * step)
    assert not torch.equal(wide, noise.sample((30, 4), torch.float64, device, generator))


@pytest.mark.parametrize("noise", NOISES)
def test_the_global_generator_is_the_default_and_else_untouched(noise):
    torch.manual_seed(6)
    first = noise.sample((50,))
    assert first.dtype == torch.float32
    state = torch.get_rng_state()
    second = noise.sample((50,), generator=torch.Generator().manual_seed(6))
    assert torch.equal(torch.get_rng_state(), state)
    torch.testing.assert_close(first, second, rtol=0, atol=0)
    assert not torch.equal(first, noise.sample((50,)))
    assert noise.sample((0, 3)).shape == (0, 3)
    assert noise.sample(()).shape == ()


@pytest.mark.parametrize("noise", NOISES)
def test_logits_are_perturbed_and_pass_the_gradient_through(noise):
    logits = torch.linspace(-1, 1, 12, dtype=torch.float64).view(3, 4).requires_grad_()
    generator = torch.Generator()
    perturbed = noise(logits, generator.manual_seed(7))
    alone = noise.sample((3, 4), torch.float64, generator=generator.manual_seed(7))
    torch.testing.assert_close(perturbed.detach() - logits.detach(), alone)
    (slope,) = torch.autograd.grad(perturbed.sum(), logits)
    torch.testing.assert_close(slope, torch.ones(3, 4, dtype=torch.float64))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Gumbel(0.0), r"noise\.tau is 0\.0"),
        (lambda: Gumbel(math.nan), r"noise\.tau is nan"),
        (lambda: SumOfGamma(10, math.inf), r"noise\.tau is inf"),
        (lambda: SumOfGamma(0, 1.0), r"noise\.k is 0"),
        (lambda: SumOfGamma(2.5, 1.0), r"noise\.k is 2\.5"),
        (lambda: SumOfGamma(5, 1.0, s=0), r"noise\.s is 0"),
        (lambda: SumOfGamma(5, 1.0, s=101), "from 1 to 100"),
        (lambda: SumOfGamma(101, 1.0, s=10), r"noise\.s of at least 11"),
        (lambda: SumOfGamma(5, 1.0, form="shape"), "choose 'scale' or 'rate'"),
        (lambda: Gumbel().sample((2,), torch.int64), "floating-point dtype"),
        (lambda: Gumbel().quantile(torch.tensor([0.5, 1.5])), r"outside \[0, 1\]"),
        (lambda: SumOfGamma(5).quantile(torch.tensor([math.nan])), r"outside \[0, 1\]"),
    ],
)
def test_what_makes_no_sense_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_the_group_gives_the_noise_it_names():
    config = compose(["experiment=dvae", "solver.k=7", "noise=sum_of_gamma", "noise.tau=10.0"])
    assert instantiate(config.noise) == SumOfGamma(7, 10.0, s=10, form="scale")
    assert instantiate(OmegaConf.load(CONFIG_FOLDER / "noise" / "gumbel.yaml")) == Gumbel(1.0)
    assert not OmegaConf.load(CONFIG_FOLDER / "noise" / "none.yaml")


def test_a_size_of_the_selection_may_be_of_numpy_and_no_bool():
    assert SumOfGamma(np.int64(10), 10.0).k == 10
    with pytest.raises(ValueError, match=r"noise\.k is True"):
        SumOfGamma(True)
