"""What a gradient method promises, and the one place where it meets autograd."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from combgrad.compatibility import Part
from combgrad.errors import DoubleBackwardError, IncompatibleError, WrongAnswerError
from combgrad.instances import NOTHING, Instances
from combgrad.solvers.arrays import outside_autocast
from combgrad.solvers.base import Solver


class Saved(NamedTuple):
    """What the backward pass may use: the projected costs and the solution, both (B, *S).

    `extras` are tensors of the method's own, such as the noise of its forward pass. The solution is
    empty for a method that does not read it.
    """

    costs: Tensor
    solution: Tensor
    instances: Instances = NOTHING
    extras: tuple[Tensor, ...] = ()


class GradientMethod(Part, ABC):
    """A strategy that replaces the zero gradient of a solver by a useful one.

    `forward` answers with the solution, `vjp` with dL/dcosts for a given dL/dsolution; both work
    on detached tensors of shape (B, *S). What `vjp` says of forbidden entries, of cost +inf, is
    dropped, as they have no gradient, and dL/dsolution is 0 there. Padding has a cost of +inf too,
    whatever the solver.
    """

    #: Whether vjp(c g) = c vjp(g) for c > 0. Other methods see dL/dy without what only belongs to
    #: the way of training, such as the scale of a GradScaler.
    homogeneous = False

    #: Whether `vjp` reads the solution, of which a copy is then kept: the user may change the
    #: answer in place.
    reads_solution = True

    #: Whether evaluation answers by the solver alone: for methods that sample or relax.
    plain_in_evaluation = False

    def forward(
        self, solver: Solver, costs: Tensor, instances: Instances = NOTHING
    ) -> tuple[Tensor, Saved]:
        """Solve costs (B, *S) and keep what `vjp` needs."""
        solution = solver(costs, instances)
        return solution, Saved(costs, solution, instances)

    def evaluate(
        self, solver: Solver, costs: Tensor, instances: Instances = NOTHING
    ) -> tuple[Tensor, Saved]:
        """`forward` in evaluation; the solver's own answer where that is to be plain."""
        if self.plain_in_evaluation:
            return GradientMethod.forward(self, solver, costs, instances)
        return self.forward(solver, costs, instances)

    def state_dict(self) -> dict[str, float]:
        """What a method has learned while training, part of its layer's; nothing for most."""
        return {}

    def load_state_dict(self, state: Mapping[str, float]) -> None:
        """Go on from a checkpoint's state."""
        del state

    def none_in_evaluation(self) -> IncompatibleError:
        """What `vjp` raises where the plain answer of `evaluate` has no gradient."""
        return IncompatibleError(
            f"{self.own_name} has no gradient in evaluation, where it answers plainly; call "
            f"layer.train() before the forward pass, or use torch.no_grad()."
        )

    @abstractmethod
    def vjp(self, solver: Solver, saved: Saved, grad_solution: Tensor) -> Tensor:
        """The replacement of dL/dcosts (B, *S) for dL/dsolution (B, *S)."""


def _apart_from(answer: Tensor, tensor: Tensor) -> Tensor:
    """A tensor, or its copy where it shares memory with the answer."""
    shared = tensor.untyped_storage().data_ptr() == answer.untyped_storage().data_ptr()
    return tensor.clone() if shared and tensor.numel() else tensor


def _without_forbidden(ctx: Any, costs: Tensor, slope: Tensor) -> Tensor:
    """A slope (B, *S) that is 0 where costs are +inf, and the solution is 0 whatever they do."""
    if ctx.solver.forbids or ctx.instances.valid is not None:
        return slope.masked_fill(costs == torch.inf, 0.0)
    return slope


class _Solve(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        costs: Tensor,
        solver: Solver,
        gradient: GradientMethod,
        instances: Instances,
        training: bool,
    ) -> Tensor:
        answer = gradient.forward if training else gradient.evaluate
        solution, saved = answer(solver, costs, instances)
        ctx.solver, ctx.gradient, ctx.instances = solver, gradient, saved.instances
        kept = saved.solution if gradient.reads_solution else costs.new_empty(0)
        own = [_apart_from(solution, tensor) for tensor in (kept, *saved.extras)]
        ctx.save_for_backward(saved.costs, *own)
        return solution

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, None, None, None, None]:
        if torch.is_grad_enabled():
            raise DoubleBackwardError(
                "a solver layer has no second derivative: its gradient is already a replacement. "
                "Call backward() or autograd.grad() without create_graph=True."
            )
        costs, solution, *extras = ctx.saved_tensors
        saved = Saved(costs, solution, ctx.instances, tuple(extras))
        grad_solution = _without_forbidden(ctx, costs, grad_outputs[0])
        # The layer leaves autocast for its forward pass; backward() may be called under it.
        with outside_autocast(costs):
            slope = ctx.gradient.vjp(ctx.solver, saved, grad_solution)
        if not isinstance(slope, Tensor) or slope.shape != costs.shape:
            got = tuple(slope.shape) if isinstance(slope, Tensor) else type(slope).__name__
            raise WrongAnswerError(
                f"{ctx.gradient.own_name}: its vjp gives {got}; it must return dL/dcosts, a "
                f"tensor of the costs' shape {tuple(costs.shape)}."
            )
        return _without_forbidden(ctx, costs, slope), None, None, None, None


def solve(
    solver: Solver,
    gradient: GradientMethod,
    costs: Tensor,
    training: bool = True,
    instances: Instances = NOTHING,
) -> Tensor:
    """The solution (B, *S) of costs (B, *S), differentiable by `gradient`; padding costs +inf."""
    solution: Tensor = _Solve.apply(costs, solver, gradient, instances, training)
    return solution
