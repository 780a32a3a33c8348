"""Convolution on a graph whose kernel is a spline of the edges' attributes."""

import math

import torch
from torch import Tensor, nn


def spline_basis(attributes: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Weights (E, 4) and numbers (E, 4) of the kernel's control points around each edge.

    A tensor product of two open B-splines of degree 1: with v = u (size - 1) the control points
    floor(v) and floor(v) + 1 weigh 1 - frac(v) and frac(v). Control point (a, b) has the number
    a + size b. `attributes` (E, 2) from 0 to 1; what lies outside is moved to the border.
    """
    place = attributes.clamp(0, 1) * (size - 1)
    lower = place.detach().floor().clamp(max=size - 2)
    upper_weight = place - lower
    weights = torch.stack([1 - upper_weight, upper_weight], dim=2)
    numbers = torch.stack([lower, lower + 1], dim=2).long()
    product = weights[:, 1, :, None] * weights[:, 0, None, :]
    number = size * numbers[:, 1, :, None] + numbers[:, 0, None, :]
    return product.flatten(1), number.flatten(1)


class SplineConv(nn.Module):
    """out_i = max over edges (j, i) of x_j W(u_ji), plus x_i R, plus b; 0 for a maximum of none.

    W(u) (in, out) interpolates between size^2 matrices by `spline_basis`. Source: Fey et al., CVPR
    2018, with the maximum of Rolinek et al., ECCV 2020.

    Args:
        inputs: channels of x.
        outputs: channels of the result.
        size: control points of each of the two dimensions, at least 2.
    """

    def __init__(self, inputs: int, outputs: int, size: int = 5) -> None:
        super().__init__()
        if size < 2:
            raise ValueError(f"size is {size}; a spline of degree 1 has at least 2 control points.")
        self.size = size
        self.weight = nn.Parameter(torch.empty(size * size, inputs, outputs))
        self.root = nn.Linear(inputs, outputs)
        bound = 1 / math.sqrt(size * size * inputs)
        nn.init.uniform_(self.weight, -bound, bound)
        nn.init.zeros_(self.root.bias)

    def forward(self, x: Tensor, edges: Tensor, attributes: Tensor) -> Tensor:
        """Nodes (V, in), edges (E, 2) from j to i, attributes (E, 2) in [0, 1] -> (V, out)."""
        out: Tensor = self.root(x)
        if len(edges) == 0:
            return out
        weights, numbers = spline_basis(attributes, self.size)
        # Edges are short beside the picture, so a batch meets few control points: each node is
        # multiplied by those alone, which is less than one product for each edge.
        used, position = numbers.unique(return_inverse=True)
        products = torch.einsum("vi,kio->vko", x, self.weight[used])
        messages = (weights.to(x.dtype).unsqueeze(1) @ products[edges[:, :1], position]).squeeze(1)
        target = edges[:, 1:].expand_as(messages)
        largest = torch.zeros_like(out).scatter_reduce(
            0, target, messages, reduce="amax", include_self=False
        )
        return out + largest
