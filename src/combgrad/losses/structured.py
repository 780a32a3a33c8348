"""The structured perceptron, and with a margin the structured hinge."""

from torch import Tensor

from combgrad.instances import NOTHING, Instances
from combgrad.labels import Labels, need
from combgrad.layer import CombinatorialLayer
from combgrad.losses.base import Loss, Outcome
from combgrad.solvers.spending import spent


class StructuredPerceptron(Loss):
    """Mean over the batch of <w, y*> - min over y of <w, y>.

    It is convex in w, >= 0 where y* is a solution, 0 where it is the best one, also at w = 0, and
    its gradient is (y* - y(w))/B. With an `InformedMargin(alpha)`, which adds alpha (y* - 1/2) to
    the costs, it is the structured hinge with rescaled margin, of 0/1 solutions: <w, y*> - min over
    y of <w, y> - alpha/2 |y - y*|, which w = 0 does not make 0. Sources: Collins, EMNLP 2002;
    Tsochantaridis et al., JMLR 2005; also Fenchel-Young without a regulariser.
    """

    def forward(
        self,
        layer: CombinatorialLayer,
        costs: Tensor,
        labels: Labels,
        instances: Instances | None = None,
    ) -> Outcome:
        """The loss and y(w) (B, *S); ValueError without a target of the costs' shape."""
        known = instances or NOTHING
        target = known.zeroed(need("StructuredPerceptron", "target", labels.target, costs))
        prepared = layer.prepare(costs, labels, known)
        solution = layer.solver(prepared.detach(), known)
        return Outcome((spent(prepared, target) - spent(prepared, solution)).mean(), solution)
