"""The loss of a retrieval: how many irrelevant candidates stand before the relevant ones."""

from typing import Literal

import numpy as np
import torch
from torch import Tensor

from combgrad.arguments import check_option
from combgrad.instances import NOTHING, Instances
from combgrad.labels import Labels, need, spoken_of
from combgrad.layer import CombinatorialLayer
from combgrad.losses.base import Loss, Outcome

Length = Literal["columns", "rows"]

#: Of a rank, relative to the dtype's precision: what dividing by n and by 1/n may round off.
ROUNDING = 4


def places_of(marks: Tensor) -> Tensor:
    """Where marks (B, n), bool, are True, counted through the rows: (P,), rising."""
    if marks.device.type == "cpu":  # numpy finds them in a fifth of the time
        return torch.from_numpy(np.flatnonzero(marks.numpy()))
    return marks.flatten().nonzero()[:, 0]


def irrelevant_ahead(ranks: Tensor, relevant: Tensor) -> tuple[Tensor, Tensor]:
    """r_i, the rank among all minus the rank among the relevant, of each relevant candidate i.

    Ranks (B, n) from 1 on, or these divided by n, rank 1 first; relevant bool (B, n). Answers
    (P,) for the P relevant entries, row by row, and the row (P,) of each. The gradient passes
    through the rank among all alone. Raises ValueError where a relevant entry has no rank, as in a
    mean of several rankings.
    """
    place = places_of(relevant)
    row = torch.div(place, max(ranks.shape[1], 1), rounding_mode="floor")
    found = ranks.detach()
    # The first rank is the unit that they are told in.
    unit = found.amin(dim=1) if found.numel() else found.sum(1)
    if found.numel() and bool((unit <= 0).any()):  # padding has no rank
        unit = found.masked_fill(found <= 0, torch.inf).amin(dim=1)
    among_all = ranks.flatten().index_select(0, place) / unit[row]
    whole = among_all.detach().round()
    rounded = ROUNDING * torch.finfo(among_all.dtype).eps * whole
    if bool(((whole < 1) | ((among_all.detach() - whole).abs() > rounded)).any()):
        raise ValueError(
            "Recall: the layer answers with no ranks, 1 to n; use solver=ranking (Ranking()), and "
            "a gradient method whose answer is one ranking and no mean of several, such as "
            "grad=blackbox."
        )
    order = torch.argsort(row * (ranks.shape[1] + 1) + whole.long())
    counts = torch.bincount(row, minlength=len(ranks))
    number = torch.arange(1, len(row) + 1, device=row.device) - (counts.cumsum(0) - counts)[row]
    among_relevant = torch.empty_like(whole).scatter_(0, order, number.to(whole.dtype))
    # What dividing by the unit rounded off is no candidate ahead.
    return among_all - among_all.detach() + (whole - among_relevant), row


class Recall(Loss):
    """Loglog recall loss of a ranking: log(1 + log(1 + r_i)), r_i irrelevant ones before i.

    The mean over the relevant candidates i of a query, then over the queries that have any; 0 where
    all relevant ones lead. Costs are the scores (B, n) of n candidates for B queries, the layer's
    solver is a `Ranking`, and `labels.target` (B, n) is 1 for the relevant candidates and 0 for the
    others, or bool. As a ranking, whose low ranks are for high scores, the true solution is
    1 - target: that is what a margin is told, so that `InformedMargin` lowers the scores of the
    relevant by alpha/2 and raises the others. Source: Rolinek et al., CVPR 2020.

    Args:
        length: `columns`, the number of candidates n, for r_i as it is; `rows` multiplies it by
            B / n, as the code of Rolinek et al. does, which scales normalised ranks back by the
            number of queries (A-23).

    Raises ValueError for another length, and for a layer that answers with no ranks, as by a solver
    that gives none or a gradient method that takes the mean of several rankings.
    """

    through_layer = True

    def __init__(self, length: Length = "columns") -> None:
        super().__init__()
        check_option("length", length, Length, "loss")
        self.length = length

    def forward(
        self,
        layer: CombinatorialLayer,
        costs: Tensor,
        labels: Labels,
        instances: Instances | None = None,
    ) -> Outcome:
        """The loss and the ranks (B, n); ValueError without a target of the costs' shape."""
        target = need("Recall", "target", labels.target, costs).to(costs.device)
        relevant = target > 0
        true = None if layer.margin is None else 1 - target.to(costs.dtype)
        ranks = layer(costs, true, instances, marked=labels.of_margin)
        counted = spoken_of(labels.marked, (instances or NOTHING).valid, relevant)
        return Outcome(self._of(ranks, relevant if counted is None else relevant & counted), ranks)

    def _of(self, ranks: Tensor, relevant: Tensor) -> Tensor:
        ahead, row = irrelevant_ahead(ranks, relevant)
        if self.length == "rows":
            ahead = ahead * (len(ranks) / max(ranks.shape[1], 1))
        each = torch.log1p(torch.log1p(ahead))
        counts = torch.bincount(row, minlength=len(ranks)).to(each.dtype)
        queries = (counts > 0).sum().clamp(min=1)
        return (each / counts[row]).sum() / queries
