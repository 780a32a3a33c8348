"""A run's identity: what counts, what does not, and that no committed number is orphaned."""

import functools
import json
import re
import runpy
import shlex
import shutil
import sys

import pytest
from omegaconf import OmegaConf

from combgrad.results import load_records
from combgrad.results.identity import WITHIN_A_CELL, identity, public_name, run_key, signature
from combgrad.results.migrations import FORMAT, STEPS, changes, migrated
from combgrad.runs.compositions import compose_many
from combgrad.runs.configuration import CONFIG_FOLDER, compose, compose_lazily, resolved, scientific

RESULTS = CONFIG_FOLDER.parent / "results"
COMMITTED = [*load_records(RESULTS / "runs"), *load_records(RESULTS / "times")]
WEIGHTS = "pytorch_lightning.callbacks.ModelCheckpoint"
EARLY_STOPPING = (
    "+callbacks.early._target_=pytorch_lightning.callbacks.EarlyStopping",
    "+callbacks.early.monitor=val/edge_accuracy",
)


def key(*words):
    return run_key(scientific(compose(["experiment=tsp5", *words])), "data")


@functools.cache
def open_configuration(*words):
    return compose_many(words)


def today(command):
    """The scientific configuration that a record's command means now."""
    words = shlex.split(command)[2:]
    seeds = [word for word in words if word.startswith("seed=")]
    # One composition serves all seeds, since what follows from the seed is interpolated.
    config = open_configuration(*(word for word in words if word not in seeds))
    config.seed = int(seeds[-1].removeprefix("seed=")) if seeds else 0
    return scientific(config)


@pytest.mark.parametrize("record", COMMITTED, ids=lambda record: record.file_name)
def test_the_command_of_a_committed_record_still_composes_to_its_identity(record):
    now = today(record.command)
    found = changes(identity(record.config), identity(now))
    assert not found, (
        f"{record.path}: in the record -> today: {'; '.join(found)}: a step of "
        f"results/migrations.py is due"
    )
    assert record.key == run_key(now, record.data_fingerprint)


def test_there_are_committed_records_of_the_first_format_and_none_is_lost():
    paths = [record.path for record in COMMITTED]
    assert len(paths) >= 151
    assert 1 in {json.loads(path.read_text())["format"] for path in paths}


def test_parts_count_by_name_and_numbers_by_value_in_any_order():
    old = {
        "solver": {"_target_": "combgrad.solvers.TSP"},
        "loss": {"_target_": "combgrad.losses.hamming", "_partial_": True},
        "corruption": {"label_rho": 0.0, "at": [1.0, 0.5]},
        "margin": {},
    }
    new = {
        "corruption": {"at": (1, 0.5), "label_rho": 0},
        "margin": None,
        "loss": {"_target_": "combgrad.losses.solution.hamming"},
        "solver": {"_target_": "combgrad.solvers.tsp.TSP"},
    }
    assert identity(old) == identity(new)
    assert run_key(old, "f") == run_key(new, "f")
    assert run_key(old, "f") != run_key(old, "g")
    other = {**new, "solver": {"_target_": "elsewhere.TSP"}}
    assert run_key(other, "f") != run_key(new, "f")
    assert run_key({"a": {"x": True}}, "f") != run_key({"a": {"x": 1}}, "f")
    assert identity({"a": {"x": 1e300, "y": 0.1}}) == {"a": {"x": 1e300, "y": 0.1}}


def test_how_a_number_is_written_does_not_count():
    assert key("corruption.label_rho=0") == key("corruption.label_rho=0.0") == key()
    assert key("optimizer.lr=1e-4") == key("optimizer.lr=0.0001") == key()
    assert key("optimizer.lr=1e-3") != key()


