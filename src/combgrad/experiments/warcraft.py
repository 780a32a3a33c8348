"""Warcraft: learn what terrain costs from the cheapest paths across maps alone."""

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from combgrad.errors import IncompatibleError
from combgrad.experiments.base import Batch, Experiment
from combgrad.experiments.snapshots import moments_of
from combgrad.losses import hamming
from combgrad.metrics import (
    column_cost_ratio,
    cost_norm,
    cost_ratio,
    is_cheapest,
    wrong_entries,
)
from combgrad.pictures.terrain import draw_maps
from combgrad.solvers import ShortestPath

PICTURED = 4


def pictured(datamodule: Any) -> Batch:
    """The few test maps that are looked at."""
    columns = datamodule.columns("test")
    rows = torch.arange(min(PICTURED, len(columns["maps"])))
    return {name: column[rows] for name, column in columns.items()}


class WarcraftExperiment(Experiment):
    """Map -> costs of its cells -> cheapest path (paper, section B.5).

    A batch has `maps` (B, 8k, 8k, 3) uint8, `target` (B, k, k) 0/1 and `true_costs` (B, k, k). The
    loss is the L1 distance of the paths.

    With `direct` the network answers with the path itself, a logit for each cell, trained by
    cross-entropy, as the baseline of Vlastelica et al., ICLR 2020. What it answers need be no path;
    the metrics of paths then speak of those answers that are one.

    Args:
        direct: whether the network is a PathNet that does without the solver.
        **parts: see Experiment; the network is a TerrainNet otherwise.

    Raises IncompatibleError for a solver of something else than paths across a grid.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, direct: bool = False, **parts: Any) -> None:
        super().__init__(**parts)
        if not isinstance(self.layer.solver, ShortestPath):
            raise IncompatibleError(
                f"Warcraft asks for paths; solver={type(self.layer.solver).__name__} finds none. "
                f"Use solver=shortest_path."
            )
        self.direct = direct

    def setup(self, stage: str) -> None:
        """Take the statistics of the training maps from the data module; they are no weights."""
        del stage
        datamodule: Any = self.trainer.datamodule  # type: ignore[attr-defined]
        self.register_buffer("mean", datamodule.channel_mean, persistent=False)
        self.register_buffer("deviation", datamodule.channel_std, persistent=False)

    def answer(self, maps: Tensor) -> Tensor:
        """What the network says (B, k, k) of maps (B, 8k, 8k, 3): costs, or logits of a path."""
        images = (maps.to(torch.float32) - self.mean) / self.deviation
        return self.net(images.permute(0, 3, 1, 2))

    def step(self, batch: Batch, stage: str) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss and metrics of a batch of maps."""
        target, answer = batch["target"], self.answer(batch["maps"])
        values = {}
        if self.direct:
            entries = binary_cross_entropy_with_logits(answer, target, reduction="none")
            loss, found = entries.flatten(1).sum(dim=1).mean(), (answer.detach() > 0).to(target)
        else:
            solution = self.layer(answer, target=target)
            loss, found = hamming(solution, target), solution.detach()
            values["cost_norm"] = cost_norm(answer.detach())
        values["wrong_cells"] = wrong_entries(found, target)
        if stage != "train":
            values |= self._of_paths(found, batch)
        if stage == "test" and not self.direct:
            # Beside the ratio of the paper's formula, what the code before it printed.
            values["column_cost_ratio"] = column_cost_ratio(found, target, batch["true_costs"])
        return loss, values

    def _of_paths(self, found: Tensor, batch: Batch) -> dict[str, Tensor]:
        target, costs = batch["target"], batch["true_costs"]
        cheapest = is_cheapest(found, target, costs)
        if not self.direct:
            return {"path_accuracy": cheapest, "cost_ratio": cost_ratio(found, target, costs)}
        # The way that prefers the cells of an answer has no others exactly if the answer is a path.
        dear = costs + (1 - found) * costs.flatten(1).sum(dim=1)[:, None, None]
        paths = (self.layer.solver(dear) == found).flatten(1).all(dim=1).to(found)
        return {"path_accuracy": cheapest * paths, "path_share": paths}

    def snapshot(self) -> Tensor:
        """What the network says (N, k, k) of a few test maps."""
        datamodule: Any = self.trainer.datamodule  # type: ignore[attr-defined]
        return self.answer(pictured(datamodule)["maps"].to(self.device))

    @torch.no_grad()
    def pictures(self, datamodule: Any) -> dict[str, Any]:
        """Test maps with the true and the predicted paths and costs, before and after training."""
        self.eval()
        test = pictured(datamodule)
        moments = moments_of(self.trainer)
        shown = {"maps": self.snapshot().cpu()}
        if len(moments) > 1:
            shown["maps_before"] = moments[min(moments)]
        return {
            name: draw_maps(
                test["maps"].numpy(),
                test["target"].numpy(),
                self._paths(answer).numpy(),
                answer.numpy(),
                test["true_costs"].numpy(),
            )
            for name, answer in shown.items()
        }

    def _paths(self, answer: Tensor) -> Tensor:
        return (answer > 0).to(answer) if self.direct else self.layer(answer)
