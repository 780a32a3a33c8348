"""The layer that puts a combinatorial solver into a network."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from combgrad.compatibility import check_kinds, name_of
from combgrad.errors import IncompatibleError
from combgrad.gradients.base import GradientMethod, solve
from combgrad.gradients.graphs import outside_graphs
from combgrad.gradients.noise import GradientNoise
from combgrad.instances import NOTHING, Instances
from combgrad.labels import Labels, spoken_of
from combgrad.margins import Margin
from combgrad.projections import Projection
from combgrad.solvers.arrays import single
from combgrad.solvers.base import Solver
from combgrad.solvers.forms import refuse_transforms
from combgrad.solvers.solution_pool import pool_of

#: Where a layer's state_dict holds what its gradient method has learned, by torch's own name.
STATE = "_extra_state"


class _LossFactor:
    """Takes what the loss was multiplied by out of dL/dy, and puts it back into dL/dw."""

    def __init__(self, shares: int, scale: float | Callable[[], float] | None) -> None:
        self.shares, self.scale = shares, scale
        self.factor = 1.0
        self.needed = shares > 1 or scale not in (None, 1.0)

    def take_scale(self, slope: Tensor) -> Tensor:
        """dL/dy (B, *S) of the loss itself; zero where it has overflown under the scale."""
        if self.scale in (None, 1.0):
            self.factor = float(self.shares)
            return slope
        scale = float(self.scale() if callable(self.scale) else self.scale)
        self.factor = self.shares * scale
        if bool(torch.isfinite(slope).all()):
            return slope / scale
        self.factor = math.nan
        return torch.zeros_like(slope)

    def take_shares(self, slope: Tensor) -> Tensor:
        """dL/dy (B, *S) of the whole batch's loss."""
        return slope / self.shares

    def put_back(self, slope: Tensor) -> Tensor:
        """dL/dw (B, *S) as the loss in use has it."""
        return slope * self.factor


