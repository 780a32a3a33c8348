"""A sweep on the one-node Slurm of scripts/slurm_one_node.sh."""

import subprocess
from pathlib import Path

import pytest

pytest.importorskip("hydra_plugins.hydra_submitit_launcher", reason="needs combgrad[sweep]")
pytestmark = pytest.mark.timeout(900)


def job_of(status):
    """The Slurm job, such as 7_0, that the process of a run belongs to."""
    words = Path(f"/proc/{status.pid}/environ").read_text().split("\0")
    given = dict(word.partition("=")[::2] for word in words)
    return f"{given['SLURM_ARRAY_JOB_ID']}_{given['SLURM_ARRAY_TASK_ID']}"


def test_a_cancelled_job_is_reported_and_goes_on_at_the_next_start(
    make_sweep, bring_up, kill_one_of_three
):
    sweep = make_sweep("slurm", seeds=3, environment=bring_up("slurm_one_node.sh"))

    def cancel(status):
        # Its exit code is 0 even for a job that does not exist.
        done = subprocess.run(
            ["scancel", job_of(status)], env=sweep.environment, capture_output=True, timeout=60
        )
        assert done.stderr == b""

    kill_one_of_three(sweep, cancel)
