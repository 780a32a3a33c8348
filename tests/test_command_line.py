"""train.py as a user meets it: sweeps, loggers, errors."""

import os
import re
import shlex
import subprocess
import sys

import pytest

from combgrad.results import load_records
from combgrad.runs.configuration import CONFIG_FOLDER

TRAIN = CONFIG_FOLDER.parent / "train.py"


def train(root, *words, check=True):
    environment = {key: value for key, value in os.environ.items() if key != "HYDRA_FULL_ERROR"}
    environment["WANDB_SILENT"] = "true"
    root_words = [] if "--help" in words else [f"paths.root={root}"]
    return subprocess.run(
        [sys.executable, str(TRAIN), *words, *root_words],
        check=check,
        capture_output=True,
        text=True,
        timeout=280,
        env=environment,
    )


def test_a_sweep_of_offline_wandb_runs_keeps_them_apart(tmp_path):
    done = train(
        tmp_path, "-m", "experiment=tsp5,tsp10", "grad=identity,blackbox", "profile=smoke",
        "logger=wandb", "pictures=false",
    )  # fmt: skip
    records = load_records(tmp_path / "results" / "own")
    assert sorted((r.experiment, r.choices["grad"]) for r in records) == [
        ("tsp10", "blackbox"), ("tsp10", "identity"), ("tsp5", "blackbox"), ("tsp5", "identity"),
    ]  # fmt: skip
    sessions = list(tmp_path.glob("outputs/tsp*/wandb/offline-run-*/run-*.wandb"))
    assert len({path.parts[-4] for path in sessions}) == len(sessions) == 4
    assert "edge_accuracy" in done.stdout


@pytest.mark.parametrize(
    ("logger", "file"), [("csv", "csv/metrics.csv"), ("tensorboard", "tensorboard/events*")]
)
def test_loggers_write_into_the_run_folder(tmp_path, logger, file):
    train(tmp_path, "experiment=tsp5", "profile=smoke", f"logger={logger}", "pictures=false")
    (folder,) = (tmp_path / "outputs").glob("tsp5-*")
    logs = list(folder.glob(file))
    assert max(log.stat().st_size for log in logs) > 100


def test_several_loggers_write_at_once(tmp_path):
    words = ["experiment=tsp5", "profile=smoke", "logger=[csv,tensorboard]", "pictures=false"]
    train(tmp_path, *words)
    (folder,) = (tmp_path / "outputs").glob("tsp5-*")
    assert "test/edge_accuracy" in (folder / "csv" / "metrics.csv").read_text()
    assert max(log.stat().st_size for log in folder.glob("tensorboard/events*")) > 100
    (record,) = load_records(tmp_path / "results" / "own")
    assert record.command == f"python train.py {shlex.join(words)}"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["logger=[csv,banana]"], "there is no logger=banana. There are: csv, none"),
        (["logger=wandb", "logger.offline=false"], "Did you mean logger.wandb.offline?"),
        (["grad=banana"], "there is no grad=banana. There are: adaptive_imle"),
        (["margin=noise", "margin.alfa=1"], "Did you mean margin.alpha?"),
        (["proj=plane", "proj.a=[1,2,3,4,5,6,7,8,9,10]"], "Choose another `a`"),
        (["data.source=original"], "COMBGRAD_DATA"),
        (["data.source=original", "data.path=."], "10.17617/3.YJCQ5S"),
    ],
)
def test_mistakes_get_one_message_without_a_traceback(tmp_path, words, message):
    failed = train(tmp_path, *words, check=False)
    assert failed.returncode == 1
    assert message in failed.stderr
    assert "Traceback" not in failed.stderr
    assert not (tmp_path / "results").exists()
    assert not list(tmp_path.glob("outputs/*"))


def test_without_a_root_everything_goes_below_the_current_folder(tmp_path):
    words = ["-m", "experiment=tsp5", "seed=0,1", "profile=smoke", "logger=none", "pictures=false"]
    command = [sys.executable, str(TRAIN), *words]
    subprocess.run(command, check=True, capture_output=True, timeout=280, cwd=tmp_path)
    assert [r.seed for r in load_records(tmp_path / "results" / "own")] == [0, 1]
    assert len(list((tmp_path / "outputs").glob("tsp5-*"))) == 2


def test_help_lists_the_groups_and_every_key_with_its_comment(tmp_path):
    shown = train(tmp_path, "--help").stdout.splitlines()
    assert any(line.startswith("grad: adaptive_imle, blackbox, cvxpylayers") for line in shown)
    assert "margin: informed, noise, none" in shown
    assert "resume: false  # true: go on from this run's checkpoint where there is one" in shown
    text = (CONFIG_FOLDER / "train.yaml").read_text(encoding="utf-8")
    keys = text.partition("\nseed: ")[2].partition("\nhydra:")[0]
    told = dict(re.findall(r"^(?: *)(\w+):.*# (.*)$", f"seed: {keys}", re.MULTILINE))
    assert len(told) > 15
    for key, comment in told.items():
        assert any(re.match(rf" *{key}:", s) and s.endswith(f"# {comment}") for s in shown), key
    headings = re.findall(r"^# .*$", keys, re.MULTILINE)
    assert [heading for heading in headings if heading not in shown] == []
    assert "size: ${budget.${profile.name}}" in shown


def test_no_secret_reaches_any_file(tmp_path, monkeypatch):
    monkeypatch.setenv("MY_SECRET", "hunter2")
    words = ["experiment=tsp5", "profile=smoke", "logger=wandb", "pictures=false"]
    secrets = [
        "+logger.wandb.notes=${oc.env:MY_SECRET}",
        "logger.wandb.job_type='https://me:hunter2@example.org/x?token=hunter2'",
    ]
    train(tmp_path, *words, *secrets)
    (record,) = load_records(tmp_path / "results" / "own")
    assert shlex.split(record.command) == [
        *("python", "train.py", *words),
        "+logger.wandb.notes=${oc.env:MY_SECRET}",
        "logger.wandb.job_type='https://example.org/x'",
    ]
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert any(path.suffix == ".wandb" for path in files)
    assert [path for path in files if b"hunter2" in path.read_bytes()] == []
