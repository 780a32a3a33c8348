"""Embeddings of images by class: how they are found, measured and shown, whatever trains them."""

from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor

from combgrad.data.retrieval.datamodule import RetrievalImages
from combgrad.errors import IncompatibleError
from combgrad.experiments.fitting import check_has
from combgrad.experiments.images import ImageExperiment
from combgrad.experiments.rates import rates_of_backbone
from combgrad.metrics import cluster_agreement, nearest, retrieval_scores
from combgrad.pictures.embedding_map import draw_embedding_map
from combgrad.pictures.neighbours import draw_neighbours

#: For which k recall at k is measured.
KS = (1, 2, 4, 8)

#: Test images that are looked at, and how many of the nearest ones.
PICTURED, NEIGHBOURS = 8, 6


class EmbeddingExperiment(ImageExperiment):
    """Images -> embeddings of length 1, measured by what is near; a subclass says the `step`.

    A batch has `label` (B,) and `images` or `features`. Evaluations measure recall at 1, 2, 4 and 8
    and mAP@R of all test images, the test NMI too.

    Args:
        backbone_rate: learning rate of the network's backbone, where it has one to train.
        **parts: see Experiment; the network is a RetrievalNet.

    Raises IncompatibleError for another network and, when the training starts, where several
    processes would each have a share of a batch.
    """

    def __init__(self, backbone_rate: float, **parts: Any) -> None:
        check_has(parts["net"], ("embedding",), "model=retrieval_net")
        super().__init__(rates=rates_of_backbone(parts["net"], backbone_rate), **parts)

    def on_fit_start(self) -> None:
        """Refuse what would compare the images of a part of a batch only."""
        if self.trainer.world_size > 1:
            raise IncompatibleError(
                f"trainer.devices gives {self.trainer.world_size} processes a share of each batch, "
                f"and a retrieval compares all images of a batch; use trainer.devices=1."
            )
        super().on_fit_start()

    def epoch_metrics(self, stage: str) -> dict[str, Tensor]:
        """Recall at k and mAP@R of a whole set, and NMI of the test set."""
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
        """A few test images with their nearest ones, right and wrong, and a map of all."""
        self.eval()
        parts, labels = [], []
        for batch in data.test_dataloader():
            moved = {name: rows.to(self.device) for name, rows in batch.items()}
            parts.append(self.answers(moved).cpu())
            labels.append(batch["label"])
        embeddings, label = torch.cat(parts), torch.cat(labels)
        queries = torch.linspace(0, len(label) - 1, min(PICTURED, len(label))).long()
        categories = data.collection.categories
        shown = {number: categories[number] for number in label[queries].tolist()}
        found = {"neighbours": draw_found(data, embeddings, label, queries)}
        if embeddings.shape[1] >= 2:
            found["map"] = draw_embedding_map(embeddings.numpy(), label.numpy(), shown)
        return found


def draw_found(data: RetrievalImages, embeddings: Tensor, label: Tensor, queries: Tensor) -> Figure:
    """The test images nearest to queries (Q,), of embeddings (N, D) and classes (N,)."""
    found = nearest(embeddings, queries, min(NEIGHBOURS, len(label) - 1))
    rows = torch.cat([queries[:, None], found], dim=1)
    photographs = data.photographs("test", rows.flatten().tolist())
    right = label[found] == label[queries][:, None]
    shown = photographs.reshape(*rows.shape, *photographs.shape[1:])
    names = [data.collection.categories[number] for number in label[queries].tolist()]
    return draw_neighbours(shown, right.numpy(), names)
