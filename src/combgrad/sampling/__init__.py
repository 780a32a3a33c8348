"""Noise that makes a sampler of a solver."""

from combgrad.sampling.noise import Gumbel, Noise, SumOfGamma

__all__ = ["Gumbel", "Noise", "SumOfGamma"]
