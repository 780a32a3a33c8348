"""Warcraft without a solver: the network answers with the path itself."""

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from combgrad.data.warcraft.datamodule import Warcraft
from combgrad.experiments.base import Batch, Experiment
from combgrad.experiments.fitting import check_forward, refuse_parts
from combgrad.experiments.snapshots import moments_of
from combgrad.experiments.warcraft import check_answers_paths
from combgrad.experiments.warcraft_maps import TOLERANCE, Maps, check_cells, refuse_network
from combgrad.metrics import is_cheapest, wrong_entries
from combgrad.networks import TerrainNet
from combgrad.solvers import ShortestPath


def chosen_cells(logits: Tensor) -> Tensor:
    """The cells that logits (B, k, k) choose, 1 where they are above 0."""
    return (logits > 0).to(logits)


class WarcraftDirectExperiment(Experiment):
    """Map -> a logit for each cell, whether it is on the cheapest path.

    The baseline of Vlastelica et al., ICLR 2020, trained by cross-entropy. What the network answers
    need be no path: `path_share` counts the answers whose cells lead from corner to corner, as
    their code does, and `path_accuracy` those that also cost no more than the cheapest path.

    Args:
        **parts: see Experiment; the network is a PathNet, and the layer is not asked.

    Raises IncompatibleError for a TerrainNet, a solver of other paths, and a choice that would be
    ignored.
    """

    def __init__(self, **parts: Any) -> None:
        super().__init__(**parts)
        if isinstance(self.net, TerrainNet):
            refuse_network(self.net)
        check_forward(self.net, "model=path_net")
        check_answers_paths(self.layer.solver)
        refuse_parts(self.layer, "the baseline", "experiment=warcraft12")
        self.maps = Maps()

    def prepare(self, data: Warcraft) -> None:
        """Take what belongs to the maps."""
        self.maps.take(data)

    def step(self, batch: Batch, stage: str) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss and metrics of a batch of maps."""
        target, logits = batch["target"], self.maps(self.net, batch["maps"])
        check_cells(logits, target)
        entries = binary_cross_entropy_with_logits(logits, target, reduction="none")
        found = chosen_cells(logits.detach())
        values = {"wrong_cells": wrong_entries(found, target)}
        if stage != "train":
            joined = ShortestPath().joined(found).to(found)
            cheapest = is_cheapest(found, target, batch["true_costs"], TOLERANCE)
            values |= {"path_accuracy": cheapest * joined, "path_share": joined}
        return entries.flatten(1).sum(dim=1).mean(), values

    def snapshot(self) -> Tensor:
        """What the network says (N, k, k) of a few test maps."""
        return self.maps.of_shown(self.net)

    @torch.no_grad()
    def pictures(self, data: Warcraft) -> dict[str, Any]:
        """Test maps with the true and the predicted paths, before and after training."""
        del data
        self.eval()
        return self.maps.draw(self.net, moments_of(self.trainer), chosen_cells, "predicted logits")
