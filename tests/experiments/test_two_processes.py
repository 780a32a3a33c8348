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


WHOLE_SET = """
import sys
import torch
from combgrad.data.datamodule import TensorDataModule
from combgrad.experiments.base import Experiment
from combgrad.gradients import Identity
from combgrad.guards.lightning import pl
from combgrad.layer import CombinatorialLayer
from combgrad.solvers import TopK

class Data(TensorDataModule):
    source, data_fingerprint, eval_batch_size = "regenerated", "numbers", 0
    def columns(self, split):
        return {"x": torch.arange(7.0)[:, None]}

class Whole(Experiment):
    def step(self, batch, stage):
        self.keep(stage, x=batch["x"], number=batch["x"][:, 0].long())
        return self.net(batch["x"]).square().mean(), {}
    def epoch_metrics(self, stage):
        if stage == "val":
            rows = self.kept(stage)
            assert rows["x"][:, 0].tolist() == rows["number"].tolist() == list(range(7))
            return {"median": rows["x"].median(), "rows": torch.tensor(float(len(rows["x"])))}
        return {}

layer = CombinatorialLayer(TopK(1), Identity())
experiment = Whole(torch.nn.Linear(1, 1), layer, torch.optim.SGD)
trainer = pl.Trainer(max_epochs=1, accelerator="cpu", devices=2, strategy="ddp", logger=False,
                     enable_checkpointing=False, enable_progress_bar=False,
                     use_distributed_sampler=False, num_sanity_val_steps=0)
trainer.fit(experiment, Data(train_size=7, eval_size=7, batch_size=2, order_seed=0))
if trainer.is_global_zero:
    print({name: float(v) for name, v in trainer.callback_metrics.items() if name != "train/loss"
           and name != "val/loss"})
"""


def test_a_metric_of_a_set_sees_the_rows_of_both_processes_in_order(tmp_path):
    script = tmp_path / "whole.py"
    script.write_text(WHOLE_SET)
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, timeout=300, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "{'val/median': 3.0, 'val/rows': 7.0}" in done.stdout
