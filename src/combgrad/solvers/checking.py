"""The debug mode COMBGRAD_CHECK=1: every answer of every solver is checked, cheaply."""

import os
from typing import Any, Protocol

import torch
from torch import Tensor

from combgrad.errors import WrongAnswerError
from combgrad.instances import Instances
from combgrad.solvers.spending import spent


class Checkable(Protocol):
    """The two methods of a solver that the checks call; see `Solver`."""

    def feasible(self, solution: Tensor, *args: Any, **entries: Any) -> Tensor: ...

    def optimum(self, costs: Tensor, *args: Any, **entries: Any) -> Tensor | None: ...


def checking() -> bool:
    """Whether COMBGRAD_CHECK asks for checks."""
    return os.environ.get("COMBGRAD_CHECK", "0") != "0"


def check_answers(solver: Checkable, costs: Tensor, solution: Tensor, instances: Instances) -> None:
    """Raise WrongAnswerError for an infeasible solution, or one that costs more than the optimum.

    The optimum is asked for the first instance of the batch only, so that checking stays cheap.
    """
    name = type(solver).__name__
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
