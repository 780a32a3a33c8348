"""Records survive the round trip, crashes and company."""

import dataclasses
import json
import os
import subprocess
import sys

import pytest

from combgrad.files import write_atomically
from combgrad.results import RunRecord, load_record, load_records, save_record


def a_record(seed=0, **changes):
    values = {
        "key": f"{seed:064x}",
        "name": f"tsp5-identity-std-none-paper-seed{seed}",
        "experiment": "tsp5",
        "choices": {"grad": "identity", "proj": "std"},
        "config": {"optimizer": {"lr": 1e-4, "betas": [0.5, 0.999]}, "schedule": None},
        "profile": "paper",
        "data_source": "regenerated",
        "data_fingerprint": "f" * 64,
        "seed": seed,
        "metrics": {"test/edge_accuracy": 0.9942},
        "best_epoch": 92,
        "curves": {"train/loss": [3.0, 0.1]},
        "seconds": {"train": 160.0, "eval": 2.0, "solver": 4.8},
        "versions": {"torch": "2.13.0"},
        "commit": "abc",
        "hardware": {"cores": 2},
        "command": "python train.py experiment=tsp5",
        "started": "2026-01-01T00:00:00+00:00",
        "finished": "2026-01-01T00:03:00+00:00",
    }
    return RunRecord(**(values | changes))


def test_round_trip(tmp_path):
    record = a_record(resumed_at=[3])
    path = save_record(record, tmp_path / "runs")
    assert load_record(path) == record
    assert load_records(tmp_path / "runs") == [record]
    assert path.name == f"{record.name}-00000000.json"


def test_a_broken_record_is_named_and_skipped(tmp_path):
    good = a_record()
    save_record(good, tmp_path)
    (tmp_path / "a.json").write_text('{"key": "cut')
    (tmp_path / "b.json").write_text(json.dumps({"format": 99}))
    values = dataclasses.asdict(good)
    del values["seed"]
    (tmp_path / "c.json").write_text(json.dumps(values))
    with pytest.warns(UserWarning, match="no run record") as warned:
        assert load_records(tmp_path) == [good]
    text = " ".join(str(w.message) for w in warned)
    for part in ("a.json", "b.json", "format 99", "missing fields ['seed']", "Delete it"):
        assert part in text


WRITER = """
import sys
from pathlib import Path
from combgrad.results import load_record, save_record
import dataclasses

record = load_record(Path(sys.argv[1]))
for _ in range(40):
    save_record(record, Path(sys.argv[2]))
    save_record(dataclasses.replace(record, name="shared", key="9" * 64), Path(sys.argv[2]))
"""


def test_two_writers_at_once_never_leave_half_a_record(tmp_path):
    shared = tmp_path / "shared"
    writers = []
    for seed in (1, 2):
        start = save_record(a_record(seed, metrics={"x": [seed] * 2000}), tmp_path)
        command = [sys.executable, "-c", WRITER, str(start), str(shared)]
        writers.append(subprocess.Popen(command))
    while any(writer.poll() is None for writer in writers):
        for path in shared.glob("[!.]*.json"):
            assert len(set(load_record(path).metrics["x"])) == 1
    assert [writer.returncode for writer in writers] == [0, 0]
    assert len(load_records(shared)) == 3
    assert all(not name.startswith(".") for name in os.listdir(shared))


def test_a_failed_write_keeps_the_old_file_and_names_it(tmp_path):
    path = tmp_path / "x.json"
    path.write_text("old")

    def no_space(temporary):
        temporary.write_text("ha")
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match=r"No space left.*|cannot write .*x\.json"):
        write_atomically(path, no_space)
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["x.json"]


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OSError, match="cannot write"):
        save_record(a_record(), tmp_path / "file" / "runs")
