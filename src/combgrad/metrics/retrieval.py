"""What is measured of a retrieval: every element of a set is the query for the others."""

import warnings
from typing import NamedTuple

import numpy as np
import scipy
import torch
from numpy.typing import NDArray
from torch import Tensor

from combgrad.solvers.kernels.relevance import count_ahead, count_ahead_parallel
from combgrad.solvers.threads import on_threads

#: Scores that are in memory at a time, 128 MB in single precision.
BLOCK_ENTRIES = 2**25

#: Of k-means; later steps move next to nothing.
CLUSTER_STEPS = 30


class RetrievalScores(NamedTuple):
    """How well the nearest other elements of a query are of its class, from 0 to 1.

    Attributes:
        recall: (K,), for each k of those asked for, the share of queries with an element of their
            class among the k nearest.
        map_at_r: mean over the queries of (1/R) sum over i = 1..R of [the i-th is right] (right
            ones among the first i) / i, where R is the number of other elements of the class.
            Source: Musgrave et al., A Metric Learning Reality Check, ECCV 2020.
    """

    recall: Tensor
    map_at_r: Tensor


def retrieval_scores(
    embeddings: Tensor, labels: Tensor, ks: tuple[int, ...] = (1, 2, 4, 8)
) -> RetrievalScores:
    """Recall at k and mAP@R of embeddings (N, D), which must have length 1, with classes (N,).

    Exact; the scores <x, z> are found in blocks, so that memory grows with N and not with its
    square. Of equally near elements the wrong ones come first. A query that is alone in its class
    counts for nothing; without any other the scores are NaN. Raises ValueError for embeddings that
    are not finite, and for another number of classes than of embeddings.
    """
    _check(embeddings, labels)
    # Classes one after another, so that those of a query are a range of the columns.
    order = torch.argsort(labels, stable=True)
    vectors = embeddings.detach()[order].float()
    _, counts = labels[order].unique_consecutive(return_counts=True)
    ends = counts.cumsum(0)
    stops = ends.repeat_interleave(counts)
    starts = stops - counts.repeat_interleave(counts)
    hits = torch.zeros(len(ks), dtype=torch.float64)
    precision, queries = 0.0, int((counts > 1).mul(counts).sum())
    step = max(1, BLOCK_ENTRIES // max(len(vectors), 1))
    for first in range(0, len(vectors), step):
        rows = slice(first, first + step)
        scores = (vectors[rows] @ vectors.T).cpu().numpy()
        found = _of_block(scores, first, starts[rows].cpu(), stops[rows].cpu(), ks)
        hits += found.recall
        precision += float(found.map_at_r)
    total = torch.tensor(float(queries) or torch.nan, dtype=torch.float64)
    return RetrievalScores((hits / total).float(), (precision / total).float())


def _check(embeddings: Tensor, labels: Tensor) -> None:
    """ValueError unless there is a class for each embedding, and all are finite."""
    if labels.shape != embeddings.shape[:1]:
        raise ValueError(
            f"labels have shape {tuple(labels.shape)} and embeddings {tuple(embeddings.shape)}; "
            f"pass one class for each embedding, ({len(embeddings)},)."
        )
    if not bool(torch.isfinite(embeddings).all()):
        raise ValueError("embeddings are not finite; did the training diverge?")


def _of_block(
    scores: NDArray[np.float32], first: int, starts: Tensor, stops: Tensor, ks: tuple[int, ...]
) -> RetrievalScores:
    """The sums over the queries `first`, first + 1, ... of scores (B, N)."""
    wanted = np.array(ks, dtype=np.int64)
    hits, precision = np.zeros((len(scores), len(ks))), np.zeros(len(scores))
    given = (scores, first, starts.numpy(), stops.numpy(), wanted, hits, precision)
    on_threads(scores.size * 2e-9, None, count_ahead, count_ahead_parallel, *given)
    return RetrievalScores(torch.from_numpy(hits.sum(axis=0)), torch.tensor(precision.sum()))


def nearest(embeddings: Tensor, queries: Tensor, count: int) -> Tensor:
    """The numbers (Q, count) of the nearest other elements of queries (Q,), the nearest first.

    Raises ValueError where there are fewer others.
    """
    if count >= len(embeddings):
        raise ValueError(
            f"count is {count}, and each of {len(embeddings)} elements has only "
            f"{max(0, len(embeddings) - 1)} others."
        )
    vectors = embeddings.detach().float()
    scores = vectors[queries] @ vectors.T
    scores[torch.arange(len(queries)), queries] = -torch.inf
    return scores.topk(count, dim=1).indices


def cluster_agreement(embeddings: Tensor, labels: Tensor, seed: int = 0) -> Tensor:
    """NMI, from 0 to 1, of classes (N,) and as many clusters, found by k-means in (N, D).

    Twice the mutual information by the sum of the two entropies; 1 where both agree. A scalar that
    depends on `seed` as far as k-means does, NaN without any embedding. Errors are those of
    `retrieval_scores`.
    """
    _check(embeddings, labels)
    if not len(labels):
        return torch.tensor(torch.nan)
    names = labels.unique()
    rng = np.random.default_rng(seed)
    points = embeddings.detach().float().cpu().numpy()
    start = points[rng.permutation(len(points))[: len(names)]]
    with warnings.catch_warnings():
        # A cluster that is left empty is an answer too, as where all embeddings are one.
        warnings.filterwarnings("ignore", "One of the clusters is empty")
        _, found = scipy.cluster.vq.kmeans2(
            points, start, iter=CLUSTER_STEPS, minit="matrix", missing="warn"
        )
    return torch.tensor(normalised_information(labels.cpu().numpy(), found))


def normalised_information(first: NDArray[np.integer], second: NDArray[np.integer]) -> float:
    """2 I(a; b) / (H(a) + H(b)) of two partitions (N,); 1 where both have one part alone."""
    _, a = np.unique(first, return_inverse=True)
    _, b = np.unique(second, return_inverse=True)
    joint = scipy.sparse.coo_array((np.ones(len(a)), (a, b))).tocsr().data / len(a)
    entropies = [_entropy(np.bincount(part) / len(part)) for part in (a, b)]
    whole = sum(entropies)
    return float(2 * (whole - _entropy(joint)) / whole) if whole > 0 else 1.0


def _entropy(shares: NDArray[np.floating]) -> float:
    shares = shares[shares > 0]
    return float(-(shares * np.log(shares)).sum())
