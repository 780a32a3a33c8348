"""What tells the arguments of solvers apart between calls: keys that are equal bit by bit only."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

Key = tuple[Any, ...]


def bytes_of(values: Tensor) -> bytes:
    """The bytes of a tensor on any device."""
    return values.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes()


def key_of(value: Any) -> Key | None:
    """Equal for equal arguments only; None where nothing can promise that."""
    if isinstance(value, Tensor):
        return Tensor, value.dtype, value.shape, bytes_of(value)
    if isinstance(value, np.ndarray | np.generic):
        if value.dtype.hasobject:
            return None
        return type(value), value.dtype.str, value.shape, value.tobytes()
    if value is None or isinstance(value, bool | int | float | str):
        return type(value), repr(value)
    if isinstance(value, tuple | list):
        keys = [key_of(entry) for entry in value]
        return None if None in keys else (type(value), *keys)
    return None


def keys_of(arguments: Mapping[str, Any]) -> dict[str, Key | None]:
    """The key of each argument by its name, in the order of the names."""
    return {name: key_of(value) for name, value in sorted(arguments.items())}
