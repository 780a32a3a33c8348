"""Headlines: a decoder that is trained on the best alignment of its words with the true ones."""

from functools import partial
from typing import Any, Literal

import torch
from matplotlib.figure import Figure
from torch import Tensor

from combgrad.arguments import check_count, check_option, check_positive, check_range
from combgrad.data.headlines.datamodule import Headlines
from combgrad.data.headlines.pairs import Pair
from combgrad.data.headlines.vocabulary import Vocabulary
from combgrad.errors import IncompatibleError
from combgrad.experiments.base import Batch, Experiment
from combgrad.experiments.fitting import check_has
from combgrad.experiments.rouge import rouge
from combgrad.instances import Instances
from combgrad.labels import Labels
from combgrad.networks.beam_search import beam_search
from combgrad.networks.headline import (
    BEGIN,
    END,
    PAD,
    UNKNOWN,
    HeadlineNet,
    State,
    expected_word,
    likeliest_word,
    sampled_word,
)
from combgrad.pictures.alignment import draw_alignment
from combgrad.pictures.headlines import Shown, draw_headlines
from combgrad.solvers import Alignment, TiedAlignment
from combgrad.solvers.alignment import move_costs

FedBack = Literal["softmax", "gumbel"]

PICTURED = 12


def match_costs(
    log_probabilities: Tensor, instance: Tensor, position: Tensor, title: Tensor
) -> Tensor:
    """Costs (B, n, m): -log p_i(y_k) of positions i and the words y (B, m) of titles; 0 at padding.

    `log_probabilities` (P, V) are of some positions (P,) of some instances (P,), below n = m.
    """
    costs = log_probabilities.new_zeros(len(title), title.shape[1], title.shape[1])
    return costs.index_put((instance, position), -log_probabilities.gather(1, title[instance]))


def diagonal(size: Tensor, like: Tensor) -> Tensor:
    """The alignment that matches position i with word i for the first `size` (B,) of them.

    It has the form of the costs that it is `like`: those of moves (B, n+1, n+1, 3), or of matches
    (B, n, n).
    """
    straight = torch.zeros_like(like)
    place = torch.arange(like.shape[1], device=like.device)
    matches = straight[..., 0] if like.dim() == 4 else straight
    matches[:, place, place] = (place < size[:, None]).to(like.dtype)
    return straight


