"""Noise that makes a sampler of a solver: added to the logits, drawn anew in every forward pass."""

import functools
import math
import numbers
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor

from combgrad.sampling.gamma_sum import CELL_BITS, CELLS_A_TAIL, LEAST_TAIL, quantile_cells

Form = Literal["scale", "rate"]

#: Bits of a float64 below those that name the cell, and the name of the first cell.
_FRACTION_BITS = 52 - CELL_BITS
_FIRST_CELL = (1023 - 53) << CELL_BITS

#: The largest float64 below 1/2, for the cells end there.
_MOST_TAIL = 0.5 - 2.0**-54

#: With more terms (the paper has 10) the table takes seconds to make.
MOST_TERMS = 100

#: With larger k / s the lower tail is too steep for the table's straight lines.
MOST_STEEP = 10


class Noise(ABC):
    """A distribution to perturb logits with: `costs = -noise(logits)` where a solver minimises.

    Uniform numbers of 53 bits become noise by `quantile`, so that one seed draws the same noise in
    every dtype, and tails are right down to probabilities of 1e-16.
    """

    @abstractmethod
    def _quantile(self, u: Tensor, dtype: torch.dtype) -> Tensor:
        """Noise of `dtype`, float32 or float64, from flat float64 probabilities in [0, 1]."""

    @torch.no_grad()
    def quantile(self, u: Tensor) -> Tensor:
        """The noise exceeded with probability 1 - u, float64 of any shape, for u in [0, 1].

        The extremes are those of u = 2^-53 and 1 - 2^-53. Raises ValueError for another u.
        """
        if not bool(((u >= 0) & (u <= 1)).all()):
            raise ValueError("quantile(u): u has entries outside [0, 1]; they are probabilities.")
        u = u.to(torch.float64)
        return self._quantile(u.flatten(), torch.float64).view(u.shape)

    @torch.no_grad()
    def sample(
        self,
        shape: Sequence[int],
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Independent noise of the given shape, by default in torch's default dtype and device.

        Drawn on the device from its global generator, or from `generator`, one of that device.
        Raises ValueError for a dtype that is not a floating-point one.
        """
        dtype = torch.get_default_dtype() if dtype is None else dtype
        if not dtype.is_floating_point:
            raise ValueError(f"noise of dtype {dtype} was asked for; pass a floating-point dtype.")
        shape = torch.Size(shape)
        u = torch.rand(shape.numel(), dtype=torch.float64, device=device, generator=generator)
        wide = torch.float64 if dtype == torch.float64 else torch.float32
        return self._quantile(u, wide).view(shape).to(dtype)

    def __call__(self, logits: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Perturb logits (B, *S) -> (B, *S); the gradient passes through unchanged."""
        return logits + self.sample(logits.shape, logits.dtype, logits.device, generator)


@dataclass(frozen=True)
class Gumbel(Noise):
    """Gumbel noise: tau G with P(G <= x) = exp(-exp(-x)), mean 0.577 tau, deviation 1.283 tau.

    The k largest of logits / tau + G are k draws without replacement from softmax(logits / tau).

    Args:
        tau: the temperature, > 0.

    Raises ValueError for another tau.
    """

    tau: float = 1.0

    def __post_init__(self) -> None:
        _check_tau(self.tau)

    def _quantile(self, u: Tensor, dtype: torch.dtype) -> Tensor:
        u = u.clamp(LEAST_TAIL, 1 - LEAST_TAIL)
        return (-self.tau * torch.log(-torch.log(u))).to(dtype)


def _is_whole(value: object) -> bool:
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


@dataclass(frozen=True)
class SumOfGamma(Noise):
    """Sum-of-Gamma noise: (tau / k) (sum over i = 1..s of Gamma(1/k, scale k/i) - log s).

    The sum of k of them tends to tau times a Gumbel variable as s grows. `form="rate"` makes k/i
    the rate, that is i/k the scale, as the released notebook of the paper's DVAE does; deviation
    0.62 instead of 3.94 for k = tau = s = 10. Drawn by linear interpolation in a table of exact
    quantiles, made once a process in a tenth of a second (s = 10): but for rounding, each
    quantile has the right probability to 1e-4 of the smaller of u and 1 - u (1e-5 for k <= s).
    Source: paper, eq. (23) (A-08), after Niepert et al., 2021.

    Args:
        k: the size of the selection, an integer from 1 to 10 s.
        tau: the temperature, > 0.
        s: the number of terms, an integer from 1 to 100.
        form: what k/i is to the Gamma variables, `scale` or `rate`.

    Raises ValueError for other values.
    """

    k: int
    tau: float = 1.0
    s: int = 10
    form: Form = "scale"

    def __post_init__(self) -> None:
        _check_tau(self.tau)
        if not _is_whole(self.k) or self.k < 1:
            raise ValueError(f"noise.k is {self.k!r}; the selection's size is an integer >= 1.")
        if not _is_whole(self.s) or not 1 <= self.s <= MOST_TERMS:
            raise ValueError(
                f"noise.s is {self.s!r}; the number of terms is an integer from 1 to {MOST_TERMS}."
            )
        if self.k > MOST_STEEP * self.s:
            raise ValueError(
                f"noise.k is {self.k} with {self.s} terms: nearly all of the noise is the same "
                f"number. Take noise.s of at least {-(-self.k // MOST_STEEP)}."
            )
        if self.form not in get_args(Form):
            raise ValueError(f"noise.form is {self.form!r}; choose 'scale' or 'rate'.")

    def _quantile(self, u: Tensor, dtype: torch.dtype) -> Tensor:
        intercept, slope = _lines(self, dtype, u.device)
        tail = torch.minimum(u, 1 - u).clamp_(LEAST_TAIL, _MOST_TAIL)
        cell = (tail.view(torch.int64) >> _FRACTION_BITS).sub_(_FIRST_CELL)
        cell.add_(u > 0.5, alpha=CELLS_A_TAIL)
        return torch.addcmul(
            intercept.index_select(0, cell), slope.index_select(0, cell), tail.to(dtype)
        )


def _check_tau(tau: float) -> None:
    if not 0 < tau < math.inf:
        raise ValueError(f"noise.tau is {tau}; it must be finite and greater than 0.")


@functools.cache
def _lines(noise: SumOfGamma, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor]:
    """The cells' lines in units of the noise, where they are looked up."""
    ratio = np.arange(1, noise.s + 1) / noise.k
    cells = quantile_cells(1 / noise.k, 1 / ratio if noise.form == "scale" else ratio)
    factor = noise.tau / noise.k
    intercept = factor * (cells.intercept - math.log(noise.s))
    slope = factor * cells.slope
    return (
        torch.as_tensor(intercept, dtype=dtype, device=device),
        torch.as_tensor(slope, dtype=dtype, device=device),
    )
