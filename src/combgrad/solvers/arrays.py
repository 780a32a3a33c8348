"""What a caller passed, checked, and as arrays for compiled code; and their answers back."""

import contextlib
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import torch
from torch import Tensor

from combgrad.errors import SolverInputError

#: What networks under autocast answer in: too coarse to project, and to add noise to.
HALF = (torch.float16, torch.bfloat16)


def integer_array(name: str, values: Any, shape: str) -> np.ndarray:
    """Values that a caller passed as int64; ValueError, naming them and the shape, for others."""
    if isinstance(values, Tensor):
        values = values.detach().cpu().numpy()
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise ValueError(
            f"{name} cannot be made an array ({error}); pass integers, {shape}."
        ) from error
    if array.size == 0 and array.dtype.kind == "f":
        array = array.astype(np.int64)
    if array.dtype.kind not in "iu" or (array.size and array.max() > np.iinfo(np.int64).max):
        raise ValueError(
            f"{name} has shape {array.shape} and dtype {array.dtype}; pass integers, {shape}."
        )
    return array.astype(np.int64)


def check_finite(part: str, costs: Tensor, words: str) -> None:
    """SolverInputError, naming the part and the batch index, where costs (B, *S) are not finite.

    `words` say what they contain and what to do about it.
    """
    broken = ~torch.isfinite(costs).flatten(1).all(dim=1)
    if bool(broken.any()):
        index = int(broken.nonzero()[0])
        raise SolverInputError(f"{part}: costs of batch index {index} contain {words}")


def to_array(costs: Tensor) -> np.ndarray:
    """The costs as a contiguous float64 array, which holds every smaller float exactly."""
    return np.ascontiguousarray(costs.cpu().to(torch.float64).numpy())


def to_native_array(costs: Tensor) -> np.ndarray:
    """The costs as a contiguous array of float32 or float64, halves widened to float32."""
    kept = costs.dtype in (torch.float32, torch.float64)
    array = costs.cpu() if kept else costs.cpu().to(torch.float32)
    return np.ascontiguousarray(array.numpy())


def to_tensor(solution: np.ndarray, like: Tensor) -> Tensor:
    """A solution array as a tensor with the dtype and device of the costs it answers."""
    return torch.from_numpy(solution).to(device=like.device, dtype=like.dtype)


def single(values: Tensor) -> Tensor:
    """The same values, halves in single precision: for numbers of which small differences count."""
    return values.float() if values.dtype in HALF else values


def outside_autocast(like: Tensor) -> AbstractContextManager[object]:
    """A context without autocast on the device of a tensor, for sums in single precision."""
    device = like.device.type
    if not torch.is_autocast_enabled(device):
        # A device that knows no autocast would refuse to leave it.
        return contextlib.nullcontext()
    return torch.autocast(device, enabled=False)
