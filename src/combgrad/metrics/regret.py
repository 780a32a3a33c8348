"""What deciding by predicted costs loses, measured by the true ones."""

import torch
from torch import Tensor

from combgrad.errors import WrongAnswerError
from combgrad.instances import NOTHING, Instances
from combgrad.labels import need
from combgrad.solvers.base import Solver
from combgrad.solvers.spending import spent

#: What rounding may make of a regret of 0, relative to what true solutions cost.
NEGATIVE = 1e-4


def regret(solution: Tensor, target: Tensor, true_costs: Tensor) -> Tensor:
    """<c, y> - <c, y*> with the true costs c, in their unit; (B, *S) -> (B,).

    At least 0 for an optimal y*, whatever the sign of the costs. Raises ValueError for solutions
    and labels of different shape. Source: Elmachtoub and Grigas, Management Science 2022,
    definition 1, there the SPO loss.
    """
    need("regret", "target", target, solution)
    need("regret", "true_costs", true_costs, solution)
    return spent(true_costs, solution) - spent(true_costs, target)


def normalised_regret(solution: Tensor, target: Tensor, true_costs: Tensor) -> Tensor:
    """Sum over all instances of the regret by the sum of |<c, y*>|; (N, *S) -> a scalar.

    Sum before ratio, so that pass all instances of a set at once. Raises ValueError where all true
    solutions cost 0, or there is none, and where one costs clearly more than the solution beside
    it, as with the values of a maximisation for costs. Source: Elmachtoub and Grigas, section 6;
    Tang and Khalil, Mathematical Programming Computation 2024, there normalized regret.
    """
    return by_best(regret(solution, target, true_costs), spent(true_costs, target))


def by_best(regrets: Tensor, best: Tensor, rounding: float = NEGATIVE) -> Tensor:
    """The sum of regrets (N,) by the sum of |<c, y*>| (N,), a scalar.

    Raises ValueError where that sum is 0, or where a regret is below 0 by more than `rounding`,
    relative to |<c, y*>| and its mean.
    """
    whole = best.abs().sum()
    if bool(whole == 0):
        raise ValueError(
            f"normalised_regret: the true solutions of all {len(best)} instances cost 0, and the "
            f"regret is to be divided by what they cost; use regret, which has their unit."
        )
    below = regrets < -rounding * (best.abs() + whole / len(best))
    if bool(below.any()):
        index = int(below.nonzero()[0])
        raise ValueError(
            f"normalised_regret: in row {index} the target costs {float(-regrets[index]):.6g} more "
            f"by the true costs than the solution ({int(below.sum())} of {len(best)} rows do), so "
            f"it is not the best; costs are minimised, so that where values v are maximised pass "
            f"true_costs = -v, and as target what an exact solver answers to them."
        )
    return regrets.sum() / whole


def worst_tied(
    solver: Solver,
    costs: Tensor,
    true_costs: Tensor,
    instances: Instances | None = None,
    tolerance: float = 1e-5,
) -> Tensor:
    """Of the solutions that cost least by w, one that costs most by c; (B, *S), float64.

    The predicted costs w are rounded to multiples of `tolerance`; what is then equal is a tie. It
    is argmin <round(w/tolerance) - eps c, y> with eps so small, 1/(2 max(1, |y|) sum|c|), that it
    decides between ties alone, for y of whole numbers, by one more call of a solver that is exact
    in float64. Where that takes no negative costs, the w must be above the tolerance.

    Raises ValueError for a tolerance that is not above 0, WrongAnswerError, naming the batch index,
    where the second answer is no tie, as by a solver that is not exact.
    """
    if not 0 < tolerance < float("inf"):
        raise ValueError(f"tolerance is {tolerance}; it must be finite and greater than 0.")
    known = instances or NOTHING
    whole = known.without_padding(costs.detach().double()).div(tolerance).round()
    true = true_costs.detach().double().masked_fill(whole == torch.inf, 0.0)
    true = known.zeroed(true)
    found = solver(whole, known)
    # Of entries from 0 to 1, or more as ranks have it; an empty choice says nothing of the others.
    largest = found.abs().flatten(1).amax(dim=1).clamp(min=1.0)
    size = true.abs().flatten(1).sum(dim=1) * largest
    eps = torch.where(size > 0, 0.5 / size, 0.0).view(-1, *[1] * (costs.dim() - 1))
    worst = solver(whole - eps * true, known)
    apart = spent(whole, worst) != spent(whole, found)
    if bool(apart.any()):
        raise WrongAnswerError(
            f"worst_tied: what {type(solver).__name__} answers for batch index "
            f"{int(apart.nonzero()[0])} is no tie of what it answered first; use a solver that is "
            f"exact, or a tolerance that fits the size of the costs."
        )
    return worst


def unambiguous_regret(
    solver: Solver,
    costs: Tensor,
    target: Tensor,
    true_costs: Tensor,
    instances: Instances | None = None,
    tolerance: float = 1e-5,
) -> Tensor:
    """max over the y that cost least by w of <c, y> - <c, y*>; (B, *S) -> (B,), float64.

    What deciding by w may lose where several solutions are the best, so that costs that tell
    nothing apart do not look good by chance. Ties and errors are those of `worst_tied`. Source:
    Elmachtoub and Grigas, Management Science 2022, definition 2, there the unambiguous SPO loss.
    """
    known = instances or NOTHING
    worst = worst_tied(solver, costs, true_costs, known, tolerance)
    best, true = (known.zeroed(labels.to(worst)) for labels in (target, true_costs))
    return regret(worst, best, true)
