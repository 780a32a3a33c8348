"""Runs from configuration to record, in seconds."""

import pytest
import torch
from hydra.errors import InstantiationException

from combgrad.errors import IncompatibleError
from combgrad.experiments.rates import drops
from combgrad.results import load_records
from combgrad.runs.configuration import compose
from combgrad.runs.run import run


def smoke(root, *overrides):
    words = ["profile=smoke", f"paths.root={root}", "logger=none", "pictures=false", *overrides]
    return run(compose(words))


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return tmp_path_factory.mktemp("smoke")


@pytest.fixture(scope="module")
def record(root):
    return smoke(
        root, "experiment=tsp5", "margin=noise", "margin.alpha=0.2", "seed=3", "pictures=true"
    )


def test_the_record_says_everything(record, root):
    assert load_records(root / "results" / "own") == [record]
    assert record.name == "tsp5-identity-std-noise0.2-smoke-seed3"
    assert (record.profile, record.data_source, record.seed) == ("smoke", "regenerated", 3)
    assert record.choices["grad"] == "identity"
    assert record.config["margin"]["alpha"] == 0.2
    assert "experiment=tsp5" in record.command
    for stage in ("test", "last"):
        assert 0 <= record.metrics[f"{stage}/tour_accuracy"] <= 1
        assert record.metrics[f"{stage}/cost_ratio"] >= 1
    for name in ("train/loss", "val/edge_accuracy", "val/cost_norm"):
        assert len(record.curves[name]) == 2
    assert record.best_epoch in (0, 1)
    best = max(record.curves["val/edge_accuracy"])
    assert record.curves["val/edge_accuracy"][record.best_epoch] == best
    assert record.seconds["solver"] < record.seconds["train"]
    assert record.versions["torch"] == torch.__version__
    assert record.hardware["threads"] == 1


def test_the_folder_holds_config_checkpoints_and_pictures(record, root):
    (folder,) = (root / "outputs").iterdir()
    assert folder.name.startswith(record.name)
    names = {path.name for path in folder.iterdir()}
    assert {"config.yaml", "checkpoints", "tour.png", "learned_globe.png"} <= names
    for picture in ("tour.png", "learned_globe.png"):
        assert (folder / picture).read_bytes().startswith(b"\x89PNG")


def test_the_same_configuration_gives_the_same_numbers(record, tmp_path):
    again = smoke(tmp_path, "experiment=tsp5", "margin=noise", "margin.alpha=0.2", "seed=3")
    assert again.key == record.key
    assert again.metrics == record.metrics
    assert again.curves == record.curves


def test_resuming_a_finished_run_leaves_its_record_alone(record, root):
    words = ("experiment=tsp5", "margin=noise", "margin.alpha=0.2", "seed=3", "resume=true")
    assert smoke(root, *words) == record
    assert load_records(root / "results" / "own") == [record]


def test_a_pool_starts_with_the_true_solutions_and_is_part_of_the_checkpoint(tmp_path):
    found = smoke(tmp_path, "experiment=tsp5", "loss=contrastive_map", "loss.pool.ratio=0")
    assert found.config["loss"]["pool"]["ratio"] == 0
    losses = found.curves["train/loss"]
    assert losses[1] < losses[0]
    (path,) = (tmp_path / "outputs").glob("tsp5*/checkpoints/last.ckpt")
    known = torch.load(path, weights_only=True)["state_dict"]["_loss.pool._extra_state"]
    # No solver was asked, and of five cities there are twelve tours.
    assert known.shape == (12, 10)
    assert len(known.unique(dim=0)) == 12


def test_a_pool_of_the_solver_starts_with_the_true_solutions_too(tmp_path):
    words = ("solver.solver={_target_: combgrad.solvers.TSP}", "grad=blackbox", "grad.lam=1000")
    pool = "+solver.pool={_target_: combgrad.solvers.SolutionPool, ratio: 0}"
    found = smoke(tmp_path, "experiment=tsp5", "solver=cached", pool, *words)
    (path,) = (tmp_path / "outputs").glob("tsp5*/checkpoints/last.ckpt")
    known = torch.load(path, weights_only=True)["state_dict"]["layer.pool._extra_state"]
    assert known.shape == (12, 10)
    # All tours of five cities are known: the training is that by the solver.
    exact = smoke(tmp_path, "experiment=tsp5", *words[1:])
    assert found.curves["train/loss"] == pytest.approx(exact.curves["train/loss"])
    assert found.metrics["test/loss"] == pytest.approx(exact.metrics["test/loss"])


@pytest.mark.parametrize("solver", ["ranking", "spanning_tree"])
def test_a_solver_that_answers_with_no_tours_is_refused(tmp_path, solver):
    with pytest.raises((IncompatibleError, InstantiationException)) as caught:
        smoke(tmp_path, "experiment=tsp5", f"solver={solver}")
    assert "solver=gurobi_tsp" in str(caught.value)


def test_another_seed_gives_another_run(record, tmp_path):
    other = smoke(tmp_path, "experiment=tsp5", "margin=noise", "margin.alpha=0.2", "seed=4")
    assert other.key != record.key
    assert other.curves["train/loss"] != record.curves["train/loss"]


@pytest.mark.parametrize(
    "overrides",
    [
        ("experiment=tsp10", "grad=blackbox", "proj=none"),
        ("experiment=tsp5", "margin=informed", "margin.position=after", "proj=norm"),
        ("experiment=tsp5", "trainer=bf16"),
        ("experiment=tsp5", "corruption.gradient_sigma=0.25", "corruption.label_rho=0.5"),
        (
            "experiment=tsp5",
            "data.distance=great_circle",
            "loss=bilinear",
        ),
    ],
    ids=["tsp10-blackbox", "informed-after", "bf16", "corrupted", "great-circle-bilinear"],
)
def test_other_choices_run_too(tmp_path, overrides):
    found = smoke(tmp_path, *overrides)
    assert 0 <= found.metrics["test/edge_accuracy"] <= 1
    assert len(found.curves["train/loss"]) == 2


def test_training_reduces_the_loss(tmp_path):
    found = smoke(
        tmp_path, "experiment=tsp5", "trainer.max_epochs=10", "data.train_size=2000",
        "optimizer.lr=1e-3", "margin=noise", "margin.alpha=0.2",
    )  # fmt: skip
    curve = found.curves["train/loss"]
    assert sum(curve[-3:]) / 3 < 0.9 * curve[0]
    assert found.profile == "custom"


def test_learning_rate_drops_where_they_should():
    schedule = drops([0.9, 0.8], 0.1)
    factors = [schedule(epoch / 100) for epoch in (0, 79, 80, 89, 90, 99)]
    assert factors == pytest.approx([1, 1, 0.1, 0.1, 0.01, 0.01])