def test_no_two_parts_of_the_package_share_a_public_name():
    targets = set()
    for path in CONFIG_FOLDER.rglob("*.yaml"):
        for line in path.read_text(encoding="utf-8").splitlines():
            if "_target_: combgrad." in line:
                targets.add(line.split("_target_:")[1].split("#")[0].strip())
    assert len(targets) > 30
    assert len({public_name(target) for target in targets}) == len(targets)


def test_seed_and_source_do_not_count_for_the_cell_and_all_else_does():
    def cell(*words):
        return signature(scientific(compose(["experiment=tsp5", *words])))

    assert cell("seed=3") == cell("data.source=original") == cell()
    assert cell("data.seed=1") != cell()
    assert cell(*EARLY_STOPPING) != cell()


def test_whatever_follows_the_seed_does_not_count_for_the_cell():
    lines = re.compile(r"^(?P<indent> *)(?P<key>\w+): *(?P<value>[^#\n]*)", re.MULTILINE)
    found = set()
    for path in sorted(CONFIG_FOLDER.glob("*/*.yaml")):
        parents: list[tuple[int, str]] = [(-1, path.parent.name)]
        for line in lines.finditer(path.read_text(encoding="utf-8")):
            parents = [parent for parent in parents if parent[0] < len(line["indent"])]
            if line["value"].strip() == "${seed}":
                found.add((*(key for _, key in parents), line["key"]))
            parents.append((len(line["indent"]), line["key"]))
    assert ("data", "collection", "draw_seed") in found
    assert found <= set(WITHIN_A_CELL)


def test_callbacks_count_but_for_those_that_only_look_on():
    for neutral in (
        "callbacks.snapshots.at=[0.5]",
        "~callbacks.snapshots",
        "progress_bar=false",
        "callbacks.progress.bar=false",
        "paths.outputs=elsewhere",
        "monitor.metric=val/edge_accuracy",
    ):
        assert key(neutral) == key(), neutral
    counting = {
        key("monitor.metric=val/loss"),
        key("monitor.mode=min"),
        key(*EARLY_STOPPING),
        key(*EARLY_STOPPING, "+callbacks.early.patience=1"),
        key(
            "callbacks.progress._target_=pytorch_lightning.callbacks.RichProgressBar",
            "~callbacks.progress.metric",
            "~callbacks.progress.folder",
            "~callbacks.progress.bar",
        ),
        key(),
    }
    assert len(counting) == 6


def test_a_callback_may_name_the_runs_folder_and_the_key_stays_where_it_moves():
    mine = {"_target_": WEIGHTS, "dirpath": "${paths.output}/x"}
    keys = []
    for root in ("here", "elsewhere"):
        config = compose_lazily(["experiment=tsp5", f"paths.root={root}"])
        OmegaConf.set_struct(config, False)
        config.callbacks.mine = mine
        keys += [run_key(scientific(c), "data") for c in (config, resolved(config))]
        assert resolved(config).callbacks.mine.dirpath == f"{resolved(config).paths.output}/x"
    assert len(set(keys)) == 1
    assert keys[0] != key()


def test_every_format_so_far_can_be_read_and_none_of_the_future():
    fields = {"config": {"seed": 1}, "format": 1, "key": "old"}
    assert migrated(fields)["format"] == FORMAT == len(STEPS) + 1
    assert fields["format"] == 1
    assert migrated({**fields, "format": FORMAT}) == {**fields, "format": FORMAT}
    for wrong in (0, -1, True, "1", None, 1.0):
        with pytest.raises(ValueError, match="no format of a record"):
            migrated({"format": wrong})
    with pytest.raises(ValueError, match="update combgrad"):
        migrated({"format": FORMAT + 1})


