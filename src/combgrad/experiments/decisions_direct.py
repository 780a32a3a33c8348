"""Predict first, decide afterwards: costs by boosted trees that know nothing of the decision."""

from typing import Any

import torch
from torch import Tensor

from combgrad.data.decisions.datamodule import Decisions
from combgrad.experiments.deciding import DecidingExperiment
from combgrad.experiments.fitting import check_has, refuse_parts
from combgrad.instances import Instances
from combgrad.labels import Labels
from combgrad.losses import Outcome
from combgrad.metrics import cost_mse


class DecisionsDirectExperiment(DecidingExperiment):
    """Features -> costs, by a network that is fitted to the training set as a whole.

    It is fitted once, before the first epoch, and decides in evaluations alone; the loss is the
    mean squared error of the costs. A baseline for what is trained by its decisions.

    Args:
        **parts: see DecidingExperiment; the network has a method fit(features, costs).

    Raises IncompatibleError for another network, and for a choice that would be ignored.
    """

    def __init__(self, **parts: Any) -> None:
        check_has(parts["net"], ("fit", "fitted"), "model=boosted_trees")
        super().__init__(**parts)
        refuse_parts(self.layer, "a network fitted in one go", "experiment=pto_shortest_path")

    def prepare(self, data: Decisions) -> None:
        """Fit the network, the first time."""
        super().prepare(data)
        if not self.net.fitted:
            columns = data.columns("train")
            self.net.fit(columns["features"], columns["true_costs"])  # type: ignore[operator]

    def outcome(self, costs: Tensor, labels: Labels, instances: Instances) -> Outcome:
        """The squared error, with the decisions of an evaluation."""
        assert labels.true_costs is not None  # every batch has them
        true_costs = instances.without_padding(labels.true_costs)
        loss = cost_mse(instances.without_padding(costs), true_costs).mean()
        if self.training:
            return Outcome(loss)
        with torch.no_grad():
            return Outcome(loss, self.layer(costs, labels.target, instances))
