"""What losses have in common that are over a pool of known solutions, or may have one."""

from torch import Tensor

from combgrad.instances import Instances
from combgrad.labels import Labels
from combgrad.losses.base import Loss
from combgrad.solvers import SolutionPool, Solver
from combgrad.solvers.forms import refuse_transforms


def solve_by(
    pool: SolutionPool | None, solver: Solver, costs: Tensor, instances: Instances
) -> Tensor:
    """The solutions (B, *S) of costs (B, *S) by the solver, or where there is one by a pool."""
    return solver(costs, instances) if pool is None else pool.solve(solver, costs, instances)


class PoolLoss(Loss):
    """A loss over the solutions of a pool, to which true ones are added as they are met.

    Args:
        pool: the known solutions; None for a new pool that asks the solver at every step.
    """

    def __init__(self, pool: SolutionPool | None = None) -> None:
        super().__init__()
        self.pool = SolutionPool() if pool is None else pool

    def known(
        self, solver: Solver, prepared: Tensor, labels: Labels, instances: Instances
    ) -> Tensor:
        """The pool's solutions (N, *S) at a step with prepared costs (B, *S)."""
        refuse_transforms(self.own_name, prepared)
        true = None if labels.target is None else labels.target.to(prepared)
        return self.pool.known(solver, prepared.detach(), instances, true)
