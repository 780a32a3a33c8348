"""Warcraft: learn what terrain costs from the cheapest paths across maps alone."""

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from combgrad.errors import IncompatibleError, SolverInputError
from combgrad.experiments.base import Batch, Experiment
from combgrad.experiments.fitting import check_forward
from combgrad.experiments.snapshots import moments_of
from combgrad.gradients import Identity
from combgrad.labels import Labels
from combgrad.metrics import (
    column_cost_ratio,
    cost_norm,
    cost_ratio,
    is_cheapest,
    wrong_entries,
)
from combgrad.networks import PathNet, TerrainNet
from combgrad.pictures.terrain import draw_maps
from combgrad.solvers import ShortestPath, Solver

PICTURED = 4

#: What the rounding of published costs, half floats, may add to the cost of a path, relative. The
#: least that a wrong step adds is twice that: 0.1 on the dearest of the largest maps.
TOLERANCE = 3e-4


def pictured(datamodule: Any) -> Batch:
    """The few test maps that are looked at."""
    columns = datamodule.columns("test")
    rows = torch.arange(min(PICTURED, len(columns["maps"])))
    return {name: column[rows] for name, column in columns.items()}


def check_answers_paths(solver: Solver) -> None:
    """Raise IncompatibleError for a solver that does not find the paths that label the maps."""
    # Down, aslant and on to the right costs 3, any other way at least 10.
    costs = torch.tensor([[[1.0, 9, 9], [1, 9, 9], [9, 1, 0]]])
    expected = torch.tensor([[[1.0, 0, 0], [1, 0, 0], [0, 1, 1]]])
    try:
        right = torch.equal(solver(costs).cpu(), expected)
    except SolverInputError:
        right = False
    if not right:
        raise IncompatibleError(
            f"{type(solver).__name__} does not answer the costs of cells with the cheapest path "
            f"from the upper left to the lower right one with steps to all 8 neighbours, which "
            f"Warcraft needs. Use solver=shortest_path with solver.neighbours=8."
        )


class WarcraftExperiment(Experiment):
    """Map -> costs of its cells -> cheapest path (paper, section B.5).

    A batch has `maps` (B, 8k, 8k, 3) uint8, `target` (B, k, k) 0/1 and `true_costs` (B, k, k).

    With `direct` the network answers with the path itself, a logit for each cell, trained by
    cross-entropy, as the baseline of Vlastelica et al., ICLR 2020. What it answers need be no path:
    `path_share` counts the answers whose cells lead from corner to corner, as their code does, and
    `path_accuracy` those that also cost no more than the cheapest path.

    Args:
        direct: whether the network is a PathNet that does without the solver.
        **parts: see Experiment; the network is a TerrainNet otherwise.

    Raises IncompatibleError for a solver of other paths, for the network of the other kind, and for
    a choice that `direct` would ignore.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(
        self,
        direct: bool = False,
        **parts: Any,
    ) -> None:
        super().__init__(provides=() if direct else ("target", "true_costs"), **parts)
        check_answers_paths(self.layer.solver)
        self.direct = direct
        self._check_network()

    def _check_network(self) -> None:
        if isinstance(self.net, TerrainNet if self.direct else PathNet):
            raise IncompatibleError(
                f"{type(self.net).__name__} is no network for this. Use experiment=warcraft12 "
                f"with model=terrain_net, or experiment=warcraft12_direct with model=path_net."
            )
        option = "model=path_net" if self.direct else "model=terrain_net"
        check_forward(self.net, option)
        layer = self.layer
        choices = (layer.projection, layer.margin, layer.gradient_noise)
        plain = choices == (None, None, None) and isinstance(layer.gradient, Identity)
        if self.direct and not plain:
            raise IncompatibleError(
                "the baseline without a solver has no gradient through one, so it would ignore the "
                "choice of grad, proj, margin or corruption.gradient_sigma. Leave them out, or use "
                "experiment=warcraft12."
            )

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
        if answer.shape != target.shape:
            raise IncompatibleError(
                f"the network answers for {tuple(answer.shape[1:])} cells and the maps have "
                f"{tuple(target.shape[1:])}. Set data.cells alone, which model.cells follows."
            )
        values: dict[str, Tensor] = {}
        if self.direct:
            entries = binary_cross_entropy_with_logits(answer, target, reduction="none")
            loss, found = entries.flatten(1).sum(dim=1).mean(), (answer.detach() > 0).to(target)
        else:
            outcome = self.judge(answer, Labels(target, batch["true_costs"]))
            loss, values = outcome.loss, {"cost_norm": cost_norm(answer.detach())}
            if outcome.solution is None:
                return loss, values
            found = outcome.solution.detach()
        values["wrong_cells"] = wrong_entries(found, target)
        if stage != "train":
            values |= self._of_paths(found, batch)
        if stage == "test" and not self.direct:
            # Beside the ratio of the paper's formula, what the code before it printed.
            values["column_cost_ratio"] = column_cost_ratio(found, target, batch["true_costs"])
        return loss, values

    def _of_paths(self, found: Tensor, batch: Batch) -> dict[str, Tensor]:
        target, costs = batch["target"], batch["true_costs"]
        cheapest = is_cheapest(found, target, costs, TOLERANCE)
        if not self.direct:
            return {"path_accuracy": cheapest, "cost_ratio": cost_ratio(found, target, costs)}
        joined = ShortestPath().joined(found).to(found)
        return {"path_accuracy": cheapest * joined, "path_share": joined}

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
                predicted="predicted logits" if self.direct else "predicted costs",
            )
            for name, answer in shown.items()
        }

    def _paths(self, answer: Tensor) -> Tensor:
        return (answer > 0).to(answer) if self.direct else self.layer(answer)
