"""Losses of embeddings without a solver, as pytorch-metric-learning has them."""

import importlib
from typing import Any, Literal

from torch import Tensor, nn

from combgrad.arguments import check_option
from combgrad.errors import MissingPackageError
from combgrad.files.installation import extra
from combgrad.solvers.arrays import outside_autocast

Name = Literal["triplet", "multi_similarity", "fast_ap"]

#: Of a triplet, in cosines; what its package's own example takes.
MARGIN = 0.2


class MetricLearning(nn.Module):
    """A loss of embeddings (B, D) and their classes (B,), a scalar >= 0, s the cosine of two.

    `triplet`: mean of max(0, s_an - s_ap + 0.2) over the triplets of an anchor a, one of its class
    p and another n with 0 < s_ap - s_an <= 0.2, semi-hard ones. Source: Schroff et al., CVPR 2015.

    `multi_similarity`: mean over the anchors of (1/2) log(1 + sum over p of exp(-2 (s_ap - 1/2))) +
    (1/50) log(1 + sum over n of exp(50 (s_an - 1/2))), over those p that are less near than the
    nearest n or by no more than 0.1 nearer, and those n that are nearer than the farthest p or by
    no more than 0.1 less near. Source: Wang et al., CVPR 2019.

    `fast_ap`: one minus the mean over the queries of the average precision of a histogram of
    distances in 10 bins. Source: Cakir et al., CVPR 2019.

    Raises ValueError for another name, MissingPackageError where the package is missing.
    """

    def __init__(self, name: Name) -> None:
        super().__init__()
        check_option("name", name, Name, "task.objective")
        losses, miners = _room("losses"), _room("miners")
        cosine = _room("distances").CosineSimilarity()
        self.miner: Any = None
        if name == "triplet":
            above_zero = _room("reducers").ThresholdReducer(low=0)
            self.loss = losses.TripletMarginLoss(MARGIN, distance=cosine, reducer=above_zero)
            self.miner = miners.TripletMarginMiner(MARGIN, "semihard", distance=cosine)
        elif name == "multi_similarity":
            self.loss, self.miner = losses.MultiSimilarityLoss(), miners.MultiSimilarityMiner()
        else:
            self.loss = losses.FastAPLoss()

    def forward(self, embeddings: Tensor, classes: Tensor) -> Tensor:
        """The loss of a batch; 0 where it has nothing to compare."""
        with outside_autocast(embeddings):
            mined = None if self.miner is None else self.miner(embeddings, classes)
            loss: Tensor = self.loss(embeddings, classes, mined)
        return loss


def _room(name: str) -> Any:
    try:
        return importlib.import_module(f"pytorch_metric_learning.{name}")
    except ModuleNotFoundError as error:
        raise MissingPackageError(
            f"losses of embeddings need a package: {extra('metric-learning')}."
        ) from error
