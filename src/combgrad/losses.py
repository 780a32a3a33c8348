"""Losses of a solution, or of costs, and a target: mean over the batch, sum over the entries."""

import math
from typing import Any

from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, logsigmoid

from combgrad.gradients.perturbed import Perturbed
from combgrad.gradients.sampling import solve_samples
from combgrad.solvers.base import Solver
from combgrad.solvers.spending import spent


def hamming(solution: Tensor, target: Tensor) -> Tensor:
    """L1 form of the Hamming distance: mean over the batch of sum |y - y*|.

    solution, target (B, *S) -> scalar. Its derivative is sign(y - y*)/B, 0 where they agree
    (A-04). Source: paper, section 3.1.
    """
    return (solution - target).abs().flatten(1).sum(dim=1).mean()


def bilinear_hamming(solution: Tensor, target: Tensor) -> Tensor:
    """Bilinear form of the Hamming distance: mean over the batch of sum y(1 - y*) + (1 - y)y*.

    Equal to `hamming` on 0/1 solutions, but its derivative (1 - 2y*)/B never vanishes: under the
    identity gradient the prediction then has no influence on the update (A-04). Source: code of
    Vlastelica et al., 2020.
    """
    return (solution * (1 - target) + (1 - solution) * target).flatten(1).sum(dim=1).mean()


def fenchel_young(
    costs: Tensor, target: Tensor, solver: Solver, method: Perturbed, **instance: Any
) -> Tensor:
    """Fenchel-Young loss of costs: mean over the batch of <w, y*> - E[<u(w, Z), y(u(w, Z))>].

    costs, target (B, *S) -> scalar; `method` draws the perturbed costs u, `solver` solves them. No
    solution is differentiated: the gradient in w is (y* - E[y(w + sigma Z)])/B for additive noise,
    and 1/B times y* - E[exp(sigma Z - sigma^2/2) y] for multiplicative noise. Convex in w; a
    constant that depends on y* alone is left out, and what remains is >= 0 on average. Sources:
    Blondel et al., JMLR 2020; Berthet et al., NeurIPS 2020, section 4; Dalle et al., arXiv
    2207.13513.

    Raises ValueError for a target of another shape than the costs.
    """
    if target.shape != costs.shape:
        raise ValueError(
            f"fenchel_young: target has shape {tuple(target.shape)} and costs "
            f"{tuple(costs.shape)}; pass one target solution for each instance."
        )
    perturbed, _ = method.perturb(costs)
    solutions = solve_samples(solver, perturbed.detach(), instance)
    least = spent(perturbed.flatten(0, 1), solutions.flatten(0, 1)).view(perturbed.shape[:2])
    return (spent(costs, target) - least.mean(dim=0)).mean()


def pixel_cross_entropy(logits: Tensor, images: Tensor) -> Tensor:
    """Cross-entropy of each image in nats: sum over pixels of log(1 + e^l) - x l.

    logits l (B, P), images x (B, P) in [0, 1], which need not be binary -> (B,). It is
    P log 2 at logits 0.
    """
    return binary_cross_entropy_with_logits(logits, images, reduction="none").sum(dim=1)


def kl_to_uniform(logits: Tensor) -> Tensor:
    """Divergence in nats of q = softmax(row) from the uniform one: sum over rows of q log(n q).

    logits (B, rows, n) -> (B,), from 0 for equal logits to rows * log(n). Source: the code of the
    paper's DVAE (A-09).
    """
    log_q = logits.log_softmax(dim=2)
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
    shifted = logits + math.log(share / (1 - share))
    log_p, log_rest = logsigmoid(shifted), logsigmoid(-shifted)
    ones = log_p.exp() * (log_p - math.log(share))
    zeros = log_rest.exp() * (log_rest - math.log1p(-share))
    return (ones + zeros).sum(dim=(1, 2))
