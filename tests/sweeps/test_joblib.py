"""A sweep in several processes of one machine."""

import os
import signal

import pytest

pytest.importorskip("hydra_plugins.hydra_joblib_launcher", reason="needs combgrad[sweep]")
pytestmark = pytest.mark.timeout(900)


def test_a_killed_worker_is_replaced_and_its_run_goes_on(make_sweep):
    sweep = make_sweep("laptop", seeds=2)
    process = sweep.start("hydra.sweeper.retries=1")
    other = sweep.status_at(seed=1, epoch=1)
    victim = sweep.status_at(seed=0, epoch=2)
    assert len({other.pid, victim.pid, process.pid}) == 3
    os.kill(victim.pid, signal.SIGKILL)
    assert sweep.exit_code(process) == 0, sweep.log.read_text()
    records = sweep.records()
    assert set(records) == {0, 1}
    (went_on_at,) = records[0].resumed_at
    assert 1 <= went_on_at < sweep.epochs
    assert [len(record.curves["train/loss"]) for record in records.values()] == 2 * [sweep.epochs]
