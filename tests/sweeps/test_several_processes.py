"""A sweep's job that is several processes: carried out as a single run of its own."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from combgrad.files.claim import RunBusyError, Status, claim, write_status
from combgrad.results.identity import digest
from combgrad.runs.configuration import compose, scientific
from combgrad.sweeps.task import (
    JobFailedError,
    Outcome,
    ProcessDiedError,
    SweepTask,
    UncheckedError,
    has_one_process,
    run_alone,
)


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


@pytest.mark.parametrize(
    ("words", "one"),
    [
        (["trainer=cpu"], True),
        (["trainer=gpu"], True),
        (["trainer=default"], True),
        (["trainer=bf16"], True),
        (["trainer=ddp"], False),
        (["trainer=gpu", "trainer.devices=[0,1]"], False),
        (["trainer=gpu", "trainer.devices=auto"], False),
    ],
)
def test_which_jobs_are_several_processes(words, one):
    assert has_one_process(compose(words)) == one


def test_a_job_of_one_process_says_where_its_record_lies(tmp_path):
    config = compose(["experiment=tsp5", "trainer=cpu", f"paths.output={tmp_path}"])

    def task(_):
        write_status(tmp_path, dataclasses.replace(Status.mine(), record="/where/it.json"))
        return 0.5

    assert SweepTask(task, "train.py")(config) == Outcome(0.5, "/where/it.json")
    assert SweepTask(lambda _: (tmp_path / "status.json").unlink(), "")(config).record == ""


def test_a_job_that_means_something_else_here_is_refused_before_it_trains():
    config = compose(["experiment=tsp5", "trainer=cpu", "paths.output=/nowhere"])
    task = SweepTask(lambda _: pytest.fail("it was run"), "train.py")
    task.checked = frozenset({digest(scientific(compose(["experiment=tsp5", "seed=1"])))})
    with pytest.raises(UncheckedError, match="depend on the environment or the machine"):
        task(config)


def test_a_job_of_its_own_sees_no_tasks_of_slurm(tmp_path, monkeypatch):
    monkeypatch.setenv("SLURM_NTASKS", "1")
    monkeypatch.setenv("SLURM_NTASKS_PER_NODE", "1")
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    path = tmp_path / "seen.json"
    run_alone(
        python(f"import json, os; json.dump(dict(os.environ), open({str(path)!r}, 'w'))"), tmp_path
    )
    seen = json.loads(path.read_text())
    assert seen["SLURM_JOB_ID"] == "7"
    assert not {"SLURM_NTASKS", "SLURM_NTASKS_PER_NODE"} & seen.keys()


def test_how_a_job_of_its_own_can_end(tmp_path):
    fails = f"""
import pathlib
from combgrad.files.claim import claim
with claim(pathlib.Path({str(tmp_path)!r})):
    raise ValueError("no more flags")
"""
    with pytest.raises(JobFailedError, match=r"^ValueError: no more flags$"):
        run_alone(python(fails), tmp_path)
    # The status is that of the run before it.
    with pytest.raises(JobFailedError, match="exit code 3"):
        run_alone(python("raise SystemExit(3)"), tmp_path)
    with pytest.raises(ProcessDiedError, match="SIGKILL"):
        run_alone(python("import os; os.kill(os.getpid(), 9)"), tmp_path)
    with claim(tmp_path), pytest.raises(RunBusyError, match=tmp_path.name):
        run_alone(python("raise SystemExit(0)"), tmp_path)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_worker_told_to_end_leaves_no_process_behind(tmp_path, number):
    child = f"""
import os, pathlib, time
pathlib.Path({str(tmp_path / "pid")!r}).write_text(str(os.getpid()))
time.sleep(600)
"""
    worker = f"""
import pathlib, signal
import combgrad.sweeps.task as task
signal.signal(signal.SIGINT, signal.default_int_handler)
task.PATIENCE = (0.0, 20.0, 20.0)
task.run_alone([{sys.executable!r}, "-c", {child!r}], pathlib.Path({str(tmp_path)!r}))
"""
    process = subprocess.Popen(python(worker), stderr=subprocess.DEVNULL)
    path = Path(tmp_path / "pid")
    while not (path.exists() and path.read_text()):
        assert process.poll() is None
        time.sleep(0.02)
    os.kill(process.pid, number)
    assert process.wait(timeout=120) != 0
    with pytest.raises(ProcessLookupError):
        os.kill(int(path.read_text()), 0)
