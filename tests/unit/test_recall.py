"""The recall loss and its gradient against the formula, query by query."""

import math

import pytest
import torch

from combgrad import CombinatorialLayer
from combgrad.gradients import Blackbox, Identity, Perturbed
from combgrad.instances import Instances
from combgrad.labels import Labels
from combgrad.losses import Recall
from combgrad.losses.recall import irrelevant_ahead
from combgrad.solvers import Ranking, TopK


def example(queries=7, candidates=12, seed=0, share=0.3):
    generator = torch.Generator().manual_seed(seed)
    scores = torch.randn(queries, candidates, dtype=torch.float64, generator=generator)
    target = (torch.rand(queries, candidates, generator=generator) < share).double()
    target[1] = 0  # a query that nothing is relevant for
    target[2] = 1
    return scores, target


def ahead(scores, target):
    """Per query the relevant candidates and the number of irrelevant ones before each."""
    found = []
    for row, marks in zip(scores.tolist(), target.tolist(), strict=True):
        order = sorted(range(len(row)), key=lambda i: row[i], reverse=True)
        found.append([])
        for place, i in enumerate(order):
            if marks[i]:
                found[-1].append((i, sum(not marks[j] for j in order[:place])))
    return found


def by_formula(scores, target, factor=1.0):
    each = [[math.log(1 + math.log(1 + factor * r)) for _, r in q] for q in ahead(scores, target)]
    means = [sum(query) / len(query) for query in each if query]
    return sum(means) / len(means)


def slopes_by_formula(scores, target, factor=1.0):
    """dL/d(rank among all), 0 where a candidate is not relevant."""
    slopes = torch.zeros_like(scores)
    queries = sum(bool(q) for q in ahead(scores, target))
    for b, query in enumerate(ahead(scores, target)):
        for i, r in query:
            inner = 1 + factor * r
            slopes[b, i] = factor / (inner * (1 + math.log(inner))) / (len(query) * queries)
    return slopes


@pytest.mark.parametrize("normalised", [False, True])
@pytest.mark.parametrize(("length", "factor"), [("columns", 1.0), ("rows", 7 / 12)])
@pytest.mark.parametrize("seed", range(4))
def test_value_and_gradient_are_those_of_the_formula(seed, length, factor, normalised):
    scores, target = example(seed=seed)
    layer = CombinatorialLayer(Ranking(normalised=normalised), Identity())
    scores.requires_grad_()
    loss, ranks = Recall(length)(layer, scores, Labels(target))
    assert torch.equal(ranks, layer.solver(scores.detach()))
    assert float(loss.detach()) == pytest.approx(by_formula(scores.detach(), target, factor))
    loss.backward()
    unit = 12 if normalised else 1
    expected = -unit * slopes_by_formula(scores.detach(), target, factor)
    torch.testing.assert_close(scores.grad, expected)
    assert not scores.grad[target == 0].any()
    # A target may be of any dtype that tells the relevant candidates.
    unknown = target.masked_fill(target == 0, math.nan)
    for marks in (target > 0, target.long(), unknown):
        assert Recall(length)(layer, scores, Labels(marks)).loss == loss


def test_it_is_0_where_the_relevant_lead_and_only_there():
    target = torch.tensor([[0.0, 1, 1, 0, 0]])
    layer = CombinatorialLayer(Ranking(), Identity())
    for scores, wanted in (
        ([1.0, 5, 4, 2, 3], 0.0),
        ([4.0, 3, 5, 1, 2], math.log(1 + math.log(2)) / 2),
        ([5.0, 1, 2, 4, 3], math.log(1 + math.log(4))),
    ):
        found = Recall()(layer, torch.tensor([scores]), Labels(target)).loss
        assert float(found) == pytest.approx(wanted)
    # Of 127 normalised ranks most are rounded.
    scores = torch.arange(127.0).flip(0)[None]
    layer = CombinatorialLayer(Ranking(normalised=True), Identity())
    assert float(Recall()(layer, scores, Labels((scores > 50).float())).loss) == 0