class HeadlineExperiment(Experiment):
    """Article -> distributions p_i of words -> costs -log p_i(y_k) -> the best alignment.

    While training, the decoder reads what it has predicted: `softmax`, the mean of all words as
    probable as they are, or `gumbel`, a sampled word with the gradient of its relaxation, which in
    evaluations is the likeliest. It answers with as many positions as the true headline has words,
    its end included. Position-wise cross-entropy is the cost of the diagonal alignment
    (`loss=target_cost`), the alignment losses are `optimal_value`, or `solution_cost` with a
    gradient method. Sources: companion paper, section 9.3 of the protocol, A-44.

    Evaluations measure ROUGE of headlines by beam search. Beside it, per headline: the
    cross-entropy, summed over its words, and the cost of the best alignment.

    Args:
        feeding: `softmax` or `gumbel`.
        temperature: of the Gumbel-softmax.
        beam: width of the search.
        length_power: of its normalisation by length, 0 for none.
        **parts: see Experiment; the network is a HeadlineNet, the solver Alignment or
            TiedAlignment.

    Raises IncompatibleError for another solver.
    """

    net: HeadlineNet

    def __init__(
        self,
        feeding: FedBack = "softmax",
        temperature: float = 1.0,
        beam: int = 5,
        length_power: float = 1.0,
        **parts: Any,
    ) -> None:
        check_option("feeding", feeding, FedBack, "task")
        check_count("beam", beam, "task")
        super().__init__(provides=("target",), **parts)
        check_has(self.net, ("read", "advance", "unroll"), "model=headline_net")
        if not isinstance(self.layer.solver, Alignment | TiedAlignment):
            raise IncompatibleError(
                f"solver={type(self.layer.solver).__name__} aligns no sequences; use "
                f"solver=alignment."
            )
        self.feeding = feeding
        self.temperature = check_positive("temperature", temperature, "task")
        self.beam, self.length_power = beam, check_range("task.length_power", length_power)
        self.vocabulary: Vocabulary | None = None
        self.longest = 0
        #: Ids that the network may choose and the vocabulary, as of few pairs, has no word for.
        self.wordless = range(0)
        self.texts: dict[str, list[Pair]] = {}

    def prepare(self, data: Headlines) -> None:
        """Take the vocabulary and the true headlines."""
        self.vocabulary, self.longest = data.vocabulary, data.title_length + 1
        if len(data.vocabulary.words) > self.net.words.num_embeddings or (
            data.vocabulary.in_titles > self.net.choices
        ):
            raise ValueError(
                f"the vocabulary has {len(data.vocabulary.words)} words, "
                f"{data.vocabulary.in_titles} of them for titles, and the network was made for "
                f"{self.net.words.num_embeddings} and {self.net.choices}; set model.title_words "
                f"and model.article_words to those of data."
            )
        self.wordless = range(len(data.vocabulary.words), self.net.choices)
        self.texts = {split: data.texts(split) for split in ("val", "test")}

    @property
    def solver(self) -> Alignment | TiedAlignment:
        """The solver of the layer, of the costs of moves or of matches."""
        assert isinstance(self.layer.solver, Alignment | TiedAlignment)
        return self.layer.solver

    def predict(self, batch: Batch, training: bool) -> tuple[Tensor, Tensor, Tensor]:
        """Log-probabilities (P, V), costs of matching (B, n, n), and those that the solver takes.

        P are the positions of all headlines, and n is the length of the longest of the batch.
        """
        size = batch["title_size"]
        title = batch["title"][:, : int(size.max())]
        if self.feeding == "softmax":
            feed = expected_word
        else:
            feed = (
                partial(sampled_word, temperature=self.temperature) if training else likeliest_word
            )
        found = self.net.unroll(batch["article"], batch["article_size"], size, feed)
        matches = match_costs(*found, title)
        if isinstance(self.solver, Alignment):
            return found[0], matches, self.solver.move_costs(matches, size[:, None].expand(-1, 2))
        return found[0], matches, matches

    def step(self, batch: Batch, stage: str) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss of a batch of articles."""
        size = batch["title_size"]
        *_, costs = self.predict(batch, stage == "train")
        target = diagonal(size, costs)
        lengths = Instances({"lengths": size[:, None].expand(-1, 2)})
        outcome = self.judge(costs, Labels(target), lengths)
        known = costs.detach()
        values = {"cross_entropy": (known * target).flatten(1).sum(dim=1)}
        if outcome.solution is not None:
            values["alignment_cost"] = (known * outcome.solution).flatten(1).sum(dim=1)
        if stage != "train":
            self.keep(stage, found=self.search(batch), row=batch["row"])
        return outcome.loss, values

    def search(self, batch: Batch) -> Tensor:
        """The headlines (B, longest) found for articles, as ids."""
        reading, state = self.net.read(batch["article"], batch["article_size"])
        reading = reading.repeat(self.beam)

        def step(state: State, word: Tensor) -> tuple[Tensor, State]:
            logits, state = self.net.advance(reading, state, self.net.words(word))
            return logits.log_softmax(dim=1), state

        return beam_search(
            step,
            state,
            BEGIN,
            END,
            self.beam,
            self.longest,
            self.length_power,
            never=(PAD, BEGIN, UNKNOWN, *self.wordless),
        )

    def epoch_metrics(self, stage: str) -> dict[str, Tensor]:
        """ROUGE of a whole set."""
        if stage == "train":
            return {}
        assert self.vocabulary is not None
        kept = self.kept(stage)
        found = [self.vocabulary.text(ids) for ids in kept["found"].tolist()]
        pairs = self.texts[stage]
        true = [" ".join(pairs[row].title) for row in kept["row"].tolist()]
        return {name: value.to(self.device) for name, value in rouge(found, true).items()}

    @torch.no_grad()
    def pictures(self, data: Headlines) -> dict[str, Any]:
        """Test headlines as they were found, and the alignment of one of them."""
        self.eval()
        assert self.vocabulary is not None
        batch = {name: rows[:PICTURED].to(self.device) for name, rows in self._some(data).items()}
        found = [self.vocabulary.text(ids).split() for ids in self.search(batch).tolist()]
        pairs = [self.texts["test"][row] for row in batch["row"].tolist()]
        shown = [
            Shown(pair.article, pair.title, words) for pair, words in zip(pairs, found, strict=True)
        ]
        return {"headlines": draw_headlines(shown), "alignment": self._alignment(batch)}

    def _some(self, data: Headlines) -> Batch:
        columns = data.columns("test")
        count = len(columns["row"])
        rows = torch.linspace(0, count - 1, min(PICTURED, count)).long()
        return {name: column[rows] for name, column in columns.items()}

    def _alignment(self, batch: Batch) -> Figure:
        """The alignment of the longest headline of a batch with the decoder's positions."""
        assert self.vocabulary is not None
        one = {name: rows[int(batch["title_size"].argmax())][None] for name, rows in batch.items()}
        log_probabilities, matches, _ = self.predict(one, training=False)
        path = Alignment()(move_costs(matches, self.solver.gap))[0]
        likeliest = log_probabilities.argmax(dim=1).tolist()
        words = [[self.vocabulary.words[number] for number in ids]
                 for ids in (likeliest, one["title"][0, : len(likeliest)].tolist())]  # fmt: skip
        return draw_alignment(matches[0].cpu().numpy(), path.cpu().numpy(), *words)
