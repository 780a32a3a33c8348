"""Predict, then optimise: learn to predict costs so that what is decided by them costs little."""

from typing import Any

from torch import Tensor

from combgrad.experiments.deciding import DecidingExperiment
from combgrad.instances import Instances
from combgrad.labels import Labels
from combgrad.losses import Outcome


class DecisionsExperiment(DecidingExperiment):
    """Features -> costs -> decisions, trained by any loss: of decisions or of the costs alone.

    Args:
        **parts: see DecidingExperiment.

    Raises IncompatibleError for a loss or margin that needs labels which there are not.
    """

    def __init__(self, **parts: Any) -> None:
        super().__init__(provides=("target", "true_costs"), **parts)

    def outcome(self, costs: Tensor, labels: Labels, instances: Instances) -> Outcome:
        """What the chosen loss says."""
        return self.judge(costs, labels, instances)