class CombinatorialLayer(nn.Module):
    """y = solver(P(w + margin)), with dL/dw by the chosen gradient method, pulled back through P.

    With `margin.position == "after"` it is y = solver(P(w) + margin). Source: paper, section 3
    (A-03). Where a projection would round away what tells costs apart, it and the solver work in
    float64, and the answer has the costs' dtype. Under torch.autocast it works in single precision
    on costs of half precision.

    Methods such as Blackbox depend on the size of dL/dy and not only on its direction. Two
    attributes tell the layer what was done to the loss, so that they see dL/dy of the whole batch's
    loss: `shares`, the number of processes that each take an equal share of every batch and average
    their gradients, and `loss_scale`, what the loss is multiplied by before `backward()`, a number
    or a function without arguments such as `scaler.get_scale` of a GradScaler. Where dL/dy has
    overflown under a scale, dL/dw is NaN, which such a scaler looks for. torch.compile leaves the
    layer out of its graphs.

    Args:
        solver: maps costs (B, *S) to solutions (B, *S).
        gradient: how dL/dy becomes dL/d(projected costs).
        projection: a map that keeps the solution, or None.
        margin: a perturbation while training, or None.
        gradient_noise: noise on dL/dy while training, for robustness studies, or None.

    Raises IncompatibleError at construction where a part does not fit the solver, and under
    autocast to float16, which needs a scaled loss, where a part must know the scale and does not.
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
            (gradient_noise, "gradient_noise", GradientNoise),
        )
        for part in (gradient, projection, margin):
            if part is not None:
                part.check_solver(solver)
        self.solver = solver
        # A solver is no module: as a part of this one its pool follows train() and checkpoints.
        self.pool = pool_of(solver)
        self.gradient = gradient
        self.projection = projection
        self.margin = margin
        self.gradient_noise = gradient_noise
        self.shares = 1
        self.loss_scale: float | Callable[[], float] | None = None

    def set_epoch(self, epoch: int, epochs: int) -> None:
        """Move the margin's schedule to a 0-based `epoch` out of `epochs`."""
        if self.margin is not None:
            self.margin.set_epoch(epoch, epochs)

    def forward(
        self,
        costs: Tensor,
        target: Tensor | None = None,
        instances: Instances | None = None,
        *,
        marked: Tensor | None = None,
        **named: Any,
    ) -> Tensor:
        """The solution (B, *S) of costs (B, *S); `target` (B, *S) is for margins that need it.

        `marked`, bool (B, *S) or (*S), are the entries that a margin is added to, all if None.
        `Instances`, or keyword arguments, describe the instances as the solver wants them; padding,
        where their `valid` (B, *S) says so, enters no projection, no noise and no solution, and
        gets no gradient, whatever stands there. It does take part in draws of noise, which are of
        the whole (B, *S): those of one seed differ from those of other padding. What describes
        instances, as the weights of a knapsack, gets no gradient; `losses.linear_program_value`
        has one for them.
        """
        labels = Labels(target, None, marked)
        solution: Tensor = outside_graphs(self._answer, costs, labels, instances, named)
        return solution

    def _answer(
        self,
        costs: Tensor,
        labels: Labels,
        instances: Instances | None,
        named: Mapping[str, Any],
    ) -> Tensor:
        self.solver.check_form(costs)
        refuse_transforms(self.solver.own_name, costs)
        device = costs.device.type
        if torch.is_autocast_enabled(device):
            if torch.get_autocast_dtype(device) == torch.float16 and costs.requires_grad:
                self.check_loss_scale()
            with torch.autocast(device, enabled=False):
                return self._answer(single(costs), labels, instances, named)
        undo = _LossFactor(self.shares, self.loss_scale)
        if undo.needed and costs.requires_grad:
            costs = costs.view_as(costs)
            costs.register_hook(undo.put_back)
        dtype = costs.dtype
        known = self._described(costs, instances, named)
        costs = self._perturbed_and_projected(costs, labels, known)
        solution = solve(self.solver, self.gradient, costs, self.training, known)
        if solution.requires_grad:
            if undo.needed:
                solution.register_hook(undo.take_scale)
            if self.gradient_noise is not None and self.training:
                solution.register_hook(self.gradient_noise)
            if undo.needed:
                solution.register_hook(undo.take_shares)
        return solution.to(dtype)

    def check_loss_scale(self) -> None:
        """Raise IncompatibleError where a part must know how the loss is scaled and does not."""
        noisy = self.gradient_noise is not None
        if self.loss_scale is None and (noisy or not self.gradient.homogeneous):
            name = type(self.gradient_noise if noisy else self.gradient).__name__
            raise IncompatibleError(
                f"{name} depends on the size of dL/dy, and training in float16 scales the loss: "
                f"set layer.loss_scale = scaler.get_scale for the GradScaler, or 1.0 without one; "
                f"or train in bfloat16, which needs no scale."
            )

    def _described(
        self, costs: Tensor, instances: Instances | None, named: Mapping[str, Any]
    ) -> Instances:
        if not named and (instances is None or instances is NOTHING):
            return NOTHING
        return self.solver.describe(costs, instances, named)

    def prepare(
        self, costs: Tensor, labels: Labels | None = None, instances: Instances | None = None
    ) -> Tensor:
        """P(w + margin), (B, *S), differentiable: what the solver is to see of costs (B, *S).

        For losses of the costs, which solve them on their own terms. While training, the layer's
        gradient noise falls on the gradient of what is returned. Padding is +inf. Costs of half
        precision are answered in single, for a step, noise or a difference of two of them may be
        less than what halves can tell apart.
        """
        self.solver.check_form(costs)
        device = costs.device.type
        if torch.is_autocast_enabled(device):
            noisy = self.gradient_noise is not None and costs.requires_grad
            if noisy and torch.get_autocast_dtype(device) == torch.float16:
                self.check_loss_scale()
            with torch.autocast(device, enabled=False):
                return self.prepare(costs, labels, instances)
        costs = single(costs)
        known = self._described(costs, instances, {})
        prepared = self._perturbed_and_projected(costs, labels or Labels(), known)
        if self.gradient_noise is not None and self.training and prepared.requires_grad:
            prepared, undo = prepared.view_as(prepared), _LossFactor(1, self.loss_scale)
            for hook in (undo.take_scale, self.gradient_noise, undo.put_back):
                prepared.register_hook(hook)
        return prepared

    def _perturbed_and_projected(
        self, costs: Tensor, labels: Labels, instances: Instances
    ) -> Tensor:
        costs = instances.without_padding(costs)
        if self.margin is None:
            return self.project(costs)
        marked = spoken_of(labels.of_margin, instances.valid, costs)
        if self.margin.position == "after":
            return self.margin(self.project(costs), labels.target, marked)
        return self.project(self.margin(costs, labels.target, marked))

    def project(self, costs: Tensor) -> Tensor:
        """P(w), (B, *S), of costs (B, *S); in double precision where theirs would ruin it."""
        if self.projection is None:
            return costs
        return self.projection(costs, **({"widen": True} if self.projection.widens else {}))

    def _save_to_state_dict(
        self, destination: dict[str, Any], prefix: str, keep_vars: bool
    ) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        if state := self.gradient.state_dict():
            destination[prefix + STATE] = state

    def _load_from_state_dict(
        self,
        state_dict: Mapping[str, Any],
        prefix: str,
        local_metadata: Mapping[str, Any],
        strict: bool,
        missing_keys: list[str],
        unexpected_keys: list[str],
        error_msgs: list[str],
    ) -> None:
        super()._load_from_state_dict(
            state_dict,
            prefix,
            local_metadata,
            strict,
            missing_keys,
            unexpected_keys,
            error_msgs,
        )
        # torch reports these names, or with strict=False leaves it at them.
        key, method = prefix + STATE, name_of(self.gradient)
        if key in unexpected_keys:
            unexpected_keys.remove(key)
        if not self.gradient.state_dict():
            if key in state_dict:
                unexpected_keys.append(f"{key} (another method's than {method}, which learns none)")
        elif key in state_dict:
            self.gradient.load_state_dict(state_dict[key])
        else:
            missing_keys.append(f"{key} (what {method} has learned)")

    def extra_repr(self) -> str:
        """The parts that are no modules, for print(layer)."""
        noise = f", gradient_noise={self.gradient_noise!r}" if self.gradient_noise else ""
        return f"solver={self.solver!r}, gradient={self.gradient!r}{noise}"
