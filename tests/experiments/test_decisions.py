"""Predict, then optimise: runs with every kind of loss, their metrics by formula, and refusals."""

import math

import pytest
import torch

from combgrad import metrics
from combgrad.data.decisions.datamodule import Decisions
from combgrad.data.decisions.polynomial import ShortestPaths
from combgrad.errors import IncompatibleError
from combgrad.experiments import DecisionsDirectExperiment, DecisionsExperiment
from combgrad.gradients import Blackbox, Identity
from combgrad.guards.lightning import pl
from combgrad.layer import CombinatorialLayer
from combgrad.losses import CostMSE, Hamming, SPOPlus
from combgrad.networks import CostPredictor
from combgrad.runs.configuration import compose, scientific
from combgrad.runs.run import run
from combgrad.solvers import GraphShortestPath, TopK

GRID = (3, 3)
PATHS = ShortestPaths(deg=4, noise_width=0.5, grid=GRID)


def smoke(root, *overrides):
    words = ["profile=smoke", f"paths.root={root}", "logger=none", "pictures=false", *overrides]
    return run(compose(["experiment=pto_shortest_path", *words]))


def data_of(collection=PATHS):
    made = Decisions(collection, train_size=40, eval_size=20, batch_size=10)
    made.setup()
    return made


def made(loss=None, net=None, solver=None, gradient=None, **parts):
    layer = CombinatorialLayer(solver or PATHS.solver(), gradient or Identity())
    return DecisionsExperiment(
        net=net or CostPredictor(5, 12),
        layer=layer,
        loss=loss or SPOPlus(),
        optimizer=lambda groups: torch.optim.Adam(groups, lr=0.01),
        **parts,
    )


CHOICES = [
    "loss=spo_plus",
    "loss=cost_mse",
    "loss=perturbation_gradient",
    "loss=fenchel_young loss.samples=2",
    "loss=frank_wolfe_fenchel_young",
    "loss=noise_contrastive",
    "loss=contrastive_map",
    "loss=pointwise_ranking",
    "loss=pairwise_ranking",
    "loss=listwise_ranking",
    "loss=structured_perceptron margin=informed",
    "loss=score_function",
    "loss=optimal_value",
    "loss=solution_cost",
    "loss=regret",
    "loss=hamming grad=identity proj=norm margin=noise",
    "loss=bilinear grad=blackbox",
    "loss=hamming grad=imle",
    "loss=hamming grad=perturbed",
    "loss=hamming grad=frank_wolfe",
    "model=mlp_costs",
]


@pytest.mark.parametrize("choice", CHOICES)
def test_every_kind_of_loss_and_method_trains(choice, tmp_path):
    found = smoke(tmp_path, *choice.split(), "data.train_size=20", "data.eval_size=10")
    assert found.data_source == "regenerated"
    for stage in ("test", "last"):
        values = {name.partition("/")[2]: v for name, v in found.metrics.items() if stage in name}
        assert 0 <= values["regret"] <= values["unambiguous_regret"] + 1e-5
        assert 0 <= values["optimal"] <= 1
        assert all(map(math.isfinite, values.values()))
    assert len(found.curves["val/normalised_regret"]) == 2
    assert "val/unambiguous_regret" not in found.curves


def test_training_lowers_the_regret_below_that_of_two_stages(tmp_path):
    """Degree 6 is far from linear, so that the loss of the decision is worth it."""
    words = ("data.collection.deg=6", "data.collection.draw_seed=3", "data.train_size=200",
             "data.eval_size=200", "trainer.max_epochs=20")  # fmt: skip
    decided = smoke(tmp_path, "loss=spo_plus", *words)
    predicted = smoke(tmp_path, "loss=cost_mse", *words)
    curve = decided.curves["val/normalised_regret"]
    assert curve[-1] < 0.5 * curve[0]
    assert decided.metrics["test/normalised_regret"] < predicted.metrics["test/normalised_regret"]
    assert decided.metrics["test/cost_mse"] > predicted.metrics["test/cost_mse"]


def measured(experiment, data):
    trainer = pl.Trainer(
        logger=False, enable_checkpointing=False, enable_progress_bar=False, accelerator="cpu",
        enable_model_summary=False, max_epochs=1,
    )  # fmt: skip
    trainer.test(experiment, data, verbose=False)
    return {name: float(value) for name, value in trainer.callback_metrics.items()}


