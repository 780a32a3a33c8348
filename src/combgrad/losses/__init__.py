"""What is trained on: losses of the solution, losses of the costs, and those of auto-encoders."""

from combgrad.losses.auto_encoder import kl_to_share, kl_to_uniform, pixel_cross_entropy
from combgrad.losses.base import Loss, Outcome
from combgrad.losses.cone_aligned import ConeAligned
from combgrad.losses.contrastive import ContrastiveMAP, NoiseContrastive
from combgrad.losses.fenchel_young import FenchelYoung
from combgrad.losses.frank_wolfe import FrankWolfeFenchelYoung
from combgrad.losses.linear_program import linear_program_value
from combgrad.losses.optimal_value import OptimalValue, SolutionCost
from combgrad.losses.perturbation_gradient import PerturbationGradient
from combgrad.losses.ranking import ListwiseRanking, PairwiseRanking, PointwiseRanking
from combgrad.losses.recall import Recall
from combgrad.losses.regression import CostMSE
from combgrad.losses.regret import Regret
from combgrad.losses.score_function import ScoreFunction
from combgrad.losses.sinkhorn import Sinkhorn
from combgrad.losses.soft_alignment import SoftAlignment
from combgrad.losses.solution import BilinearHamming, Hamming, SolutionLoss
from combgrad.losses.spo_plus import SPOPlus
from combgrad.losses.structured import StructuredPerceptron
from combgrad.losses.target_cost import TargetCost
from combgrad.solvers import SolutionPool

__all__ = [
    "BilinearHamming",
    "ConeAligned",
    "ContrastiveMAP",
    "CostMSE",
    "FenchelYoung",
    "FrankWolfeFenchelYoung",
    "Hamming",
    "ListwiseRanking",
    "Loss",
    "NoiseContrastive",
    "OptimalValue",
    "Outcome",
    "PairwiseRanking",
    "PerturbationGradient",
    "PointwiseRanking",
    "Recall",
    "Regret",
    "SPOPlus",
    "ScoreFunction",
    "Sinkhorn",
    "SoftAlignment",
    "SolutionCost",
    "SolutionLoss",
    "SolutionPool",
    "StructuredPerceptron",
    "TargetCost",
    "kl_to_share",
    "kl_to_uniform",
    "linear_program_value",
    "pixel_cross_entropy",
]
