"""Ways of getting a gradient through a solver; each is one strategy in one file."""

from combgrad.gradients.base import GradientMethod
from combgrad.gradients.blackbox import Blackbox
from combgrad.gradients.identity import Identity

__all__ = ["Blackbox", "GradientMethod", "Identity"]
