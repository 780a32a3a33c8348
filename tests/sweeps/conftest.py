"""Sweeps on real engines, in processes of their own, for the tests that end some of them."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from combgrad.files.claim import Status, read_status
from combgrad.results import RunRecord, load_records
from combgrad.runs.configuration import CONFIG_FOLDER

PROJECT = CONFIG_FOLDER.parent
EPOCHS = 12
#: Seconds; a busy machine takes ten times as long as an idle one.
PATIENCE = 250
#: An exit code of the scripts that bring up an engine: its programs are not there.
NOT_INSTALLED = 3


class EngineSweep:
    """One sweep below `root`, which can be started again and again, by one launcher."""

    epochs = EPOCHS

    def __init__(self, root: Path, launcher: str, seeds: int, environment: dict[str, str]) -> None:
        self.root = root
        self.words = [
            "experiment=tsp5", "profile=smoke", "data.train_size=2000", "pictures=false",
            f"trainer.max_epochs={EPOCHS}", "trainer=cpu", "logger=none", f"seeds={seeds}",
            f"hydra/launcher={launcher}", f"paths.root={root}",
        ]  # fmt: skip
        self.environment = {**os.environ, **environment}
        self.log = root / "log.txt"
        self._processes: list[subprocess.Popen[bytes]] = []

    def start(self, *words: str) -> subprocess.Popen[bytes]:
        """Start it, with further words."""
        command = [sys.executable, str(PROJECT / "train.py"), "-m", *self.words, *words]
        with self.log.open("w") as file:
            process = subprocess.Popen(
                command, stdout=file, stderr=file, env=self.environment, start_new_session=True
            )
        self._processes.append(process)
        return process

    def exit_code(self, process: subprocess.Popen[bytes]) -> int:
        """How a started sweep ends."""
        return process.wait(timeout=PATIENCE)

    def status_at(self, seed: int, epoch: int) -> Status:
        """The status of a job as soon as it has done so many epochs and is not yet at its end."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            for folder in (self.root / "outputs").glob(f"tsp5*-seed{seed}-*"):
                status = read_status(folder)
                if status is not None and epoch <= status.epoch < EPOCHS:
                    return status
            assert self._processes[-1].poll() is None, self.log.read_text()
            time.sleep(0.02)
        raise AssertionError(self.log.read_text())

    def records(self) -> dict[int, RunRecord]:
        """The records there are, by seed."""
        return {record.seed: record for record in load_records(self.root / "results" / "own")}

    def stop(self) -> None:
        """End what a failed test has left."""
        for process in self._processes:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait(timeout=20)


MakeSweep = Callable[..., EngineSweep]


@pytest.fixture
def make_sweep(tmp_path: Path) -> Iterator[MakeSweep]:
    """Makes sweeps, and ends what is left of them."""
    made = []

    def make(launcher: str, seeds: int, environment: dict[str, str] | None = None) -> EngineSweep:
        made.append(EngineSweep(tmp_path, launcher, seeds, environment or {}))
        return made[-1]

    yield make
    for sweep in made:
        sweep.stop()


@pytest.fixture
def bring_up() -> Iterator[Callable[[str], dict[str, str]]]:
    """Brings up an engine by its script, gives the environment to reach it, takes it down again.

    One that was up before stays up.
    """
    ours = []

    def call(script: str, what: str) -> "subprocess.CompletedProcess[str]":
        command = [str(PROJECT / "scripts" / script), what]
        return subprocess.run(
            command, capture_output=True, text=True, timeout=200,
            env={**os.environ, "PYTHON": sys.executable},
        )  # fmt: skip

    def up(script: str) -> dict[str, str]:
        was_up = call(script, "status").returncode == 0
        if not was_up:
            ours.append(script)
        done = call(script, "up")
        if done.returncode == NOT_INSTALLED:
            pytest.skip(done.stderr.strip())
        assert done.returncode == 0, done.stderr
        return dict(re.findall(r"(\w+)=(\S+)", done.stdout))

    yield up
    for script in ours:
        down = call(script, "down")
        assert down.returncode == 0, down.stderr


@pytest.fixture
def kill_one_of_three() -> Callable[[EngineSweep, Callable[[Status], None]], None]:
    """The scenario that every engine must survive."""
    return _kill_one_of_three


def _kill_one_of_three(sweep: EngineSweep, kill: Callable[[Status], None]) -> None:
    process = sweep.start("hydra.sweeper.retries=0")
    sweep.status_at(seed=1, epoch=1)
    kill(sweep.status_at(seed=0, epoch=2))
    assert sweep.exit_code(process) == 1
    assert "1 of 3 jobs failed" in sweep.log.read_text()
    first = sweep.records()
    assert set(first) == {1, 2}
    assert sweep.exit_code(sweep.start("hydra.sweeper.retries=0")) == 0, sweep.log.read_text()
    second = sweep.records()
    assert set(second) == {0, 1, 2}
    # Not even the time it finished has changed, so it was not run again.
    assert {seed: second[seed] for seed in first} == first
    (went_on_at,) = second[0].resumed_at
    assert 1 <= went_on_at < EPOCHS
    assert [len(record.curves["train/loss"]) for record in second.values()] == 3 * [EPOCHS]
