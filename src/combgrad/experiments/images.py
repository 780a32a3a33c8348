"""What experiments on images with classes share, whatever they learn of them."""

from collections.abc import Callable
from typing import Any

from torch import Tensor

from combgrad.data.retrieval.class_images import ClassImages
from combgrad.experiments.base import Batch, Experiment


class ImageExperiment(Experiment):
    """Images, or features of them -> what the network answers; a subclass says the `step`.

    A batch has `label` (B,) or (B, b), and beyond that shape `images` (..., C, S, S) or `features`
    (..., G).

    Args:
        **parts: see Experiment; the network is a WholeImageNet.
    """

    def __init__(self, **parts: Any) -> None:
        super().__init__(**parts)
        self._look: Callable[[Tensor, bool], Tensor] | None = None

    def prepare(self, data: ClassImages) -> None:
        """Take how the images are looked at."""
        self._look = data.look

    def answers(self, batch: Batch, training: bool = False) -> Tensor:
        """What the network answers (N, ...) to the N images of a batch, one after another."""
        last = batch["label"].dim() - 1
        if "features" in batch:
            return self.net(batch["features"].flatten(0, last))
        images = batch["images"].flatten(0, last)
        return self.net(images if self._look is None else self._look(images, training))
