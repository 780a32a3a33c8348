"""The loss that asks no solver: what the true solution costs."""

from torch import Tensor

from combgrad.instances import NOTHING, Instances
from combgrad.labels import Labels, need
from combgrad.layer import CombinatorialLayer
from combgrad.losses.base import Loss, Outcome
from combgrad.solvers.spending import spent


class TargetCost(Loss):
    """Mean over the batch of <w, y*>, whose gradient is y*/B.

    With negative log-probabilities as costs it is the cross-entropy of the pairs that y* chooses.
    No solver is called, and the network must not be able to lower all costs at once. With a
    projection or a margin w are the costs that the solver would see.
    """

    def forward(
        self,
        layer: CombinatorialLayer,
        costs: Tensor,
        labels: Labels,
        instances: Instances | None = None,
    ) -> Outcome:
        """The loss; ValueError without a target of the costs' shape."""
        known = instances or NOTHING
        target = known.zeroed(need("TargetCost", "target", labels.target, costs))
        return Outcome(spent(layer.prepare(costs, labels, known), target).mean())
