"""The W&B dashboard of a plan: what it shows, and the specification that would be sent."""

import json
import sys
from collections import defaultdict
from types import SimpleNamespace

import pytest
import yaml

from combgrad.plans.dashboard import Panel, outline
from combgrad.plans.grids import KINDS, Plan, load_plans, names
from combgrad.results.identity import signature
from combgrad.results.store import load_records
from combgrad.runs.configuration import CONFIG_FOLDER, compose
from combgrad.runs.loggers import describe, logged_name
from exit_status import status_of
from loading import loaded

DATA = SimpleNamespace(source="regenerated", data_fingerprint="f")


@pytest.fixture(scope="module")
def script():
    return loaded(CONFIG_FOLDER.parent / "scripts" / "wandb_dashboard.py")


@pytest.fixture
def command(script, monkeypatch, capsys):
    """Run the script with some words: (exit status, standard output, standard error)."""

    def call(*words):
        monkeypatch.setattr(sys, "argv", ["wandb_dashboard.py", *words])
        status = status_of(script.main)
        return status, *capsys.readouterr()

    return call


PLAN = Plan(
    name="figure9x",
    title="made up",
    profile="reduced",
    seeds=4,
    points=(
        {"experiment": "tsp5", "grad": "identity", "corruption.label_rho": 0.0},
        {"experiment": "tsp10", "grad": "identity"},
        {"experiment": "tsp5", "grad": "blackbox", "grad.lam": 5.0},
    ),
    layout={
        "metrics": [
            {"name": "test/recall", "label": "recall"},
            {"name": "seconds.solver", "label": "solver"},
            {"name": "train/loss"},
        ],
        "labels": {"experiment": {"tsp5": "Five cities"}},
        "notes": ["A note."],
    },
)


def test_an_outline_follows_its_plan():
    found = outline(PLAN)
    assert (found.title, found.group) == ("Figure 9x: made up", "figure9x")
    assert found.profile == "reduced"
    assert "4 seeds" in found.notes[0]
    assert "python train.py -m figure=9x profile=reduced logger=wandb" in found.notes[1]
    assert found.notes[2] == "A note."
    five, ten = found.sections
    assert (five.title, five.experiment) == ("Five cities", "tsp5")
    assert (ten.title, ten.experiment) == ("tsp10", "tsp10")
    own = ("choices.grad", "corruption.label_rho", "grad.lam")
    assert five.keys == (*own, "data_source", "data_fingerprint", "cell")
    assert ten.keys == ("choices.grad", "data_source", "data_fingerprint", "cell")
    assert five.panels == (
        Panel("bar", "test/recall", "recall (test/recall)"),
        Panel("line", "val/recall", "recall, validation"),
        Panel("bar", "seconds/solver", "solver (seconds/solver)"),
        Panel("line", "train/loss", "train/loss"),
        Panel("line", "train/cost_norm", "train/cost_norm"),
        Panel("bar", "seconds/train", "seconds/train"),
    )


def test_another_profile_and_any_group():
    found = outline(PLAN, profile="paper", any_group=True)
    assert (found.profile, found.group) == ("paper", None)
    assert "profile=paper" in found.notes[1]
    assert found.notes[0].startswith("Runs of any group")


@pytest.mark.parametrize("kind", KINDS)
def test_every_plan_has_a_dashboard_with_its_metrics(kind):
    plans = [plan for name in names(kind) for plan in load_plans(kind, name)]
    assert plans
    for plan in plans:
        for section in outline(plan).sections:
            shown = {panel.metric for panel in section.panels}
            for metric in plan.layout["metrics"]:
                assert metric["name"].replace("seconds.", "seconds/") in shown, plan.name


def logged(*overrides):
    return describe(compose(["experiment=tsp5", "margin=noise", *overrides]), DATA)


def test_a_run_logs_what_the_dashboard_looks_for():
    (plan,) = load_plans("table", "6")
    description = logged("margin.alpha=0.2", "profile=paper")
    for key in (*outline(plan).sections[0].keys, "choices.experiment", "profile"):
        value = description
        for name in key.split("."):
            value = value[name]
        assert value not in (None, "", {}), key
    assert description["profile"] == "paper"
    assert description["choices"]["experiment"] == "tsp5"


def test_a_cell_is_what_seeds_share():
    first, second = logged("margin.alpha=0.2"), logged("margin.alpha=0.2", "seed=7")
    assert first["cell"] == second["cell"]
    assert first["cell"] != logged("margin.alpha=0.1")["cell"]
    added = {"cell", "choices", "profile", "data_source", "data_fingerprint", "commit"}
    own = {key: value for key, value in first.items() if key not in added}
    assert signature(own).startswith(first["cell"])


def grids(text):
    return [block for block in json.loads(text)["spec"]["blocks"] if block["type"] == "panel-grid"]


