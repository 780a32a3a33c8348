"""Headlines: costs and paths against plain loops, gradients, evaluation, resuming, refusals."""

import itertools
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from combgrad.data.headlines.datamodule import Headlines
from combgrad.data.headlines.generated import Generated
from combgrad.data.headlines.vocabulary import Vocabulary
from combgrad.errors import IncompatibleError
from combgrad.experiments import HeadlineExperiment
from combgrad.experiments.headline import diagonal, match_costs
from combgrad.gradients import Blackbox, CvxpyLayers, Identity
from combgrad.layer import CombinatorialLayer
from combgrad.losses import OptimalValue, SoftAlignment, SolutionCost, TargetCost
from combgrad.networks import HeadlineNet
from combgrad.networks.headline import END
from combgrad.projections import Norm
from combgrad.results import load_records
from combgrad.runs.configuration import compose
from combgrad.runs.run import run
from combgrad.solvers import Alignment, TiedAlignment, TopK

#: Cheap enough for gaps to be worth it where words cost about the same.
GAP = 0.7


def made(loss=None, gradient=None, seed=0, **parts):
    torch.manual_seed(seed)
    layer = CombinatorialLayer(Alignment(GAP), gradient or Identity())
    net = HeadlineNet(title_words=8, article_words=4, embedding=5, hidden=6).double()
    for parameter in net.parameters():  # so that words differ in what they cost
        nn.init.normal_(parameter, std=0.7)
    given = {"net": net, "layer": layer, "loss": loss or OptimalValue(), "optimizer": None}
    return HeadlineExperiment(**given | parts)


BATCH = {
    "article": torch.tensor([[4, 5, 13, 6], [7, 15, 0, 0], [9, 9, 9, 0]]),
    "article_size": torch.tensor([4, 2, 3]),
    "title": torch.tensor([[5, 6, END, 0, 0], [END, 0, 0, 0, 0], [8, 8, 9, END, 0]]),
    "title_size": torch.tensor([3, 1, 4]),
    "row": torch.tensor([0, 1, 2]),
}


def cheapest(matches, size):
    """The cost of the best alignment, over all orders of moves."""
    moves = {(1, 1): 1.0, (0, 1): GAP, (1, 0): GAP}
    best = {(0, 0): 0.0}
    for i, j in itertools.product(range(size + 1), repeat=2):
        for (down, right), price in moves.items():
            to = (i + down, j + right)
            if max(to) <= size:
                unit = float(matches[min(i, size - 1), min(j, size - 1)])
                best[to] = min(best.get(to, float("inf")), best[i, j] + price * unit)
    return best[size, size]


def test_the_loss_is_the_best_alignment_of_each_headline():
    experiment = made().train()
    matches = experiment.predict(BATCH, training=True)[1].detach()
    loss, values = experiment.step(BATCH, "train")
    sizes = BATCH["title_size"].tolist()
    each = [cheapest(matches[b], size) for b, size in enumerate(sizes)]
    assert values["alignment_cost"].tolist() == pytest.approx(each)
    assert float(loss.detach()) == pytest.approx(sum(each) / 3)
    straight = [float(matches[b].diagonal()[:size].sum()) for b, size in enumerate(sizes)]
    assert values["cross_entropy"].tolist() == pytest.approx(straight)
    assert all(ours <= other + 1e-9 for ours, other in zip(each, straight, strict=True))


def test_costs_of_matches_are_those_of_a_plain_loop():
    found = torch.randn(4, 7, generator=torch.manual_seed(0)).log_softmax(1)
    title = torch.tensor([[6, 0, 3], [2, 2, 0]])
    instance, position = torch.tensor([0, 1, 0, 0]), torch.tensor([0, 0, 2, 1])
    costs = match_costs(found, instance, position, title)
    for p, (b, i) in enumerate(zip(instance.tolist(), position.tolist(), strict=True)):
        for k in range(3):
            assert float(costs[b, i, k]) == float(-found[p, title[b, k]])
    assert not costs[1, 1:].any()


def test_the_diagonal_is_the_path_that_matches_word_by_word():
    path = diagonal(torch.tensor([2, 3]), torch.zeros(2, 4, 4, 3))
    assert path.nonzero().tolist() == [
        *([0, 0, 0, 0], [0, 1, 1, 0]),
        *([1, 0, 0, 0], [1, 1, 1, 0], [1, 2, 2, 0]),
    ]
    feasible = Alignment().feasible(path, torch.tensor([[2, 2], [3, 3]]))
    assert feasible.all()


def gradient_of(loss, gradient=None, **parts):
    experiment = made(loss, gradient, **parts).train()
    torch.manual_seed(5)
    experiment.step(BATCH, "train")[0].backward()
    return torch.cat([p.grad.flatten() for p in experiment.net.parameters()])


def test_cross_entropy_is_that_of_torch():
    experiment = made(TargetCost()).train()
    loss, _ = experiment.step(BATCH, "train")
    logits, instance, position = experiment.net.unroll(
        BATCH["article"], BATCH["article_size"], BATCH["title_size"], lambda x: x.softmax(1)
    )
    words = BATCH["title"][instance, position]
    expected = nn.functional.cross_entropy(logits, words, reduction="sum") / 3
    assert float(loss.detach()) == pytest.approx(float(expected.detach()))


