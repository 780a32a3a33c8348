"""A headline of an article: an encoder that reads both ways, a decoder that looks back at it."""

from collections.abc import Callable
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import gumbel_softmax, one_hot
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from combgrad.arguments import check_option
from combgrad.networks.precision import single

#: The first ids of every vocabulary.
SPECIAL = ("<pad>", "<begin>", "<end>", "<unknown>")
PAD, BEGIN, END, UNKNOWN = range(len(SPECIAL))

Cell = Literal["gru", "lstm"]

#: What is fed back: logits (B, V) of one position -> weights (B, V) of the words read next.
Feeding = Callable[[Tensor], Tensor]


def expected_word(logits: Tensor) -> Tensor:
    """The softmax: all words (B, V), each as probable as it is."""
    return logits.softmax(dim=1)


def sampled_word(logits: Tensor, temperature: float = 1.0) -> Tensor:
    """A sampled word (B, V), one-hot; its gradient is that of the softmax of the same noise.

    Source: Jang et al. 2017, straight-through Gumbel-softmax.
    """
    return gumbel_softmax(logits, tau=temperature, hard=True, dim=1)


def likeliest_word(logits: Tensor) -> Tensor:
    """The most probable word (B, V), one-hot."""
    return one_hot(logits.argmax(dim=1), logits.shape[1]).to(logits.dtype)


class Reading(NamedTuple):
    """An article as the decoder sees it: values (B, A, H), and which of them are words (B, A)."""

    values: Tensor
    there: Tensor

    def repeat(self, times: int) -> "Reading":
        """Each article so many times, one after another."""
        return Reading(*(part.repeat_interleave(times, dim=0) for part in self))


#: What the decoder knows at a position, each (B, H): hidden, cell (of an LSTM, else the same), and
#: the last answer, by which it also tells what it has looked at (input feeding).
State = tuple[Tensor, Tensor, Tensor]


class HeadlineNet(nn.Module):
    """Bidirectional encoder, decoder with global attention and input feeding (Luong et al. 2015).

    The score of an article's word is s^T W h ("general"); the answer tanh(W [context; s]) gives
    logits through the embeddings of the words, which encoder, decoder and output share.

    Args:
        title_words: how many words titles may have; ids from 4 on, after SPECIAL.
        article_words: how many further words articles have.
        embedding: size of the vector of a word.
        hidden: size of the states, and of each direction of the encoder.
        cell: `gru` or `lstm`.
        dropout: share of embeddings' and answers' entries that are zeroed while training.
    """

    def __init__(
        self,
        title_words: int,
        article_words: int,
        embedding: int = 64,
        hidden: int = 64,
        cell: Cell = "gru",
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        check_option("cell", cell, Cell, "model")
        self.choices = len(SPECIAL) + title_words
        self.words = nn.Embedding(self.choices + article_words, embedding, padding_idx=PAD)
        nn.init.normal_(self.words.weight, std=0.1)
        recurrent = nn.GRU if cell == "gru" else nn.LSTM
        self.encoder = recurrent(embedding, hidden, batch_first=True, bidirectional=True)
        self.start = nn.Linear(2 * hidden, hidden)
        self.values = nn.Linear(2 * hidden, hidden, bias=False)
        self.score = nn.Linear(hidden, hidden, bias=False)
        self.decoder = (nn.GRUCell if cell == "gru" else nn.LSTMCell)(embedding + hidden, hidden)
        self.answer = nn.Linear(2 * hidden, hidden)
        self.output = nn.Linear(hidden, embedding)
        self.bias = nn.Parameter(torch.zeros(self.choices))
        self.dropout = nn.Dropout(dropout)

    @property
    def choice_vectors(self) -> Tensor:
        """The embeddings (V, E) of the words that a title may have."""
        return self.words.weight[: self.choices]

    def read(self, article: Tensor, size: Tensor) -> tuple[Reading, State]:
        """Read articles (B, A) of ids, of which the first `size` (B,) are there."""
        packed = pack_padded_sequence(
            self.dropout(self.words(article)), size.cpu(), batch_first=True, enforce_sorted=False
        )
        encoded, last = self.encoder(packed)
        found, _ = pad_packed_sequence(encoded, batch_first=True, total_length=article.shape[1])
        last = last[0] if isinstance(last, tuple) else last
        hidden = torch.tanh(self.start(last.transpose(0, 1).flatten(1)))
        there = torch.arange(article.shape[1], device=article.device) < size[:, None]
        state = (hidden, torch.zeros_like(hidden), torch.zeros_like(hidden))
        return Reading(self.values(found), there), state

    def advance(self, reading: Reading, state: State, word: Tensor) -> tuple[Tensor, State]:
        """Read the vector (B, E) of the last word; logits (B, V) of the next, and what is known."""
        hidden, cell, answer = state
        given = torch.cat([self.dropout(word), answer], dim=1)
        if isinstance(self.decoder, nn.LSTMCell):
            hidden, cell = self.decoder(given, (hidden, cell))
        else:
            hidden = cell = self.decoder(given, hidden)
        scores = (reading.values @ self.score(hidden)[:, :, None])[:, :, 0]
        weights = scores.masked_fill(~reading.there, -torch.inf).softmax(dim=1)
        context = (weights[:, None, :] @ reading.values)[:, 0]
        answer = torch.tanh(self.answer(torch.cat([context, hidden], dim=1)))
        logits = self.output(self.dropout(answer)) @ self.choice_vectors.T + self.bias
        # In single precision even under autocast: an alignment depends on small differences.
        return single(logits), (hidden, cell, answer)

    def unroll(
        self, article: Tensor, size: Tensor, steps: Tensor, feeding: Feeding
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Log-probabilities of the words of titles, each position's fed back as `feeding` says.

        Instance b has the positions 0 to steps_b - 1, steps (B,). Answers (P, V) of all positions
        of all instances, and the instance and the position (P,) of each. No true word is ever read,
        so training and use meet the same inputs.
        """
        order = steps.argsort(descending=True, stable=True)
        reading, state = self.read(article[order], size[order])
        word = self.words(torch.full_like(size, BEGIN))
        position = torch.arange(int(steps.max()), device=steps.device)
        # Instances that are at their end drop out of the batch.
        active = (steps[order][None] > position[:, None]).sum(1).tolist()
        found: list[Tensor] = []
        for count in active:
            if found:
                weights = feeding(found[-1][:count])
                word = weights.to(self.choice_vectors.dtype) @ self.choice_vectors
            reading = Reading(*(part[:count] for part in reading))
            state = (state[0][:count], state[1][:count], state[2][:count])
            logits, state = self.advance(reading, state, word[:count])
            found.append(logits)
        instances = torch.cat([order[:count] for count in active])
        positions = position.repeat_interleave(torch.tensor(active, device=steps.device))
        return torch.cat(found).log_softmax(dim=1), instances, positions
