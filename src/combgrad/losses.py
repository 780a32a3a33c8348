"""Losses between a solution and its target, mean over the batch, sum over the entries."""

from torch import Tensor


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
