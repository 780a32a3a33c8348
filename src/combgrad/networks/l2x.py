"""The networks of Learning to Explain: one scores words, the other rates by the chosen ones."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import dropout, embedding, embedding_bag, relu

from combgrad.networks.dense import glorot
from combgrad.networks.precision import single

#: The token that fills a short review up; its vector is zero.
PAD = 0

#: Padding positions that three convolutions of width 3 can tell apart: two at the outer end, one
#: for all in between, three beside the review.
DISTINCT_PADS = 6


@dataclass(frozen=True)
class Packed:
    """Reviews one after another on one line, without the padding that looks alike.

    Attributes:
        tokens: (T,) the line, with a gap of one position around every review.
        inside: (T, 1) 1 where there is a review or its padding, 0 in the gaps.
        place: (B, L) where on the line each position of each review lies.
    """

    tokens: Tensor
    inside: Tensor
    place: Tensor


def pack(tokens: Tensor) -> Packed:
    """Tokens (B, L), padded at the front, as a line.

    The middle of a long padding is kept once only: three convolutions of width 3 cannot see beyond
    three positions, so their answers there are all the same.
    """
    length = tokens.shape[1]
    pads = (tokens == PAD).sum(dim=1, keepdim=True)
    kept = pads.clamp(max=DISTINCT_PADS)
    widths = (length - pads + kept + 1).flatten()
    # The line starts with a gap, and every review ends with one.
    starts = (widths.cumsum(0) - widths + 1).unsqueeze(1)
    position = torch.arange(length, device=tokens.device)
    place = torch.where(position < pads - 3, position.clamp(max=2), position - pads + kept)
    place = place + starts
    line = tokens.new_full((int(widths.sum()) + 1,), PAD)
    line[place] = tokens
    inside = torch.zeros(len(line), 1, device=tokens.device)
    inside[place.flatten()] = 1
    return Packed(line, inside, place)


class Selector(nn.Module):
    """Scores every position of a review from its words and from the review as a whole.

    Embedding, convolution (width 3) and ReLU: A. Global branch: maximum of A over positions, dense,
    ReLU. Local branch: two more such convolutions of A. Both at each position: dropout, dense,
    ReLU, dense. Convolutions see zeros beyond the ends. Source: Chen et al., ICML 2018, section
    4.2, as used by Niepert et al., 2021 (protocol 3.2); the paper, section B.2.

    Args:
        dims: of the word vectors.
        width: channels of every layer.
        rate: of the dropout.
    """

    def __init__(self, dims: int = 200, width: int = 100, rate: float = 0.2) -> None:
        super().__init__()
        self.first = glorot(nn.Conv1d(dims, width, 3, padding=1))
        self.second = glorot(nn.Conv1d(width, width, 3, padding=1))
        self.third = glorot(nn.Conv1d(width, width, 3, padding=1))
        self.summary = glorot(nn.Linear(width, width))
        self.mix = glorot(nn.Linear(2 * width, width))
        self.score = glorot(nn.Linear(width, 1))
        self.rate = rate

    def forward(self, tokens: Tensor, vectors: Tensor) -> Tensor:
        """Tokens (B, L), word vectors (V, dims) -> logits (B, L)."""
        packed = pack(tokens)

        def convolved(layer: nn.Module, line: Tensor) -> Tensor:
            # The gaps stand for the zeros beyond the ends of a review.
            return relu(layer(line.T.unsqueeze(0))[0].T) * packed.inside

        words = convolved(self.first, embedding(packed.tokens, vectors))
        local = convolved(self.third, convolved(self.second, words))
        # torch.segment_reduce would need no copies, but its gradient is wrong at ties (2.13).
        largest = embedding(packed.place, words).amax(dim=1)
        overall = relu(self.summary(largest)).unsqueeze(1).expand(-1, tokens.shape[1], -1)
        both = torch.cat([overall, embedding(packed.place, local)], dim=2)
        both = dropout(both, self.rate, self.training)
        # In single precision even under autocast: noise is added, and the largest are chosen.
        return single(self.score(relu(self.mix(both)))).squeeze(2)


class Predictor(nn.Module):
    """Rates a review by the mean vector of its chosen words: dense, ReLU, dense, sigmoid.

    Args:
        dims: of the word vectors.
        width: of the hidden layer.
    """

    def __init__(self, dims: int = 200, width: int = 250) -> None:
        super().__init__()
        self.hidden = glorot(nn.Linear(dims, width))
        self.rating = glorot(nn.Linear(width, 1))

    def forward(self, tokens: Tensor, chosen: Tensor, k: int, vectors: Tensor) -> Tensor:
        """Tokens (B, L), choice (B, L) of k words, word vectors (V, dims) -> ratings (B,)."""
        weights = chosen.to(vectors.dtype)
        total = embedding_bag(tokens, vectors, per_sample_weights=weights, mode="sum")
        return torch.sigmoid(self.rating(relu(self.hidden(total / k)))).squeeze(1)


class L2XNet(nn.Module):
    """A selector and a predictor, which see the same frozen word vectors.

    Args:
        dims: of the word vectors.
        rate: of the dropout in the selector.
    """

    def __init__(self, dims: int = 200, rate: float = 0.2) -> None:
        super().__init__()
        self.dims = dims
        self.selector = Selector(dims, rate=rate)
        self.predictor = Predictor(dims)
