"""Points on the unit sphere and the distances between them."""

from typing import Literal, get_args

import torch
from torch import Tensor

from combgrad.solvers.edges import edge_ends

Distance = Literal["chord", "great_circle"]


def unit_vectors(lonlat: Tensor) -> Tensor:
    """Points (N, 3) on the unit sphere from (longitude, latitude) in degrees, (N, 2)."""
    longitude, latitude = torch.deg2rad(lonlat).unbind(dim=-1)
    across = latitude.cos()
    return torch.stack((across * longitude.cos(), across * longitude.sin(), latitude.sin()), dim=-1)


def check_distance(distance: str) -> None:
    """Raise ValueError unless `distance` is `chord` or `great_circle`."""
    if distance not in get_args(Distance):
        raise ValueError(f"distance is {distance!r}; choose 'chord' or 'great_circle'.")


def edge_distances(points: Tensor, distance: Distance = "chord") -> Tensor:
    """Distances (B, k(k-1)/2) between unit vectors (B, k, 3), in edge coordinates.

    `chord`: ||p_i - p_j||_2, from 0 to 2; `great_circle`: 2 asin(||p_i - p_j||_2 / 2), the angle in
    radians, from 0 to pi. Equal points have distance 0 and gradient 0. (A-28)
    """
    check_distance(distance)
    first, second = (torch.from_numpy(ends) for ends in edge_ends(points.shape[-2]))
    chord = torch.linalg.vector_norm(points[..., first, :] - points[..., second, :], dim=-1)
    if distance == "chord":
        return chord
    # asin has no finite slope at opposite points; a clamp just inside keeps training alive.
    return 2 * torch.asin((chord / 2).clamp(max=1 - 1e-7))
