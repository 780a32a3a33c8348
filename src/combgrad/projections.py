"""Differentiable maps of the costs that keep the solution: y(P(w)) = y(w) (paper, section 3.3)."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from combgrad.solvers.base import Trait


class Projection(nn.Module, ABC):
    """A map P of the costs, joint over all entries of an instance, with y(P(w)) = y(w)."""

    requires: frozenset[Trait] = frozenset()

    @abstractmethod
    def forward(self, costs: Tensor) -> Tensor:
        """Project costs (B, *S) -> (B, *S)."""


def _centred(flat: Tensor) -> Tensor:
    return flat - flat.mean(dim=1, keepdim=True)


def _normalised(flat: Tensor, floor: Tensor | None = None) -> Tensor:
    """Rows (B, n) scaled to length 1; rows whose entries do not exceed `floor` (B, 1) become 0."""
    # Norms of huge or tiny costs leave the range of the dtype; dividing by the largest entry first
    # keeps them inside and changes nothing in exact arithmetic.
    largest = flat.detach().abs().amax(dim=1, keepdim=True)
    empty = largest <= (torch.zeros_like(largest) if floor is None else floor)
    scaled = (flat / torch.where(empty, torch.ones_like(largest), largest)).masked_fill(empty, 0)
    return scaled / torch.linalg.vector_norm(scaled, dim=1, keepdim=True).clamp_min(0.5)


class Mean(Projection):
    """Remove the mean: P(w) = w - mean(w).

    Needs solutions of equal sum. Source: paper, section 3.3, eq. (9).
    """

    requires = frozenset({Trait.SHIFT_INVARIANT})

    def forward(self, costs: Tensor) -> Tensor:
        """Project costs (B, *S) -> (B, *S); every instance then sums to 0."""
        return _centred(costs.flatten(1)).view_as(costs) if costs.numel() else costs


class Norm(Projection):
    """Scale to unit length: P(w) = w / ||w||_2; all-zero costs stay zero.

    Source: paper, section 3.3.
    """

    requires = frozenset({Trait.SCALE_INVARIANT})

    def forward(self, costs: Tensor) -> Tensor:
        """Project costs (B, *S) -> (B, *S) of Euclidean norm 1."""
        return _normalised(costs.flatten(1)).view_as(costs) if costs.numel() else costs


class Std(Projection):
    """Standardise: P(w) = (w - mean(w)) / ||w - mean(w)||_2; all-equal costs become zero.

    Source: paper, section 3.3.
    """

    requires = frozenset({Trait.SHIFT_INVARIANT, Trait.SCALE_INVARIANT})

    def forward(self, costs: Tensor) -> Tensor:
        """Project costs (B, *S) -> (B, *S) of mean 0 and Euclidean norm 1."""
        if not costs.numel():
            return costs
        flat = costs.flatten(1)
        # What centring leaves of equal costs is rounding; scaled to length 1 it would be noise.
        rounding = 8 * torch.finfo(costs.dtype).eps * flat.detach().abs().amax(dim=1, keepdim=True)
        return _normalised(_centred(flat), rounding).view_as(costs)


class Plane(Projection):
    """Remove the component along a normal `a`: P(w) = w - (<a, w> / <a, a>) a.

    Keeps the solution where <a, y> is the same for all solutions y, which the layer checks with
    `Solver.is_constant_on`; for a constant `a` it is `Mean`. Source: paper, section 3.3, eq. (8).

    Args:
        a: the normal, shape S or a flat sequence of as many numbers; not all zero.
    """

    normal: Tensor

    def __init__(self, a: Tensor | Sequence[float]) -> None:
        super().__init__()
        normal = torch.as_tensor(a, dtype=torch.float64)
        if not bool(torch.isfinite(normal).all()) or not bool(normal.any()):
            raise ValueError(
                "Plane(a): the normal `a` needs finite entries that are not all zero; "
                "Mean() is the plane of equal entries."
            )
        self.register_buffer("normal", normal, persistent=False)

    def forward(self, costs: Tensor) -> Tensor:
        """Project costs (B, *S) -> (B, *S), orthogonal to `a`."""
        flat = costs.flatten(1)
        normal = self.normal.flatten().to(costs)
        if flat.shape[1] != normal.numel():
            raise ValueError(
                f"Plane(a): `a` has {normal.numel()} entries and an instance {flat.shape[1]}; "
                f"give one entry of `a` for each cost."
            )
        share = (flat @ normal) / (normal @ normal)
        return (flat - share.unsqueeze(1) * normal).view_as(costs)
