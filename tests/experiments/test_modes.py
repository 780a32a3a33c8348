"""What a run does beside training for a record: testing a checkpoint, and debug options."""

import dataclasses
import shutil
from pathlib import Path

import pytest
import torch

from combgrad.experiments import GlobeTSPExperiment
from combgrad.experiments.checkpoints import read
from combgrad.results import load_records
from combgrad.runs.configuration import compose, run_folder, scientific
from combgrad.runs.evaluation import CheckpointError, evaluate_checkpoint
from combgrad.runs.run import run
from combgrad.runs.terminal import print_debugged, print_evaluation

WORDS = [
    "experiment=tsp5",
    "profile=smoke",
    "trainer=cpu",
    "data.train_size=200",
    "data.eval_size=20",
    "pictures=false",
    "progress_bar=false",
]


def composed(root, *words):
    return compose([*WORDS, f"paths.root={root}", *words])


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The root of a finished run, its record and its folder of checkpoints."""
    root = tmp_path_factory.mktemp("trained")
    config = composed(root, "logger=none")
    record = run(config)
    return root, record, Path(config.paths.output) / "checkpoints"


def measured(root, checkpoint, *words):
    return evaluate_checkpoint(composed(root, "mode=test", f"checkpoint='{checkpoint}'", *words))


def texts(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_checkpoint_comes_to_what_the_record_says_and_nothing_else_changes(trained, capsys):
    root, record, checkpoints = trained
    before = texts(checkpoints.parent) | texts(root / "results")
    best = measured(root, checkpoints / "best.ckpt")
    last = measured(root, checkpoints / "last.ckpt", "logger=none")
    for found, prefix in ((best, "test"), (last, "last")):
        numbers = {key: value for key, value in found.metrics.items() if key.startswith("test/")}
        assert len(numbers) > 3
        for key, value in numbers.items():
            told = record.metrics[key.replace("test/", f"{prefix}/")]
            assert float(f"{value:.6g}") == told, key
    assert best.epoch == record.best_epoch
    for name, curve in record.curves.items():
        if name.startswith("val/"):
            assert best.metrics[name] == pytest.approx(curve[record.best_epoch], rel=1e-5)
    assert texts(checkpoints.parent) | texts(root / "results") == before
    (log,) = (root / "outputs").glob("*-test-*/csv/metrics.csv")
    assert "val/edge_accuracy" in log.read_text()
    print_evaluation(best)
    said = capsys.readouterr().out
    assert f"{best.metrics['val/edge_accuracy']:.4f}" in said
    assert f"{best.metrics['test/edge_accuracy']:.4f}" in said


def test_a_checkpoint_that_is_none_is_refused(trained, tmp_path):
    _, _, checkpoints = trained
    whole = (checkpoints / "best.ckpt").read_bytes()
    cut, empty, other = (tmp_path / name for name in ("cut.ckpt", "empty.ckpt", "other.ckpt"))
    cut.write_bytes(whole[: len(whole) // 2])
    empty.write_bytes(b"")
    torch.save({"state_dict": {}}, other)
    for path in (cut, empty, other):
        with pytest.raises(CheckpointError, match=rf"{path.name} is no whole checkpoint"):
            measured(tmp_path, path)
    with pytest.raises(CheckpointError, match=r"there is no checkpoint .*nowhere\.ckpt"):
        measured(tmp_path, tmp_path / "nowhere.ckpt")
    with pytest.raises(CheckpointError, match="is no file"):
        measured(tmp_path, checkpoints)


class Planted:
    """What a pickle of it calls when it is read."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_a_checkpoint_runs_no_code(tmp_path):
    planted, touched = tmp_path / "planted.ckpt", tmp_path / "touched"
    torch.save({"epoch": 0, "callbacks": {"x": Planted(touched)}}, planted)
    with pytest.raises(CheckpointError, match="UnpicklingError"):
        measured(tmp_path, planted)
    assert not touched.exists()


def test_a_checkpoint_of_another_configuration_is_refused_with_what_differs(trained, tmp_path):
    _, _, checkpoints = trained
    best = checkpoints / "best.ckpt"
    for words, told in (
        (["grad=blackbox", "grad.lam=5"], r"grad\._target_: \"Identity\" -> \"Blackbox\"; grad\."),
        (["optimizer.lr=0.5"], r"optimizer\.lr: 0\.0001 -> 0\.5\. Give the words"),
        (["seed=1"], "seed: 0 -> 1"),
        (["model.hidden=3"], r"model\.hidden: \d+ -> 3"),
    ):
        with pytest.raises(CheckpointError, match=told):
            measured(tmp_path, best, *words)
    with pytest.MonkeyPatch.context() as patch:
        place = "combgrad.data.globe.datamodule.GlobeTSP.data_fingerprint"
        patch.setattr(place, property(lambda _: "other"))
        with pytest.raises(CheckpointError, match="another fingerprint"):
            measured(tmp_path, best)


