"""The form of costs: what is a batch of instances at all, whatever the solver."""

import torch
from torch import Tensor

from combgrad.errors import SolverInputError

#: The dtypes of costs that solvers take.
DTYPES = (torch.float64, torch.float32, torch.bfloat16, torch.float16)


def check_costs(name: str, costs: Tensor) -> None:
    """Raise SolverInputError, naming the solver, unless costs are floating-point instances."""
    if not isinstance(costs, Tensor):
        raise SolverInputError(
            f"{name}: costs are a {type(costs).__name__}; convert them with torch.as_tensor."
        )
    if costs.dtype not in DTYPES:
        raise SolverInputError(
            f"{name}: costs have dtype {costs.dtype}; convert them with costs.float()."
        )
    if costs.layout is not torch.strided:
        raise SolverInputError(
            f"{name}: costs are laid out as {costs.layout}; convert them with costs.to_dense()."
        )
    if costs.is_meta:
        raise SolverInputError(
            f"{name}: costs are on the device meta, which holds no numbers; make them on the "
            f"CPU or a GPU."
        )
    if costs.dim() < 2:
        raise SolverInputError(
            f"{name}: costs have shape {tuple(costs.shape)}, but the first axis is the batch; "
            f"use costs.unsqueeze(0) for one instance."
        )


def refuse_transforms(name: str, costs: Tensor, what: str = "costs") -> None:
    """Raise SolverInputError, naming the solver or loss, for costs that torch.func traces.

    `what` they are, where they are no costs.
    """
    # torch has no public question for it; to print a tensor it asks this one.
    if torch._C._functorch.is_functorch_wrapped_tensor(costs):
        raise SolverInputError(
            f"{name}: {what} are inside a transform of torch.func (grad, vmap, jacrev, jvp, ...), "
            f"where they hold no numbers to solve for; use loss.backward(), torch.autograd.grad or "
            f"torch.autograd.functional.jacobian, and the batch axis in place of vmap."
        )
