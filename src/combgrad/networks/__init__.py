"""Plain torch modules; none of them knows a solver or a gradient method."""

from combgrad.networks.dvae import DVAE
from combgrad.networks.globe_net import GlobeNet
from combgrad.networks.l2x import L2XNet

__all__ = ["DVAE", "GlobeNet", "L2XNet"]
