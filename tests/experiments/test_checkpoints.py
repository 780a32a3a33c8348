"""Whatever has become of a run's checkpoints or folder, it comes to where it would have come."""

import errno
import logging
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from combgrad.experiments.base import Experiment
from combgrad.experiments.checkpoints import (
    BEST,
    LAST,
    Checkpoints,
    WholeFiles,
    before,
    last_to_resume,
    read,
)
from combgrad.results import load_records
from combgrad.runs.configuration import compose
from combgrad.runs.run import run

#: The worst epoch counts as the best, so that it is one of the first.
WORDS = [
    "experiment=tsp5",
    "profile=smoke",
    "trainer=cpu",
    "trainer.max_epochs=4",
    "data.train_size=50",
    "data.eval_size=20",
    "optimizer.lr=3e-3",
    "monitor.metric=val/edge_accuracy",
    "monitor.mode=min",
    "logger=csv",
    "pictures=false",
    "progress_bar=false",
]
EARLY = [
    "+callbacks.early._target_=pytorch_lightning.callbacks.EarlyStopping",
    "+callbacks.early.monitor=val/edge_accuracy",
    "+callbacks.early.mode=max",
    "+callbacks.early.patience=1",
    "+callbacks.early.min_delta=0.5",
]


def configured(root, *more):
    return compose([*WORDS, f"paths.root={root}", *more])


class Cut(Exception):
    pass


def run_until(config, epoch):
    """Run until `epoch` is about to start, counted from 0."""

    def start(self, usual=Experiment.on_train_epoch_start):
        if self.current_epoch == epoch:
            raise Cut
        usual(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Experiment, "on_train_epoch_start", start)
        with pytest.raises(Cut):
            run(config)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    root = tmp_path_factory.mktemp("undisturbed")
    record = run(configured(root))
    assert record.best_epoch < 2, "the test needs a best epoch before the interruption"
    return root, record


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory):
    root = tmp_path_factory.mktemp("interrupted")
    run_until(configured(root), 3)
    return root


def checkpoints_in(root: Path) -> Path:
    (folder,) = (root / "outputs").glob("*/checkpoints")
    return folder


def outcome(record):
    return record.key, record.metrics, record.curves, record.best_epoch


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def empty(path):
    path.write_bytes(b"")


def fill(path):
    path.write_bytes(b"no checkpoint at all" * 100)


def change(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def pickled(path):
    torch.save(Path("a path is no plain value"), path)


def test_a_run_begun_on_a_card_goes_on_without_one(undisturbed, tmp_path):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.serialization, "location_tag", lambda storage: "cuda:0")
        run_until(configured(tmp_path), 3)
    assert b"cuda:0" in (checkpoints_in(tmp_path) / LAST).read_bytes()
    record = run(configured(tmp_path, "resume=true"))
    assert outcome(record) == outcome(undisturbed[1])
    assert record.resumed_at == [3]


@pytest.mark.parametrize(
    ("damage", "names", "resumed_at"),
    [
        (None, [], [3]),
        (cut, [LAST], [2]),
        (empty, [LAST], [2]),
        (fill, [LAST], [2]),
        (change, [LAST], [2]),
        (pickled, [LAST], [2]),
        (Path.unlink, [LAST], [2]),
        (empty, [LAST, "last.before.ckpt"], []),
        (cut, [BEST], []),
        (Path.unlink, [BEST], []),
        (cut, [LAST, BEST], []),
        (cut, ["last.before.ckpt"], [3]),
    ],
)
def test_a_damaged_checkpoint_is_set_aside_and_the_result_is_the_same(
    undisturbed, interrupted, tmp_path, caplog, damage, names, resumed_at
):
    root = tmp_path / "moved"
    shutil.copytree(interrupted, root)
    folder = checkpoints_in(root)
    (folder / ".last-0123456789.ckpt").write_bytes(b"half of one")
    for name in names:
        damage(folder / name)
    with caplog.at_level(logging.WARNING, logger="combgrad"):
        record = run(configured(root, "resume=true"))
    assert outcome(record) == outcome(undisturbed[1])
    assert record.resumed_at == resumed_at
    if damage not in (None, Path.unlink):
        for name in names:
            (said,) = [m for m in caplog.messages if f"{name} is" in m]
            assert f"set aside as {name}.broken" in said
            assert (folder / f"{name}.broken").exists()
    assert not list(folder.glob(".*"))
    csv = "outputs/*/csv/metrics.csv"
    (found,), (wanted,) = root.glob(csv), undisturbed[0].glob(csv)
    curves = [path.read_text().splitlines()[:-1] for path in (found, wanted)]
    assert curves[0] == curves[1]
    assert len(curves[0]) == 1 + 4


def test_a_run_goes_on_through_a_link_and_more_than_once(undisturbed, interrupted, tmp_path):
    shutil.copytree(interrupted, tmp_path / "there")
    (tmp_path / "link").symlink_to(tmp_path / "there", target_is_directory=True)
    shutil.rmtree(tmp_path / "there" / "results", ignore_errors=True)
    cut(checkpoints_in(tmp_path / "there") / LAST)
    run_until(configured(tmp_path / "link", "resume=true"), 3)
    record = run(configured(tmp_path / "link", "resume=true"))
    assert outcome(record) == outcome(undisturbed[1])
    assert record.resumed_at == [2, 3]


