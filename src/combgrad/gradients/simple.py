"""SIMPLE: exact samples of k-subsets on the way there, their exact covariance on the way back.

The distribution over the 0/1 rows y of n entries with k ones is p(y) = exp(-<w, y>) / Z(w). Going
through the entries in order, the number of ones still to place is a Markov chain of k + 1 states,
so everything below takes O(n k) steps for an instance and is exact up to rounding; it is computed
in float64 whatever the dtype of the costs.
"""

import torch
from torch import Tensor

from combgrad.arguments import check_positive
from combgrad.gradients.base import GradientMethod, Saved
from combgrad.gradients.relaxations import subset_size
from combgrad.instances import NOTHING, Instances
from combgrad.solvers.base import Solver, Trait


def _one_more(table: Tensor, filling: float) -> Tensor:
    """Entry j - 1 in the place of entry j of the last axis, `filling` in the first place."""
    return torch.cat([torch.full_like(table[..., :1], filling), table[..., :-1]], dim=-1)


def _log_sums(costs: Tensor, k: int) -> Tensor:
    """(n + 1, B, k + 1): log of the sum of exp(-<w, y>) over all y with j ones among entries >= i.

    By log-sum-exp of "without entry i" and "with it"; -inf where j ones do not fit.
    """
    scores = -costs.detach().double()
    rows, n = scores.shape
    sums = scores.new_full((n + 1, rows, k + 1), -torch.inf)
    sums[n, :, 0] = 0.0
    for i in reversed(range(n)):
        taken = scores[:, i : i + 1] + _one_more(sums[i + 1], -torch.inf)
        torch.logaddexp(sums[i + 1], taken, out=sums[i])
    return sums


def _choices(costs: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """P(y_i = 1) and P(y_i = 0) given that j ones are left for the entries >= i, (n, B, k + 1).

    Both are 0 in states that do not occur, where more ones are left than entries.
    """
    sums = _log_sums(costs, k)
    scores = -costs.detach().double().T.unsqueeze(-1)
    taken = scores + _one_more(sums[1:], -torch.inf) - sums[:-1]
    left = sums[1:] - sums[:-1]
    impossible = sums[:-1] == -torch.inf
    return taken.exp().masked_fill(impossible, 0.0), left.exp().masked_fill(impossible, 0.0)


def sample_subsets(costs: Tensor, k: int, generator: torch.Generator | None = None) -> Tensor:
    """One exact sample of p(y), 0/1 with k <= n ones, for each of the costs (B, n), in their dtype.

    `generator` is on the costs' device; None is torch's global one.
    """
    take, _ = _choices(costs, k)
    draws = torch.rand(
        costs.shape, dtype=torch.float64, device=costs.device, generator=generator
    ).unbind(dim=1)
    left = torch.full((len(costs), 1), k, device=costs.device)
    sample = torch.zeros_like(costs)
    for i, draw in enumerate(draws):
        chosen = draw < take[i].gather(1, left).squeeze(1)
        sample[:, i] = chosen.to(costs.dtype)
        left = left - chosen.unsqueeze(1).long()
    return sample


def covariance_product(costs: Tensor, k: int, vector: Tensor) -> Tensor:
    """Cov(y) g for costs and g (B, n), in float64: the Jacobian of mu = E[y] in -w, symmetric.

    Entry i is E[y_i <g, y>] - mu_i E<g, y>, with <g, y> split into entries before, at and after i.
    """
    take, leave = _choices(costs, k)
    # Each y has k ones, so a constant in g changes nothing but the rounding.
    g = vector.double() - vector.double().mean(dim=1, keepdim=True)
    n = costs.shape[1]
    after = [take.new_zeros(len(costs), k + 1)]
    for i in reversed(range(n)):
        with_entry = g[:, i : i + 1] + _one_more(after[-1], 0.0)
        after.append(take[i] * with_entry + leave[i] * after[-1])
    mean = after.pop()[:, k]
    state, before = torch.zeros_like(after[0]), torch.zeros_like(after[0])
    state[:, k] = 1.0
    product = torch.zeros_like(g)
    for i in range(n):
        now = g[:, i : i + 1]
        taken, taken_before = state * take[i], before * take[i]
        future = now + _one_more(after.pop(), 0.0)
        product[:, i] = (taken_before + taken * (future - mean.unsqueeze(1))).sum(dim=1)
        state, before = state * leave[i], before * leave[i]
        state[:, :-1] += taken[:, 1:]
        before[:, :-1] += (taken_before + taken * now)[:, 1:]
    return product


class SIMPLE(GradientMethod):
    """y ~ p(y) proportional to exp(-<w, y> / tau) while training; dL/dw = -Cov(y) dL/dy / tau.

    The gradient is J^T dL/dy with J the Jacobian of the exact marginals E[y] in w. In evaluation
    the answer is the solver's; the gradient, should one be asked for, is the same. The method draws
    the subset itself, so the costs come without sampling noise. Costs (B, n) of any sign.

    Source: Ahmed et al., ICLR 2023, section 3 (SIMPLE); the product with the Jacobian by a second
    pass over the chain, rather than by automatic differentiation, is ours.

    Args:
        tau: the temperature, > 0, in units of cost; 1 is the paper's distribution.
        generator: for the samples, on the costs' device; None for torch's global one.
    """

    requires = frozenset({Trait.SUBSET_VALUED})
    homogeneous = True
    plain_in_evaluation = True

    def __init__(self, tau: float = 1.0, generator: torch.Generator | None = None) -> None:
        self.tau = check_positive("tau", tau)
        self.generator = generator

    def forward(
        self, solver: Solver, costs: Tensor, instances: Instances = NOTHING
    ) -> tuple[Tensor, Saved]:
        """An exact sample (B, n), 0/1 with k ones."""
        solution, _ = self.evaluate(solver, costs, instances)
        scaled = costs.double() / self.tau
        sample = sample_subsets(scaled, subset_size(solution), self.generator).to(costs.dtype)
        return sample, Saved(costs, sample, instances)

    def vjp(self, solver: Solver, saved: Saved, grad_solution: Tensor) -> Tensor:
        """Return -Cov(y) dL/dy / tau, shape (B, n)."""
        del solver
        k = subset_size(saved.solution)
        product = covariance_product(saved.costs.double() / self.tau, k, grad_solution)
        return (product / -self.tau).to(saved.costs.dtype)
