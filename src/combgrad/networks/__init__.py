"""Plain torch modules; none of them knows a solver or a gradient method."""

from combgrad.networks.dvae import DVAE
from combgrad.networks.globe_net import GlobeNet
from combgrad.networks.l2x import L2XNet
from combgrad.networks.warcraft import PathNet, TerrainNet

__all__ = ["DVAE", "GlobeNet", "L2XNet", "PathNet", "TerrainNet"]