def test_tensorboard_shows_every_epoch_once_after_a_resumption(undisturbed, tmp_path):
    reading = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    run_until(configured(tmp_path, "logger=tensorboard"), 3)
    record = run(configured(tmp_path, "logger=tensorboard", "resume=true"))
    assert outcome(record) == outcome(undisturbed[1])
    (folder,) = (tmp_path / "outputs").glob("*/tensorboard")
    events = reading.EventAccumulator(str(folder))
    events.Reload()
    for name, curve in record.curves.items():
        assert [scalar.value for scalar in events.Scalars(name)] == pytest.approx(curve, rel=1e-5)


def test_a_best_that_no_last_knows_of_is_made_again(tmp_path):
    words = ["monitor.metric=val/cost_norm", "monitor.mode=min", "trainer.max_epochs=2"]
    run_until(configured(tmp_path, *words), 1)
    folder = checkpoints_in(tmp_path)
    last = (folder / LAST).read_bytes()
    record = run(configured(tmp_path, *words, "resume=true"))
    assert record.best_epoch == 1, "the test needs a second epoch better than the first"
    # As a process leaves them that is killed between the best and the last.
    (folder / LAST).write_bytes(last)
    before(folder / LAST).unlink()
    Path(configured(tmp_path, *words).paths.results, record.file_name).unlink()
    again = run(configured(tmp_path, *words, "resume=true"))
    assert outcome(again) == outcome(record)
    assert again.resumed_at == [1]


def test_checkpoints_of_other_data_are_set_aside_once_and_the_run_starts_anew(
    interrupted, tmp_path, caplog, monkeypatch
):
    root = tmp_path / "moved"
    shutil.copytree(interrupted, root)
    monkeypatch.setattr("combgrad.data.globe.sources.GENERATOR_VERSION", 10**6)
    with caplog.at_level(logging.WARNING, logger="combgrad"):
        record = run(configured(root, "resume=true"))
    assert record.resumed_at == []
    assert len(record.curves["train/loss"]) == 4
    (said,) = [message for message in caplog.messages if "other data" in message]
    assert f"{LAST}.other" in said
    assert {path.suffix for path in checkpoints_in(root).iterdir()} == {".ckpt", ".other"}


def test_a_checkpoint_of_an_older_version_is_set_aside(interrupted, tmp_path, caplog):
    shutil.copytree(checkpoints_in(interrupted), tmp_path / "checkpoints")
    path = tmp_path / "checkpoints" / LAST
    content = torch.load(path, weights_only=True)
    content["callbacks"].pop(Checkpoints.__qualname__)
    torch.save(content, path)
    key = read(before(path)).run_key
    with caplog.at_level(logging.INFO, logger="combgrad"):
        assert last_to_resume(path.parent, key) == path
    assert read(path).epoch == 1
    assert f"{LAST}.other" in caplog.text
    assert "going on after epoch 2" in caplog.messages


def test_a_full_disk_leaves_the_checkpoint_before(tmp_path, monkeypatch):
    path = tmp_path / LAST
    files = WholeFiles()
    files.save_checkpoint({"epoch": 1}, path)

    def full(self, content):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        with pytest.raises(OSError, match=rf"cannot write .*{LAST}: No space left"):
            files.save_checkpoint({"epoch": 2}, path)
    assert torch.load(path, weights_only=True) == {"epoch": 1}
    files.save_checkpoint({"epoch": 2}, path)
    assert torch.load(before(path), weights_only=True) == {"epoch": 1}
    assert {file.name for file in tmp_path.iterdir()} == {LAST, before(path).name}


def test_a_checkpoint_never_goes_through_the_temporary_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path / "none"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "none"))
    run_until(configured(tmp_path), 1)
    assert read(checkpoints_in(tmp_path) / LAST).epoch == 0


@pytest.mark.parametrize(
    ("mode", "scores", "best"),
    [
        ("max", [1.0, 2.0, 2.0, 1.0], 1),
        ("min", [1.0, 2.0, 0.5, 0.5], 2),
        ("max", [float("nan"), 1.0, float("nan")], 1),
        ("min", [float("nan"), float("nan")], 0),
        ("min", [float("inf"), float("nan"), 3.0], 2),
    ],
)
def test_the_first_of_the_best_epochs_is_kept(tmp_path, mode, scores, best):
    class Trainer:
        saved = None

        def save_checkpoint(self, path):
            if path.name == BEST:
                self.saved = self.current_epoch

    callback, trainer = Checkpoints(tmp_path, "val/x", mode), Trainer()
    experiment = SimpleNamespace(measured_now=lambda name: name == "val/x")
    for trainer.current_epoch, score in enumerate(scores):
        trainer.callback_metrics = {"val/x": torch.tensor(score)}
        callback.on_train_epoch_end(trainer, experiment)
        again = Checkpoints(tmp_path, "val/x", mode)
        again.load_state_dict(callback.state_dict())
        callback = again
    assert trainer.saved == callback.best_epoch == best


def test_a_training_that_a_callback_stops_ends_well_and_stays_stopped(tmp_path, monkeypatch):
    record = run(configured(tmp_path, *EARLY))
    assert {len(curve) for curve in record.curves.values()} == {2}
    config = configured(tmp_path, *EARLY, "resume=true")
    for path in Path(config.paths.results).iterdir():
        path.unlink()
    monkeypatch.setattr(Experiment, "training_step", lambda *_: pytest.fail("trained on"))
    again = run(config)
    assert outcome(again) == outcome(record)
    assert load_records(Path(config.paths.results)) == [again]
