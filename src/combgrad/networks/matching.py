"""The network of graph matching: from key points and features of two pictures to costs."""

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize, relu, softplus

from combgrad.networks.backbones import Backbone, read_out
from combgrad.networks.precision import products
from combgrad.networks.spline import SplineConv

#: Pixels of a side of the pictures.
PIXELS = 256

#: How much a similarity is lowered, so that no match at all may be better than a bad one.
SHIFT = 0.5


class MatchingCosts(NamedTuple):
    """The costs of a batch of pairs, 0 at padding.

    Attributes:
        nodes: (B, N, N) of matching a node of the first picture (rows) with one of the second.
        edges: (B, E, E) of matching an edge of the first picture with one of the second.
    """

    nodes: Tensor
    edges: Tensor


class Affinity(nn.Module):
    """softplus(<x * tanh(A g + a), y>) - 0.5: how alike x and y are, given what the pair is of.

    Source: Rolinek et al., ECCV 2020, section 4.

    Args:
        channels: of x and y.
        whole: channels of the vector g of the pair.
    """

    def __init__(self, channels: int, whole: int) -> None:
        super().__init__()
        self.coefficients = nn.Linear(whole, channels)

    def forward(self, first: Tensor, second: Tensor, pair: Tensor) -> Tensor:
        """x (B, N, C), y (B, M, C) and g (B, G) -> similarities (B, N, M) above -0.5."""
        weights = torch.tanh(self.coefficients(pair)).unsqueeze(1)
        # In single precision even under autocast: a matching depends on small differences.
        return softplus(products(first * weights, second)) - SHIFT


class Messages(nn.Module):
    """x + 0.1 h(x), where h is SplineConv, ReLU, SplineConv on the graph of key points.

    The attribute of an edge from key point p to q is 0.5 + 0.5 (p - q) / 256. Source: Rolinek et
    al., ECCV 2020, and their code.

    Args:
        channels: of the features.
        size: control points of a spline's dimension.
    """

    def __init__(self, channels: int, size: int = 5) -> None:
        super().__init__()
        self.first = SplineConv(channels, channels, size)
        self.second = SplineConv(channels, channels, size)

    def forward(self, x: Tensor, points: Tensor, edges: Tensor) -> Tensor:
        """Features (V, C), points (V, 2) in pixels and edges (E, 2) -> features (V, C)."""
        attributes = 0.5 + 0.5 * (points[edges[:, 0]] - points[edges[:, 1]]) / PIXELS
        hidden = relu(self.first(x, edges, attributes))
        return x + 0.1 * self.second(hidden, edges, attributes)


class MatchingNet(nn.Module):
    """Features of key points, refined along the graph's edges, compared in the light of the pair.

    Nodes cost minus their similarity, edges minus half of theirs; the feature of an edge is the
    difference of its ends'. Source: Rolinek et al., ECCV 2020, sections 3 and 4 (protocol 4.3).

    A batch has `points` (B, 2, N, 2) in pixels of 256, `present` (B, 2, N) bool, `edges` (B, 2, E,
    2) with -1 at padding, and either `images` (B, 2, 3, 256, 256) uint8 for the backbone or
    `features` (B, 2, N, C) and `whole` (B, 2, G).

    Args:
        backbone: of pictures, trained with the rest; a frozen one only tells its channels, and the
            batches have its features; None where the data have features of their own.
        channels: C, of such features.
        whole_channels: G, of those of a whole picture.
        size: control points of a spline's dimension.

    Calling it raises ValueError for a batch that has not what it needs.
    """

    def __init__(
        self,
        backbone: Backbone | None = None,
        channels: int = 60,
        whole_channels: int = 60,
        size: int = 5,
    ) -> None:
        super().__init__()
        if backbone:  # a configuration without one gives an empty mapping
            channels, whole_channels = backbone.channels, backbone.whole_channels
        elif min(channels, whole_channels) < 1:
            raise ValueError(
                f"model.channels is {channels} and model.whole_channels {whole_channels}; both "
                f"must be at least 1."
            )
        self.channels, self.whole_channels = channels, whole_channels
        # What is frozen is read out once for every picture by the data, and is no weight of this.
        self.backbone = backbone if backbone and not backbone.frozen else None
        self.messages = Messages(channels, size)
        self.node_affinity = Affinity(channels, 2 * whole_channels)
        self.edge_affinity = Affinity(channels, 2 * whole_channels)

    def forward(self, batch: Mapping[str, Tensor]) -> MatchingCosts:
        """Costs of a batch of pairs."""
        features, whole = self.features(batch)
        present, edges = batch["present"], batch["edges"]
        there = edges[..., 0] >= 0
        x = self._along_edges(features, batch["points"], present, edges, there)
        pair = normalize(whole.flatten(1), dim=1)
        ends = edges.clamp(min=0).flatten(2).unsqueeze(3).expand(-1, -1, -1, x.shape[3])
        difference = x.gather(2, ends).unflatten(2, (-1, 2))
        difference = (difference[..., 0, :] - difference[..., 1, :]) * there.unsqueeze(3)
        nodes = -self.node_affinity(x[:, 0], x[:, 1], pair)
        pairs = -0.5 * self.edge_affinity(difference[:, 0], difference[:, 1], pair)
        return MatchingCosts(_where_both(present, nodes), _where_both(there, pairs))

    def features(self, batch: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Features (B, 2, N, C) of the key points and (B, 2, G) of the whole pictures."""
        if self.backbone is None:
            if "features" not in batch:
                raise ValueError(
                    "the batches have pictures and no features; choose "
                    "backbone=efficientnet_lite0 or another."
                )
            self._check_channels(batch["features"], batch["whole"])
            return batch["features"], batch["whole"]
        if "images" not in batch:
            raise ValueError(
                "the batches have features and no pictures to train a backbone on; choose "
                "backbone=none, or a frozen one."
            )
        maps, whole = self.backbone(batch["images"].flatten(0, 1))
        features = read_out(maps, batch["points"].flatten(0, 1), PIXELS)
        shape = batch["present"].shape
        features = features.unflatten(0, shape[:2]) * batch["present"].unsqueeze(3)
        return features, whole.unflatten(0, shape[:2])

    def _check_channels(self, features: Tensor, whole: Tensor) -> None:
        found, expected = (features.shape[3], whole.shape[2]), (self.channels, self.whole_channels)
        if found != expected:
            raise ValueError(
                f"the batches have features of {found} channels (of points, of pictures), and the "
                f"network is for {expected}; choose backbone=none, whose model.channels and "
                f"model.whole_channels are free."
            )

    def _along_edges(
        self, features: Tensor, points: Tensor, present: Tensor, edges: Tensor, there: Tensor
    ) -> Tensor:
        """Features (B, 2, N, C) with what comes along the edges; 0 at padding.

        All graphs of the batch are one here, without the padding.
        """
        number = (present.flatten().long().cumsum(0) - 1).view_as(present)
        owner = there.nonzero()
        ends = edges[there]
        joined = number[owner[:, :1], owner[:, 1:2], ends]
        x = self.messages(features[present], points[present], joined)
        return torch.zeros_like(features).masked_scatter(present.unsqueeze(3), x.to(features.dtype))


def _where_both(there: Tensor, costs: Tensor) -> Tensor:
    """Costs (B, N, M) where both `there` (B, 2, N) are, 0 elsewhere."""
    both = there[:, 0].unsqueeze(2) & there[:, 1].unsqueeze(1)
    return costs.masked_fill(~both, 0.0)
