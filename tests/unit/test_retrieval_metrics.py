"""Recall at k, mAP@R and NMI against plain loops and against two libraries' own."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from combgrad.metrics import cluster_agreement, nearest, retrieval, retrieval_scores
from combgrad.metrics.retrieval import normalised_information

KS = (1, 2, 4, 8)


def random_set(count, classes, dims=5, seed=0):
    """Vectors of length 1 that lie near the centre of their class."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(classes, (count,), generator=generator)
    centres = torch.randn(classes, dims, generator=generator)
    vectors = centres[labels] + 1.5 * torch.randn(count, dims, generator=generator)
    return torch.nn.functional.normalize(vectors, dim=1), labels


def by_loops(vectors, labels, ks=KS):
    """Every query by a sort of the others, wrong ones first among equal scores."""
    scores = vectors @ vectors.T
    hits, precisions = [[] for _ in ks], []
    for q, own in enumerate(labels.tolist()):
        others = [i for i in range(len(labels)) if i != q]
        right = {i: labels[i].item() == own for i in others}
        others.sort(key=lambda i: (-scores[q, i].item(), right[i]))
        total = sum(right.values())
        if not total:
            continue
        for place, k in enumerate(ks):
            hits[place].append(any(right[i] for i in others[:k]))
        found = [sum(right[i] for i in others[: j + 1]) / (j + 1) for j in range(total)]
        precisions.append(sum(found[j] * right[others[j]] for j in range(total)) / total)
    return [sum(h) / len(h) for h in hits], sum(precisions) / len(precisions)


@pytest.mark.parametrize(("count", "classes"), [(40, 3), (60, 25), (9, 1), (30, 29)])
def test_scores_are_those_of_plain_loops(count, classes):
    vectors, labels = random_set(count, classes, seed=count)
    recall, precision = by_loops(vectors, labels)
    found = retrieval_scores(vectors, labels)
    assert found.recall.tolist() == pytest.approx(recall, abs=1e-6)
    assert float(found.map_at_r) == pytest.approx(precision, abs=1e-6)


@settings(max_examples=60)
@given(
    places=st.lists(st.integers(0, 3), min_size=3, max_size=14),
    labels=st.lists(st.integers(0, 2), min_size=14, max_size=14),
)
def test_of_equally_near_ones_the_wrong_come_first(places, labels):
    # Products of these vectors are exact, so that ties are.
    corners = torch.tensor([[1.0, 0], [0, 1], [-1, 0], [0, -1]])
    vectors, labels = corners[places], torch.tensor(labels[: len(places)])
    found = retrieval_scores(vectors, labels)
    if len(labels.unique()) == len(labels):
        assert bool(torch.isnan(found.recall).all())
        assert math.isnan(found.map_at_r)
        return
    recall, precision = by_loops(vectors, labels)
    assert found.recall.tolist() == pytest.approx(recall)
    assert float(found.map_at_r) == pytest.approx(precision)


def test_blocks_threads_and_the_order_of_the_rows_do_not_matter(monkeypatch):
    vectors, labels = random_set(70, 6, seed=4)
    expected = retrieval_scores(vectors, labels)
    order = torch.randperm(70)
    monkeypatch.setattr(retrieval, "BLOCK_ENTRIES", 70 * 3)
    monkeypatch.setenv("COMBGRAD_NUM_THREADS", "2")
    found = retrieval_scores(vectors[order], labels[order])
    torch.testing.assert_close(found, expected)


def test_memory_is_bounded_by_the_block(monkeypatch):
    """No array of scores is larger than asked for, whatever N is."""
    sizes = []
    real = retrieval.count_ahead

    def noting(scores, *rest):
        sizes.append(scores.size)
        real(scores, *rest)

    monkeypatch.setattr(retrieval, "count_ahead", noting)
    monkeypatch.setattr(retrieval, "BLOCK_ENTRIES", 10_000)
    monkeypatch.setenv("COMBGRAD_NUM_THREADS", "1")
    vectors, labels = random_set(900, 40)
    retrieval_scores(vectors, labels)
    assert sum(sizes) == 900**2
    assert max(sizes) <= 10_000


