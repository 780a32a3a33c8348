"""The nearest point of a convex hull that only a linear solver knows, for a batch."""

import warnings

import torch
from torch import Tensor

from combgrad.instances import Instances
from combgrad.solvers.base import Solver

#: Shares below this are none; all is in double precision.
TINY = 1e-12

#: What rounding may add to a gap, for each unit of its terms.
ROUNDING = 1e-14


def regularised_minimum(
    solver: Solver, costs: Tensor, instances: Instances, lam: float, steps: int, tol: float
) -> tuple[Tensor, Tensor, Tensor]:
    """mu = argmin over conv(Y) of <w, mu> + lam/2 |mu|^2, for costs w (B, *S).

    Answers with mu (B, *S), solutions (B, K, n) and their shares (B, K), which sum to 1 and mix mu.
    Each step asks for the solution of w + lam mu, as Frank-Wolfe does, and then finds the best
    mixture of those it has (Wolfe, Mathematical Programming 1976), until no solution is better by
    lam tol: then |mu - mu*|^2 <= tol. Warns where that takes more than `steps`.
    """
    costs = costs.double()
    pull = costs.masked_fill(costs == torch.inf, 0.0).flatten(1) / lam
    vertices = solver(costs, instances).flatten(1).unsqueeze(1)
    shares = torch.ones_like(vertices[:, :, 0])
    mean = vertices[:, 0]
    for _ in range(steps):
        found = solver(costs + lam * mean.view_as(costs), instances).flatten(1)
        terms = (pull + mean) * (mean - found)
        better = terms.sum(dim=1) > tol + ROUNDING * terms.abs().sum(dim=1)
        if not bool(better.any()):
            break
        vertices = torch.cat([vertices, found.unsqueeze(1)], dim=1)
        new = better.to(shares).unsqueeze(1)
        shares = _best_mixture(vertices, torch.cat([shares, 0 * new], 1), new, pull)
        used = (shares > 0).any(dim=0)
        vertices, shares = vertices[:, used], shares[:, used]
        mean = torch.einsum("bk,bkn->bn", shares, vertices)
    else:
        # Always the same words, so that it is said once and not at every step of a training.
        warnings.warn(
            f"after steps={steps} solver calls the regularised minimum is not yet known to be "
            f"within tol={tol:g} of its optimum; raise steps or tol.",
            RuntimeWarning,
            stacklevel=3,
        )
    return mean.view_as(costs), vertices, shares


def _best_mixture(vertices: Tensor, shares: Tensor, new: Tensor, pull: Tensor) -> Tensor:
    """The shares (B, K) of the mixture mu of vertices (B, K, n) with the least |mu + pull|.

    It starts from shares whose last one, where `new` (B, 1) is 1, may become more than 0.
    """
    # From their middle, as shares sum to 1: only how vertices differ counts, and not how long they
    # and the pull are, beside which the differences would be rounded away.
    middle = vertices.mean(dim=1, keepdim=True)
    vertices, pull = vertices - middle, pull + middle[:, 0]
    gram = vertices @ vertices.transpose(1, 2)
    linear = (vertices @ pull.unsqueeze(2)).squeeze(2)
    active = torch.cat([shares[:, :-1] > 0, new > 0], dim=1)
    while True:
        best = _affine_minimum(gram, linear, active)
        leaving = active & (best <= TINY)
        if not bool(leaving.any()):
            return best
        # As far towards the best of the affine hull as all shares allow; the first at 0 leaves.
        reach = torch.where(leaving, shares / (shares - best).clamp(min=TINY), torch.inf)
        step = reach.amin(dim=1, keepdim=True)
        shares = shares + step.clamp(max=1.0) * (best - shares)
        active &= ~(leaving & (reach <= step + TINY))
        shares = shares.clamp(min=0.0) * active


def _affine_minimum(gram: Tensor, linear: Tensor, active: Tensor) -> Tensor:
    """argmin of 1/2 a'Ga + <linear, a> over the a (B, K) that sum to 1, 0 where not active."""
    batch, count = linear.shape
    there = active.to(gram)
    system = gram.new_zeros(batch, count + 1, count + 1)
    system[:, :count, :count] = gram * there.unsqueeze(1) * there.unsqueeze(2)
    ridge = TINY * (1 + gram.diagonal(dim1=1, dim2=2))
    system[:, :count, :count] += torch.diag_embed(1 - there + ridge)
    system[:, :count, count] = system[:, count, :count] = there
    right = torch.cat([-linear * there, torch.ones_like(linear[:, :1])], dim=1)
    return torch.linalg.solve(system, right.unsqueeze(2)).squeeze(2)[:, :count] * there


def onto_directions(vertices: Tensor, shares: Tensor, slope: Tensor) -> Tensor:
    """The part of a slope (B, n) along the affine hull of the vertices (B, K, n) in use."""
    used = (shares > 0).to(vertices).unsqueeze(2)
    middle = (vertices * used).sum(dim=1, keepdim=True) / used.sum(dim=1, keepdim=True)
    along = (vertices - middle) * used
    inner = torch.linalg.pinv(along @ along.transpose(1, 2), rtol=1e-9, hermitian=True)
    return (along.transpose(1, 2) @ (inner @ (along @ slope.unsqueeze(2)))).squeeze(2)
