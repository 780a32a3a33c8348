"""Every configuration composes, means what it says, and refuses what makes no sense."""

from pathlib import Path

import pytest
from hydra.errors import ConfigCompositionException, MissingConfigException
from hydra.utils import instantiate

from combgrad.errors import IncompatibleError
from combgrad.plans.grids import load_plans, names
from combgrad.runs.checks.unknown_keys import valid_keys
from combgrad.runs.configuration import (
    CONFIG_FOLDER,
    compose,
    compose_lazily,
    profile_names,
    resolved,
    run_folder,
    run_name,
    scientific,
)
from combgrad.runs.explanations import explain
from combgrad.runs.parts import build_layer
from combgrad.runs.places import NoConfigurationsError
from parts import complete, missing, options, swapped, words

EXPERIMENTS = options("experiment")
PROFILES = ["paper", "reduced", "smoke"]


@pytest.mark.parametrize("profile", PROFILES)
def test_a_profile_is_a_name(profile):
    assert compose([f"profile={profile}"]).profile == {"name": profile}


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_every_experiment_composes_in_every_profile(experiment):
    base = compose_lazily([f"experiment={experiment}"])
    for profile in PROFILES:
        base.profile.name = profile
        config = resolved(base)
        assert config.trainer.max_epochs == config.budget[profile].epochs
        assert config.data.train_size == config.budget[profile].train_size
        assert run_name(config).split("-")[0] == experiment


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_every_experiment_opens_with_command_metric_time_and_cell(experiment):
    lines = (CONFIG_FOLDER / "experiment" / f"{experiment}.yaml").read_text().splitlines()
    assert lines[0] == "# @package _global_"
    for line, word in zip(
        lines[1:5], ["# python", "# Expect:", "# Time:", "# Feeds:"], strict=True
    ):
        assert line.startswith(word)


def test_choices_on_the_command_line_beat_the_experiment():
    assert "Std" in compose(["experiment=tsp5"]).proj._target_
    config = compose(["experiment=tsp5", "grad=blackbox", "proj=none", "margin=noise"])
    assert config.choices.proj == "none"
    assert not config.proj
    assert config.grad.lam == 20.0
    assert config.margin.until == 0.5
    assert compose(["grad=blackbox", "grad.lam=5"]).grad.lam == 5


def test_paper_protocol_of_globe_tsp():
    config = compose(["experiment=tsp20", "profile=paper", "margin=noise", "margin.alpha=0.2"])
    assert (config.trainer.max_epochs, config.data.batch_size, config.data.cities) == (100, 50, 20)
    assert (config.data.train_size, config.data.eval_size) == (10_000, 1_000)
    assert config.optimizer.lr == 1e-4
    assert config.margin.distribution == "two_point"
    assert config.margin.position == "before"
    assert config.choices.solver == "tsp"
    assert config.task.distance == config.data.distance == "chord"


@pytest.mark.parametrize("trainer", options("trainer"))
@pytest.mark.parametrize("logger", options("logger"))
def test_every_trainer_and_logger_composes(trainer, logger):
    config = compose([f"trainer={trainer}", f"logger={logger}"])
    assert config.choices.trainer == trainer
    assert bool(config.logger) == (logger != "none")


BACKENDS = {"gurobi_tsp": "gurobipy", "ilp": "highspy"}

#: The groups whose options are parts of the layer, and the loss.
GROUPS = ("solver", "grad", "proj", "margin", "loss")
PARTS = [(group, option) for group in GROUPS for option in options(group)]


@pytest.mark.parametrize(("group", "option"), PARTS)
def test_every_part_is_complete_or_has_a_row_that_completes_it(group, option):
    left = ", ".join(missing(group, option))
    assert not left, f"configs/{group}/{option}.yaml leaves {left} open: give it a row in parts.py"


@pytest.mark.parametrize("solver", complete("solver"))
def test_every_layer_of_the_groups_can_be_built_or_is_refused(solver):
    if solver in BACKENDS:
        pytest.importorskip(BACKENDS[solver])
    base = compose_lazily([*words("solver", solver), "proj=none", "grad=blackbox"])
    traits = instantiate(base.solver).traits
    for proj in sorted(set(complete("proj")) - {"plane"}):
        config = resolved(swapped(base, "proj", proj))
        needs = instantiate(config.proj).requires if config.proj else frozenset()
        if needs <= traits:
            assert (build_layer(config).projection is None) == (proj == "none")
        else:
            with pytest.raises(IncompatibleError, match="use projection none"):
                build_layer(config)


def test_the_key_follows_science_and_ignores_the_rest():
    base = scientific(compose(["experiment=tsp5"]))
    for neutral in (
        "logger=none",
        "paths.outputs=elsewhere",
        "trainer=cpu",
        "resume=true",
        "pictures=false",
    ):
        assert scientific(compose(["experiment=tsp5", neutral])) == base, neutral
    for change in (
        "seed=1",
        "proj=mean",
        "grad=blackbox",
        "data.distance=great_circle",
        "optimizer.lr=1e-3",
        "corruption.label_rho=0.5",
        "trainer.max_epochs=3",
        "margin=noise",
        "model.hidden=10",
        "solver=gurobi_tsp",
        "profile=paper",
    ):
        assert scientific(compose(["experiment=tsp5", change])) != base, change


def test_a_run_whose_sizes_were_overridden_is_not_called_by_its_profile():
    assert "-paper-" in run_name(compose(["profile=paper"]))
    for change in ("trainer.max_epochs=3", "data.train_size=10", "budget.paper.epochs=1"):
        config = compose(["profile=paper", change])
        assert "-custom-" in run_name(config), change
        assert "-paper-" not in run_folder(config)


def test_unknown_options_and_keys_name_the_valid_ones():
    with pytest.raises(MissingConfigException) as caught:
        compose(["grad=banana"])
    assert "blackbox" in explain(caught.value, ["grad=banana"])
    wrong = ["grad=blackbox", "grad.lamda=3"]
    with pytest.raises(ConfigCompositionException) as error:
        compose(wrong)
    message = explain(error.value, wrong)
    assert "'grad' (grad=blackbox) has lam" in message
    assert "Did you mean grad.lam?" in message
    assert "Did you mean seed?" in valid_keys("sed", ["sed=1"])
    assert "Did you mean experiment?" in valid_keys("expriment", ["expriment=tsp5"])


def test_a_plane_that_does_not_fit_is_refused_in_the_layer():
    config = compose(["proj=plane", "proj.a=[1,2,3,4,5,6,7,8,9,10]"])
    with pytest.raises(IncompatibleError, match="normal"):
        build_layer(config)


def test_nothing_in_the_configs_names_a_machine():
    for path in Path(CONFIG_FOLDER).rglob("*.yaml"):
        assert "/home/" not in path.read_text(), path
        assert "/root/" not in path.read_text(), path


def test_an_installation_without_configurations_says_what_is_missing(tmp_path):
    for call in (
        lambda: compose(folder=tmp_path),
        lambda: names("table", tmp_path),
        lambda: load_plans("figure", "4", tmp_path),
        lambda: profile_names(tmp_path),
    ):
        with pytest.raises(NoConfigurationsError, match="come with the repository") as caught:
            call()
        assert "\n" not in str(caught.value)


def test_an_option_takes_the_place_of_what_the_experiment_sets_itself():
    assert "eps" not in compose(["experiment=tsp5"]).optimizer
    config = compose(["experiment=tsp5", "+optimizer=adam"])
    assert (config.optimizer.eps, config.optimizer.lr) == (1e-7, 1e-3)
