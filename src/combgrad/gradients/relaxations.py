"""Relaxations of a choice of k out of n: soft answers that have a gradient of their own."""

from abc import abstractmethod
from typing import Literal

import torch
from torch import Tensor

from combgrad.arguments import check_option, check_positive
from combgrad.gradients.base import GradientMethod, Saved
from combgrad.instances import NOTHING, Instances
from combgrad.sampling.noise import Gumbel
from combgrad.solvers.base import Solver, Trait

Variant = Literal["original", "tfi"]


def subset_size(solution: Tensor) -> int:
    """The k of solutions (B, n) that all have k ones; 0 for an empty batch."""
    return int(solution[0].count_nonzero()) if len(solution) else 0


def without_dust(values: Tensor) -> Tensor:
    """Values (B, n) with 0 for what no sum over the row can see, less than eps^2 of its largest.

    The tails of a softmax at a low temperature, and their gradients, reach down to where a
    processor takes a hundred times as long for each product of them.
    """
    size = values.abs()
    if not size.numel():
        return values
    least = torch.finfo(values.dtype).eps ** 2 * size.amax(dim=-1, keepdim=True)
    return values.masked_fill(size < least, 0.0)


class Relaxation(GradientMethod):
    """While training the answer is a soft r(w, noise) in place of the solver's y(w).

    dL/dw = (dr/dw)^T dL/dr, at the noise of the forward pass. In evaluation the answer is y(w), and
    the gradient, should one be asked for, that of r(w, 0).

    The noise belongs to the method, so the costs come without: no sampling noise in the model. A
    projection changes the scale of the costs and with it what `tau` means.

    Args:
        tau: the temperature, > 0, in units of cost.
        variant: which of the published forms, see the method.
        generator: for the noise, on the costs' device; None for torch's global one.
    """

    requires = frozenset({Trait.SUBSET_VALUED})
    homogeneous = True
    plain_in_evaluation = True

    def __init__(
        self, tau: float, variant: Variant = "original", generator: torch.Generator | None = None
    ) -> None:
        check_option("variant", variant, Variant)
        self.tau = check_positive("tau", tau)
        self.variant: Variant = variant
        self.generator = generator

    def forward(
        self, solver: Solver, costs: Tensor, instances: Instances = NOTHING
    ) -> tuple[Tensor, Saved]:
        """The soft answer r (B, n), and the noise that made it."""
        _, saved = self.evaluate(solver, costs, instances)
        k = subset_size(saved.solution)
        shape = (self.draws(k), *costs.shape)
        noise = Gumbel().sample(shape, costs.dtype, costs.device, self.generator)
        answer = without_dust(self._relaxed(costs, noise, k))
        return answer, saved._replace(extras=(noise,))

    def vjp(self, solver: Solver, saved: Saved, grad_solution: Tensor) -> Tensor:
        """Return (dr/dw)^T dL/dr, shape (B, n), by automatic differentiation of `relax`."""
        del solver
        noise = saved.extras[0] if saved.extras else saved.costs.new_zeros(1, *saved.costs.shape)
        with torch.enable_grad():
            costs = saved.costs.detach().requires_grad_()
            soft = self._relaxed(costs, noise, subset_size(saved.solution))
        (gradient,) = torch.autograd.grad(soft, costs, grad_solution)
        return without_dust(gradient)

    @abstractmethod
    def draws(self, k: int) -> int:
        """How many draws of noise (B, n) a choice of k entries takes."""

    @abstractmethod
    def relax(self, costs: Tensor, noise: Tensor, k: int) -> Tensor:
        """The soft choice (B, n) of k >= 1 entries for costs (B, n), Gumbel noise (draws, B, n)."""

    def _relaxed(self, costs: Tensor, noise: Tensor, k: int) -> Tensor:
        # Nothing is chosen, softly or not; the product keeps the graph.
        if k == 0:
            return costs.masked_fill(costs == torch.inf, 0.0) * 0.0
        return self.relax(costs, noise, k)


class L2X(Relaxation):
    """Gumbel-softmax: r = max over m of softmax((G_m - w) / tau), entry by entry.

    `original`: k samples G_1 to G_k; `tfi`: one sample, so that r sums to 1 for every k, as in the
    code behind the published comparison (A-14). Costs (B, n) of any sign; r in [0, 1].

    Source: Chen et al., ICML 2018, section 3.2 (Learning to Explain).
    """

    def draws(self, k: int) -> int:
        """k, or 1 for `tfi`."""
        return k if self.variant == "original" else 1

    def relax(self, costs: Tensor, noise: Tensor, k: int) -> Tensor:
        """The entrywise maximum (B, n) of the relaxed categorical samples."""
        del k
        return torch.softmax((noise - costs) / self.tau, dim=-1).amax(dim=0)


class SoftSub(Relaxation):
    """Relaxed subset sampling: k softmaxes, each masking what the ones before it chose.

    With keys a_1 = G - w: p_j = softmax(a_j / tau), a_{j+1} = a_j + log(1 - p_j), r = p_1 + ... +
    p_k. `original` adds the Gumbel noise G, `tfi` subtracts it, as in the code behind the published
    comparison (A-15). Costs (B, n) of any sign; r >= 0 sums to k. A sure choice has 1 - p rounded
    to 0 and taken for the smallest normal number, as in the authors' code, so that it is not made
    again: from a lead of 17 tau on in float32, 37 in float64, where the two answer differently.

    Source: Xie and Ermon, IJCAI 2019, algorithm 1 and eq. (8) (Reparameterizable Subset Sampling).
    """

    def draws(self, k: int) -> int:
        """1: the subset is drawn at once."""
        del k
        return 1

    def relax(self, costs: Tensor, noise: Tensor, k: int) -> Tensor:
        """The sum (B, n) of k softmaxes."""
        sign = 1 if self.variant == "original" else -1
        keys = sign * noise[0] - costs
        total = torch.zeros_like(costs)
        for _ in range(k):
            chosen = torch.softmax(keys / self.tau, dim=-1)
            total = total + chosen
            # A sure choice has 1 - p = 0; the smallest normal number keeps the logarithm finite.
            keys = keys + (1 - chosen).clamp_min(torch.finfo(keys.dtype).tiny).log()
        return total
