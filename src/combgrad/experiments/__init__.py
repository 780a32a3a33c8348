"""Lightning modules: one a task, all built on `Experiment`."""

from combgrad.experiments.base import Experiment
from combgrad.experiments.dvae import DVAEExperiment
from combgrad.experiments.globe_tsp import GlobeTSPExperiment

__all__ = ["DVAEExperiment", "Experiment", "GlobeTSPExperiment"]
