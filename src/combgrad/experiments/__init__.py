"""Lightning modules: one a task, all built on `Experiment`."""

from combgrad.experiments.bags import BagsExperiment
from combgrad.experiments.base import Experiment
from combgrad.experiments.decisions import DecisionsExperiment
from combgrad.experiments.decisions_direct import DecisionsDirectExperiment
from combgrad.experiments.dvae import DVAEExperiment
from combgrad.experiments.globe_tsp import GlobeTSPExperiment
from combgrad.experiments.headline import HeadlineExperiment
from combgrad.experiments.l2x import L2XExperiment
from combgrad.experiments.matching import MatchingExperiment
from combgrad.experiments.retrieval import RetrievalExperiment
from combgrad.experiments.retrieval_direct import RetrievalDirectExperiment
from combgrad.experiments.warcraft import WarcraftExperiment
from combgrad.experiments.warcraft_direct import WarcraftDirectExperiment

__all__ = [
    "BagsExperiment",
    "DVAEExperiment",
    "DecisionsDirectExperiment",
    "DecisionsExperiment",
    "Experiment",
    "GlobeTSPExperiment",
    "HeadlineExperiment",
    "L2XExperiment",
    "MatchingExperiment",
    "RetrievalDirectExperiment",
    "RetrievalExperiment",
    "WarcraftDirectExperiment",
    "WarcraftExperiment",
]