def test_lambda_of_normalised_ranks_does_not_depend_on_their_number():
    """(y(w + l dL/du) - y) / (n l) with u = y / n: the same step as n l and ranks from 1 to n."""
    scores, target = example(candidates=20, seed=3)
    gradients = []
    for solver, lam in ((Ranking(normalised=True), 2.0), (Ranking(), 2.0 * 20)):
        costs = scores.clone().requires_grad_()
        Recall()(CombinatorialLayer(solver, Blackbox(lam)), costs, Labels(target)).loss.backward()
        gradients.append(costs.grad)
    assert bool(gradients[0].any())
    torch.testing.assert_close(*gradients)


def test_padding_and_what_is_not_marked_count_for_nothing():
    scores, target = example(seed=5)
    layer, loss = CombinatorialLayer(Ranking(), Identity()), Recall()
    wide = torch.cat([scores, torch.full((7, 3), 1e9, dtype=torch.float64)], dim=1)
    more = torch.cat([target, torch.ones(7, 3, dtype=torch.float64)], dim=1)
    valid = torch.arange(15).expand(7, 15) < 12
    padded = loss(layer, wide, Labels(more), Instances(valid=valid)).loss
    assert float(padded) == pytest.approx(by_formula(scores, target))
    # Ranks among the relevant are then those among the marked ones.
    marked = torch.arange(12).expand(7, 12) < 6
    found, row = irrelevant_ahead(layer(scores), (target > 0) & marked)
    pairs = [(b, r) for b, q in enumerate(ahead(scores, target * marked)) for i, r in sorted(q)]
    assert list(zip(row.tolist(), found.tolist(), strict=True)) == pairs
    each = loss(layer, scores, Labels(target, marked=marked)).loss
    assert float(each) == pytest.approx(by_formula(scores, target * marked))


def test_nothing_to_rank_costs_nothing():
    layer = CombinatorialLayer(Ranking(), Identity())
    for shape in ((0, 4), (3, 0), (2, 5)):
        scores = torch.randn(shape, requires_grad=True)
        loss = Recall()(layer, scores, Labels(torch.zeros(shape))).loss
        assert float(loss.detach()) == 0
        loss.backward()
        assert not scores.grad.any()


def test_what_is_no_ranking_and_no_length_is_refused():
    scores, target = example()
    with pytest.raises(ValueError, match="answers with no ranks"):
        Recall()(CombinatorialLayer(TopK(3), Identity()), scores, Labels(target))
    with pytest.raises(ValueError, match="'columns' or 'rows'"):
        Recall("both")


@pytest.mark.parametrize("normalised", [False, True])
def test_the_mean_of_several_rankings_is_refused(normalised):
    # Ranks of 6 and 7 on average, divided by the least, would all have been taken for 1.
    scores, target = example()
    layer = CombinatorialLayer(Ranking(normalised=normalised), Perturbed(10.0, 50))
    with pytest.raises(ValueError, match="no mean of several"):
        Recall()(layer, scores, Labels(target))
    with torch.no_grad():
        found = Recall()(layer.eval(), scores, Labels(target)).loss
    assert float(found) == pytest.approx(by_formula(scores, target))


@pytest.mark.parametrize(
    ("dtype", "queries", "candidates"), [(torch.bfloat16, 8, 200), (torch.float16, 100, 1000)]
)
def test_ranks_of_many_queries_are_told_apart_in_half_precision(dtype, queries, candidates):
    # Whole scores, all different, so that the order is the same in any precision.
    scores = torch.stack([torch.arange(candidates).roll(7 * query) for query in range(queries)])
    scores = -scores.float() if dtype == torch.float16 else -scores.float() / 256
    target = (scores >= scores.sort(dim=1, descending=True).values[:, [2]]).float()
    target[:, 5] = 1
    layer, labels = CombinatorialLayer(Ranking(), Blackbox(1.0)), Labels(target)
    half = Recall()(layer, scores.to(dtype), labels).loss
    assert float(half) == pytest.approx(by_formula(scores, target), rel=2e-2)