def test_the_metrics_of_a_whole_set_are_their_formulas_in_a_plain_loop():
    torch.manual_seed(0)
    data, experiment = data_of(), made()
    data.eval_batch_size, data.batch_size = 7, 7
    found = measured(experiment, data)
    columns, solver = data.columns("test"), PATHS.solver()
    costs = experiment.net(columns["features"]).detach()
    lost, best, errors, right = [], [], [], []
    for w, c, target in zip(costs, columns["true_costs"], columns["target"], strict=True):
        decided = solver(w[None])[0]
        lost.append(float(c @ decided - c @ target))
        best.append(float(c @ target))
        errors.append(float(((w - c) ** 2).mean()))
        right.append(lost[-1] < 1e-5 * best[-1])
    assert found["test/regret"] == pytest.approx(sum(lost) / 20, rel=1e-5)
    assert found["test/normalised_regret"] == pytest.approx(sum(lost) / sum(best), rel=1e-5)
    assert found["test/cost_mse"] == pytest.approx(sum(errors) / 20, rel=1e-5)
    assert found["test/optimal"] == pytest.approx(sum(right) / 20)
    assert found["test/normalised_regret"] == pytest.approx(
        float(metrics.normalised_regret(solver(costs), columns["target"], columns["true_costs"])),
        rel=1e-5,
    )


def test_costs_that_tell_nothing_apart_have_the_regret_of_the_dearest_way():
    net = CostPredictor(5, 12)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.zero_()
        net.layers[0].bias.fill_(2.5)
    data = data_of()
    found = measured(made(net=net), data)
    columns = data.columns("test")
    dearest = PATHS.solver()(-columns["true_costs"])
    worst = metrics.regret(dearest, columns["target"], columns["true_costs"]).mean()
    assert found["test/unambiguous_regret"] == pytest.approx(float(worst), rel=1e-5)
    assert found["test/regret"] < found["test/unambiguous_regret"]


def test_ties_do_not_depend_on_the_unit_of_the_predicted_costs():
    torch.manual_seed(0)
    data, large = data_of(), CostPredictor(5, 12)
    small = CostPredictor(5, 12)
    small.load_state_dict({name: 2.0**-30 * value for name, value in large.state_dict().items()})
    found = [measured(made(net=net), data)["test/unambiguous_regret"] for net in (large, small)]
    assert found[0] == found[1]


def test_two_runs_of_a_cell_differ_in_their_instances_and_share_a_signature(tmp_path):
    first, second = (smoke(tmp_path, f"seed={seed}", "data.train_size=20") for seed in (0, 1))
    assert first.config["data"]["collection"]["draw_seed"] == 0
    assert first.data_fingerprint == second.data_fingerprint
    assert first.signature == second.signature
    assert first.key != second.key
    other = smoke(tmp_path, "data.collection.deg=2", "data.train_size=20")
    assert other.signature != first.signature


def test_the_solver_and_the_network_follow_the_data():
    config = compose(["experiment=pto_shortest_path", "data.collection.grid=[3,4]"])
    assert config.solver.collection == config.model.collection == config.data.collection
    chosen = scientific(config)
    assert "collection" not in chosen["solver"]
    assert "collection" not in chosen["model"]
    assert chosen["data"]["collection"]["grid"] == [3, 4]


def test_a_solver_of_another_problem_is_refused():
    backwards = GraphShortestPath(PATHS.graph.edges[:, ::-1], 9, 8, 4, directed=True)
    for solver in (backwards, TopK(4), TopK(20)):
        with pytest.raises(IncompatibleError, match=r"does not solve the problem of these data"):
            made(solver=solver).prepare(data_of())


def test_a_network_of_another_size_is_refused():
    data = data_of()
    rows = {name: column[:2] for name, column in data.columns("train").items()}
    with pytest.raises(IncompatibleError, match=r"predicts costs of shape \(2, 11\)"):
        made(net=CostPredictor(5, 11)).step(rows, "train")


