"""A sweep on the two nodes of scripts/ray_two_nodes.sh."""

import os
import re
import signal
from pathlib import Path

import pytest

pytest.importorskip("hydra_plugins.hydra_ray_launcher", reason="needs combgrad[sweep]")
pytestmark = pytest.mark.timeout(900)


def node_of(status):
    """The raylet that started the process of a run."""
    text = Path(f"/proc/{status.pid}/status").read_text()
    return re.search(r"PPid:\s+(\d+)", text).group(1)


def test_a_killed_worker_is_reported_and_its_run_goes_on_at_the_next_start(
    make_sweep, bring_up, kill_one_of_three
):
    reach = bring_up("ray_two_nodes.sh")
    sweep = make_sweep("ray_cluster", seeds=3, environment=reach)

    def kill(status):
        assert node_of(status) != node_of(sweep.status_at(seed=1, epoch=1))
        os.kill(status.pid, signal.SIGKILL)

    kill_one_of_three(sweep, kill)
