"""Samplers: Sum-of-Gamma noise, and the layers it is drawn for, against torch and torch-imle.

Every call draws noise of its own, so that no two solutions agree and none is compared.
"""

import importlib
import math
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor
from torch.distributions import Gamma

from benchmarks.cases import Case, Implementation, Plan, forward_backward, function
from benchmarks.order_cases import K, scores
from benchmarks.references import torch_topk
from combgrad.gradients import IMLE, Identity
from combgrad.layer import CombinatorialLayer
from combgrad.projections import Std
from combgrad.sampling.noise import SumOfGamma
from combgrad.solvers import TopK

TAU = 10.0
TERMS = 10
LAM = 10.0

#: 100 images of 20 rows of 20 entries; 40 texts of 350 words.
DVAE = (2000, 20)
TEXTS = (40, 350)

RATE = SumOfGamma(K, TAU, TERMS, form="rate")

#: torch-imle has no other form; its draws take as long in either.
SCALE = SumOfGamma(K, TAU, TERMS, form="scale")

Layer = Callable[[Tensor], Tensor]


def gamma_noise(logits: Tensor) -> Tensor:
    """The noise of RATE, (B, n), as the sum that defines it."""
    total = torch.zeros_like(logits)
    for i in range(1, TERMS + 1):
        concentration, rate = logits.new_tensor(1 / K), logits.new_tensor(K / i)
        total += Gamma(concentration, rate).sample(logits.shape)
    return (TAU / K) * (total - math.log(TERMS))


def table_noise(logits: Tensor) -> Tensor:
    """Our noise, (B, n)."""
    return RATE.sample(logits.shape, logits.dtype)


def imle_noise() -> Layer:
    """The noise of torch-imle for logits (B, n)."""
    noise = importlib.import_module("imle.noise").SumOfGammaNoiseDistribution(K, TERMS)
    return lambda logits: TAU * noise.sample(logits.shape)


def torch_identity(logits: Tensor, noise: Layer = gamma_noise) -> Tensor:
    """Noise, standardisation and the k largest of logits (B, n), straight through, in torch."""
    noisy = logits + noise(logits)
    centred = noisy - noisy.mean(dim=1, keepdim=True)
    standard = torch.nn.functional.normalize(centred, dim=1)
    return torch_topk(-standard.detach(), K) + (standard - standard.detach())


def our_identity() -> Layer:
    """The same by our layer."""
    layer = CombinatorialLayer(TopK(K), Identity(), Std())
    return lambda logits: layer(-RATE(logits))


def our_imle() -> Layer:
    """I-MLE with one sample by our layer, which as torch-imle's does not divide by lambda."""
    layer = CombinatorialLayer(TopK(K), IMLE(LAM, SCALE, divide=False))
    return lambda logits: layer(-logits)


def their_imle() -> Layer:
    """I-MLE with one sample by torch-imle."""
    noise = importlib.import_module("imle.noise").SumOfGammaNoiseDistribution(K, TERMS)
    target = importlib.import_module("imle.target").TargetDistribution(alpha=1.0, beta=LAM)
    layer: Layer = importlib.import_module("imle.wrapper").imle(
        lambda logits: torch_topk(-logits, K),
        target_distribution=target,
        noise_distribution=noise,
        input_noise_temperature=TAU,
        target_noise_temperature=TAU,
    )
    return layer


def noise_case() -> Case:
    """The noise alone."""
    return Case(
        "sampler noise",
        DVAE[1],
        scores(*DVAE),
        (
            function("torch Gamma", gamma_noise),
            Implementation(
                "torch-imle", lambda logits: partial(imle_noise(), logits), foreign=True
            ),
            function("combgrad", table_noise),
        ),
        random=True,
    )


def layer_case(name: str, shape: tuple[int, int], layers: dict[str, Callable[[], Layer]]) -> Case:
    """Layers by the names of their implementations, forward and backward."""
    logits = scores(*shape)
    upstream = scores(shape[0] + 1, shape[1])[1:] / shape[0]
    return Case(
        f"sampler layer {name}",
        shape[1],
        logits,
        tuple(
            forward_backward(impl, make, upstream, foreign=impl.startswith("torch-imle"))
            for impl, make in layers.items()
        ),
        random=True,
    )


def sampler_plans(threads: int) -> list[Plan]:
    """All cases, at one thread: torch draws Gamma variables on one.

    torch-imle has no identity method; what it has for the same network, I-MLE, stands beside it.
    """
    del threads
    identity = {
        "torch Gamma": lambda: torch_identity,
        "torch-imle I-MLE": their_imle,
        "combgrad": our_identity,
    }
    imle = {"torch-imle": their_imle, "combgrad": our_imle}
    plans = [Plan("sampler noise", noise_case, quick=True)]
    for name, shape, layers in (
        ("identity", DVAE, identity),
        ("identity", TEXTS, identity),
        ("imle", DVAE, imle),
    ):
        build = partial(layer_case, name, shape, layers)
        plans.append(Plan(f"sampler layer {name} {shape[1]}", build, quick=shape == DVAE))
    return plans
