"""A run works in any folder, wherever it is started, and everything it writes lies in one place."""

import os
import subprocess
import sys

import pytest

from combgrad.results import load_records
from combgrad.runs.configuration import CONFIG_FOLDER

TRAIN = CONFIG_FOLDER.parent / "train.py"
SMOKE = ["experiment=tsp5", "profile=smoke", "logger=none", "pictures=false", "progress_bar=false"]
NASTY = "a::b\\c d'e\"f=g,h[i](j)ü%#{k}$l"


def train(folder, home, *words):
    folder.mkdir(parents=True)
    return subprocess.run(
        [sys.executable, str(TRAIN), *SMOKE, *words],
        cwd=folder,
        env={**os.environ, "HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=280,
    )


@pytest.mark.parametrize(
    ("start", "words", "place"),
    [
        ("start", ["hydra.job.chdir=true"], "start"),
        ("start", ["hydra.job.chdir=true", "paths.root=here"], "start/here"),
        ("start", ["paths.root='~/exp'"], "exp"),
        ("start", ["paths.results=../records/"], "start"),
        (NASTY, ["resume=true"], NASTY),
    ],
)
def test_all_that_a_run_writes_lies_below_its_root(tmp_path, start, words, place):
    done = train(tmp_path / start, tmp_path, *words)
    assert done.returncode == 0, done.stderr
    root = tmp_path / place
    records = tmp_path / "records" if "records" in words[0] else root / "results" / "own"
    assert len(load_records(records)) == 1
    assert len(list((root / "outputs").glob("tsp5-*/checkpoints/last.ckpt"))) == 1
    assert (root / ".cache").is_dir()
    tops = {path.name for path in (tmp_path / start).iterdir()} - {"here"}
    assert tops <= {"outputs", "results", ".cache"}


def test_a_folder_that_reads_as_an_interpolation_is_refused_in_words(tmp_path):
    done = train(tmp_path / "a${x}b", tmp_path)
    assert done.returncode == 1
    assert "${" in done.stderr
    assert "choose another folder" in done.stderr
    assert "Traceback" not in done.stderr
    assert list((tmp_path / "a${x}b").iterdir()) == []