def test_a_checkpoint_of_before_is_known_by_its_key_alone(trained, tmp_path):
    _, _, checkpoints = trained
    old = tmp_path / "old.ckpt"
    content = torch.load(checkpoints / "best.ckpt", weights_only=True)
    del content["callbacks"]["History"]["run"]
    torch.save(content, old)
    assert read(old).run == {}
    assert measured(tmp_path, old).epoch == content["epoch"]
    with pytest.raises(CheckpointError, match="an older version of combgrad wrote it"):
        measured(tmp_path, old, "seed=1")


def test_a_debug_option_takes_few_batches_and_leaves_no_record(
    trained, tmp_path, monkeypatch, capsys
):
    root, record, checkpoints = trained
    before = texts(checkpoints.parent)
    seen = []
    config = composed(root, "debug=fast", "logger=none")
    step = GlobeTSPExperiment.step

    def spy(self, batch, stage):
        seen.append(stage)
        return step(self, batch, stage)

    monkeypatch.setattr(GlobeTSPExperiment, "step", spy)
    debugged = run(config)
    # The first of validation is Lightning's check before the training; tested are last and best.
    assert seen == ["val", "train", "val", "test", "test"]
    assert debugged.path is None
    assert len(debugged.curves["train/loss"]) == 1
    assert [found.key for found in load_records(root / "results" / "own")] == [record.key]
    assert texts(checkpoints.parent) == before
    print_debugged(debugged, "fast", "somewhere")
    assert "folder: somewhere" in capsys.readouterr().out
    same = dataclasses.replace(debugged, curves={"train/loss": [0.25, 0.5, 0.25]})
    print_debugged(same, "fast", "somewhere")
    assert capsys.readouterr().out.count("0.2500") == 2
    mine = Path(config.paths.output) / "checkpoints"
    assert mine != checkpoints
    with pytest.raises(CheckpointError, match="debug=fast, and no result"):
        measured(root, mine / "best.ckpt")
    # Even where somebody puts it there, a run does not go on from it.
    again = composed(tmp_path, "logger=none", "resume=true")
    there = Path(again.paths.output) / "checkpoints"
    shutil.copytree(mine, there)
    fresh = run(again)
    assert fresh.resumed_at == []
    assert (there / "last.ckpt.other").exists()
    assert fresh.metrics == record.metrics


def test_overfitting_sees_the_same_few_batches_in_one_order(tmp_path, monkeypatch):
    rows = []
    step = GlobeTSPExperiment.step

    def spy(self, batch, stage):
        if stage == "train":
            rows.append({name: column.clone() for name, column in batch.items()})
        return step(self, batch, stage)

    monkeypatch.setattr(GlobeTSPExperiment, "step", spy)
    words = ("debug=overfit", "debug.batches=2", "debug.epochs=30", "logger=none")
    record = run(composed(tmp_path, *words, "optimizer.lr=1e-3", "data.batch_size=20"))
    assert len(rows) == 2 * 30
    for number, batch in enumerate(rows):
        for name, column in batch.items():
            assert torch.equal(column, rows[number % 2][name])
    assert not all(torch.equal(rows[0][name], rows[1][name]) for name in rows[0])
    loss = record.curves["train/loss"]
    assert sum(loss[-3:]) < 0.7 * sum(loss[:3])
    assert load_records(tmp_path / "results" / "own") == []


def test_the_profiler_writes_into_the_runs_folder(tmp_path):
    config = composed(tmp_path, "debug=profiler", "logger=none")
    run(config)
    (report,) = Path(config.paths.output).glob("fit-profile*.txt")
    assert "run_training_batch" in report.read_text()
    assert not (tmp_path / "results").exists()


def test_no_run_changes_its_identity_or_folder_by_what_is_no_science():
    words = ["experiment=tsp5", "margin=noise"]
    usual = compose(words)
    others = (["debug=fast"], ["debug=overfit"], ["debug=profiler"], ["mode=test", "checkpoint=x"])
    folders = {run_folder(usual)}
    for more in others:
        config = compose([*words, *more])
        assert scientific(config) == scientific(usual)
        folders.add(run_folder(config))
    assert len(folders) == 1 + len(others)
