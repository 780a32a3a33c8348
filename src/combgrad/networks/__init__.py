"""Plain torch modules; none of them knows a solver or a gradient method."""

from combgrad.networks.dvae import DVAE
from combgrad.networks.globe_net import GlobeNet

__all__ = ["DVAE", "GlobeNet"]
