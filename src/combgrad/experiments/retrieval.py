"""Image retrieval: learn embeddings from the ranks of the images that show the same."""

from typing import Any

import torch
from torch import Tensor

from combgrad.errors import IncompatibleError
from combgrad.experiments.base import Batch
from combgrad.experiments.batch_memory import BatchMemory, Memory
from combgrad.experiments.embeddings import EmbeddingExperiment
from combgrad.experiments.fitting import check_solves
from combgrad.labels import Labels
from combgrad.losses import Recall
from combgrad.metrics import cost_norm
from combgrad.solvers import Solver
from combgrad.solvers.arrays import outside_autocast


def check_answers_ranks(solver: Solver) -> None:
    """Raise IncompatibleError for a solver that does not answer scores with their ranks."""

    def right() -> bool:
        found = solver(torch.tensor([[0.1, 0.9, 0.5, -0.3]]))
        return bool((found / found.amin()).round().tolist() == [[3, 1, 2, 4]])

    told = "answer scores with their ranks, 1 for the largest, which a retrieval needs; choose "
    check_solves(solver, right, f"{told}solver=ranking.")


def without_self(scores: Tensor) -> Tensor:
    """Scores (B, N - 1) of queries with all candidates but themselves, of (B, N >= B).

    Query i is candidate i.
    """
    rows, columns = scores.shape
    if not rows:
        return scores[:, 1:]
    # Between one score of a query with itself and the next stand `columns` others.
    after_first = scores.flatten()[1:]
    until_last, rest = after_first.tensor_split([(rows - 1) * (columns + 1)])
    between = until_last.view(rows - 1, columns + 1)[:, :columns]
    return torch.cat([between.flatten(), rest]).view(rows, columns - 1)


class RetrievalExperiment(EmbeddingExperiment):
    """Images -> embeddings -> cosines -> ranks (paper, section B.3).

    A batch has `label` (B,) and `images` or `features`. Every image of a batch is a query for all
    others of it; the costs are the cosines (B, B - 1), and those of the query's class are relevant.
    With a memory of embeddings those of earlier batches are candidates too; with a memory of rows
    the earlier queries count in the mean of the loss with the scores that they had, which only
    scales the gradient (A-24).

    The loss of an evaluation is that of one batch of images at a time, in the order of the data.

    Args:
        memory: `rows`, `embeddings` or `none`.
        memory_batches: how many earlier batches are kept.
        backbone_rate, **parts: see EmbeddingExperiment; the loss is Recall.

    Raises IncompatibleError for a solver that does not rank and for a loss of anything else.
    """

    def __init__(
        self,
        memory: Memory = "rows",
        memory_batches: int = 3,
        backbone_rate: float = 5e-7,
        **parts: Any,
    ) -> None:
        super().__init__(backbone_rate, provides=("target",), **parts)
        check_answers_ranks(self.layer.solver)
        if not isinstance(self._loss, Recall):
            raise IncompatibleError(
                f"{type(self._loss).__name__} compares a ranking with a true one, and a retrieval "
                f"knows only which candidates are relevant; choose loss=recall."
            )
        self.memory = BatchMemory(memory, memory_batches)

    def step(self, batch: Batch, stage: str) -> tuple[Tensor, dict[str, Tensor]]:
        """The recall loss of a batch of images."""
        training, label = stage == "train", batch["label"]
        embedding = self.answers(batch, training)
        candidates, classes = embedding, label
        if training:
            candidates, classes = self.memory.joined("embeddings", embedding, label)
        with outside_autocast(embedding):  # ranks depend on small differences
            scores = without_self(embedding @ candidates.T)
        relevant = without_self(label[:, None] == classes)
        values = {"cost_norm": cost_norm(scores.detach())}
        if not training:
            self.keep(stage, embedding=embedding, label=label)
        if not scores.numel():  # an image alone
            return scores.sum(), values
        if training:
            nearest = scores.argmax(1, keepdim=True)
            values["nearest_is_right"] = relevant.gather(1, nearest)[:, 0].to(scores.dtype)
            scores, relevant = self.memory.joined("rows", scores, relevant)
        return self.judge(scores, Labels(relevant)).loss, values
