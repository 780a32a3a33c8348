"""Numbers of an optimizer that are too small to move a weight, and slow to compute with."""

from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from combgrad.guards.lightning import pl

#: Steps between two looks: fewer than the 700 in which a moment of 1e-5 fades at 0.9 a step, and so
#: many that the looks themselves cost next to nothing.
EVERY = 100

#: Of other dtypes numbers are not slow, or as small ones count.
SLOW = (torch.float32, torch.float64)


@torch.no_grad()
def drop_denormals(optimizer: Optimizer) -> None:
    """Set to 0 what an optimizer remembers of size below 2^-126 in float32, 2^-1022 in float64.

    A processor takes ten to a hundred times as long for such numbers as for others. A moment of
    Adam becomes one where a weight gets no gradient any more, as that of a pixel that is mostly
    blank, and stays one: times 0.9 the least of them rounds to itself.
    """
    for remembered in optimizer.state.values():
        for value in remembered.values():
            if isinstance(value, Tensor) and value.device.type == "cpu" and value.dtype in SLOW:
                value.masked_fill_(value.abs() < torch.finfo(value.dtype).tiny, 0.0)


class WithoutDenormals(pl.Callback):
    """Drops the denormal numbers of all optimizers every hundred steps of a training."""

    def on_train_batch_end(self, trainer: pl.Trainer, *args: Any, **named: Any) -> None:
        """Look where it is time, by the steps of the whole training."""
        if trainer.global_step % EVERY == 0:
            for optimizer in trainer.optimizers:
                drop_denormals(optimizer)
