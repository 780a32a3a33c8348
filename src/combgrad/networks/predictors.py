"""Networks from features to costs: a linear map, or several with a ReLU between each two."""

import itertools
import math
from collections.abc import Iterable, Sequence

from torch import Tensor, nn
from torch.nn.functional import softplus

from combgrad.arguments import check_count
from combgrad.networks.precision import single


class CostPredictor(nn.Module):
    """Features (B, *F) -> costs (B, *S), started as torch starts linear layers.

    Without hidden layers it is w = A x + b. `shared` uses one such map for every cost, from
    features of its own, (B, *S, F). `positive` ends in a softplus, for solvers that take no costs
    below 0.

    Args:
        features: the shape *F, or the number F.
        costs: the shape *S, or how many there are.
        hidden: sizes of the layers in between.
        shared: whether each cost has features of its own and all have the same map.
        positive: whether costs are above 0.

    Raises ValueError for sizes that cannot be, and features that costs cannot share a map of.
    """

    def __init__(
        self,
        features: int | Sequence[int],
        costs: int | Sequence[int],
        hidden: Sequence[int] = (),
        *,
        shared: bool = False,
        positive: bool = False,
    ) -> None:
        super().__init__()
        self.features, self.costs = _shape("features", features), _shape("costs", costs)
        self.shared, self.positive = shared, positive
        if shared and self.features[:-1] != self.costs:
            raise ValueError(
                f"model.shared needs features for each cost, of shape {(*self.costs, 'F')}, and "
                f"they have shape {self.features}; use model.shared=false."
            )
        first = self.features[-1] if shared else math.prod(self.features)
        last = 1 if shared else math.prod(self.costs)
        sizes = [first, *(check_count("hidden", size, "model") for size in hidden), last]
        layers: list[nn.Module] = []
        for fan_in, fan_out in itertools.pairwise(sizes):
            layers += [nn.Linear(fan_in, fan_out), nn.ReLU()]
        self.layers = nn.Sequential(*layers[:-1])

    def forward(self, features: Tensor) -> Tensor:
        """The costs (B, *S); ValueError for features of another shape."""
        if tuple(features.shape[1:]) != self.features:
            raise ValueError(
                f"CostPredictor: features have shape {tuple(features.shape)}; this network takes "
                f"(B, {', '.join(map(str, self.features))})."
            )
        start = features if self.shared else features.flatten(1)
        # In single precision even under autocast: a solution depends on small differences of costs.
        costs = single(self.layers(start)).view(len(features), *self.costs)
        return softplus(costs) if self.positive else costs


def _shape(name: str, given: int | Sequence[int]) -> tuple[int, ...]:
    sizes = list(given) if isinstance(given, Iterable) else [given]
    if not sizes:
        raise ValueError(f"model.{name} is {given!r}; give at least one number.")
    return tuple(check_count(name, size, "model") for size in sizes)
