"""What deciding by predicted costs loses, measured by the true ones."""

import warnings

import torch
from torch import Tensor

from combgrad.errors import IncompatibleError, WrongAnswerError
from combgrad.instances import NOTHING, Instances
from combgrad.labels import need
from combgrad.solvers.base import Solver
from combgrad.solvers.cache import behind_cache
from combgrad.solvers.spending import spent

#: What rounding may make of a regret of 0, relative to what true solutions cost.
NEGATIVE = 1e-4

#: About a target that is not the best.
REMEDY = (
    "costs are minimised, so that where values v are maximised pass true_costs = -v, and as target "
    "what an exact solver answers to them."
)

CLAMPED = (
    "worst_tied: the solver takes costs below 0 for 0, so that entries whose predicted cost is 0 "
    "or less are not told apart by what they truly cost; the unambiguous regret may be larger."
)

#: How much of what decides between ties the rounding of float64 may take away.
BLURRED = 0.1

BLUR = (
    "worst_tied: predicted costs are so large in multiples of tolerance={tolerance:g} that float64 "
    "has no digits left to choose between ties; the unambiguous regret may be larger. Divide the "
    "costs by their size, or pass a larger tolerance."
)


def regret(solution: Tensor, target: Tensor, true_costs: Tensor) -> Tensor:
    """<c, y> - <c, y*> with the true costs c, in their unit; (B, *S) -> (B,).

    At least 0 for an optimal y*, whatever the sign of the costs. Raises ValueError for solutions
    and labels of different shape. Source: Elmachtoub and Grigas, Management Science 2022,
    definition 1, there the SPO loss.
    """
    target = need("regret", "target", target, solution)
    true_costs = need("regret", "true_costs", true_costs, solution)
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

    Raises ValueError where that sum is 0, and as `check_best` does for these |<c, y*>|.
    """
    whole = best.abs().sum()
    if bool(whole == 0):
        raise ValueError(
            f"normalised_regret: the true solutions of all {len(best)} instances cost 0, and the "
            f"regret is to be divided by what they cost; use regret, which has their unit."
        )
    check_best("normalised_regret", regrets, best.abs(), rounding)
    return regrets.sum() / whole


def check_best(part: str, regrets: Tensor, size: Tensor, rounding: float = NEGATIVE) -> None:
    """Raise ValueError for a target that is not the best: a regret (B,) below 0, or NaN.

    By more than `rounding` relative to what such solutions cost, `size` (B,), and its mean.
    """
    endless = size.isinf()
    mean = size.masked_fill(endless, torch.nan).nanmean()
    # An infinite size would forgive any target, its own and, by the mean, those of all other rows.
    below = ~(regrets >= -rounding * (size + mean)) | endless
    if not bool(below.any()):
        return
    index = int(below.nonzero()[0])
    if bool(regrets[index].isnan()):
        raise ValueError(
            f"{part}: row {index} has NaN, or inf that a solution pays for, in its solution, "
            f"target or true costs; look for a label that is missing."
        )
    raise ValueError(
        f"{part}: in row {index} the target costs {float(-regrets[index]):.6g} more by the true "
        f"costs than the solution ({int(below.sum())} of {len(regrets)} rows do), so it is not the "
        f"best; {REMEDY}"
    )


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
    in float64, or some where later answers have larger numbers. Where that takes no negative costs,
    the w must be above the tolerance; where it clamps them, entries that round to 0 or less are not
    told apart, another solution may cost more by c, and a RuntimeWarning says so. So it does where
    costs are too large for float64, above some 1e14 tolerances by the number of entries.

    Raises ValueError for a tolerance that is not above 0 and for true costs that are not finite
    where the predicted ones are, IncompatibleError for a solver whose answers are no whole numbers,
    and WrongAnswerError, naming the batch index, where the second answer is no tie, as by a solver
    that is not exact.
    """
    if not 0 < tolerance < float("inf"):
        raise ValueError(f"tolerance is {tolerance}; it must be finite and greater than 0.")
    known = instances or NOTHING
    whole = known.without_padding(costs.detach().double()).div(tolerance).round()
    true = known.zeroed(true_costs.detach().double().masked_fill(whole == torch.inf, 0.0))
    _check_finite(true)
    if getattr(behind_cache(solver), "negative", None) == "clamp" and bool((whole <= 0).any()):
        warnings.warn(CLAMPED, RuntimeWarning, stacklevel=2)
    worst = found = solver(whole, known)
    reach = found.new_zeros(len(found))
    while bool((_largest(worst) > reach).any()):
        _check_whole(solver, worst)
        reach = torch.maximum(reach, _largest(worst))
        size = true.abs().flatten(1).sum(dim=1) * reach
        eps = torch.where(size > 0, 0.5 / size, 0.0).view(-1, *[1] * (costs.dim() - 1))
        worst = solver(whole - eps * true, known)
    if _is_blurred(whole, reach):
        warnings.warn(BLUR.format(tolerance=tolerance), RuntimeWarning, stacklevel=2)
    apart = spent(whole, worst) != spent(whole, found)
    if bool(apart.any()):
        raise WrongAnswerError(
            f"worst_tied: what {solver.own_name} answers for batch index "
            f"{int(apart.nonzero()[0])} is no tie of what it answered first; use a solver that is "
            f"exact, or a tolerance that fits the size of the costs."
        )
    return worst


def _check_finite(true_costs: Tensor) -> None:
    """Raise ValueError, naming the batch index, for true costs by which nothing can be told."""
    wrong = ~true_costs.isfinite().flatten(1).all(dim=1)
    if bool(wrong.any()):
        raise ValueError(
            f"worst_tied: true costs of batch index {int(wrong.nonzero()[0])} are NaN or infinite "
            f"where the predicted ones are finite; predict +inf where an entry is forbidden, or "
            f"leave the instance out."
        )


def _largest(solution: Tensor) -> Tensor:
    """The largest number (B,) of solutions (B, *S), 1 at least.

    An empty choice says nothing of the others; ranks are larger.
    """
    return solution.abs().flatten(1).amax(dim=1).clamp(min=1.0)


def _is_blurred(whole: Tensor, reach: Tensor) -> bool:
    """Whether the rounding of costs (B, *S) leaves too little of eps c, for answers up to `reach`.

    Of n entries they are 0.5 / (n reach) on average.
    """
    entries = whole.masked_fill(whole == torch.inf, 0.0).abs().flatten(1)
    steps = entries.amax(dim=1) * torch.finfo(torch.float64).eps
    return bool((steps * entries.shape[1] * reach > 0.5 * BLURRED).any())


def _check_whole(solver: Solver, solution: Tensor) -> None:
    """IncompatibleError for a solution that is not of whole numbers."""
    if bool((solution != solution.round()).any()):
        raise IncompatibleError(
            f"worst_tied: {solver.own_name} answers with numbers that are not whole, of "
            f"which ties cannot be told apart by smaller costs; use regret."
        )


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
    nothing apart do not look good by chance. Ties and errors are those of `worst_tied`; ValueError
    for a target that is not the best. Source: Elmachtoub and Grigas, Management Science 2022,
    definition 2, there the unambiguous SPO loss.
    """
    known = instances or NOTHING
    worst = worst_tied(solver, costs, true_costs, known, tolerance)
    best, true = (known.zeroed(labels.to(worst)) for labels in (target, true_costs))
    regrets = regret(worst, best, true)
    check_best("unambiguous_regret", regrets, spent(true.abs(), best.abs()))
    return regrets
