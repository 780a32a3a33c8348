"""Differentiable maps of the costs that keep the solution: y(P(w)) = y(w) (paper, section 3.3)."""

import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, Self

import torch
from torch import Tensor, nn

from combgrad.compatibility import Part, name_of
from combgrad.errors import IncompatibleError
from combgrad.solvers.base import Solver, Trait

__all__ = ["Mean", "Norm", "Plane", "Projection", "Std"]

#: Of an entry's own digits, so many bits at least should outlive the centring of its row.
_BITS_KEPT = 10


class Projection(Part, nn.Module, ABC):
    """A map P of the costs, joint over all entries of an instance, with y(P(w)) = y(w).

    Entries of +inf, which no solution may use, are absent: they stay +inf, enter no mean and no
    norm, and get no gradient. What the costs' own dtype could not compute is computed in float64.
    """

    #: Whether `forward` takes `widen`, leave to answer in float64 where the costs' dtype is too
    #: coarse for the answer.
    widens = False

    @abstractmethod
    def forward(self, costs: Tensor) -> Tensor:
        """Project costs (B, *S) -> (B, *S)."""


def _wide(costs: Tensor) -> tuple[Tensor, Tensor | None]:
    """Costs (B, *S) as rows (B, n) of float64, and which of them are absent, and 0, if any."""
    flat = costs.flatten(1)
    absent = flat == torch.inf
    # Apple's devices have no float64.
    rows = flat if flat.device.type == "mps" else flat.to(torch.float64)
    return (rows.masked_fill(absent, 0.0), absent) if bool(absent.any()) else (rows, None)


def _narrow(rows: Tensor, absent: Tensor | None, costs: Tensor) -> Tensor:
    """Rows (B, n) in the form of the costs, +inf where they are absent, finite elsewhere."""
    most = torch.finfo(costs.dtype).max
    narrow = rows.clamp(-most, most).to(costs.dtype)
    return _filled(narrow, absent, torch.inf).view_as(costs)


def _filled(rows: Tensor, absent: Tensor | None, value: float) -> Tensor:
    return rows if absent is None else rows.masked_fill(absent, value)


def _centred(costs: Tensor) -> tuple[Tensor, Tensor | None, Tensor | float]:
    """Costs (B, *S) minus their mean as rows (B, n), exactly 0 for equal ones.

    Also returns which are absent, and the power of two that brought a row well into range.
    """
    rows, absent = _wide(costs)
    factor: Tensor | float = 1.0
    if costs.dtype == rows.dtype:
        largest = rows.detach().abs().amax(dim=1, keepdim=True)
        limits = torch.finfo(rows.dtype)
        factor = torch.ones_like(largest)
        factor = factor.masked_fill(largest > limits.max * 2.0**-64, 2.0**-64)
        factor = factor.masked_fill(largest < limits.tiny * 2.0**64, 2.0**64)
        rows = rows * factor
        # Differences of near-equal costs are exact, while those to a mean carry its rounding.
        rows = _filled(rows - _filled(rows.detach(), absent, torch.inf).amin(1, True), absent, 0.0)
    if absent is None:
        return rows - rows.mean(dim=1, keepdim=True), None, factor
    count = (~absent).sum(dim=1, keepdim=True).clamp_min(1)
    return _filled(rows - rows.sum(dim=1, keepdim=True) / count, absent, 0.0), absent, factor


@torch.no_grad()
def _largest(rows: Tensor) -> Tensor:
    return rows.abs().amax(dim=1)


def _are_ordinary(largest: Tensor) -> bool:
    """Whether rows with these largest sizes (B,) are all there, and their own dtype will do."""
    limits = torch.finfo(largest.dtype)
    fits = (largest < limits.max * 2.0**-64) & ((largest > limits.tiny * 2.0**64) | (largest == 0))
    return bool(fits.all())


def _plainly_centred(costs: Tensor) -> Tensor | None:
    """Costs (B, *S) minus their mean as rows (B, n), in their own dtype; None where that is coarse.

    What most networks predict is answered here, at half the price of float64.
    """
    rows = costs.flatten(1)
    # Rounding keeps the order, so that these are also the ends of the rounded differences below.
    least, most = rows.detach().amin(dim=1), rows.detach().amax(dim=1)
    largest = torch.maximum(most, -least)
    if not _are_ordinary(largest):
        return None
    mean = rows.mean(dim=1, keepdim=True)
    centred = rows - mean
    left = torch.maximum(most - mean.detach()[:, 0], mean.detach()[:, 0] - least)
    # What centring leaves of near-equal costs is rounding.
    doubtful = (left > 0) & (left <= 8 * torch.finfo(rows.dtype).eps * largest)
    coarse = bool(doubtful.any()) or _is_coarse(costs, centred, costs.dtype)
    return None if coarse else centred


