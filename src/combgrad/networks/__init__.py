"""Plain torch modules; none of them knows a solver or a gradient method."""

from combgrad.networks.globe_net import GlobeNet

__all__ = ["GlobeNet"]