def filters_of(grid):
    (runs,) = grid["metadata"]["runSets"]
    leaves = runs["filters"]["filters"]
    assert all(leaf.get("connector", "AND") == "AND" and leaf["op"] == "=" for leaf in leaves)
    return {(leaf["key"]["section"], leaf["key"]["name"]): leaf["value"] for leaf in leaves}


def test_the_printed_specification(command):
    pytest.importorskip("wandb_workspaces")
    status, text, _ = command("6", "--print", "--entity", "me", "--project", "mine")
    assert status == 0
    assert json.loads(text)["project"] == {"name": "mine", "entityName": "me"}
    table = yaml.safe_load((CONFIG_FOLDER / "table" / "table6.yaml").read_text())
    experiments = table["grids"][0]["experiment"]
    assert len(grids(text)) == len(experiments) == 3
    for grid, experiment in zip(grids(text), experiments, strict=True):
        assert filters_of(grid) == {
            ("run", "group"): "table6",
            ("config", "profile.value"): table["profile"],
            ("config", "choices.value.experiment"): experiment,
        }
        (runs,) = grid["metadata"]["runSets"]
        assert [key["name"] for key in runs["grouping"]] == [
            "choices.value.grad",
            "choices.value.proj",
            "choices.value.margin",
            "margin.value.alpha",
            "data_source.value",
            "data_fingerprint.value",
            "cell.value",
        ]
        panels = grid["metadata"]["panelBankSectionConfig"]["panels"]
        assert [(p["viewType"], *p["config"]["metrics"]) for p in panels] == [
            ("Bar Chart", table["metrics"][0]["name"]),
            ("Run History Line Plot", "val/edge_accuracy"),
            ("Run History Line Plot", "train/loss"),
            ("Run History Line Plot", "train/cost_norm"),
            ("Bar Chart", "seconds/train"),
            ("Bar Chart", "seconds/solver"),
        ]
        lines = [p["config"] for p in panels if p["viewType"] == "Run History Line Plot"]
        assert {line["xAxis"] for line in lines} == {"epoch"}
        for panel in panels:
            config = panel["config"]
            assert (config["groupAgg"], config["groupArea"]) == ("mean", "stddev")
            assert config["limit"] >= len(load_plans("table", "5")[0].points)


def test_any_group_leaves_only_the_group_out(command):
    pytest.importorskip("wandb_workspaces")
    _, text, _ = command("table6", "--print", "--any-group", "--profile", "reduced")
    for grid in grids(text):
        found = filters_of(grid)
        assert ("run", "group") not in found
        assert found["config", "profile.value"] == "reduced"


def test_a_profile_that_is_none_is_refused_with_those_there_are(command):
    status, _, told = command("6", "--print", "--profile", "papr")
    assert status == 2
    assert "invalid choice: 'papr'" in told
    for name in ("custom", "paper", "reduced", "smoke"):
        assert name in told.partition("invalid choice")[2]


def test_figures_have_dashboards_too(command):
    pytest.importorskip("wandb_workspaces")
    _, text, _ = command("figure4a", "--print")
    (grid,) = grids(text)
    assert filters_of(grid)["run", "group"] == "figure4a"


def test_what_is_missing_is_named_with_its_remedy(command, monkeypatch):
    status, _, told = command("6")
    assert (status, "--entity" in told) == (2, True)
    status, _, told = command("66", "--print")
    assert (status, "no table '66'" in told) == (2, True)
    wandb = pytest.importorskip("wandb")
    pytest.importorskip("wandb_workspaces")

    def no_key(*_, **__):
        raise wandb.errors.UsageError("No API key configured.")

    monkeypatch.setattr(wandb, "Api", no_key)
    status, _, told = command("6", "--entity", "me")
    assert status == 2
    assert "No API key configured" in told
    assert "wandb login" in told
    monkeypatch.setattr(wandb, "Api", lambda *_, **__: (_ for _ in ()).throw(OSError("no route")))
    status, _, told = command("6", "--entity", "me")
    assert status == 2
    assert "OSError: no route" in told
    assert "--project" in told


def test_without_the_package_the_extra_is_named(command, monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb_workspaces.reports", None)
    status, _, told = command("6", "--print")
    assert status == 2
    assert ".[dashboard]" in told


def test_every_panel_shows_what_the_committed_runs_have_logged():
    logged_by = defaultdict(set)
    for record in load_records(CONFIG_FOLDER.parent / "results" / "runs"):
        numbers = (*(f"seconds.{name}" for name in record.seconds), *record.summarised)
        logged_by[record.experiment] |= {*record.curves, *record.metrics, "best_epoch"}
        logged_by[record.experiment] |= set(map(logged_name, numbers))
    plans = [plan for kind in KINDS for name in names(kind) for plan in load_plans(kind, name)]
    sections = [section for plan in plans for section in outline(plan).sections]
    run = [section for section in sections if section.experiment in logged_by]
    assert len(run) > 20
    for section in run:
        # Networks that answer with scores have no norm of costs.
        shown = {panel.metric for panel in section.panels} - {"train/cost_norm"}
        assert shown <= logged_by[section.experiment], section.experiment
