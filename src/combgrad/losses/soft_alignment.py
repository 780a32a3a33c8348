"""The soft relative of an alignment's value: all alignments count, the cheap ones more."""

import numpy as np
import torch
from torch import Tensor

from combgrad.arguments import check_positive
from combgrad.errors import IncompatibleError, SolverInputError
from combgrad.instances import NOTHING, Instances
from combgrad.labels import Labels
from combgrad.layer import CombinatorialLayer
from combgrad.losses.base import Loss, Outcome
from combgrad.solvers.alignment import check_lengths
from combgrad.solvers.arrays import check_finite, to_native_array, to_tensor
from combgrad.solvers.forms import refuse_transforms
from combgrad.solvers.kernels.soft_alignment import align_softly
from combgrad.solvers.spending import spent
from combgrad.solvers.tied_alignment import TiedAlignment


class SoftAlignment(Loss):
    """Mean over the batch of -tau log sum over alignments y of exp(-<w, y> / tau).

    The soft relative of `OptimalValue` for `TiedAlignment`, whose y and gap are meant: at most the
    least cost z*, at least z* - tau log(number of alignments), and z* as tau goes to 0. Its
    gradient is E[y]/B, y being drawn with a probability in proportion to exp(-<w, y> / tau), so
    that it is differentiable everywhere. Sums are of exponentials of differences from the least
    one, in float64: neither lengths nor a temperature overflow. In evaluation it is z*. With a
    projection or a margin w is what the solver sees. Source: soft dynamic programming, Mensch and
    Blondel, ICML 2018; the alignment of the companion paper.

    Args:
        temperature: tau, > 0, in units of cost.

    Raises ValueError for another temperature; in a call IncompatibleError for a layer with another
    solver and SolverInputError, naming the batch index, for NaN and inf.
    """

    needs = frozenset()

    def __init__(self, temperature: float) -> None:
        super().__init__()
        self.temperature = check_positive("temperature", temperature, "loss")

    def forward(
        self,
        layer: CombinatorialLayer,
        costs: Tensor,
        labels: Labels,
        instances: Instances | None = None,
    ) -> Outcome:
        """The mean value, and in evaluation what the best alignment pays for, (B, n, m)."""
        solver, known = layer.solver, instances or NOTHING
        if not isinstance(solver, TiedAlignment):
            raise IncompatibleError(
                f"SoftAlignment weighs alignments, and the layer's solver is "
                f"{solver.own_name}; use solver=tied_alignment (TiedAlignment(gap))."
            )
        refuse_transforms(self.own_name, costs)
        prepared = layer.prepare(costs, labels, known)
        if not self.training:
            solution = solver(prepared.detach(), known)
            return Outcome(spent(prepared, solution).mean(), solution)
        prepared = known.zeroed(prepared)
        values, paid = self._weighed(solver.gap, prepared.detach(), known)
        # By the envelope theorem: the first part is the number, the second has its derivative.
        carrier = (paid * (prepared - prepared.detach())).flatten(1).sum(dim=1)
        return Outcome((values + carrier).mean())

    def _weighed(self, gap: float, costs: Tensor, known: Instances) -> tuple[Tensor, Tensor]:
        """Soft values (B,) and what is paid for on average (B, n, m)."""
        check_finite("SoftAlignment", costs, "NaN or inf; look for a diverged network before it.")
        ends = check_lengths(known.entries.get("lengths"), costs.shape, 1, "SoftAlignment")
        if known.valid is not None:
            ends = torch.minimum(ends, _lengths_of(known.valid).to(ends))
        paid = np.zeros(costs.shape)
        values = align_softly(to_native_array(costs), ends.numpy(), gap, self.temperature, paid)
        return to_tensor(values, like=costs), to_tensor(paid, like=costs)


def _lengths_of(valid: Tensor) -> Tensor:
    """The lengths (B, 2) of blocks of a mask (B, n, m) that begin at the first entry."""
    lengths = torch.stack([valid.any(dim=2).sum(dim=1), valid.any(dim=1).sum(dim=1)], dim=1)
    rows, columns = (torch.arange(size, device=valid.device) for size in valid.shape[1:])
    block = (rows < lengths[:, :1])[:, :, None] & (columns < lengths[:, 1:])[:, None, :]
    wrong = (block != valid).flatten(1).any(dim=1)
    if bool(wrong.any()):
        raise SolverInputError(
            f"SoftAlignment: the valid entries of batch index {int(wrong.nonzero()[0])} are no "
            f"block from the first entry on; pad sequences at their end."
        )
    return lengths