@pytest.mark.parametrize(
    ("solver", "left"),
    [
        ({"_target_": "combgrad.solvers.TSP"}, False),
        ({"_target_": "combgrad.solvers.tsp.TSP", "threads": 2}, False),
        ({"_target_": "combgrad.solvers.GurobiTSP"}, True),
        ({"_target_": "combgrad.solvers.from_function"}, True),
        ({"_target_": "elsewhere.TSP"}, True),
        ({}, True),
        ("TSP", True),
    ],
)
def test_labels_of_the_exact_solver_are_those_of_today_and_no_others(solver, left):
    for number in (1, 2):
        data = {"cities": 5, "solver": solver}
        fields = migrated({"config": {"data": data}, "format": number})
        assert ("solver" in fields["config"]["data"]) == left
        assert fields["config"]["data"]["cities"] == 5
    for odd in (None, [], {"data": None}, {"data": ["solver"]}):
        assert migrated({"config": odd, "format": 2})["config"] == odd


def test_the_baseline_of_warcraft_was_an_option_of_its_task():
    places = (
        "combgrad.experiments.WarcraftExperiment",
        "combgrad.experiments.warcraft.WarcraftExperiment",
    )
    for place in places:
        for direct, expected in ((True, "WarcraftDirectExperiment"), (False, "WarcraftExperiment")):
            task = {"_target_": place, "direct": direct}
            for number in (1, 4):
                found = migrated({"config": {"task": task}, "format": number})["config"]["task"]
                assert public_name(found.pop("_target_")) == expected
                assert found == {}
    others = {"task": {"_target_": "elsewhere.Experiment", "direct": True}}
    assert migrated({"config": others, "format": 4})["config"] == others


def test_the_rate_of_a_trained_backbone_is_said_where_its_default_was_another():
    command = "python train.py experiment=cub2010_trained grad=identity"
    config = {"task": {"backbone_rate": 1e-4}}
    fields = {"experiment": "cub2010_trained", "config": config, "command": command, "format": 9}
    assert migrated(fields)["command"] == f"{command} task.backbone_rate=0.0001"
    for kept in ({"experiment": "cub2010"}, {"command": f"{command} task.backbone_rate=1e-5"}):
        assert migrated(fields | kept)["command"] == (fields | kept)["command"]


def test_flags_were_standardised_where_a_record_does_not_say_how():
    place = "combgrad.experiments.GlobeTSPExperiment"
    for given, expected in (({}, "standardised"), ({"pixels": "raw"}, "raw")):
        for number in (1, 6):
            task = {"_target_": place, **given}
            found = migrated({"config": {"task": task}, "format": number})["config"]["task"]
            assert found == {"_target_": place, "pixels": expected}
    others = {"task": {"_target_": "combgrad.experiments.DVAEExperiment"}}
    assert migrated({"config": others, "format": 6})["config"] == others


def test_the_script_rewrites_a_folder_and_says_what_it_changed(tmp_path, monkeypatch, capsys):
    committed = next(r for r in COMMITTED if json.loads(r.path.read_text())["format"] == 1)
    path = tmp_path / committed.path.name
    shutil.copy(committed.path, path)
    old = json.loads(path.read_text())
    (tmp_path / "broken.json").write_text("[")
    script = runpy.run_path(str(CONFIG_FOLDER.parent / "scripts" / "migrate_records.py"))
    for words, written in ((["--dry"], False), ([], True), ([], True)):
        monkeypatch.setattr(sys, "argv", ["migrate_records.py", str(tmp_path), *words])
        with pytest.raises(SystemExit) as ended:
            script["main"]()
        assert ended.value.code == 1
        assert (json.loads(path.read_text()) != old) == written
    first, second, third = capsys.readouterr().out.split("1 unreadable")[:3]
    assert f"{tmp_path / 'broken.json'} is no run record that can be read" in first
    assert f"{path.name}: format: 1 -> {FORMAT}" in first
    assert f"{path.name}: key:" in second
    assert "0 changed, 1 unchanged" in third
    new = json.loads(path.read_text())
    assert {k: v for k, v in new.items() if k not in ("key", "format")} == {
        k: v for k, v in old.items() if k not in ("key", "format")
    }
    assert new["key"] == committed.key
    assert (tmp_path / "broken.json").read_text() == "["
