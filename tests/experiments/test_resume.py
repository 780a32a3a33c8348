"""A killed run goes on where it stopped and ends exactly where an undisturbed one does."""

import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from combgrad.results import load_records
from combgrad.runs.configuration import CONFIG_FOLDER

TRAIN = CONFIG_FOLDER.parent / "train.py"
OVERRIDES = [
    "experiment=tsp5",
    "profile=smoke",
    "margin=noise",
    "trainer.max_epochs=12",
    "data.train_size=1000",
    "trainer=cpu",
    "pictures=false",
    "corruption.gradient_sigma=0.1",
]


def command(root: Path, *more: str) -> list[str]:
    return [sys.executable, str(TRAIN), *OVERRIDES, f"paths.root={root}", *more]


def outcome(root: Path):
    (record,) = load_records(root / "results" / "own")
    (folder,) = (root / "outputs").glob("tsp5*")
    last = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)
    return record, last


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    root = tmp_path_factory.mktemp("undisturbed")
    subprocess.run(command(root), check=True, timeout=240, capture_output=True)
    return root, outcome(root)


def ignore_interrupts():
    """What a shell does for what it starts in the background."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def interrupt(root: Path, how: signal.Signals, epochs: int) -> int:
    """Start a run, send it a signal once `epochs` epochs are in its checkpoint."""
    log = (root / "log.txt").open("w")
    process = subprocess.Popen(command(root), stdout=log, stderr=log, preexec_fn=ignore_interrupts)
    deadline = time.monotonic() + 200
    while time.monotonic() < deadline and process.poll() is None:
        for path in (root / "outputs").glob("tsp5*/checkpoints/last.ckpt"):
            if torch.load(path, weights_only=True)["epoch"] + 1 >= epochs:
                os.kill(process.pid, how)
                return process.wait(timeout=60)
        time.sleep(0.01)
    raise AssertionError((root / "log.txt").read_text())


def rows(root: Path) -> list[dict[str, str]]:
    """The curves in metrics.csv, without the final numbers."""
    (path,) = (root / "outputs").glob("tsp5*/csv/metrics.csv")
    return [row for row in csv.DictReader(path.read_text().splitlines()) if row["epoch"]]


@pytest.mark.parametrize(
    ("how", "code"),
    [(signal.SIGKILL, -9), (signal.SIGINT, 130), (signal.SIGTERM, 143)],
    ids=["kill", "ctrl-c", "term"],
)
def test_a_resumed_run_is_bit_identical_to_an_undisturbed_one(undisturbed, tmp_path, how, code):
    root = tmp_path / "somewhere"
    root.mkdir()
    assert interrupt(root, how, epochs=2) == code
    if how != signal.SIGKILL:
        assert "resume=true goes on" in (root / "log.txt").read_text()
    assert load_records(root / "results" / "own") == []
    if how == signal.SIGKILL:
        root = root.rename(tmp_path / "elsewhere")
    subprocess.run(command(root, "resume=true"), check=True, timeout=240, capture_output=True)
    record, last = outcome(root)
    undisturbed_root, (expected, expected_last) = undisturbed
    assert record.key == expected.key
    assert record.metrics == expected.metrics
    assert record.curves == expected.curves
    assert record.best_epoch == expected.best_epoch
    assert len(record.curves["train/loss"]) == 12
    assert len(record.resumed_at) == 1
    assert 0 < record.resumed_at[0] < 12
    assert last["epoch"] == expected_last["epoch"] == 11
    for name, weights in expected_last["state_dict"].items():
        assert torch.equal(weights, last["state_dict"][name]), name
    moments = last["optimizer_states"][0]["state"][0]["exp_avg"]
    assert torch.equal(moments, expected_last["optimizer_states"][0]["state"][0]["exp_avg"])
    assert rows(root) == rows(undisturbed_root)
    assert [int(row["epoch"]) for row in rows(root)] == list(range(12))


def test_resuming_with_other_data_is_refused(tmp_path):
    from combgrad.experiments.history import History

    saved = History("one key").state_dict()
    with pytest.raises(ValueError, match="other settings or other data"):
        History("another key").load_state_dict(saved)
