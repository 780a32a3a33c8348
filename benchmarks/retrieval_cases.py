"""The recall loss, forward and backward, and the evaluation of a whole set of embeddings."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor
from torch.nn.functional import normalize

from benchmarks.cases import Call, Case, Implementation, Plan
from combgrad.gradients import Blackbox, GradientMethod, Identity
from combgrad.labels import Labels
from combgrad.layer import CombinatorialLayer
from combgrad.losses import Recall
from combgrad.metrics import retrieval_scores
from combgrad.solvers import Ranking
from combgrad.solvers.ranking import ranks_by_sorting

#: Queries and candidates: a batch of four times 128, and one with its memory of embeddings.
SHAPES = ((512, 512), (512, 511), (128, 127))

#: Images of a class in a batch.
SAMPLES = 4

#: Embeddings of an evaluation, small enough for every run of the benchmark, and their width.
EVALUATED, WIDTH = 6_000, 512

LAM = 0.2

#: Of the gradient in single precision, as a share of it.
ROUNDING = 1e-4


class SortedRanks(Ranking):
    """The same ranks by torch's stable sort."""

    def _ranks(self, costs: Tensor) -> Tensor:
        return ranks_by_sorting(costs) / (costs.shape[1] if self.normalised else 1)


def relevance(rows: int, columns: int) -> Tensor:
    """1 for the candidates (rows, columns) of a query's class, `SAMPLES` of each class."""
    query, candidate = torch.arange(rows), torch.arange(columns)
    return (query[:, None] // SAMPLES == candidate // SAMPLES).float()


def dense_recall(layer: CombinatorialLayer, scores: Tensor, relevant: Tensor) -> Tensor:
    """The formula on whole matrices: the ranks among the relevant by another sort of all."""
    ranks = layer(scores) * scores.shape[1]
    among = ranks_by_sorting(scores.detach().masked_fill(relevant == 0, -torch.inf))
    each = torch.log1p(torch.log1p((ranks - among) * relevant))
    return (each.sum(dim=1) / relevant.sum(dim=1).clamp(min=1)).mean()


def our_recall(layer: CombinatorialLayer, scores: Tensor, relevant: Tensor) -> Tensor:
    """The loss as it is."""
    return Recall()(layer, scores, Labels(relevant)).loss


def recall(
    name: str,
    make: Callable[[], Ranking],
    gradient: GradientMethod,
    loss: Callable[[CombinatorialLayer, Tensor, Tensor], Tensor],
    foreign: bool = False,
) -> Implementation:
    """A loss, forward and backward; its result is the gradient of the scores."""

    def prepare(costs: Tensor) -> Call:
        layer, relevant = CombinatorialLayer(make(), gradient), relevance(*costs.shape)

        def step() -> Tensor:
            scores = costs.clone().requires_grad_()
            loss(layer, scores, relevant).backward()
            assert scores.grad is not None
            return scores.grad

        return step

    return Implementation(name, prepare, foreign=foreign)


def recall_case(shape: tuple[int, int], gradient: GradientMethod) -> Case:
    """Cosines of random embeddings; what agrees is the gradient."""
    vectors = normalize(torch.randn(sum(shape), WIDTH, generator=torch.Generator().manual_seed(1)))
    scores = vectors[: shape[0]] @ vectors[shape[0] :].T
    sorted_, ours = (partial(kind, threads=1, normalised=True) for kind in (SortedRanks, Ranking))
    return Case(
        f"recall loss, {type(gradient).__name__.lower()}",
        shape[1],
        scores,
        (
            recall("torch, dense", sorted_, gradient, dense_recall, foreign=True),
            recall("combgrad", ours, gradient, our_recall),
        ),
        slack=ROUNDING,
    )


def shares(recalls: Tensor, like: Tensor) -> Tensor:
    """The recall at 1, a scalar, as a result of the embeddings' form."""
    return recalls[0].expand_as(like)


def by_sorting(vectors: Tensor, labels: Tensor) -> Tensor:
    """Recall at 1 from the whole matrix of scores, by torch.topk."""
    scores = vectors @ vectors.T
    scores.fill_diagonal_(-torch.inf)
    found = scores.topk(8, dim=1).indices
    return (labels[found[:, :1]] == labels[:, None]).any(dim=1).float().mean()[None]


def ours(vectors: Tensor, labels: Tensor) -> Tensor:
    """Recall at 1, 2, 4 and 8, and mAP@R beside."""
    return retrieval_scores(vectors, labels).recall


def evaluation_case() -> Case:
    """Embeddings of 60 classes that lie apart."""
    generator = torch.Generator().manual_seed(2)
    labels = torch.arange(EVALUATED) % 60
    centres = torch.randn(60, WIDTH, generator=generator)
    noise = torch.randn(EVALUATED, WIDTH, generator=generator)
    vectors = normalize(centres[labels] + 3 * noise)

    def made(
        name: str, function: Callable[[Tensor, Tensor], Tensor], foreign: bool
    ) -> Implementation:
        def prepare(costs: Tensor) -> Call:
            return partial(function, costs, labels)

        decode = partial(shares, like=vectors)
        return Implementation(name, prepare, foreign=foreign, decode=decode)

    implementations = (made("torch.topk", by_sorting, True), made("combgrad", ours, False))
    return Case("evaluation of a retrieval", EVALUATED, vectors, implementations)


def retrieval_plans(threads: int) -> list[Plan]:
    """The loss with both gradient methods, and an evaluation."""
    del threads  # a step is too short for two, and an evaluation chooses by itself
    losses = [
        Plan(
            f"recall loss {shape[0]}x{shape[1]} {type(gradient).__name__}",
            partial(recall_case, shape, gradient),
            quick=shape == SHAPES[0],
        )
        for shape in SHAPES
        for gradient in (Identity(), Blackbox(LAM))
    ]
    return [*losses, Plan("evaluation", evaluation_case)]
