"""Losses of auto-encoders with discrete codes: reconstruction and divergence from the prior."""

import math

from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, logsigmoid

from combgrad.solvers.arrays import single


def pixel_cross_entropy(logits: Tensor, images: Tensor) -> Tensor:
    """Cross-entropy of each image in nats: sum over pixels of log(1 + e^l) - x l.

    logits l (B, P), images x (B, P) in [0, 1], which need not be binary -> (B,). It is
    P log 2 at logits 0.
    """
    pixels = binary_cross_entropy_with_logits(single(logits), single(images), reduction="none")
    return pixels.sum(dim=1)


def kl_to_uniform(logits: Tensor) -> Tensor:
    """Divergence in nats of q = softmax(row) from the uniform one: sum over rows of q log(n q).

    logits (B, rows, n) -> (B,), from 0 for equal logits to rows * log(n). Source: the code of the
    paper's DVAE (A-09).
    """
    log_q = single(logits).log_softmax(dim=2)
    divergence = (log_q.exp() * log_q).sum(dim=(1, 2))
    return divergence + logits.shape[1] * math.log(logits.shape[2])


def kl_to_share(logits: Tensor, share: float) -> Tensor:
    """Divergence in nats of entries that are 1 with p, each on its own, from such of a `share`.

    Sum over rows and entries of p log(p / s) + (1 - p) log((1 - p) / (1 - s)), where p = sigmoid(
    logit(s) + l), so that logits l of 0 cost nothing. logits (B, rows, n), s in (0, 1) -> (B,).
    For codes with k ones in n entries s = k / n: the other reading of the paper's "marginals of
    the latents" (A-09). Raises ValueError for another share.
    """
    if not 0 < share < 1:
        raise ValueError(f"share is {share}; it must lie between 0 and 1, as k / n with 0 < k < n.")
    shifted = single(logits) + math.log(share / (1 - share))
    log_p, log_rest = logsigmoid(shifted), logsigmoid(-shifted)
    ones = log_p.exp() * (log_p - math.log(share))
    zeros = log_rest.exp() * (log_rest - math.log1p(-share))
    return (ones + zeros).sum(dim=(1, 2))
