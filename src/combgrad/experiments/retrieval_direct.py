"""Image retrieval without a solver: a loss of the embeddings themselves."""

from collections.abc import Callable
from typing import Any

from torch import Tensor

from combgrad.experiments.base import Batch
from combgrad.experiments.embeddings import EmbeddingExperiment
from combgrad.experiments.fitting import refuse_parts


class RetrievalDirectExperiment(EmbeddingExperiment):
    """Images -> embeddings -> a loss of these and their classes, to compare the ranks' with.

    Args:
        objective: a function of embeddings (B, D) and classes (B,) to a scalar.
        backbone_rate, **parts: see EmbeddingExperiment; the layer is not asked.

    Raises IncompatibleError for a choice that would be ignored.
    """

    def __init__(
        self,
        objective: Callable[[Tensor, Tensor], Tensor],
        backbone_rate: float = 5e-7,
        **parts: Any,
    ) -> None:
        super().__init__(backbone_rate, **parts)
        refuse_parts(self.layer, "a loss of the embeddings", "experiment=cub2010")
        self.objective = objective

    def step(self, batch: Batch, stage: str) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss of a batch of images."""
        label, embedding = batch["label"], self.answers(batch, stage == "train")
        if stage != "train":
            self.keep(stage, embedding=embedding, label=label)
        return self.objective(embedding, label), {}
