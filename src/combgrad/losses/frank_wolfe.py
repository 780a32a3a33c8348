"""Fenchel-Young with a quadratic regulariser, found by Frank-Wolfe."""

from torch import Tensor

from combgrad.arguments import check_count, check_positive
from combgrad.gradients.nearest_point import regularised_minimum
from combgrad.instances import NOTHING, Instances
from combgrad.labels import Labels, need
from combgrad.layer import CombinatorialLayer
from combgrad.losses.base import Loss, Outcome
from combgrad.solvers.spending import spent


class FrankWolfeFenchelYoung(Loss):
    """Mean over the batch of f(y*) - min over conv(Y) of f, with f(mu) = <w, mu> + lam/2 |mu|^2.

    It is convex in w, >= 0, 0 only where y* is the regularised minimum, and its gradient is
    (y* - mu(w))/B, for mu of `RegularisedFrankWolfe`. It draws nothing. Sources: Blondel et al.,
    JMLR 2020; Dalle et al., arXiv 2207.13513.

    Args:
        lam: weight of the quadratic term, > 0, in units of cost.
        steps: solver calls after the first, at most, >= 1; it warns where they are too few.
        tol: it ends where |mu - mu*|^2 is at most this, > 0.

    Raises ValueError for a value out of range.
    """

    def __init__(self, lam: float, steps: int = 1000, tol: float = 1e-8) -> None:
        super().__init__()
        self.lam = check_positive("lam", lam, "loss")
        self.tol = check_positive("tol", tol, "loss")
        self.steps = check_count("steps", steps, "loss")

    def forward(
        self,
        layer: CombinatorialLayer,
        costs: Tensor,
        labels: Labels,
        instances: Instances | None = None,
    ) -> Outcome:
        """The loss; ValueError without a target of the costs' shape."""
        known = instances or NOTHING
        target = known.zeroed(need("FrankWolfeFenchelYoung", "target", labels.target, costs))
        prepared = layer.prepare(costs, labels, known)
        mu, _, _ = regularised_minimum(
            layer.solver, prepared.detach(), known, self.lam, self.steps, self.tol
        )
        linear = spent(prepared, target) - spent(prepared, mu.to(prepared.dtype))
        size = (target.double().square() - mu.square()).flatten(1).sum(dim=1)
        return Outcome((linear + self.lam / 2 * size.to(linear.dtype)).mean())
