"""How bright each colour channel of the training maps is, and how much that varies."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from combgrad.data.batches import Column
from combgrad.data.npy import DataFileError, load_array, save_array
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


def channel_statistics_cached(maps: Column, path: Path | None) -> tuple[Tensor, Tensor]:
    """Mean and deviation, each (3,) float32, kept in the file `path` unless that is None."""
    found = _read(path)
    if found is None:
        found = channel_statistics(maps)
        if path is not None:
            save_array(path, found)
    mean, deviation = torch.from_numpy(found).to(torch.float32)
    return mean, deviation


def _read(path: Path | None) -> np.ndarray | None:
    if path is None:
        return None
    try:
        return load_array(path, shape=(2, 3), dtype_kind="f")
    except DataFileError:
        return None
