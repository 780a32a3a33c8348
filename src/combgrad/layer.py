"""The layer that puts a combinatorial solver into a network."""

from typing import Any

import torch
from torch import Tensor, nn

from combgrad.compatibility import check_compatible, check_kinds
from combgrad.corruption import GradientNoise
from combgrad.gradients.base import GradientMethod, solve
from combgrad.margins import Margin
from combgrad.projections import Projection
from combgrad.solvers.base import Solver

#: What networks under autocast answer in: too coarse to project, and to add noise to.
HALF = (torch.float16, torch.bfloat16)


class CombinatorialLayer(nn.Module):
    """y = solver(P(w + margin)), with dL/dw by the chosen gradient method, pulled back through P.

    With `margin.position == "after"` it is y = solver(P(w) + margin). Source: paper, section 3
    (A-03). Under torch.autocast it works in single precision on costs of half precision.

    `shares`, an attribute, is the number of processes that each take an equal share of every batch
    and average their gradients; dL/dy is then made that of the whole batch, on which methods such
    as Blackbox do not depend linearly.

    Args:
        solver: maps costs (B, *S) to solutions (B, *S).
        gradient: how dL/dy becomes dL/d(projected costs).
        projection: a map that keeps the solution, or None.
        margin: a perturbation while training, or None.
        gradient_noise: noise on dL/dy while training, for robustness studies, or None.

    Raises IncompatibleError at construction where a part does not fit the solver.
    """

    def __init__(
        self,
        solver: Solver,
        gradient: GradientMethod,
        projection: Projection | None = None,
        margin: Margin | None = None,
        gradient_noise: GradientNoise | None = None,
    ) -> None:
        super().__init__()
        check_kinds(
            (solver, "solver", Solver),
            (gradient, "gradient", GradientMethod),
            (projection, "projection", Projection),
            (margin, "margin", Margin),
        )
        check_compatible(solver, gradient, projection, margin)
        self.solver = solver
        self.gradient = gradient
        self.projection = projection
        self.margin = margin
        self.gradient_noise = gradient_noise
        self.shares = 1

    def set_epoch(self, epoch: int, epochs: int) -> None:
        """Move the margin's schedule to a 0-based `epoch` out of `epochs`."""
        if self.margin is not None:
            self.margin.set_epoch(epoch, epochs)

    def forward(self, costs: Tensor, target: Tensor | None = None, **instance: Any) -> Tensor:
        """The solution (B, *S) of costs (B, *S); `target` (B, *S) is for margins that need it."""
        self.solver.check_form(costs)
        if torch.is_autocast_enabled(costs.device.type):
            with torch.autocast(costs.device.type, enabled=False):
                single = costs.float() if costs.dtype in HALF else costs
                return self.forward(single, target, **instance)
        if self.shares > 1 and costs.requires_grad:
            costs = costs.view_as(costs)
            costs.register_hook(lambda slope: slope * self.shares)
        after = self.margin is not None and self.margin.position == "after"
        if self.margin is not None and not after:
            costs = self.margin(costs, target)
        if self.projection is not None:
            costs = self.projection(costs)
        if self.margin is not None and after:
            costs = self.margin(costs, target)
        solution = solve(self.solver, self.gradient, costs, self.training, **instance)
        if self.gradient_noise is not None and self.training and solution.requires_grad:
            solution.register_hook(self.gradient_noise)
        if self.shares > 1 and solution.requires_grad:
            solution.register_hook(lambda slope: slope / self.shares)
        return solution

    def extra_repr(self) -> str:
        """The solver and the gradient method, which are not modules, for print(layer)."""
        return f"solver={type(self.solver).__name__}, gradient={type(self.gradient).__name__}"
