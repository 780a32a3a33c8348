"""Beam search: the likeliest sequences of words, looked for among a few at a time."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

#: The states and last words (N,) of N beginnings -> log-probabilities (N, V) of the next word, and
#: the states after it. States are a tuple of tensors (N, ...).
Step = Callable[[Any, Tensor], tuple[Tensor, tuple[Tensor, ...]]]


class _Beams:
    """The beginnings of sequences of B instances, `width` of each, the best first.

    Attributes:
        words: (B, width, length so far).
        total: sums of log-probabilities (B, width).
        length: numbers of words (B, width), up to the end.
        done: whether they are complete (B, width).
    """

    def __init__(self, batch: int, width: int, end: int, device: torch.device) -> None:
        self.end = end
        self.words = torch.full((batch, width, 0), end, device=device)
        # Copies of one beginning would crowd out others: only the first counts at the start.
        self.total = torch.full((batch, width), -torch.inf, device=device)
        self.total[:, 0] = 0.0
        self.length = torch.zeros((batch, width), device=device)
        self.done = torch.zeros((batch, width), dtype=torch.bool, device=device)

    def extend(self, found: Tensor, length_power: float) -> tuple[Tensor, Tensor]:
        """Keep the best continuations; whose (B, width) they are, and their last words (B, width).

        `found` (B, width, V) are the log-probabilities of the next words.
        """
        width, count = found.shape[1:]
        # A complete sequence goes on with its end alone, at no cost.
        found = found.masked_fill(self.done[:, :, None], -torch.inf)
        found[:, :, self.end] = found[:, :, self.end].masked_fill(self.done, 0.0)
        sums = self.total[:, :, None].to(found.dtype) + found
        length = self.length + (~self.done).float()
        scores = sums / length[:, :, None] ** length_power
        choice = scores.flatten(1).topk(width, dim=1).indices
        parent, last = choice // count, choice % count
        self.total = sums.flatten(1).gather(1, choice)
        self.length = length.gather(1, parent)
        self.done = self.done.gather(1, parent) | (last == self.end)
        before = self.words.gather(1, parent[:, :, None].expand(-1, -1, self.words.shape[2]))
        self.words = torch.cat([before, last[:, :, None]], dim=2)
        return parent, last


def beam_search(
    step: Step,
    state: tuple[Tensor, ...],
    begin: int,
    end: int,
    width: int,
    longest: int,
    length_power: float = 0.0,
    never: Sequence[int] = (),
) -> Tensor:
    """The best sequences (B, longest) of words that are found, filled up with `end`.

    At every position the `width` best of all continuations of each instance's beginnings are kept;
    a sequence is complete with its `end` or after `longest` words. The best have the largest sum of
    log-probabilities, divided by (number of words, `end` included) ** length_power.

    Args:
        step: gives the log-probabilities of the next word; called with B * width beginnings, of
            which those of an instance stand beside each other.
        state: of B instances before the first word, a tuple of tensors (B, ...).
        begin, end: the words before the first and after the last.
        width: how many beginnings are kept, at least 1.
        longest: how many words a sequence may have.
        length_power: 0 for no normalisation, which prefers short ones; 1 for the mean.
        never: words that are not used.
    """
    batch, device = len(state[0]), state[0].device
    state = tuple(part.repeat_interleave(width, dim=0) for part in state)
    beams = _Beams(batch, width, end, device)
    last = torch.full((batch * width,), begin, device=device)
    first = torch.arange(batch, device=device)[:, None] * width
    barred = torch.tensor(list(never), dtype=torch.long, device=device)
    while beams.words.shape[2] < longest and not bool(beams.done.all()):
        found, state = step(state, last)
        found = found.view(batch, width, -1).index_fill(2, barred, -torch.inf)
        parent, words = beams.extend(found, length_power)
        state = tuple(part[(first + parent).flatten()] for part in state)
        last = words.flatten()
    best = beams.words[:, 0]
    filling = torch.full((batch, longest - best.shape[1]), end, device=device)
    return torch.cat([best, filling], dim=1)
