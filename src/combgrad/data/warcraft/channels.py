"""How bright each colour channel of the training maps is, and how much that varies."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from combgrad.data.base import cached
from combgrad.data.batches import Column
from combgrad.data.warcraft.files import CHUNK


def channel_statistics(maps: Column) -> np.ndarray:
    """Mean and population deviation (2, 3) float64, 0 to 255, of maps (N, H, W, 3) uint8.

    Exact, from how often each of the 256 levels occurs; only a few maps are in memory at a time.
    """
    counts = np.zeros((3, 256), dtype=np.int64)
    for rows in torch.arange(len(maps)).split(CHUNK):
        pixels = maps[rows].flatten(0, -2)
        for channel, count in enumerate(counts):
            count += torch.bincount(pixels[:, channel], minlength=256).numpy()
    levels = np.arange(256.0)
    shares = counts / counts.sum(1, keepdims=True)
    mean = (shares * levels).sum(1)
    variance = (shares * (levels - mean[:, None]) ** 2).sum(1)
    return np.stack([mean, np.sqrt(variance)])


def channel_statistics_cached(
    maps: Column, folder: Path | None, name: str, key: Sequence[object]
) -> tuple[Tensor, Tensor]:
    """Mean and deviation, each (3,) float32, of maps that the key names, kept in `folder`."""
    stored = cached(folder, name, key, lambda: [{"statistics": channel_statistics(maps)}])
    mean, deviation = torch.from_numpy(np.array(stored["statistics"])).to(torch.float32)
    return mean, deviation
