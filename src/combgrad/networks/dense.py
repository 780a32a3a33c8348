"""Layers as Keras, which the paper's code uses, starts them."""

import itertools
from collections.abc import Sequence
from typing import TypeVar

from torch import nn

Layer = TypeVar("Layer", nn.Linear, nn.Conv1d)


def glorot(layer: Layer) -> Layer:
    """The layer, its weights drawn anew from Glorot's uniform distribution, its biases zero."""
    nn.init.xavier_uniform_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


def dense(sizes: Sequence[int]) -> nn.Sequential:
    """Linear layers of these sizes with a ReLU between each two, started as Keras does."""
    layers: list[nn.Module] = []
    for fan_in, fan_out in itertools.pairwise(sizes):
        layers += [glorot(nn.Linear(fan_in, fan_out)), nn.ReLU()]
    return nn.Sequential(*layers[:-1])
