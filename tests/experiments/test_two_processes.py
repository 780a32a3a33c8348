"""Two processes that share every batch train as one process does."""

import subprocess
import sys
from pathlib import Path

import pytest

from combgrad.results import load_records
from combgrad.runs.configuration import compose
from combgrad.runs.run import run

TRAIN = Path(__file__).parents[2] / "train.py"


def trained(root, trainer):
    words = ["experiment=tsp5", "grad=blackbox", "profile=smoke", "logger=none", "pictures=false"]
    # An odd number of instances, so that the two evaluate shares of different sizes.
    words += ["data.eval_size=21", f"trainer={trainer}", f"paths.root={root}"]
    # A sweep starts a job of several processes as a single run of its own: both are tested here.
    sweep = ["-m"] if trainer == "ddp" else []
    subprocess.run(
        [sys.executable, str(TRAIN), *sweep, *words], check=True, capture_output=True, timeout=300
    )
    (record,) = load_records(root / "results" / "own")
    return record


def test_two_processes_find_what_one_finds(tmp_path):
    one, two = (trained(tmp_path / name, name) for name in ("cpu", "ddp"))
    assert one.key == two.key
    for name, value in one.metrics.items():
        assert abs(two.metrics[name] - value) <= 1e-4 * abs(value), name
    tours = 21 * two.metrics["last/tour_accuracy"]
    assert abs(tours - round(tours)) < 1e-3


def test_several_processes_are_refused_where_no_command_line_can_start_them(tmp_path):
    words = ["experiment=tsp5", "profile=smoke", "logger=none", "trainer=ddp"]
    with pytest.raises(ValueError, match=r"2 processes.*python train\.py.*trainer\.devices=1"):
        run(compose([*words, f"paths.root={tmp_path}"]))
