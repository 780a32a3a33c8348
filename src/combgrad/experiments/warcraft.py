"""Warcraft: learn what terrain costs from the cheapest paths across maps alone."""

from typing import Any

import torch
from torch import Tensor

from combgrad.data.warcraft.datamodule import Warcraft
from combgrad.data.warcraft.files import SLACK
from combgrad.experiments.base import Batch, Experiment
from combgrad.experiments.fitting import check_forward, check_solves
from combgrad.experiments.snapshots import moments_of
from combgrad.experiments.warcraft_maps import TOLERANCE, Maps, check_cells, refuse_network
from combgrad.labels import Labels
from combgrad.metrics import (
    column_cost_ratio,
    cost_norm,
    cost_ratio,
    is_cheapest,
    regret,
    wrong_entries,
)
from combgrad.metrics.regret import by_best
from combgrad.networks import PathNet
from combgrad.solvers import Solver
from combgrad.solvers.spending import spent


def check_answers_paths(solver: Solver) -> None:
    """Raise IncompatibleError for a solver that does not find the paths that label the maps."""
    # Down, aslant and on to the right costs 3, any other way at least 10.
    costs = torch.tensor([[[1.0, 9, 9], [1, 9, 9], [9, 1, 0]]])
    expected = [[[1, 0, 0], [1, 0, 0], [0, 1, 1]]]
    check_solves(
        solver,
        lambda: solver(costs).tolist() == expected,
        "answer the costs of cells with the cheapest path from the upper left to the lower right "
        "one with steps to all 8 neighbours, which Warcraft needs. Use solver=shortest_path with "
        "solver.neighbours=8.",
    )


class WarcraftExperiment(Experiment):
    """Map -> costs of its cells -> cheapest path (paper, section B.5).

    A batch has `maps` (B, 8k, 8k, 3) uint8, `target` (B, k, k) 0/1 and `true_costs` (B, k, k).
    Beside the paper's metrics an evaluation has the `regret` of predict-then-optimise, in the unit
    of the costs, and the `normalised_regret` of a set.

    Args:
        **parts: see Experiment; the network is a TerrainNet.

    Raises IncompatibleError for a solver of other paths, and for a PathNet.
    """

    def __init__(self, **parts: Any) -> None:
        super().__init__(provides=("target", "true_costs"), **parts)
        check_answers_paths(self.layer.solver)
        if isinstance(self.net, PathNet):
            refuse_network(self.net)
        check_forward(self.net, "model=terrain_net")
        self.maps = Maps()

    def prepare(self, data: Warcraft) -> None:
        """Take what belongs to the maps."""
        self.maps.take(data)

    def step(self, batch: Batch, stage: str) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss and metrics of a batch of maps."""
        target, costs = batch["target"], self.maps(self.net, batch["maps"])
        check_cells(costs, target)
        true_costs = batch["true_costs"]
        outcome = self.judge(costs, Labels(target, true_costs))
        values = {"cost_norm": cost_norm(costs.detach())}
        if outcome.solution is None:
            return outcome.loss, values
        found = outcome.solution.detach()
        values["wrong_cells"] = wrong_entries(found, target)
        if stage != "train":
            values["path_accuracy"] = is_cheapest(found, target, true_costs, TOLERANCE)
            values["cost_ratio"] = cost_ratio(found, target, true_costs)
            values["regret"] = regret(found, target, true_costs)
            self.keep(stage, best=spent(true_costs, target), regret=values["regret"])
        if stage == "test":
            # Beside the ratio of the paper's formula, what the code before it printed.
            values["column_cost_ratio"] = column_cost_ratio(found, target, true_costs)
        return outcome.loss, values

    def epoch_metrics(self, stage: str) -> dict[str, Tensor]:
        """Of a whole set the sum of the regrets by that of the best costs."""
        if stage == "train":
            return {}
        kept = self.kept(stage)
        # Published paths may be dearer than the cheapest by what half floats round off.
        return {"normalised_regret": by_best(kept["regret"], kept["best"], SLACK)}

    def snapshot(self) -> Tensor:
        """What the network says (N, k, k) of a few test maps."""
        return self.maps.of_shown(self.net)

    @torch.no_grad()
    def pictures(self, data: Warcraft) -> dict[str, Any]:
        """Test maps with the true and the predicted paths and costs, before and after training."""
        del data
        self.eval()
        return self.maps.draw(self.net, moments_of(self.trainer), self.layer, "predicted costs")
