"""Learning to rank: the solutions of a pool are to be in the order of their true costs."""

from abc import abstractmethod

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, relu

from combgrad.arguments import check_positive, check_range
from combgrad.instances import NOTHING, Instances
from combgrad.labels import Labels
from combgrad.layer import CombinatorialLayer
from combgrad.losses.base import Outcome, true_costs_seen
from combgrad.losses.pool import PoolLoss
from combgrad.solvers import SolutionPool
from combgrad.solvers.spending import spent_on_all


class RankingLoss(PoolLoss):
    """Mean over the batch of `of_each`(what the y of a pool cost by w, what they cost by c)."""

    needs = frozenset({"true_costs"})

    @abstractmethod
    def of_each(self, predicted: Tensor, true: Tensor) -> Tensor:
        """The loss (B,) of each instance, whose N solutions cost (B, N) by w and by c."""

    def forward(
        self,
        layer: CombinatorialLayer,
        costs: Tensor,
        labels: Labels,
        instances: Instances | None = None,
    ) -> Outcome:
        """The loss; ValueError without true costs of the costs' shape."""
        known = instances or NOTHING
        prepared = layer.prepare(costs, labels, known)
        true_costs = true_costs_seen(self.own_name, layer, prepared, labels, known)
        # What either forbids is refused: what a known solution costs by it would be nothing at all.
        seen = prepared.masked_fill(true_costs == torch.inf, torch.inf)
        solutions = self.known(layer.solver, seen, labels, known)
        predicted, true = (spent_on_all(each, solutions) for each in (prepared, true_costs))
        return Outcome(self.of_each(predicted, true).mean())


class PointwiseRanking(RankingLoss):
    """Mean over the batch and the y of a pool of (<w, y> - <c, y>)^2, with true costs c.

    With a projection both w and c are the projected costs, as in all losses of this file. Source:
    Mandi et al., ICML 2022.

    Args:
        pool: the known solutions; None for a new pool that asks the solver at every step.
    """

    def of_each(self, predicted: Tensor, true: Tensor) -> Tensor:
        """The mean square (B,) of what costs by w and by c, both (B, N), differ by."""
        return (predicted - true).square().mean(dim=1)


class PairwiseRanking(RankingLoss):
    """Mean over the batch and the other y of a pool of max(0, margin + <w, y_c> - <w, y>).

    y_c is what costs least in the pool by the true costs c; each y that is cheaper by w, or dearer
    by less than the margin, is held against it. Source: Mandi et al., ICML 2022, with pairs of
    the best and each other.

    Args:
        pool: the known solutions; None for a new pool that asks the solver at every step.
        margin: in units of the projected costs, >= 0.

    Raises ValueError for a margin out of range.
    """

    def __init__(self, pool: SolutionPool | None = None, margin: float = 0.0) -> None:
        super().__init__(pool)
        self.margin = check_range("loss.margin", margin)

    def of_each(self, predicted: Tensor, true: Tensor) -> Tensor:
        """The mean excess (B,) over the N - 1 others, of costs (B, N)."""
        best = true.argmin(dim=1, keepdim=True)
        excess = relu(self.margin + predicted.gather(1, best) - predicted)
        # The pair of the best and itself is none.
        return excess.scatter(1, best, 0.0).sum(dim=1) / max(1, true.shape[1] - 1)


class ListwiseRanking(RankingLoss):
    """Mean over the batch of -sum over the y of a pool of p_c(y) log p_w(y).

    p_w(y) is in proportion to exp(-<w, y>/tau), likewise p_c by the true costs c: the cross-entropy
    of which is the best. Source: Mandi et al., ICML 2022.

    Args:
        pool: the known solutions; None for a new pool that asks the solver at every step.
        tau: the temperature, > 0, in units of the projected costs.

    Raises ValueError for a temperature out of range.
    """

    def __init__(self, pool: SolutionPool | None = None, tau: float = 1.0) -> None:
        super().__init__(pool)
        self.tau = check_positive("tau", tau, "loss")

    def of_each(self, predicted: Tensor, true: Tensor) -> Tensor:
        """The cross-entropy (B,) in nats, of costs (B, N)."""
        shares = torch.softmax(-true / self.tau, dim=1)
        return cross_entropy(-predicted / self.tau, shares, reduction="none")