def test_data_whose_best_decisions_cost_nothing_are_refused_before_the_training():
    data = data_of()
    data.columns("val")["true_costs"].zero_()
    with pytest.raises(ValueError, match=r"the true solutions of all 20 instances cost 0"):
        made().prepare(data)


def test_a_method_that_nothing_asks_is_refused():
    with pytest.raises(IncompatibleError, match=r"CostMSE is a loss of the costs"):
        made(loss=CostMSE(), gradient=Blackbox(10.0))
    made(loss=Hamming(), gradient=Blackbox(10.0))
    with pytest.raises(IncompatibleError, match=r"has no loss of its own"):
        DecisionsExperiment(
            net=CostPredictor(5, 12),
            layer=CombinatorialLayer(PATHS.solver(), Identity()),
            optimizer=torch.optim.Adam,
        )


def test_a_run_cut_off_goes_on_as_if_it_had_not_been(check_resuming):
    check_resuming(DecisionsExperiment, smoke, "trainer.max_epochs=4", "data.train_size=20")


def test_the_training_counts_what_the_solver_is_asked_for(tmp_path):
    """Once by SPO+, twice by Blackbox with its backward pass, never for costs alone."""
    words = ("data.train_size=20", "data.eval_size=10")
    for choice, asked in (
        ("loss=spo_plus", 1),
        ("loss=cost_mse", 0),
        ("loss=hamming grad=blackbox", 2),
        ("loss=perturbation_gradient", 2),
        ("loss=fenchel_young loss.samples=3", 3),
    ):
        found = smoke(tmp_path, *choice.split(), *words)
        assert found.curves["train/solves"] == [asked, asked], choice


def test_pictures_are_drawn_of_costs_and_of_ways_alone(tmp_path):
    smoke(tmp_path, "data.train_size=20", "data.eval_size=10", "pictures=true")
    (folder,) = (tmp_path / "outputs").iterdir()
    assert {"costs.png", "decisions.png"} <= {path.name for path in folder.iterdir()}


class Means(torch.nn.Module):
    """Predicts the mean costs of what it was fitted to."""

    fitted = False

    def __init__(self):
        super().__init__()
        self.offset = torch.nn.Parameter(torch.zeros(12))

    def fit(self, features, costs):
        self.fitted, self.mean = True, costs.mean(dim=0)

    def forward(self, features):
        return (self.mean + self.offset).expand(len(features), -1)


def direct(net, **parts):
    layer = CombinatorialLayer(PATHS.solver(), parts.pop("gradient", Identity()))
    return DecisionsDirectExperiment(net=net, layer=layer, optimizer=torch.optim.SGD, **parts)


def test_a_network_fitted_in_one_go_is_measured_by_its_decisions():
    data, experiment = data_of(), direct(Means())
    found = measured(experiment, data)
    train, test = data.columns("train"), data.columns("test")
    costs = train["true_costs"].mean(dim=0).expand(20, -1)
    decided = PATHS.solver()(costs)
    expected = metrics.normalised_regret(decided, test["target"], test["true_costs"])
    assert found["test/normalised_regret"] == pytest.approx(float(expected), rel=1e-5)
    errors = (costs - test["true_costs"]).square().mean()
    assert found["test/loss"] == pytest.approx(float(errors), rel=1e-5)


def test_the_baseline_refuses_what_it_would_ignore():
    with pytest.raises(IncompatibleError, match=r"choose model=boosted_trees"):
        direct(CostPredictor(5, 12))
    with pytest.raises(IncompatibleError, match=r"a network fitted in one go has no gradient"):
        direct(Means(), gradient=Blackbox(10.0))
    with pytest.raises(IncompatibleError, match=r"has a loss of its own"):
        direct(Means(), loss=SPOPlus())


def test_boosted_trees_are_a_run_of_their_own(tmp_path):
    pytest.importorskip("sklearn", reason="scikit-learn is not installed")
    words = ("experiment=pto_shortest_path_direct", "model.iterations=5", "data.train_size=60",
             "data.eval_size=20")  # fmt: skip
    found, again = (smoke(tmp_path / name, *words) for name in ("a", "b"))
    assert found.metrics == again.metrics
    assert found.curves["train/solves"] == [0]
    assert 0 < found.metrics["test/normalised_regret"] < 1
