"""Image retrieval: scores, memories against a plain loop, evaluation, resuming, refusals."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from combgrad.errors import IncompatibleError
from combgrad.experiments import RetrievalDirectExperiment, RetrievalExperiment
from combgrad.experiments.batch_memory import BatchMemory
from combgrad.experiments.retrieval import without_self
from combgrad.gradients import Blackbox, Identity
from combgrad.labels import Labels
from combgrad.layer import CombinatorialLayer
from combgrad.losses import Hamming, Recall
from combgrad.metrics import retrieval_scores
from combgrad.networks import RetrievalNet, SmallCNN
from combgrad.projections import Std
from combgrad.results import load_records
from combgrad.runs.configuration import compose
from combgrad.runs.run import run
from combgrad.solvers import GraphMatching, Ranking, TopK

BATCH, CHANNELS = 6, 8
LABELS = torch.tensor([0, 0, 1, 1, 2, 2])


def net():
    torch.manual_seed(0)
    return RetrievalNet(SmallCNN(CHANNELS // 2, frozen=True), embedding=5)


def experiment(memory="none", gradient=None, **parts):
    layer = CombinatorialLayer(Ranking(), gradient or Identity())
    parts = {"net": net(), "layer": layer, "loss": Recall(), **parts}
    return RetrievalExperiment(memory=memory, memory_batches=2, optimizer=None, **parts)


def batch(seed):
    generator = torch.Generator().manual_seed(seed)
    return {"features": torch.randn(BATCH, CHANNELS, generator=generator), "label": LABELS}


def test_a_query_is_no_candidate_of_its_own():
    scores = torch.arange(12.0).view(3, 4)
    assert without_self(scores).tolist() == [[1, 2, 3], [4, 6, 7], [8, 9, 11]]
    for rows, columns in ((0, 0), (0, 3), (1, 1), (1, 3), (3, 3), (2, 5)):
        scores = torch.arange(float(rows * columns)).view(rows, columns).requires_grad_()
        others = [[j for j in range(columns) if j != i] for i in range(rows)]
        left = without_self(scores)
        assert left.shape == (rows, max(columns - 1, 0))
        found = [[scores[i, j].item() for j in row] for i, row in enumerate(others)]
        assert left.tolist() == found
        left.sum().backward()
        assert scores.grad.tolist() == [[float(j in row) for j in range(columns)] for row in others]


def loss_by_loops(made, batches, memory):
    """The loss of the last batch, from the cosines of every pair, with what earlier ones left."""
    embeddings = [made.net(b["features"]) for b in batches]
    rows, marks = [], []
    for number in range(len(batches)) if memory == "rows" else [len(batches) - 1]:
        mine = embeddings[number]
        others, names = [mine], [LABELS]
        if memory == "embeddings":
            others, names = embeddings[::-1], [LABELS] * len(batches)
        everyone, classes = torch.cat(others), torch.cat(names)
        for i in range(BATCH):
            rest = [j for j in range(len(everyone)) if j != i]
            rows.append(torch.stack([mine[i] @ everyone[j] for j in rest]))
            marks.append((classes[rest] == LABELS[i]).float())
    return Recall()(made.layer, torch.stack(rows), Labels(torch.stack(marks))).loss


@pytest.mark.parametrize("memory", ["none", "rows", "embeddings"])
def test_the_loss_is_that_of_all_pairs_and_of_what_earlier_batches_left(memory):
    made = experiment(memory).train()
    batches = [batch(seed) for seed in range(5)]
    with torch.no_grad():
        losses = [made.step(b, "train")[0] for b in batches]
        for number, loss in enumerate(losses):
            before = batches[max(0, number - 2) : number + 1]
            assert float(loss) == pytest.approx(float(loss_by_loops(made, before, memory)))
    assert len({round(float(loss), 5) for loss in losses}) == 5


def gradient_of_last(memory, gradient=None):
    made = experiment(memory, gradient).train()
    for seed in range(3):
        made.zero_grad()
        made.step(batch(seed), "train")[0].backward()
    return made.net.embedding.weight.grad


def test_earlier_rows_only_scale_the_gradient_and_earlier_candidates_change_it():
    alone, rows = gradient_of_last("none"), gradient_of_last("rows")
    torch.testing.assert_close(rows, alone / 3)
    candidates = gradient_of_last("embeddings")
    cosine = torch.cosine_similarity(candidates.flatten(), alone.flatten(), dim=0)
    assert abs(float(cosine)) < 0.999


def test_nothing_is_remembered_of_evaluations():
    made = experiment("embeddings")
    made.trainer = None
    made.keep = lambda stage, **rows: None
    made.eval().step(batch(0), "val")
    assert made.memory.get_extra_state()["kept"] == []


def test_the_memory_is_part_of_the_checkpoint():
    first = experiment("embeddings").train()
    for seed in range(3):
        first.step(batch(seed), "train")
    second = experiment("embeddings").train()
    second.load_state_dict(first.state_dict())
    after = [made.step(batch(9), "train")[0] for made in (first, second)]
    assert torch.equal(*after)
    fresh = experiment("embeddings").train()
    fresh.net.load_state_dict(first.net.state_dict())
    assert not torch.equal(fresh.step(batch(9), "train")[0], after[0])


def test_blackbox_and_a_projection_go_through():
    gradient = gradient_of_last("rows", Blackbox(20.0))
    assert bool(gradient.any())
    made = experiment(layer=CombinatorialLayer(Ranking(), Identity(), Std())).train()
    made.step(batch(0), "train")[0].backward()
    assert bool(made.net.embedding.weight.grad.any())


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"loss": Hamming()}, "choose loss=recall"),
        ({"layer": CombinatorialLayer(TopK(2), Identity())}, "choose solver=ranking"),
        ({"layer": CombinatorialLayer(GraphMatching(), Identity())}, "choose solver=ranking"),
        ({"net": nn.Linear(2, 2)}, "choose model=retrieval_net"),
    ],
)
def test_what_does_not_rank_is_refused(parts, message):
    with pytest.raises(IncompatibleError, match=message):
        experiment(**parts)


def test_settings_of_the_memory_are_checked():
    with pytest.raises(ValueError, match=r"task\.memory is 'all'; choose 'none', 'rows'"):
        BatchMemory("all", 3)
    for number in (0, 2.5, True):
        with pytest.raises(ValueError, match=r"task\.memory_batches is .*at least 1"):
            BatchMemory("rows", number)


def test_several_processes_are_refused():
    made = experiment()
    made.trainer = SimpleNamespace(world_size=2)
    with pytest.raises(IncompatibleError, match=r"trainer\.devices=1"):
        made.on_fit_start()


def smoke(root, *overrides, experiment="retrieval"):
    words = [f"experiment={experiment}", "profile=smoke", f"paths.root={root}", "logger=none"]
    small = ["data=digits_by_class", "backbone=small_cnn", "backbone.width=8", "model.embedding=16"]
    return run(compose([*words, *small, *overrides]))


def test_a_run_measures_the_whole_test_set_and_draws_neighbours(tmp_path):
    record = smoke(tmp_path, "proj=std", "margin=informed", "margin.alpha=0.01")
    assert load_records(tmp_path / "results" / "own") == [record]
    for stage in ("test", "last"):
        recalls = [record.metrics[f"{stage}/recall_at_{k}"] for k in (1, 2, 4, 8)]
        assert recalls == sorted(recalls)
        assert 0 < recalls[0] < recalls[-1] <= 1
        assert 0 < record.metrics[f"{stage}/map_at_r"] < 1
        assert 0 < record.metrics[f"{stage}/nmi"] < 1
    assert len(record.curves["val/recall_at_1"]) == 1
    (folder,) = (tmp_path / "outputs").iterdir()
    for name in ("neighbours", "map"):
        assert (folder / f"{name}.png").read_bytes().startswith(b"\x89PNG")


def test_a_run_cut_off_goes_on_as_if_it_had_not_been(check_resuming):
    """The memory is of the batches before the cut."""
    words = ["pictures=false", "task.memory=embeddings", "grad=blackbox", "trainer.max_epochs=3"]
    check_resuming(RetrievalExperiment, smoke, *words)


def test_frozen_features_and_trained_backbones_both_learn_from_the_configuration(tmp_path):
    frozen = smoke(tmp_path / "a", "backbone.frozen=true", "pictures=false")
    trained = smoke(tmp_path / "b", "pictures=false")
    assert frozen.key != trained.key
    assert frozen.metrics["test/recall_at_1"] > 0.3


def test_a_loss_of_embeddings_is_told_these_and_their_classes():
    def objective(embeddings, classes):
        return (embeddings[classes == 1] ** 4).sum()

    layer = CombinatorialLayer(Ranking(), Identity())
    made = RetrievalDirectExperiment(objective, net=net(), layer=layer, optimizer=None).train()
    loss, values = made.step(batch(0), "train")
    embeddings = made.net(batch(0)["features"])
    assert (float(loss.detach()), values) == (float((embeddings[2:4] ** 4).sum().detach()), {})


@pytest.mark.parametrize("word", ["proj=std", "margin=noise", "grad=blackbox"])
def test_what_a_loss_of_embeddings_would_ignore_is_refused(word, tmp_path):
    pytest.importorskip("pytorch_metric_learning")
    with pytest.raises(IncompatibleError, match="it would ignore the choice of grad, proj"):
        smoke(tmp_path, word, experiment="cub2010_direct")


def test_a_loss_of_embeddings_trains(tmp_path):
    pytest.importorskip("pytorch_metric_learning")
    record = smoke(tmp_path, "backbone.frozen=true", experiment="cub2010_direct")
    assert record.metrics["test/recall_at_1"] > 0.3
    assert record.metrics["test/loss"] > 0


def test_metrics_of_a_set_are_those_of_its_embeddings():
    made = experiment()
    vectors = nn.functional.normalize(torch.randn(40, 5), dim=1)
    label = torch.arange(40) % 4
    made.kept = lambda stage: {"embedding": vectors, "label": label}
    found = made.epoch_metrics("val")
    expected = retrieval_scores(vectors, label)
    assert [float(found[f"recall_at_{k}"]) for k in (1, 2, 4, 8)] == expected.recall.tolist()
    assert float(found["map_at_r"]) == float(expected.map_at_r)
    assert "nmi" not in found
    assert "nmi" in made.epoch_metrics("test")
    assert made.epoch_metrics("train") == {}
