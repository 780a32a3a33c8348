"""Learning to Explain: choose the k words of a review from which its rating is predicted."""

from typing import Any

import torch
from torch import Tensor

from combgrad.data.reviews.datamodule import Reviews
from combgrad.errors import IncompatibleError
from combgrad.experiments.base import Batch, Experiment
from combgrad.experiments.fitting import check_has
from combgrad.metrics import subset_precision
from combgrad.networks.l2x import L2XNet
from combgrad.pictures.words import MarkedReview, Page, in_terminal, page
from combgrad.sampling.noise import Noise

#: Annotated reviews looked at together.
ROWS = 200

PICTURED = 8


class L2XExperiment(Experiment):
    """Words -> logits -> noise -> k chosen words -> rating (paper, sections 4.1 and B.2).

    The choice is y(-(logits + noise)) while training and y(-logits) in evaluation. The loss is the
    squared error of the rating. Beside it: the share of chosen words that matter, on reviews where
    that is known, and the most it could be where a review has fewer such words than k.

    Args:
        noise: of the sampler, on the logits; None where the gradient method draws its own.
        **parts: see Experiment; the network is an L2XNet, the solver one of k words.

    Raises IncompatibleError for another solver.
    """

    net: L2XNet
    vectors: Tensor

    def __init__(self, noise: Noise | None = None, **parts: Any) -> None:
        super().__init__(**parts)
        check_has(self.net, ("selector", "predictor", "dims"), "model=l2x")
        k = self.layer.solver.subset_size
        if k is None:
            raise IncompatibleError(
                f"Learning to Explain chooses k words; solver={type(self.layer.solver).__name__} "
                f"does not. Use solver=topk."
            )
        self.noise = noise or None
        self.k = k
        self.annotated: dict[str, Tensor] | None = None

    def prepare(self, data: Reviews) -> None:
        """Take the word vectors, which are data and no weights, and the annotated reviews."""
        if self.k > data.length:
            raise ValueError(
                f"solver.k is {self.k}, and a row holds {data.length} words of a review; "
                f"lower it, or raise data.length."
            )
        vectors = data.embeddings
        if vectors.shape[1] != self.net.dims:
            raise ValueError(
                f"the word vectors have {vectors.shape[1]} dimensions and the network was made for "
                f"{self.net.dims}; set model.dims={vectors.shape[1]}."
            )
        self.register_buffer("vectors", vectors, persistent=False)
        self.annotated = data.annotated

    def choose(self, tokens: Tensor, noisy: bool = False) -> Tensor:
        """The choice (B, L) of words of reviews (B, L)."""
        logits = self.net.selector(tokens, self.vectors)
        if noisy and self.noise is not None:
            logits = self.noise(logits)
        return self.layer(-logits)

    def rate(self, tokens: Tensor, chosen: Tensor) -> Tensor:
        """Predicted ratings (B,) from chosen words (B, L) of reviews (B, L)."""
        return self.net.predictor(tokens, chosen, self.k, self.vectors)

    def step(self, batch: Batch, stage: str) -> tuple[Tensor, dict[str, Tensor]]:
        """Squared error of the ratings of a batch of reviews."""
        tokens = batch["tokens"]
        chosen = self.choose(tokens, noisy=stage == "train")
        error = (self.rate(tokens, chosen) - batch["rating"]).square()
        return error.mean(), {"mse": error}

    def epoch_metrics(self, stage: str) -> dict[str, Tensor]:
        """How many of the chosen words matter, and the most that could, in annotated reviews."""
        if stage == "train" or self.annotated is None:
            return {}
        shares, most = [], []
        parts = (self.annotated[name].split(ROWS) for name in ("tokens", "relevant"))
        for tokens, marks in zip(*parts, strict=True):
            relevant = marks.to(self.device)
            shares.append(subset_precision(self.choose(tokens.to(self.device)), relevant))
            most.append(relevant.sum(dim=1).clamp(max=self.k) / self.k)
        return {
            "subset_precision": torch.cat(shares).mean(),
            "subset_precision_limit": torch.cat(most).mean(),
        }

    @torch.no_grad()
    def pictures(self, data: Reviews) -> dict[str, Any]:
        """A page of reviews with their chosen words marked: annotated ones where there are any."""
        self.eval()
        source = data.annotated
        if source is None or "rating" not in source:
            source = data.columns("test")
        some = {name: values[:PICTURED].to(self.device) for name, values in source.items()}
        chosen = self.choose(some["tokens"])
        predicted = self.rate(some["tokens"], chosen)
        reviews = []
        for i, tokens in enumerate(some["tokens"]):
            real = tokens.nonzero().flatten()
            reviews.append(
                MarkedReview(
                    words=tuple(data.words[token] for token in tokens[real].tolist()),
                    chosen=tuple((chosen[i, real] > 0).tolist()),
                    relevant=(
                        tuple(some["relevant"][i, real].tolist()) if "relevant" in some else None
                    ),
                    rating=float(some["rating"][i]),
                    predicted=float(predicted[i]),
                )
            )
        title = f"Rating the {data.aspect} of a beer from {self.k} words of its review"
        return {"words": Page(page(reviews, title), in_terminal(reviews[0]))}