def test_blackbox_on_the_path_is_the_optimal_value_for_a_second_call():
    value = gradient_of(OptimalValue())
    torch.testing.assert_close(gradient_of(SolutionCost(), Blackbox(20.0)), value)
    assert not torch.allclose(gradient_of(SolutionCost(), Identity()), value)
    normed = CombinatorialLayer(Alignment(GAP), Identity(), Norm())
    torch.testing.assert_close(gradient_of(SolutionCost(), layer=normed), value)
    assert not torch.allclose(gradient_of(TargetCost()), value)


def test_cvxpylayers_on_headlines_of_different_length_has_nearly_that_gradient():
    pytest.importorskip("cvxpylayers")
    found, value = gradient_of(SolutionCost(), CvxpyLayers()), gradient_of(OptimalValue())
    assert float((found - value).norm()) <= 1e-2 * float(value.norm())


def test_the_solver_of_match_costs_gives_the_same_and_a_soft_relative():
    tied = CombinatorialLayer(TiedAlignment(GAP), Identity())
    for loss in (OptimalValue(), TargetCost()):
        torch.testing.assert_close(gradient_of(loss, layer=tied), gradient_of(loss))
    value, soft = (
        float(made(loss, layer=tied).train().step(BATCH, "train")[0].detach())
        for loss in (OptimalValue(), SoftAlignment(0.5))
    )
    assert soft < value
    torch.testing.assert_close(
        gradient_of(SoftAlignment(1e-3), layer=tied), gradient_of(OptimalValue())
    )
    (one,) = torch.eye(4)[None].double()
    assert torch.equal(diagonal(torch.tensor([4]), torch.zeros(1, 4, 4).double())[0], one)


@pytest.mark.parametrize("feeding", ["softmax", "gumbel"])
def test_the_gradient_reaches_every_part_and_samples_only_while_training(feeding):
    experiment = made(feeding=feeding)
    assert bool(gradient_of(OptimalValue(), feeding=feeding).isfinite().all())
    found = []
    for training in (True, False):
        torch.manual_seed(1)
        first = experiment.predict(BATCH, training)[1]
        again = experiment.predict(BATCH, training)[1]
        found.append(torch.equal(first, again))
    assert found == [feeding == "softmax", True]
    experiment.train().step(BATCH, "train")[0].backward()
    assert all(p.grad is not None and p.grad.any() for p in experiment.net.parameters())


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"layer": CombinatorialLayer(TopK(2), Identity())}, "use solver=alignment"),
        ({"net": nn.Linear(2, 2)}, "choose model=headline_net"),
        ({"feeding": "teacher"}, r"task\.feeding is 'teacher'; choose 'softmax' or 'gumbel'"),
        ({"beam": 0}, r"task\.beam is 0; it must be a whole number"),
        ({"temperature": 0.0}, r"task\.temperature is 0.0; it must be finite"),
        ({"length_power": -1.0}, r"task\.length_power is -1.0"),
    ],
)
def test_what_cannot_be_is_refused(parts, message):
    with pytest.raises((IncompatibleError, ValueError), match=message):
        made(**parts)


def test_a_network_that_is_too_small_for_the_vocabulary_is_refused():
    data = Headlines(Generated(), 50, 5)
    with pytest.raises(ValueError, match=r"was made for 16 and 12; set model\.title_words"):
        made().prepare(data)


def test_a_vocabulary_of_few_words_is_never_asked_for_more():
    """As of few pairs: the network has rows for as many words as the settings allow."""
    few = Vocabulary(["rain", "sun"], ["wind"])
    data = SimpleNamespace(vocabulary=few, title_length=6, texts=lambda split: [])
    experiment = made(beam=3)
    experiment.prepare(data)
    with torch.no_grad():
        experiment.net.bias[len(few.words) :] = 9.0
    found = experiment.search(BATCH)
    assert found.shape == (3, 7)
    for ids in found.tolist():
        assert {*few.text(ids).split()} <= {"rain", "sun", "wind"}


def smoke(root, *overrides):
    words = ["experiment=headline", "profile=smoke", f"paths.root={root}", "logger=none"]
    return run(compose([*words, "data.train_size=100", "data.eval_size=15", *overrides]))


def test_a_run_measures_rouge_and_draws_headlines_and_an_alignment(tmp_path):
    record = smoke(tmp_path, "data.batch_size=10")
    assert load_records(tmp_path / "results" / "own") == [record]
    for stage in ("test", "last"):
        scores = [record.metrics[f"{stage}/rouge_{n}"] for n in ("1", "2", "l")]
        assert all(0 <= score <= 1 for score in scores)
        assert record.metrics[f"{stage}/rouge_total"] == pytest.approx(sum(scores), abs=1e-5)
        costs = (record.metrics[f"{stage}/{n}"] for n in ("alignment_cost", "cross_entropy"))
        assert next(costs) <= next(costs) + 1e-4
    assert record.curves["train/loss"][1] < record.curves["train/loss"][0]
    (folder,) = (tmp_path / "outputs").iterdir()
    for name in ("headlines.png", "alignment.png"):
        assert (folder / name).read_bytes().startswith(b"\x89PNG")


def test_a_run_cut_off_goes_on_as_if_it_had_not_been(check_resuming):
    words = ["pictures=false", "task.feeding=gumbel", "trainer.max_epochs=3", "model.dropout=0.1"]
    check_resuming(HeadlineExperiment, smoke, *words)
