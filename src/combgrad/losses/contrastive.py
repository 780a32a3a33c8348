"""Contrastive losses of the costs: the true solution against a pool of others."""

from torch import Tensor

from combgrad.instances import NOTHING, Instances
from combgrad.labels import Labels, need
from combgrad.layer import CombinatorialLayer
from combgrad.losses.base import Outcome
from combgrad.losses.pool import PoolLoss
from combgrad.solvers.spending import spent, spent_on_all


class NoiseContrastive(PoolLoss):
    """NCE: mean over the batch, and over the y of a pool, of <w, y*> - <w, y>.

    Its gradient is (y* - mean of the pool)/B, whatever w is: the value has no lower bound. Source:
    Mulamba et al., IJCAI 2021.

    Args:
        pool: the known solutions; None for a new pool that asks the solver at every step.
    """

    def forward(
        self,
        layer: CombinatorialLayer,
        costs: Tensor,
        labels: Labels,
        instances: Instances | None = None,
    ) -> Outcome:
        """The loss; ValueError without a target of the costs' shape."""
        return Outcome(_dearer(self, layer, costs, labels, instances).mean(dim=1).mean())


class ContrastiveMAP(PoolLoss):
    """CMAP: mean over the batch of <w, y*> - min over the y of a pool of <w, y>.

    It is >= 0 while training, when y* is in the pool, and its gradient (y* - y)/B for the cheapest
    y. Over all of Y it is `StructuredPerceptron`. Source: Mulamba et al., IJCAI 2021.

    Args:
        pool: the known solutions; None for a new pool that asks the solver at every step.
    """

    def forward(
        self,
        layer: CombinatorialLayer,
        costs: Tensor,
        labels: Labels,
        instances: Instances | None = None,
    ) -> Outcome:
        """The loss; ValueError without a target of the costs' shape."""
        return Outcome(_dearer(self, layer, costs, labels, instances).amax(dim=1).mean())


def _dearer(
    loss: PoolLoss,
    layer: CombinatorialLayer,
    costs: Tensor,
    labels: Labels,
    instances: Instances | None,
) -> Tensor:
    """How much dearer the true solution is than each known one, <w, y*> - <w, y>, (B, N)."""
    known = instances or NOTHING
    target = need(type(loss).__name__, "target", labels.target, costs)
    prepared = layer.prepare(costs, labels, known)
    solutions = loss.known(layer.solver, prepared, labels, known)
    return spent(prepared, target).unsqueeze(1) - spent_on_all(prepared, solutions)
