"""Records survive the round trip, crashes and company."""

import json
import os
import subprocess
import sys

import pytest

from combgrad.files.writing import write_atomically
from combgrad.results import RunRecord, load_record, load_records, save_record
from combgrad.results.store import Shelf


def a_record(seed=0, **changes):
    values = {
        "name": f"tsp5-identity-std-none-paper-seed{seed}",
        "experiment": "tsp5",
        "choices": {"grad": "identity", "proj": "std"},
        "config": {
            "seed": seed,
            "optimizer": {"lr": 1e-4, "betas": [0.5, 0.999]},
            "schedule": None,
        },
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
    assert path.name == f"{record.name}-{record.key[:8]}.json"


def test_a_curve_has_the_epochs_that_stand_beside_it_or_all(tmp_path):
    curves = {"train/loss": [3.0, 0.1, 0.05], "val/recall": [0.2, 0.9]}
    record = a_record(curves=curves, curve_epochs={"val/recall": [0, 2]})
    again = load_record(save_record(record, tmp_path))
    assert again == record
    assert again.epochs_of("val/recall") == [0, 2]
    assert again.epochs_of("train/loss") == [0, 1, 2]
    assert again.epochs_of("val/loss") == []
    assert "curve_epochs" not in a_record().to_json()


@pytest.mark.parametrize("epochs", [[0], [0, 0], [1, 0], [0, -1], [0, 1.5], "01", [0, 10**400]])
def test_epochs_that_do_not_fit_their_curve_are_refused(epochs):
    record = a_record(curve_epochs={"train/loss": epochs})
    with pytest.raises(ValueError, match="its field 'curve_epochs' must"):
        RunRecord.from_json(record.to_json())


def test_a_broken_record_is_named_and_skipped(tmp_path):
    good = a_record()
    save_record(good, tmp_path)
    (tmp_path / "a.json").write_text('{"key": "cut')
    (tmp_path / "b.json").write_text(json.dumps({"format": 99}))
    values = json.loads(good.to_json())
    (tmp_path / "c.json").write_text(json.dumps({k: v for k, v in values.items() if k != "seed"}))
    (tmp_path / "d.json").write_text(json.dumps(values | {"seed": "<script>alert(1)</script>"}))
    with pytest.warns(UserWarning, match="left alone") as warned:
        assert load_records(tmp_path) == [good]
    text = " ".join(str(w.message) for w in warned)
    for part in ("a.json", "b.json", "format is 99", "'seed' is missing", "a whole number, not"):
        assert part in text
    assert len(list(tmp_path.iterdir())) == 5


def test_unknown_fields_are_kept_and_missing_ones_filled(tmp_path):
    values = json.loads(a_record().to_json())
    del values["hardware"], values["curves"]
    path = tmp_path / "x.json"
    path.write_text(json.dumps(values | {"verdict": {"by": "a later version"}}))
    record = load_record(path)
    assert (record.hardware, record.curves) == ({}, {})
    again = json.loads(save_record(record, tmp_path).read_text())
    assert again["verdict"] == {"by": "a later version"}


def test_the_key_is_computed_and_not_believed(tmp_path):
    record = a_record()
    path = tmp_path / "x.json"
    path.write_text(record.to_json().replace(record.key, "0" * 64))
    assert load_record(path).key == record.key


def test_of_two_records_of_one_run_the_last_counts_wherever_it_lies(tmp_path):
    old, new = a_record(), a_record(finished="2026-02-01T00:00:00+00:00", metrics={"x": 1.0})
    save_record(old, tmp_path / "runs")
    save_record(new, tmp_path / "own")
    for folders in ((tmp_path / "runs", tmp_path / "own"), (tmp_path / "own", tmp_path / "runs")):
        assert load_records(*folders) == [new]
    (tmp_path / "own" / "copy.json").write_text(old.to_json())
    with pytest.warns(UserWarning, match="records of the same run"):
        assert load_records(tmp_path / "own") == [new]


def test_a_shelf_sees_what_has_changed(tmp_path):
    shelf = Shelf([tmp_path / "runs"])
    record = a_record()
    assert shelf.find(record.key) is None
    path = save_record(record, tmp_path / "runs")
    assert shelf.find(record.key) == record
    save_record(a_record(metrics={"x": 2.0}), tmp_path / "runs")
    assert shelf.find(record.key).metrics == {"x": 2.0}
    path.unlink()
    assert shelf.find(record.key) is None


WRITER = """
import sys
from pathlib import Path
from combgrad.results import load_record, save_record
import dataclasses

record = load_record(Path(sys.argv[1]))
for _ in range(40):
    save_record(record, Path(sys.argv[2]))
    shared = dataclasses.replace(record, name="shared", seed=9, config={"seed": 9}, path=None)
    save_record(shared, Path(sys.argv[2]))
"""


def test_two_writers_at_once_never_leave_half_a_record(tmp_path):
    shared = tmp_path / "shared"
    writers = []
    for seed in (1, 2):
        start = save_record(a_record(seed, curves={"x": [seed] * 2000}), tmp_path)
        command = [sys.executable, "-c", WRITER, str(start), str(shared)]
        writers.append(subprocess.Popen(command))
    while any(writer.poll() is None for writer in writers):
        for path in shared.glob("[!.]*.json"):
            assert len(set(load_record(path).curves["x"])) == 1
    assert [writer.returncode for writer in writers] == [0, 0]
    assert len(load_records(shared)) == 3
    assert all(not name.startswith(".") for name in os.listdir(shared))


def test_what_is_still_being_written_is_no_record(tmp_path, recwarn):
    path = save_record(a_record(), tmp_path)
    (tmp_path / f".{path.stem}-0123456789abcdef.json").write_text(path.read_text()[:-9])
    assert load_records(tmp_path) == [a_record()]
    assert not recwarn.list


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
