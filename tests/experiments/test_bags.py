"""Bags of shuffled labels: costs and loss by a plain loop, the supervised line, runs, refusals."""

import itertools

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from combgrad.errors import IncompatibleError
from combgrad.experiments import BagsExperiment
from combgrad.experiments.bags import found_labels, label_costs
from combgrad.gradients import Blackbox, Identity
from combgrad.layer import CombinatorialLayer
from combgrad.losses import Hamming, OptimalValue, Sinkhorn, SolutionCost
from combgrad.margins import InformedMargin
from combgrad.networks import ClassNet, SmallCNN
from combgrad.projections import Norm, Std
from combgrad.results import load_records
from combgrad.runs.configuration import compose
from combgrad.runs.run import run
from combgrad.solvers import Assignment, TopK

CLASSES, CHANNELS = 7, 8


def experiment(loss=None, gradient=None, projection=None, **parts):
    torch.manual_seed(0)
    net = ClassNet(CLASSES, SmallCNN(CHANNELS // 2, frozen=True))
    layer = CombinatorialLayer(Assignment(), gradient or Identity(), projection)
    parts = {"net": net, "layer": layer, "loss": loss or OptimalValue(), **parts}
    return BagsExperiment(optimizer=None, **parts).train()


def bags(size=4, seed=1):
    generator = torch.Generator().manual_seed(seed)
    label = torch.randint(CLASSES, (5, size), generator=generator)
    features = torch.randn(5, size, CHANNELS, generator=generator)
    return {"features": features, "label": label, "bag": label.sort(dim=1).values}


def test_the_loss_is_the_mean_over_images_of_the_best_of_all_matchings():
    made, batch = experiment(), bags()
    loss, values = made.step(batch, "train")
    best, wrong = [], []
    for features, label in zip(batch["features"], batch["label"].tolist(), strict=True):
        logarithms = made.net(features).log_softmax(dim=1)
        matchings = [
            (-sum(logarithms[j, y].item() for j, y in enumerate(labels)), labels)
            for labels in itertools.permutations(label)
        ]
        cost, labels = min(matchings)
        best.append(cost / 4)
        wrong.append(sum(a != b for a, b in zip(labels, label, strict=True)) / 4)
    assert loss.item() == pytest.approx(sum(best) / 5, rel=1e-5)
    assert values["wrong_labels"].tolist() == pytest.approx(wrong)
    assert 0 < sum(wrong) / 5 < 1


def gradient_of(*parts, batch=None):
    made = experiment(*parts)
    made.step(batch or bags(), "train")[0].backward()
    return made.net.head.weight.grad


def test_the_order_of_the_labels_says_nothing():
    shuffled = bags()
    shuffled["bag"] = shuffled["bag"].flip(1)
    torch.testing.assert_close(gradient_of(batch=shuffled), gradient_of())


def test_the_solution_adds_nothing_where_its_size_does_not_count():
    """Blackbox finds no other solution for costs that are scaled; Std and Norm drop their scale."""
    value = gradient_of()
    torch.testing.assert_close(gradient_of(SolutionCost(), Blackbox(5.0)), value)
    torch.testing.assert_close(gradient_of(SolutionCost(), Identity(), Std()), value)
    torch.testing.assert_close(gradient_of(SolutionCost(), Identity(), Norm()), value)
    assert not torch.allclose(gradient_of(SolutionCost(), Identity()), value, rtol=0.1)


def test_bags_of_one_are_supervised_learning():
    made, batch = experiment(), bags(size=1)
    loss, values = made.step(batch, "train")
    logits = made.net(batch["features"][:, 0])
    assert loss.item() == pytest.approx(cross_entropy(logits, batch["label"][:, 0]).item())
    assert not values["wrong_labels"].any()


@pytest.mark.parametrize("loss", [OptimalValue(), SolutionCost(), Sinkhorn(0.1)])
def test_evaluations_measure_single_images(loss):
    made, batch = experiment(loss).eval(), bags(size=1)
    single = {"features": batch["features"][:, 0], "label": batch["label"][:, 0]}
    found, values = made.step(single, "test")
    logits = made.net(single["features"])
    expected = cross_entropy(logits, single["label"])
    assert found.item() == pytest.approx(expected.item())
    wrong = logits.argmax(dim=1) != single["label"]
    assert values["error"].tolist() == wrong.float().tolist()


def test_a_matching_gives_each_image_a_label_of_the_bag():
    bag = torch.tensor([[2, 5, 5], [0, 1, 6]])
    order = torch.tensor([[2, 0, 1], [1, 2, 0]])
    assert found_labels(torch.eye(3)[order], bag).tolist() == [[5, 2, 5], [1, 6, 0]]
    logits = torch.arange(42.0).view(2, 3, 7)
    expected = -logits[1, 2].log_softmax(0)[6]
    assert float(label_costs(logits, bag)[1, 2, 2]) == pytest.approx(float(expected))


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"loss": Hamming()}, "Hamming of Bags needs true solutions"),
        ({"loss": None}, "has no loss of its own; choose one"),
        ({"layer": CombinatorialLayer(TopK(2), Identity())}, "choose solver=assignment"),
        ({"net": nn.Linear(2, 2)}, "choose model=class_net"),
        (
            {"layer": CombinatorialLayer(Assignment(), Identity(), margin=InformedMargin(0.1))},
            "use margin=noise or margin=none",
        ),
        (
            {"layer": CombinatorialLayer(Assignment(), Blackbox(5.0))},
            "OptimalValue is a loss of the costs and asks no gradient method",
        ),
    ],
)
def test_what_does_not_fit_is_refused(parts, message):
    made = {"net": ClassNet(CLASSES, SmallCNN(4)), "loss": OptimalValue()}
    made["layer"] = CombinatorialLayer(Assignment(), Identity())
    with pytest.raises(IncompatibleError, match=message):
        BagsExperiment(optimizer=None, **made | parts)


def smoke(root, *overrides):
    words = ["profile=smoke", f"paths.root={root}", "logger=none", "backbone.width=8"]
    return run(compose([*words, *overrides]))


def test_a_run_trains_on_bags_and_draws_them(tmp_path):
    record = smoke(tmp_path, "experiment=bags_b8")
    assert load_records(tmp_path / "results" / "own") == [record]
    assert record.data_source == "stand-in"
    for stage in ("test", "last"):
        assert 0 < record.metrics[f"{stage}/error"] <= 1
    assert 0 < record.curves["train/wrong_labels"][0] <= 1
    (folder,) = (tmp_path / "outputs").iterdir()
    assert (folder / "bags.png").read_bytes().startswith(b"\x89PNG")


def test_fewer_test_images_than_a_bag_has_are_drawn_too(tmp_path):
    smoke(tmp_path, "experiment=bags_b32", "data.eval_size=20")
    (folder,) = (tmp_path / "outputs").iterdir()
    assert (folder / "bags.png").is_file()


@pytest.mark.parametrize("loss", [OptimalValue(), Sinkhorn(0.3)])
def test_images_are_told_apart_by_the_labels_of_bags_alone(loss):
    made, centres = experiment(loss), 3 * torch.eye(CLASSES, CHANNELS)
    optimizer = torch.optim.Adam(made.net.parameters(), lr=0.1)
    errors = []
    for seed in range(60):
        batch = bags(size=6, seed=seed)
        batch["features"] += centres[batch["label"]]
        optimizer.zero_grad()
        value, values = made.step(batch, "train")
        value.backward()
        optimizer.step()
        errors.append(float(values["error"].mean()))
    assert sum(errors[:5]) / 5 > 0.5
    assert sum(errors[-20:]) / 20 < 0.15