def _normalised(rows: Tensor, dtype: torch.dtype, factor: Tensor | float = 1.0) -> Tensor:
    """Rows (B, n) scaled to length 1; zero rows stay zero, and get no gradient.

    The gradient is that of a longer row where `dtype` could not hold it: its size is 1 / length of
    the costs, which are rows / factor.
    """
    # Norms of huge or tiny costs leave the range of the dtype; dividing by the largest entry first
    # keeps them inside and changes nothing in exact arithmetic.
    largest = rows.detach().abs().amax(dim=1, keepdim=True)
    empty = largest == 0
    largest = largest.masked_fill(empty, 1.0)
    held = torch.maximum(largest, torch.ones_like(largest) * factor * (16 / torch.finfo(dtype).max))
    scaled = (rows / held).masked_fill(empty, 0.0)
    if not torch.equal(held, largest):
        scaled = scaled + (rows / largest - scaled).detach()
    return scaled / torch.linalg.vector_norm(scaled, dim=1, keepdim=True).clamp_min(0.5)


@torch.no_grad()
def _is_coarse(costs: Tensor, centred: Tensor, dtype: torch.dtype) -> bool:
    """Whether centring moves so many small costs so far that `dtype` rounds their differences."""
    sizes = costs.flatten(1).abs()
    depths = centred.abs().mul_(torch.finfo(dtype).eps * 2**_BITS_KEPT).sub_(sizes)
    # In few rows is any cost that small; these are looked at, with a mark for each cost.
    rows = (depths.amax(dim=1) > 0).nonzero()[:, 0]
    if not len(rows):
        return False
    most = ((depths[rows] > 0) & (sizes[rows] > 0)).sum(dim=1).max()
    return int(most) >= max(3, sizes.shape[1] // 50)


def _delivered(
    projection: Projection,
    rows: Tensor,
    centred: Tensor,
    absent: Tensor | None,
    costs: Tensor,
    widen: bool,
) -> Tensor:
    """Rows (B, n), made of `centred`, in the form of the costs, or in float64 if `widen` allows.

    Warns where the dtype of the answer is too coarse; not of halves, which always are.
    """
    if not _is_coarse(costs, centred, costs.dtype):
        return _narrow(rows, absent, costs)
    wide = widen and rows.dtype != costs.dtype
    dtype = rows.dtype if wide else costs.dtype
    if torch.finfo(dtype).eps < 1e-6 and _is_coarse(costs, centred, dtype):
        remedy = ", or pass costs.double(), which a CombinatorialLayer does of itself"
        warnings.warn(
            f"{type(projection).__name__}: some costs of an instance are so much larger than "
            f"others that, once the mean is removed, {dtype} rounds the differences of those "
            f"away, and solutions may change; forbid entries by a cost of inf, not by a large "
            f"number{remedy if dtype != rows.dtype else ''}.",
            stacklevel=3,
        )
    return _filled(rows, absent, torch.inf).view_as(costs) if wide else _narrow(rows, absent, costs)


def _of_centred(
    projection: Projection,
    answer: Callable[[Tensor, Tensor | float], Tensor],
    costs: Tensor,
    widen: bool,
) -> Tensor:
    """What `answer` makes of centred rows (B, n) and their factor, in the form of costs (B, *S)."""
    if not costs.numel():
        return costs
    plain = _plainly_centred(costs)
    if plain is not None:
        return answer(plain, 1.0).view_as(costs)
    centred, absent, factor = _centred(costs)
    rows = answer(centred, factor)
    return _delivered(projection, rows, centred / factor, absent, costs, widen)


class Mean(Projection):
    """Remove the mean: P(w) = w - mean(w).

    Needs solutions of equal sum. Source: paper, section 3.3, eq. (9).
    """

    requires = frozenset({Trait.SHIFT_INVARIANT})

    widens = True

    def forward(self, costs: Tensor, widen: bool = False) -> Tensor:
        """Project costs (B, *S) -> (B, *S); every instance then sums to 0.

        Where costs of very different size lose their differences by it, it answers in float64 with
        `widen`, and warns without, or where even float64 is too coarse.
        """
        return _of_centred(self, lambda rows, factor: rows / factor, costs, widen)


class Norm(Projection):
    """Scale to unit length: P(w) = w / ||w||_2; all-zero costs stay zero.

    Source: paper, section 3.3.
    """

    requires = frozenset({Trait.SCALE_INVARIANT})

    def forward(self, costs: Tensor) -> Tensor:
        """Project costs (B, *S) -> (B, *S) of Euclidean norm 1."""
        if not costs.numel():
            return costs
        plain = costs.flatten(1)
        if _are_ordinary(_largest(plain)):
            return _normalised(plain, costs.dtype).view_as(costs)
        rows, absent = _wide(costs)
        return _narrow(_normalised(rows, costs.dtype), absent, costs)


class Std(Projection):
    """Standardise: P(w) = (w - mean(w)) / ||w - mean(w)||_2; all-equal costs become zero.

    Source: paper, section 3.3.
    """

    requires = frozenset({Trait.SHIFT_INVARIANT, Trait.SCALE_INVARIANT})

    widens = True

    def forward(self, costs: Tensor, widen: bool = False) -> Tensor:
        """Project costs (B, *S) -> (B, *S) of mean 0 and Euclidean norm 1.

        Where costs of very different size lose their differences by it, it answers in float64 with
        `widen`, and warns without, or where even float64 is too coarse.
        """

        def answer(rows: Tensor, factor: Tensor | float) -> Tensor:
            return _normalised(rows, costs.dtype, factor)

        return _of_centred(self, answer, costs, widen)


class Plane(Projection):
    """Remove the component along a normal `a`: P(w) = w - (<a, w> / <a, a>) a.

    Keeps the solution where <a, y> is the same for all solutions y, which the layer checks with
    `Solver.is_constant_on`; for a constant `a` it is `Mean`. Source: paper, section 3.3, eq. (8).

    Args:
        a: the normal, shape S; not all zero. It stays in float64 whatever the layer is moved to.
    """

    normal: Tensor

    widens = True

    def __init__(self, a: Tensor | Sequence[float]) -> None:
        super().__init__()
        device = a.device if isinstance(a, Tensor) else "cpu"
        normal = torch.as_tensor(a, dtype=torch.float64, device=device)
        if not bool(torch.isfinite(normal).all()) or not bool(normal.any()):
            raise ValueError(
                "Plane(a): the normal `a` needs finite entries that are not all zero; "
                "Mean() is the plane of equal entries."
            )
        self.register_buffer("normal", normal, persistent=False)

    def _apply(self, fn: Callable[..., Any], recurse: bool = True) -> Self:
        normal = self.normal
        module = super()._apply(fn, recurse)
        # module.half() is for networks; a rounded normal would change solutions.
        self.normal = normal.to(self.normal.device)
        return module

    def check_solver(self, solver: Solver) -> None:
        """Raise IncompatibleError unless <a, y> is the same for every solution y of the solver."""
        super().check_solver(solver)
        if not solver.is_constant_on(self.normal):
            raise IncompatibleError(
                f"{name_of(self)} removes the direction of its normal `a`, which keeps the "
                f"solution only where <a, y> is the same for all solutions; for {name_of(solver)} "
                f"and this `a` it is not. Choose another `a`, or Mean(), Norm() or none."
            )

    def forward(self, costs: Tensor, widen: bool = False) -> Tensor:
        """Project costs (B, *S) -> (B, *S), orthogonal to `a`; `widen` is that of `Mean`."""
        rows, absent = _wide(costs)
        if rows.shape[1] != self.normal.numel():
            raise ValueError(
                f"Plane(a): `a` has {self.normal.numel()} entries and an instance {rows.shape[1]}; "
                f"give one entry of `a` for each cost."
            )
        # Solutions use no absent entry, so <a, y> is constant for the rest of `a` alone.
        normal = _filled(self.normal.flatten().to(rows).expand_as(rows), absent, 0.0)
        length = (normal * normal).sum(dim=1, keepdim=True)
        share = (rows * normal).sum(dim=1, keepdim=True) / length.masked_fill(length == 0, 1.0)
        projected = rows - share * normal
        return _delivered(self, projected, projected, absent, costs, widen)
