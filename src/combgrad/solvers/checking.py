"""What every answer of a solver must be; the debug mode COMBGRAD_CHECK=1 looks closer."""

import math
import os
from typing import Any, Protocol

import torch
from torch import Tensor

from combgrad.errors import WrongAnswerError
from combgrad.instances import Instances
from combgrad.solvers.spending import spent


class Checkable(Protocol):
    """What of a solver the checks call; see `Solver`."""

    @property
    def own_name(self) -> str: ...

    def feasible(self, solution: Tensor, *args: Any, **entries: Any) -> Tensor: ...

    def optimum(self, costs: Tensor, *args: Any, **entries: Any) -> Tensor | None: ...


def checking() -> bool:
    """Whether COMBGRAD_CHECK asks for checks."""
    return os.environ.get("COMBGRAD_CHECK", "0") != "0"


def memory_of(costs: Tensor, debug: bool) -> tuple[int, Tensor]:
    """What tells `checked_answer` whether costs (B, *S) are changed from now on.

    That is how often torch has changed them and, in the debug mode, a copy.
    """
    return _changes(costs), costs.clone() if debug else costs


def _changes(costs: Tensor) -> int:
    return 0 if costs.is_inference() else costs._version


def is_brought(solver: object) -> bool:
    """Whether the class of a solver is the user's own, and none that this package's tests cover."""
    return not type(solver).__module__.startswith("combgrad.")


def checked_answer(
    solver: Checkable, costs: Tensor, solution: Any, before: tuple[int, Tensor]
) -> Tensor:
    """A solver's answer to costs (B, *S), of a user's own a copy, which that solver cannot change.

    `before` is `memory_of` the costs as they were given. Raises WrongAnswerError where they were
    changed, for what is no solution for each of them, and of a user's own solver for NaN and inf.
    """
    name = solver.own_name
    _check_left_alone(name, costs, before)
    if not isinstance(solution, Tensor):
        raise WrongAnswerError(
            f"{name}: its _solve answered with a {type(solution).__name__}; it must return a "
            f"tensor, one 0/1 or number for each cost, such as torch.as_tensor(found).to(costs)."
        )
    form = (solution.shape, solution.dtype, solution.device)
    if form != (costs.shape, costs.dtype, costs.device):
        raise WrongAnswerError(
            f"{name} answered costs of shape {tuple(costs.shape)} and dtype {costs.dtype} on "
            f"{costs.device} with shape {tuple(solution.shape)} and dtype {solution.dtype} on "
            f"{solution.device}; its _solve must return one 0/1 or number for each cost, in the "
            f"costs' dtype and on their device."
        )
    # For the fastest solvers of ours what follows would be a tenth of the time.
    if not is_brought(solver):
        return solution
    # A finite sum proves every entry finite at a fraction of the price of looking at each.
    if not math.isfinite(solution.sum().item()):
        broken = ~solution.isfinite().flatten(1).all(dim=1)
        if bool(broken.any()):
            raise WrongAnswerError(
                f"{name}: the solution of batch index {int(broken.nonzero()[0])} has NaN or inf; "
                f"its _solve must answer finite costs with a solution, or raise an exception."
            )
    return solution.detach().clone()


def _check_left_alone(name: str, costs: Tensor, before: tuple[int, Tensor]) -> None:
    """Raise WrongAnswerError where costs (B, *S), which are the caller's, were changed since.

    What torch changes is seen always, what others do to the memory in the debug mode alone.
    """
    changes, kept = before
    if _changes(costs) != changes or (kept is not costs and not torch.equal(kept, costs)):
        raise WrongAnswerError(
            f"{name}: its _solve changed the costs that it was given, which are the caller's own; "
            f"let it work on costs.clone()."
        )


def check_answers(solver: Checkable, costs: Tensor, solution: Tensor, instances: Instances) -> None:
    """Raise WrongAnswerError for an infeasible solution, or one that costs more than the optimum.

    The optimum is asked for the first instance of the batch only, so that checking stays cheap.
    """
    name = solver.own_name
    feasible = solver.feasible(solution, **instances.entries)
    if not bool(feasible.all()):
        index = int((~feasible).nonzero()[0])
        raise WrongAnswerError(
            f"{name}: the solution of batch index {index} is not feasible. This is a bug of the "
            f"solver; please report it with these costs: {costs[index].tolist()}"
        )
    best = solver.optimum(costs[:1], **instances.rows([0]).entries)
    if best is None:
        return
    used = solution[0] != 0
    found = float(spent(costs[:1].double(), solution[:1].double()))
    # What adding up may lose: doubles here, and what `optimum` answers in there.
    rounding = max(1e-12, 8 * torch.finfo(best.dtype).eps)
    slack = rounding * float(costs[0][used].double().abs().sum())
    if found > float(best[0]) + slack:
        raise WrongAnswerError(
            f"{name}: the solution of batch index 0 costs {found!r}, and {float(best[0])!r} is "
            f"possible. This is a bug of the solver; please report it with these costs: "
            f"{costs[0].tolist()}"
        )
