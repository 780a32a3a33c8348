"""Sweeps as whole processes: killed at any moment, and two at once."""

import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from combgrad.files.claim import read_status
from combgrad.results import load_records
from combgrad.runs.configuration import CONFIG_FOLDER

#: Many whole processes, one after the other: on a busy machine more than the usual limit.
pytestmark = pytest.mark.timeout(1800)
TRAIN = CONFIG_FOLDER.parent / "train.py"
SEEDS = 3
WORDS = [
    "experiment=tsp5", "profile=smoke", "margin=noise", "trainer.max_epochs=20", "seeds=3",
    "data.train_size=500", "trainer=cpu", "pictures=false", "logger=none",
]  # fmt: skip


def start(root: Path, log: Path) -> subprocess.Popen:
    command = [sys.executable, str(TRAIN), "-m", *WORDS, f"paths.root={root}"]
    with log.open("w") as file:
        return subprocess.Popen(command, stdout=file, stderr=file, start_new_session=True)


def records_of(root: Path):
    return {record.seed: record for record in load_records(root / "results" / "own")}


def numbers(record):
    return record.metrics, record.curves, record.best_epoch, record.key


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    root = tmp_path_factory.mktemp("undisturbed")
    assert start(root, root / "log.txt").wait(timeout=600) == 0, (root / "log.txt").read_text()
    return records_of(root)


def wait_for_work(process: subprocess.Popen, root: Path, begun: float) -> None:
    """Return once the process works on a run, or is at its end."""
    while process.poll() is None:
        states = [read_status(folder) for folder in (root / "outputs").glob("tsp5*")]
        if any(s and s.state == "running" and s.started > begun and s.epoch > 0 for s in states):
            return
        time.sleep(0.02)


def test_a_sweep_killed_again_and_again_ends_like_an_undisturbed_one(undisturbed, tmp_path):
    moments = random.Random(20)
    finished: dict[str, bytes] = {}
    kills = 0
    for attempt in range(25):
        log = tmp_path / f"log{attempt}.txt"
        begun = time.time()
        process = start(tmp_path, log)
        wait_for_work(process, tmp_path, begun)
        # At first in the midst of a job, which has a checkpoint then; later at most as long as two
        # of the three jobs take, so that the first starts never suffice.
        time.sleep(moments.uniform(0.0, 2.5) if attempt else 0.1)
        if process.poll() is None and attempt < 20:
            os.killpg(process.pid, signal.SIGKILL)
            kills += 1
        code = process.wait(timeout=600)
        for name, content in finished.items():
            assert (tmp_path / "results" / "own" / name).read_bytes() == content, "done twice"
        finished = {p.name: p.read_bytes() for p in (tmp_path / "results" / "own").glob("[!.]*")}
        if code == 0:
            break
    assert code == 0, log.read_text()
    assert kills > 0
    assert len(finished) == SEEDS
    found = records_of(tmp_path)
    assert {seed: numbers(r) for seed, r in found.items()} == {
        seed: numbers(r) for seed, r in undisturbed.items()
    }
    assert any(record.resumed_at for record in found.values())


def test_two_sweeps_at_once_share_the_work(undisturbed, tmp_path):
    logs = [tmp_path / "one.txt", tmp_path / "two.txt"]
    processes = [start(tmp_path, log) for log in logs]
    assert [process.wait(timeout=600) for process in processes] == [0, 0], logs[0].read_text()
    texts = [log.read_text() for log in logs]
    done = [sum(map(int, re.findall(r"(\d+) done(?! elsewhere)", text))) for text in texts]
    assert sum(done) == SEEDS
    assert all("failed" not in text for text in texts)
    found = records_of(tmp_path)
    assert {seed: numbers(r) for seed, r in found.items()} == {
        seed: numbers(r) for seed, r in undisturbed.items()
    }
    assert len(list((tmp_path / "results" / "own").glob("*"))) == SEEDS
