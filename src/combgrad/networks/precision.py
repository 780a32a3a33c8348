"""Single precision under autocast, where small differences decide what a solver answers."""

import contextlib

import torch
from torch import Tensor


def single(values: Tensor) -> Tensor:
    """The same values, halves in single precision."""
    return values.to(torch.promote_types(values.dtype, torch.float32))


def products(first: Tensor, second: Tensor) -> Tensor:
    """<x, y> of each of vectors (B, N, C) with each of (B, M, C): (B, N, M), as `single`."""
    device = first.device.type
    # A device that knows no autocast would refuse to leave it.
    inside = torch.is_autocast_enabled(device)
    with torch.autocast(device, enabled=False) if inside else contextlib.nullcontext():
        return single(first) @ single(second).transpose(1, 2)
