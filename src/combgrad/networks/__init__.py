"""Plain torch modules; none of them knows a solver or a gradient method."""

from combgrad.networks.backbones import VGG16BN, Backbone, EfficientNetLite0, SmallCNN
from combgrad.networks.boosted_trees import BoostedTrees
from combgrad.networks.cell_costs import CellCosts
from combgrad.networks.class_net import ClassNet
from combgrad.networks.dvae import DVAE
from combgrad.networks.globe_net import GlobeNet
from combgrad.networks.headline import HeadlineNet
from combgrad.networks.l2x import L2XNet
from combgrad.networks.matching import MatchingNet
from combgrad.networks.predictors import CostPredictor
from combgrad.networks.resnet import ResNet18, ResNet50
from combgrad.networks.retrieval import RetrievalNet
from combgrad.networks.warcraft import PathNet, TerrainNet

__all__ = [
    "DVAE",
    "VGG16BN",
    "Backbone",
    "BoostedTrees",
    "CellCosts",
    "ClassNet",
    "CostPredictor",
    "EfficientNetLite0",
    "GlobeNet",
    "HeadlineNet",
    "L2XNet",
    "MatchingNet",
    "PathNet",
    "ResNet18",
    "ResNet50",
    "RetrievalNet",
    "SmallCNN",
    "TerrainNet",
]
