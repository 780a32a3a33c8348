"""Ways of getting a gradient through a solver; each is one strategy in one file."""

from combgrad.gradients.base import GradientMethod
from combgrad.gradients.blackbox import Blackbox
from combgrad.gradients.convex_programs import QPTL, CvxpyLayers
from combgrad.gradients.frank_wolfe import RegularisedFrankWolfe
from combgrad.gradients.identity import Identity
from combgrad.gradients.imle import IMLE, AdaptiveIMLE
from combgrad.gradients.log_barrier import LogBarrier
from combgrad.gradients.lpgd import LPGD
from combgrad.gradients.noise import GradientNoise
from combgrad.gradients.perturbed import Perturbed
from combgrad.gradients.relaxations import L2X, SoftSub
from combgrad.gradients.simple import SIMPLE
from combgrad.gradients.straight_through import StraightThrough

__all__ = [
    "IMLE",
    "L2X",
    "LPGD",
    "QPTL",
    "SIMPLE",
    "AdaptiveIMLE",
    "Blackbox",
    "CvxpyLayers",
    "GradientMethod",
    "GradientNoise",
    "Identity",
    "LogBarrier",
    "Perturbed",
    "RegularisedFrankWolfe",
    "SoftSub",
    "StraightThrough",
]
