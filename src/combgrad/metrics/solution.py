"""What is measured of a solution, one value an instance, shape (B,).

Targets and true costs are of the solution's shape, and may be whole numbers or bool; ValueError
where they are of another. Entries of halves are counted in single precision.
"""

import torch
from torch import Tensor

from combgrad.labels import need
from combgrad.solvers.arrays import single
from combgrad.solvers.edges import city_count
from combgrad.solvers.spending import spent


def edge_accuracy(solution: Tensor, target: Tensor) -> Tensor:
    """Share of the true edges found: <y, y*> / <y*, y*>, from 0 to 1; (B, E) -> (B,). (A-33)"""
    target = single(need("edge_accuracy", "target", target, solution))
    return (solution * target).flatten(1).sum(dim=1) / target.flatten(1).sum(dim=1)


def tour_accuracy(solution: Tensor, target: Tensor) -> Tensor:
    """1 where every entry is right, else 0; (B, *S) -> (B,)."""
    target = need("tour_accuracy", "target", target, solution)
    return (solution == target).flatten(1).all(dim=1).to(solution.dtype)


def entry_accuracy(solution: Tensor, target: Tensor) -> Tensor:
    """Share of right entries of the k x k adjacency matrices, diagonal included; (B, E) -> (B,).

    1 - 2 sum |y - y*| / k^2: every wrong edge is two wrong entries.
    """
    target = single(need("entry_accuracy", "target", target, solution))
    cities = city_count(solution.shape[1])
    return 1 - 2 * (solution - target).abs().sum(dim=1) / cities**2


def cost_ratio(solution: Tensor, target: Tensor, true_costs: Tensor) -> Tensor:
    """<w*, y> / <w*, y*> with the true costs w*; (B, *S) -> (B,).

    At least 1 for an optimal y* of positive cost; it says little where costs have both signs.
    """
    target = need("cost_ratio", "target", target, solution)
    true_costs = need("cost_ratio", "true_costs", true_costs, solution)
    return spent(true_costs, solution) / spent(true_costs, target)


def column_cost_ratio(solution: Tensor, target: Tensor, true_costs: Tensor) -> Tensor:
    """The mean over the columns of a grid of sum_i w*_ij y_ij / sum_i w*_ij y*_ij; -> (B,).

    Paths and costs are (B, H, W); every path has cells in every column. It is mostly above 1 even
    for another path of the same cost. Source: the code of Vlastelica et al., ICLR 2020, which calls
    it the cost ratio (A-38).
    """
    target = need("column_cost_ratio", "target", target, solution)
    true_costs = need("column_cost_ratio", "true_costs", true_costs, solution)
    predicted = _spent_in_columns(true_costs, solution)
    return (predicted / _spent_in_columns(true_costs, target)).mean(dim=1)


def _spent_in_columns(costs: Tensor, path: Tensor) -> Tensor:
    """The share (B, W) of each column in what a path costs, both (B, H, W)."""
    columns = spent(costs.transpose(1, 2).flatten(0, 1), path.transpose(1, 2).flatten(0, 1))
    return columns.view(costs.shape[0], costs.shape[2])


def is_cheapest(
    solution: Tensor, target: Tensor, true_costs: Tensor, tolerance: float = 1e-5
) -> Tensor:
    """1 where a solution costs no more than the best one, y*, else 0; (B, *S) -> (B,).

    <w*, y> <= <w*, y*> + tolerance <|w*|, |y*|>, for costs w* of any sign: what rounding may add is
    forgiven. The default is for costs that are exact but for single precision; NaN for NaN.
    """
    target = need("is_cheapest", "target", target, solution)
    true_costs = need("is_cheapest", "true_costs", true_costs, solution)
    slack = tolerance * spent(true_costs.abs(), target.abs())
    excess = spent(true_costs, solution) - spent(true_costs, target) - slack
    return (excess <= 0).to(solution.dtype).masked_fill(excess.isnan(), torch.nan)


def wrong_entries(solution: Tensor, target: Tensor) -> Tensor:
    """Hamming distance sum |y - y*|; (B, *S) -> (B,)."""
    target = single(need("wrong_entries", "target", target, solution))
    return (solution - target).abs().flatten(1).sum(dim=1)


def cost_norm(costs: Tensor) -> Tensor:
    """||w||_2 of the raw predicted costs, which shrinks as they collapse; (B, *S) -> (B,).

    Forbidden entries, of cost +inf, count for nothing.
    """
    return costs.masked_fill(costs == torch.inf, 0.0).flatten(1).norm(dim=1)


def cost_mse(costs: Tensor, true_costs: Tensor) -> Tensor:
    """The mean over the entries of (w - w*)^2, in the squared unit of costs; (B, *S) -> (B,).

    Entries that either forbids, of cost +inf, count for nothing; differentiable. Halves are
    subtracted and squared in single precision.
    """
    true_costs = need("cost_mse", "true_costs", true_costs, costs)
    costs = single(costs)
    forbidden = (costs == torch.inf) | (true_costs == torch.inf)
    gaps = costs.masked_fill(forbidden, 0.0) - true_costs.masked_fill(forbidden, 0.0)
    counted = (~forbidden).flatten(1).sum(dim=1).clamp(min=1)
    return gaps.square().flatten(1).sum(dim=1) / counted


def subset_precision(chosen: Tensor, relevant: Tensor) -> Tensor:
    """Share of the chosen entries that matter: <y, r> / sum(y), from 0 to 1; (B, n) -> (B,).

    Choices y are 0/1 with at least one 1, r are 0/1 or bool. A chosen padding position counts as
    one that does not matter. Source: Niepert et al., NeurIPS 2021, section 5.2.
    """
    if relevant.shape != chosen.shape:
        raise ValueError(
            f"subset_precision: relevant has shape {tuple(relevant.shape)} and chosen "
            f"{tuple(chosen.shape)}; pass one entry for each."
        )
    chosen = single(chosen)
    return (chosen * relevant).sum(dim=1) / chosen.sum(dim=1)
