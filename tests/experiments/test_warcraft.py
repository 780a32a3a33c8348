"""Warcraft: the step against formulas, the networks, and from configuration to record."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from combgrad.errors import IncompatibleError
from combgrad.experiments import (
    WarcraftDirectExperiment,
    WarcraftExperiment,
    warcraft,
    warcraft_maps,
)
from combgrad.experiments.warcraft_maps import TOLERANCE
from combgrad.gradients import Blackbox, GradientNoise, Identity
from combgrad.guards.torchvision import ensure_torchvision
from combgrad.layer import CombinatorialLayer
from combgrad.losses import BilinearHamming, Hamming
from combgrad.margins import NoiseMargin
from combgrad.metrics import is_cheapest, wrong_entries
from combgrad.networks import PathNet, TerrainNet
from combgrad.projections import Norm, Std
from combgrad.runs.configuration import compose
from combgrad.runs.run import run
from combgrad.solvers import Cached, ShortestPath, SolutionPool, SpanningTree, TopK

BATCH, K = 3, 4


class Given(nn.Module):
    """A network that answers with its parameters, whatever the map."""

    def __init__(self, answer):
        super().__init__()
        self.answer = nn.Parameter(answer)

    def forward(self, images):
        return self.answer[: len(images)]


def make(answer, gradient=None, direct=False):
    layer = CombinatorialLayer(ShortestPath(negative="clamp"), gradient or Identity())
    kind = WarcraftDirectExperiment if direct else WarcraftExperiment
    experiment = kind(
        net=Given(answer),
        layer=layer,
        optimizer=torch.optim.Adam,
        loss=None if direct else Hamming(),
    )
    statistics = {"channel_mean": torch.tensor([10.0, 20, 30]), "channel_std": torch.ones(3) * 5}
    columns = {"test": a_batch()}.__getitem__
    data = SimpleNamespace(columns=columns, **statistics)
    state = {"sanity_checking": False, "current_epoch": 0, "max_epochs": 1, "world_size": 1}
    experiment.trainer = SimpleNamespace(datamodule=data, **state)
    experiment.setup("fit")
    return experiment


def a_batch(seed=0):
    generator = torch.Generator().manual_seed(seed)
    costs = torch.rand(BATCH, K, K, generator=generator) + 0.5
    maps = torch.randint(0, 256, (BATCH, 8 * K, 8 * K, 3), dtype=torch.uint8, generator=generator)
    return {"maps": maps, "target": ShortestPath()(costs), "true_costs": costs}


@pytest.mark.parametrize("method", ["identity", "blackbox"])
def test_loss_and_gradient_equal_the_formulas(method):
    batch = a_batch()
    answer = torch.rand(BATCH, K, K, generator=torch.Generator().manual_seed(1)) + 0.1
    experiment = make(answer, Blackbox(20.0) if method == "blackbox" else Identity())
    loss, values = experiment.step(batch, "train")
    solver, target = ShortestPath(negative="clamp"), batch["target"]
    found = solver(answer)
    wrong = (found - target).abs().sum((1, 2))
    assert bool((wrong > 0).any())
    torch.testing.assert_close(values["wrong_cells"], wrong)
    assert float(loss.detach()) == pytest.approx(float(wrong.mean()))
    loss.backward()
    g = (found - target).sign() / BATCH
    expected = -g if method == "identity" else (solver(answer + 20 * g) - found) / 20
    torch.testing.assert_close(experiment.net.answer.grad, expected)


def test_images_are_standardised_with_the_statistics_of_the_training_maps():
    seen = []
    experiment = make(torch.rand(BATCH, K, K))
    experiment.net.register_forward_pre_hook(lambda module, given: seen.append(given[0]))
    maps = a_batch()["maps"]
    experiment.maps(experiment.net, maps)
    assert seen[0].shape == (BATCH, 3, 8 * K, 8 * K)
    assert float(seen[0][1, 2, 3, 4]) == pytest.approx((float(maps[1, 3, 4, 2]) - 30) / 5)


def test_metrics_of_the_true_costs_are_perfect():
    batch = a_batch()
    experiment = make(batch["true_costs"].clone())
    _, values = experiment.step(batch, "val")
    assert values["path_accuracy"].tolist() == [1.0] * BATCH
    assert values["cost_ratio"].tolist() == pytest.approx([1.0] * BATCH)
    assert values["wrong_cells"].tolist() == [0.0] * BATCH
    assert values["regret"].tolist() == [0.0] * BATCH
    assert experiment.epoch_metrics("val") == {"normalised_regret": 0}


def test_regret_is_what_the_path_costs_more_and_is_normalised_over_the_set():
    batch = a_batch()
    experiment = make(torch.rand(BATCH, K, K))
    paths, costs, best = (x.numpy() for x in (
        ShortestPath()(experiment.net.answer), batch["true_costs"], batch["target"]))  # fmt: skip
    _, values = experiment.step(batch, "test")
    lost = [(c * y).sum() - (c * b).sum() for c, y, b in zip(costs, paths, best, strict=True)]
    np.testing.assert_allclose(values["regret"].numpy(), lost, rtol=1e-5, atol=1e-5)
    found = float(experiment.epoch_metrics("test")["normalised_regret"])
    assert found == pytest.approx(sum(lost) / (costs * best).sum(), rel=1e-5)


def test_another_path_of_the_same_cost_is_as_good():
    costs = torch.ones(1, 2, 3)
    one = torch.tensor([[[1.0, 1, 0], [0, 0, 1]]])
    other = torch.tensor([[[1.0, 0, 0], [0, 1, 1]]])
    assert is_cheapest(one, other, costs).tolist() == [1.0]
    assert wrong_entries(one, other).tolist() == [2.0]
    assert is_cheapest(torch.ones(1, 2, 3), other, costs).tolist() == [0.0]


def test_an_answer_without_a_solver_counts_only_if_it_is_a_path():
    costs = torch.ones(4, 3, 3)
    diagonal = torch.eye(3)
    broken, detour, more = diagonal.clone(), torch.zeros(3, 3), diagonal.clone()
    broken[1, 1] = 0
    detour[[0, 1, 2, 2], [0, 0, 1, 2]] = 1
    more[0, 2] = 1
    answers = torch.stack([diagonal, broken, detour, more])
    experiment = make(20 * answers - 10, direct=True)
    maps = torch.zeros(4, 24, 24, 3, dtype=torch.uint8)
    batch = {"maps": maps, "target": diagonal.expand(4, 3, 3), "true_costs": costs}
    loss, values = experiment.step(batch, "test")
    # A cell too many does not part the corners.
    assert values["path_share"].tolist() == [1.0, 0.0, 1.0, 1.0]
    assert values["path_accuracy"].tolist() == [1.0, 0.0, 0.0, 0.0]
    assert values["wrong_cells"].tolist() == [0.0, 1.0, 3.0, 1.0]
    # A sure wrong cell costs 10 nats, a sure right one nearly none.
    assert float(loss.detach()) == pytest.approx((0 + 10 + 30 + 10) / 4, abs=0.01)


@pytest.mark.parametrize("solver", [TopK(1), SpanningTree(), ShortestPath(neighbours=4)])
def test_solvers_of_other_things_are_refused(solver):
    layer = CombinatorialLayer(solver, Identity())
    with pytest.raises(IncompatibleError, match=r"8 neighbours, which Warcraft needs\. Use"):
        WarcraftExperiment(net=nn.Identity(), layer=layer, optimizer=None, loss=Hamming())


def test_a_wrapped_solver_of_the_same_paths_is_welcome():
    layer = CombinatorialLayer(Cached(ShortestPath(negative="clamp")), Identity())
    parts = {"net": nn.Identity(), "layer": layer, "optimizer": None}
    assert WarcraftExperiment(loss=Hamming(), **parts).layer is layer
    assert WarcraftDirectExperiment(**parts).layer is layer


def test_the_trial_of_a_solver_with_a_pool_is_exact_and_leaves_the_pool_as_it_was():
    pool = SolutionPool(0.5)
    pool.add(torch.ones(1, 12, 12))
    layer = CombinatorialLayer(Cached(ShortestPath(), pool=pool), Identity())
    WarcraftExperiment(net=nn.Identity(), layer=layer, optimizer=None, loss=Hamming())
    assert pool.training
    assert pool.solutions.shape == (1, 12, 12)


def test_a_projection_that_changes_paths_is_refused():
    with pytest.raises(IncompatibleError):
        CombinatorialLayer(ShortestPath(), Identity(), Std())


@pytest.mark.parametrize(
    ("direct", "network", "parts", "match"),
    [
        (False, PathNet(4), {}, "PathNet is no network for this"),
        (True, TerrainNet(4), {}, "TerrainNet is no network for this"),
        (True, PathNet(4), {"projection": Norm()}, "would ignore the choice"),
        (True, PathNet(4), {"margin": NoiseMargin(0.2)}, "would ignore the choice"),
        (True, PathNet(4), {"gradient": Blackbox(20.0)}, "would ignore the choice"),
        (True, PathNet(4), {"gradient_noise": GradientNoise(0.1)}, "would ignore the choice"),
    ],
)
def test_choices_that_do_not_fit_the_baseline_are_refused(direct, network, parts, match):
    layer = CombinatorialLayer(ShortestPath(), parts.pop("gradient", Identity()), **parts)
    kind = WarcraftDirectExperiment if direct else WarcraftExperiment
    loss = None if direct else Hamming()
    with pytest.raises(IncompatibleError, match=match):
        kind(net=network, layer=layer, optimizer=None, loss=loss)


def test_a_network_for_other_maps_is_named():
    experiment = make(torch.rand(BATCH, K + 1, K + 1))
    with pytest.raises(IncompatibleError, match=r"for \(5, 5\) cells .* have \(4, 4\)"):
        experiment.step(a_batch(), "train")


def test_the_loss_is_a_choice():
    batch, answer = a_batch(), torch.rand(BATCH, K, K, generator=torch.Generator().manual_seed(1))
    experiment = make(answer)
    experiment._loss = BilinearHamming()
    experiment.step(batch, "train")[0].backward()
    torch.testing.assert_close(experiment.net.answer.grad, (2 * batch["target"] - 1) / BATCH)


def test_a_cheapest_path_is_one_at_costs_of_half_precision_too():
    tenths = torch.tensor([8, 12, 53, 77, 92])
    exact = tenths[torch.randint(5, (200, 12, 12), generator=torch.Generator().manual_seed(0))]
    half = (exact / 10).half().float()
    found, target = ShortestPath()(exact.double()).float(), ShortestPath()(half)
    assert not torch.equal(found, target)
    assert is_cheapest(found, target, half, TOLERANCE).tolist() == [1.0] * 200
    # A tenth more, the least there is, is still seen.
    worse = target.clone()
    worse[:, 0, 0] += 0.1 / half[:, 0, 0]
    assert is_cheapest(worse, target, half, TOLERANCE).tolist() == [0.0] * 200


@pytest.mark.parametrize("cells", [4, 12])
def test_the_networks_answer_for_every_cell(cells):
    images = torch.randn(2, 3, 8 * cells, 8 * cells)
    torch.manual_seed(0)
    net = TerrainNet(cells)
    costs = net(images)
    assert costs.shape == (2, cells, cells)
    assert bool((costs > 0).all())
    pooled = net.features(images).mean(dim=1)
    torch.testing.assert_close(costs, torch.log1p(torch.exp(pooled)))
    assert PathNet(cells)(images).shape == (2, cells, cells)


@pytest.mark.parametrize("network", [TerrainNet, PathNet])
def test_the_networks_answer_in_single_precision_under_autocast(network):
    images = torch.rand(2, 3, 32, 32)
    torch.manual_seed(0)
    net = network(4).eval()
    exact = net(images)
    with torch.autocast("cpu", torch.bfloat16):
        coarse = net(images)
    assert coarse.dtype == torch.float32
    assert not torch.equal(coarse, exact)
    torch.testing.assert_close(coarse, exact, rtol=0.05, atol=0.05)


def test_the_network_is_the_beginning_of_a_resnet18():
    net = TerrainNet(12).eval()
    whole = ensure_torchvision().models.resnet18(weights=None).eval()
    begun = ("conv1", "bn1", "relu", "maxpool", "layer1")
    for part, name in zip(net.features, begun, strict=False):
        getattr(whole, name).load_state_dict(part.state_dict())
    images = torch.randn(2, 3, 96, 96, generator=torch.Generator().manual_seed(0))
    features = whole.maxpool(whole.relu(whole.bn1(whole.conv1(images))))
    features = whole.layer1(features)
    assert features.shape == (2, 64, 24, 24)
    blocks = features.unflatten(2, (12, 2)).unflatten(4, (12, 2))
    expected = torch.log1p(torch.exp(blocks.amax((3, 5)).mean(1)))
    torch.testing.assert_close(net(images), expected, rtol=1e-4, atol=1e-4)
    count = sum(parameter.numel() for parameter in net.parameters())
    # conv1, bn1, and two blocks of two convolutions of 64 channels with their norms.
    assert count == 3 * 64 * 49 + 128 + 4 * (64 * 64 * 9 + 128)


def test_a_picture_of_before_the_training_is_of_nothing_later(monkeypatch):
    experiment = make(torch.rand(BATCH, K, K, generator=torch.Generator().manual_seed(1)))
    later = {2: torch.ones(BATCH, K, K), 4: torch.ones(BATCH, K, K)}
    monkeypatch.setattr(warcraft, "moments_of", lambda trainer: later)
    monkeypatch.setattr(warcraft_maps, "draw_maps", lambda *a, **more: "drawn")
    assert experiment.pictures(None) == {"maps": "drawn"}


def test_pictures_show_the_maps_paths_and_costs_before_and_after(monkeypatch):
    batch, shown = a_batch(), []
    experiment = make(torch.rand(BATCH, K, K, generator=torch.Generator().manual_seed(1)))
    before = torch.rand(BATCH, K, K, generator=torch.Generator().manual_seed(2))
    monkeypatch.setattr(warcraft, "moments_of", lambda trainer: {0: before, 3: None})
    monkeypatch.setattr(
        warcraft_maps, "draw_maps", lambda *a, **more: shown.append((a, more)) or "drawn"
    )
    assert experiment.pictures(None) == {"maps": "drawn", "maps_before": "drawn"}
    for (given, more), answer in zip(shown, (experiment.net.answer, before), strict=True):
        answer = answer.detach()
        found = ShortestPath()(answer)
        assert not torch.equal(found, batch["target"])
        expected = (batch["maps"], batch["target"], found, answer, batch["true_costs"])
        for array, tensor in zip(given, expected, strict=True):
            np.testing.assert_array_equal(array, tensor.numpy())
        assert more == {"predicted": "predicted costs"}


CHOICES = {
    "identity": ("pictures=true", "proj=norm"),
    "blackbox": ("grad=blackbox", "margin=noise", "margin.alpha=0.2"),
    "direct": ("experiment=warcraft12_direct", "pictures=true"),
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    root = tmp_path_factory.mktemp("warcraft")
    words = ["experiment=warcraft12", "profile=smoke", f"paths.root={root}", "logger=none"]
    found = {
        name: run(compose([*words, "pictures=false", *choices]))
        for name, choices in CHOICES.items()
    }
    return root, found


@pytest.mark.parametrize("name", ["identity", "blackbox"])
def test_a_run_makes_a_record(runs, name):
    record = runs[1][name]
    assert (record.profile, record.data_source) == ("smoke", "regenerated")
    assert record.metrics["test/cost_ratio"] >= 1
    assert record.metrics["last/column_cost_ratio"] > record.metrics["last/cost_ratio"]
    assert 0 <= record.metrics["last/path_accuracy"] <= 1
    assert 0 <= record.metrics["last/normalised_regret"] < record.metrics["last/regret"]
    assert record.choices["proj"] == ("norm" if name == "identity" else "none")


def test_the_baseline_makes_a_record_too(runs):
    metrics = runs[1]["direct"].metrics
    assert 0 <= metrics["test/path_accuracy"] <= metrics["test/path_share"] <= 1
    assert "test/cost_ratio" not in metrics


def test_mixed_precision_is_another_run(tmp_path):
    # Hardware without bfloat16 takes ten times as long for it.
    few = ["data.train_size=14", "data.eval_size=4", "pictures=false", "logger=none"]
    words = ["experiment=warcraft12", "profile=smoke", f"paths.root={tmp_path}", *few]
    full, mixed = (run(compose([*words, f"trainer={trainer}"])) for trainer in ("cpu", "bf16"))
    assert mixed.config["trainer"]["precision"] == "bf16-mixed"
    assert mixed.key != full.key
    assert mixed.metrics["last/cost_ratio"] >= 1
    one, other = (
        torch.load(path, weights_only=True)["state_dict"]
        for path in tmp_path.glob("outputs/*/checkpoints/last.ckpt")
    )
    assert all(weights.isfinite().all() for weights in [*one.values(), *other.values()])
    assert any(not torch.equal(weights, other[name]) for name, weights in one.items())


def test_a_run_shows_maps_before_and_after(runs):
    names = {path.name for path in runs[0].glob("outputs/warcraft12-identity-*/*.png")}
    assert names == {"maps.png", "maps_before.png"}


def test_the_paper_protocol():
    config = compose(["experiment=warcraft30", "profile=paper", "grad=blackbox"])
    assert (config.trainer.max_epochs, config.data.batch_size, config.data.cells) == (50, 70, 30)
    assert (config.optimizer.lr, config.schedule.at) == (5e-3, [0.6])
    assert config.grad.lam == 20.0
    assert config.solver.negative == "clamp"


def test_the_protocol_of_the_original_is_a_choice():
    words = ["experiment=warcraft30", "profile=paper", "tuned=warcraft_original"]
    identity = compose(words)
    blackbox = compose([*words[:2], "grad=blackbox", f"{words[2]}_blackbox"])
    for config in (identity, blackbox):
        assert (config.optimizer.lr, config.schedule.at) == (5e-4, [0.6, 0.8])
    assert "lam" not in identity.grad
    assert identity.loss._target_ == "combgrad.losses.Hamming"
    assert blackbox.loss._target_ == "combgrad.losses.BilinearHamming"
    assert blackbox.grad.lam == 20.0
