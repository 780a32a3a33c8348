"""A disk that is full at the end of a training costs nothing but the end."""

import errno

import pytest

from combgrad.files.writing import check_writable
from combgrad.results import load_records
from combgrad.runs import run as run_module
from combgrad.runs.configuration import compose

WORDS = ["experiment=tsp5", "profile=smoke", "margin=noise", "logger=none", "progress_bar=false"]


def configured(root, *more):
    return compose([*WORDS, "pictures=false", f"paths.root={root}", *more])


def test_a_record_that_could_not_be_written_is_made_up_for_without_training_again(
    tmp_path, monkeypatch
):
    undisturbed = run_module.run(configured(tmp_path / "undisturbed"))

    def full(path):
        raise OSError(errno.ENOSPC, f"cannot write {path}: No space left on device")

    monkeypatch.setattr(run_module, "save_record", lambda record, folder: full(folder))
    with pytest.raises(OSError, match=r"cannot write .*own: No space left"):
        run_module.run(configured(tmp_path))
    monkeypatch.undo()
    assert load_records(tmp_path / "results" / "own") == []

    def forbidden(*_):
        raise AssertionError("trained again")

    monkeypatch.setattr(
        "combgrad.experiments.globe_tsp.GlobeTSPExperiment.training_step", forbidden
    )
    record = run_module.run(configured(tmp_path, "resume=true"))
    assert load_records(tmp_path / "results" / "own") == [record]
    assert (record.metrics, record.curves) == (undisturbed.metrics, undisturbed.curves)
    assert record.seconds["train"] > 0


def test_results_that_cannot_be_written_stop_a_run_before_it_trains(tmp_path, monkeypatch):
    (tmp_path / "results").write_text("not a folder")

    def forbidden(*_):
        raise AssertionError("trained in vain")

    monkeypatch.setattr(run_module, "fit", forbidden)
    with pytest.raises(OSError, match=r"cannot write into .*results"):
        run_module.run(configured(tmp_path))


def test_a_folder_is_tried_and_left_as_it_was(tmp_path):
    check_writable(tmp_path / "new")
    assert list((tmp_path / "new").iterdir()) == []
