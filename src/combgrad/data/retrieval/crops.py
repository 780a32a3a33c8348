"""The part of an image that is looked at: random while training, the middle otherwise."""

import torch
from torch import Tensor


def middle(images: Tensor, size: int) -> Tensor:
    """The middle (B, C, size, size) of square images (B, C, S, S)."""
    start = (images.shape[2] - size) // 2
    return images[:, :, start : start + size, start : start + size]


def random_part(images: Tensor, size: int, mirror: bool) -> Tensor:
    """A random part (B, C, size, size) of each of the images (B, C, S, S).

    With `mirror` each is mirrored with probability 1/2. The random numbers are torch's global ones
    of the CPU.
    """
    batch, last = len(images), images.shape[2] - size
    top, left = torch.randint(last + 1, (2, batch))
    across = torch.arange(size).expand(batch, size)
    if mirror:
        turned = torch.rand(batch, 1) < 0.5
        across = torch.where(turned, size - 1 - across, across)
    rows = (top[:, None] + torch.arange(size)).to(images.device)
    columns = (left[:, None] + across).to(images.device)
    which = torch.arange(batch, device=images.device)[:, None, None]
    return images[which, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)
