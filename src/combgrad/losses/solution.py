"""Losses of the solution: how far y(w) is from y*; the gradient passes through the layer."""

from abc import abstractmethod

from torch import Tensor

from combgrad.instances import NOTHING, Instances
from combgrad.labels import Labels, need, spoken_of
from combgrad.layer import CombinatorialLayer
from combgrad.losses.base import Loss, Outcome


class SolutionLoss(Loss):
    """Mean over the batch of `of_each(y(w), y*)`."""

    through_layer = True

    @staticmethod
    @abstractmethod
    def of_each(solution: Tensor, target: Tensor) -> Tensor:
        """The loss (B,) of each of the solutions (B, *S), given the targets (B, *S).

        Entries that are 0 in both count for nothing.
        """

    def forward(
        self,
        layer: CombinatorialLayer,
        costs: Tensor,
        labels: Labels,
        instances: Instances | None = None,
    ) -> Outcome:
        """The loss and y(w) (B, *S); ValueError without a target of the costs' shape."""
        target = need(self.own_name, "target", labels.target, costs)
        solution = layer(costs, target, instances, marked=labels.of_margin)
        return Outcome(self.of_marked(solution, labels, instances).mean(), solution)

    def of_marked(
        self, solution: Tensor, labels: Labels, instances: Instances | None = None
    ) -> Tensor:
        """`of_each` of solutions (B, *S) where they are marked and no padding, 0 elsewhere."""
        target = need(self.own_name, "target", labels.target, solution)
        marked = spoken_of(labels.marked, (instances or NOTHING).valid, solution)
        if marked is None:
            return self.of_each(solution, target)
        return self.of_each(solution.masked_fill(~marked, 0.0), target.masked_fill(~marked, 0.0))


class Hamming(SolutionLoss):
    """L1 form of the Hamming distance: sum |y - y*| of each instance.

    Its derivative is sign(y - y*)/B, 0 where they agree (A-04). Source: paper, section 3.1.
    """

    @staticmethod
    def of_each(solution: Tensor, target: Tensor) -> Tensor:
        """The distance (B,) of solutions from targets, both (B, *S)."""
        return (solution - target).abs().flatten(1).sum(dim=1)


class BilinearHamming(SolutionLoss):
    """Bilinear form of the Hamming distance: sum y(1 - y*) + (1 - y)y* of each instance.

    Equal to `Hamming` on 0/1 solutions, but its derivative (1 - 2y*)/B never vanishes: under the
    identity gradient the prediction then has no influence on the update (A-04). Source: code of
    Vlastelica et al., 2020.
    """

    @staticmethod
    def of_each(solution: Tensor, target: Tensor) -> Tensor:
        """The distance (B,) of solutions from targets, both (B, *S)."""
        return (solution * (1 - target) + (1 - solution) * target).flatten(1).sum(dim=1)
