"""Image retrieval: learn embeddings from the ranks of the images that show the same."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from combgrad.data.retrieval.datamodule import RetrievalImages
from combgrad.errors import IncompatibleError, SolverInputError
from combgrad.experiments.base import Batch, Experiment
from combgrad.experiments.batch_memory import BatchMemory, Memory
from combgrad.experiments.fitting import check_has
from combgrad.experiments.rates import rates_of_backbone
from combgrad.labels import Labels
from combgrad.losses import Recall
from combgrad.metrics import cluster_agreement, cost_norm, nearest, retrieval_scores
from combgrad.pictures.neighbours import draw_neighbours
from combgrad.solvers import Solver

#: For which k recall at k is measured.
KS = (1, 2, 4, 8)

#: Test images that are looked at, and how many of the nearest ones.
PICTURED, NEIGHBOURS = 8, 6


def check_answers_ranks(solver: Solver) -> None:
    """Raise IncompatibleError for a solver that does not answer scores with their ranks."""
    try:
        found = solver(torch.tensor([[0.1, 0.9, 0.5, -0.3]]))
        right = bool((found / found.amin()).round().tolist() == [[3, 1, 2, 4]])
    except SolverInputError:
        right = False
    if not right:
        raise IncompatibleError(
            f"{type(solver).__name__} does not answer scores with their ranks, 1 for the largest, "
            f"which a retrieval needs; choose solver=ranking."
        )


def without_self(scores: Tensor) -> Tensor:
    """Scores (B, N - 1) of queries with all candidates but themselves, of (B, N >= B).

    Query i is candidate i.
    """
    place = torch.arange(scores.shape[1] - 1, device=scores.device)
    query = torch.arange(len(scores), device=scores.device)
    return scores.gather(1, place + (place >= query[:, None]).long())


class RetrievalExperiment(Experiment):
    """Images -> embeddings -> cosines -> ranks (paper, section B.3).

    A batch has `label` (B,) and `images` or `features`. Every image of a batch is a query for all
    others of it; the costs are the cosines (B, B - 1), and those of the query's class are relevant.
    With a memory of embeddings those of earlier batches are candidates too; with a memory of rows
    the earlier queries count in the mean of the loss with the scores that they had, which only
    scales the gradient (A-24).

    Evaluations measure recall at 1, 2, 4 and 8 and mAP@R of all test images, the test NMI too.
    Their loss is that of one batch of images at a time, in the order of the data.

    Args:
        memory: `rows`, `embeddings` or `none`.
        memory_batches: how many earlier batches are kept.
        backbone_rate: learning rate of the network's backbone, where it has one to train.
        **parts: see Experiment; the network is a RetrievalNet, the loss Recall.

    Raises IncompatibleError for a solver that does not rank, for a loss of anything else, and, when
    the training starts, where several processes would each rank their share of a batch.
    """

    def __init__(
        self,
        memory: Memory = "rows",
        memory_batches: int = 3,
        backbone_rate: float = 5e-7,
        **parts: Any,
    ) -> None:
        check_has(parts["net"], ("embedding",), "model=retrieval_net")
        rates = rates_of_backbone(parts["net"], backbone_rate)
        super().__init__(provides=("target",), rates=rates, **parts)
        check_answers_ranks(self.layer.solver)
        if not isinstance(self._loss, Recall):
            raise IncompatibleError(
                f"{type(self._loss).__name__} compares a ranking with a true one, and a retrieval "
                f"knows only which candidates are relevant; choose loss=recall."
            )
        self.memory = BatchMemory(memory, memory_batches)
        self._look: Callable[[Tensor, bool], Tensor] | None = None

    def prepare(self, data: RetrievalImages) -> None:
        """Take how the images are looked at."""
        self._look = data.look

    def on_fit_start(self) -> None:
        """Refuse what would rank a part of a batch only."""
        if self.trainer.world_size > 1:
            raise IncompatibleError(
                f"trainer.devices gives {self.trainer.world_size} processes a share of each batch, "
                f"and a retrieval ranks a batch as a whole; use trainer.devices=1."
            )
        super().on_fit_start()

    def embed(self, batch: Batch, training: bool = False) -> Tensor:
        """The embeddings (B, D) of a batch."""
        if "features" in batch:
            return self.net(batch["features"])
        images = batch["images"]
        return self.net(images if self._look is None else self._look(images, training))

    def step(self, batch: Batch, stage: str) -> tuple[Tensor, dict[str, Tensor]]:
        """The recall loss of a batch of images."""
        training, label = stage == "train", batch["label"]
        embedding = self.embed(batch, training)
        candidates, classes = embedding, label
        if training:
            candidates, classes = self.memory.joined("embeddings", embedding, label)
        scores = without_self(embedding @ candidates.T)
        relevant = without_self((label[:, None] == classes).to(scores.dtype))
        values = {"cost_norm": cost_norm(scores.detach())}
        if not training:
            self.keep(stage, embedding=embedding, label=label)
        if not scores.numel():  # an image alone
            return scores.sum(), values
        if training:
            values["nearest_is_right"] = relevant.gather(1, scores.argmax(1, keepdim=True))[:, 0]
            scores, relevant = self.memory.joined("rows", scores, relevant)
        return self.judge(scores, Labels(relevant)).loss, values

    def epoch_metrics(self, stage: str) -> dict[str, Tensor]:
        """Recall at k and mAP@R of a whole set, and of the test NMI."""
        if stage == "train":
            return {}
        kept = self.kept(stage)
        found = retrieval_scores(kept["embedding"], kept["label"], KS)
        values = {f"recall_at_{k}": share for k, share in zip(KS, found.recall, strict=True)}
        values["map_at_r"] = found.map_at_r
        if stage == "test":
            values["nmi"] = cluster_agreement(kept["embedding"], kept["label"], self.seed)
        return {name: value.to(self.device) for name, value in values.items()}

    @torch.no_grad()
    def pictures(self, data: RetrievalImages) -> dict[str, Any]:
        """A few test images with their nearest ones, right and wrong."""
        self.eval()
        parts, labels = [], []
        for batch in data.test_dataloader():
            moved = {name: rows.to(self.device) for name, rows in batch.items()}
            parts.append(self.embed(moved).cpu())
            labels.append(batch["label"])
        embeddings, label = torch.cat(parts), torch.cat(labels)
        count = min(NEIGHBOURS, len(label) - 1)
        queries = torch.linspace(0, len(label) - 1, min(PICTURED, len(label))).long()
        found = nearest(embeddings, queries, count)
        rows = torch.cat([queries[:, None], found], dim=1)
        photographs = data.photographs("test", rows.flatten().tolist())
        right = label[found] == label[queries][:, None]
        shown = photographs.reshape(*rows.shape, *photographs.shape[1:])
        names = [data.collection.categories[number] for number in label[queries].tolist()]
        return {"neighbours": draw_neighbours(shown, right.numpy(), names)}