@pytest.mark.parametrize("measure", [retrieval_scores, cluster_agreement])
def test_embeddings_that_are_not_finite_are_refused(measure):
    vectors, labels = random_set(5, 2)
    vectors[3, 1] = torch.nan
    with pytest.raises(ValueError, match="embeddings are not finite; did the training diverge"):
        measure(vectors, labels)


def test_of_no_embeddings_nothing_is_known():
    nothing = torch.zeros(0, 3), torch.zeros(0, dtype=torch.int64)
    assert math.isnan(retrieval_scores(*nothing).map_at_r)
    assert math.isnan(cluster_agreement(*nothing))


def test_the_nearest_are_in_order_without_the_query():
    vectors, _ = random_set(30, 4, seed=2)
    scores = vectors @ vectors.T
    queries = torch.tensor([7, 0, 29])
    for q, row in zip(queries.tolist(), nearest(vectors, queries, 5).tolist(), strict=True):
        others = sorted((i for i in range(30) if i != q), key=lambda i: -scores[q, i].item())
        assert row == others[:5]


def test_no_query_is_among_its_own_neighbours():
    vectors, _ = random_set(3, 2)
    assert sorted(nearest(vectors, torch.tensor([1]), 2)[0].tolist()) == [0, 2]
    with pytest.raises(ValueError, match="count is 3, and each of 3 elements has only 2 others"):
        nearest(vectors, torch.tensor([1]), 3)


@pytest.mark.parametrize("measure", [retrieval_scores, cluster_agreement])
@pytest.mark.parametrize("shape", [(2,), (4,), (3, 1)])
def test_classes_of_another_number_are_refused(measure, shape):
    vectors, _ = random_set(3, 2)
    with pytest.raises(ValueError, match=r"embeddings \(3, 5\); pass one class .* \(3,\)"):
        measure(vectors, torch.zeros(shape, dtype=torch.int64))


@settings(max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(5, 8)), min_size=1, max_size=30))
def test_information_is_that_of_the_shares(pairs):
    a, b = np.array(pairs).T
    mutual, entropies = 0.0, 0.0
    for part, other in ((a, b), (b, a)):
        for name in set(part.tolist()):
            share = (part == name).mean()
            entropies -= share * math.log(share)
            if part is a:
                for second in set(other.tolist()):
                    both = ((a == name) & (b == second)).mean()
                    if both:
                        mutual += both * math.log(both / (share * (b == second).mean()))
    expected = 2 * mutual / entropies if entropies else 1.0
    assert normalised_information(a, b) == pytest.approx(expected, abs=1e-9)


def test_clusters_agree_with_classes_that_lie_apart_and_not_with_chance():
    labels = torch.arange(5).repeat(40)
    noise = torch.randn(200, 5, generator=torch.Generator().manual_seed(0))
    # One start in two classes may end in a worse optimum.
    apart = torch.eye(5)[labels] + 0.01 * noise
    assert max(float(cluster_agreement(apart, labels, seed)) for seed in range(5)) == 1
    assert float(cluster_agreement(noise, labels)) < 0.3


def test_scores_and_information_are_those_of_the_libraries():
    calculators = pytest.importorskip("pytorch_metric_learning.utils.accuracy_calculator")
    inference = pytest.importorskip("pytorch_metric_learning.utils.inference")
    sklearn = pytest.importorskip("sklearn.metrics")
    knn = inference.CustomKNN(
        pytest.importorskip("pytorch_metric_learning.distances").CosineSimilarity()
    )
    vectors, labels = random_set(300, 12, dims=16, seed=8)
    calculator = calculators.AccuracyCalculator(
        include=("precision_at_1", "mean_average_precision_at_r"), knn_func=knn
    )
    theirs = calculator.get_accuracy(vectors, labels)
    ours = retrieval_scores(vectors, labels)
    assert float(ours.recall[0]) == pytest.approx(theirs["precision_at_1"], abs=1e-6)
    assert float(ours.map_at_r) == pytest.approx(theirs["mean_average_precision_at_r"], abs=1e-6)
    other = torch.randint(9, (300,)).numpy()
    mine = normalised_information(labels.numpy(), other)
    assert mine == pytest.approx(sklearn.normalized_mutual_info_score(labels.numpy(), other))
