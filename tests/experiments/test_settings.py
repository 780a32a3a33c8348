"""Each number and switch of a run works or is refused in words, before any data are made."""

import inspect
import os
import re

import pytest
import torch
from hydra.errors import InstantiationException

from combgrad.guards.lightning import pl
from combgrad.results import load_records
from combgrad.runs.configuration import compose
from combgrad.runs.explanations import describe
from combgrad.runs.run import run

WORDS = [
    "experiment=tsp5",
    "profile=smoke",
    "trainer=cpu",
    "data.train_size=50",
    "data.eval_size=20",
    "logger=none",
    "pictures=false",
    "progress_bar=false",
]

#: Words -> what the refusal says.
REFUSED = {
    "seed=1830000000000": "whole number from 0 to 4294967295",
    "seed=4294967296": "whole number from 0 to 4294967295",
    "seed=-1": "seed is -1",
    "seed=1.5": "seed is 1.5",
    "seed=true": "seed is True",
    "seed=abc": "seed is 'abc'",
    "threads=0": "threads is 0",
    "threads=1.5": "threads is 1.5",
    "threads=true": "threads is True",
    f"threads={8 * (os.cpu_count() or 1) + 1}": "8 for each of the .* cores of this machine",
    "threads=100000": "threads is 100000; it must be a whole number from 1 to",
    "optimizer.lr=-1": r"optimizer\.lr=-1, .*Invalid learning rate",
    "optimizer.lr=abc": r"optimizer\.lr is 'abc'",
    "+optimizer.betas=[2,3]": "Invalid beta",
    "schedule.factor=abc": r"schedule\.factor is 'abc'",
    "schedule.at=[a]": "'a'",
    "monitor.mode=largest": "must be min or max",
    "trainer.accelerator=abacus": "invalid accelerator name",
    "trainer.devices=0": r"devices=0.*trainer=default takes whatever device is at hand",
    "trainer.devices=abc": "int > 0",
    "trainer.max_epochs=0": "at least 1",
    "trainer.max_epochs=-1": "at least 1",
    "trainer.max_epochs=1.5": "whole number",
    "trainer.max_epochs=null": "whole number",
    "+trainer.min_epochs=0": "at least 1",
    "+trainer.min_epochs=3": r"more than trainer\.max_epochs",
    "+trainer.max_steps=1": r"set trainer\.max_epochs",
    "+trainer.min_steps=1": r"set trainer\.max_epochs",
    "+trainer.max_time=00:00:00:10": "clock",
    "+trainer.fast_dev_run=true": "profile=smoke",
    "+trainer.fast_dev_run=1": "profile=smoke",
    "+trainer.limit_train_batches=1": r"data\.train_size",
    "+trainer.limit_train_batches=0.5": r"data\.train_size",
    "+trainer.overfit_batches=1": r"data\.train_size",
    "+trainer.limit_val_batches=0": r"data\.eval_size",
    "+trainer.limit_val_batches=0.0": r"data\.eval_size",
    "+trainer.limit_test_batches=1": r"data\.eval_size",
    "+trainer.limit_predict_batches=1": "nothing is predicted",
    "+trainer.val_check_interval=0.5": "every epoch is validated once",
    "+trainer.check_val_every_n_epoch=2": "every epoch is validated once",
    "trainer.num_sanity_val_steps=-2": "number of batches",
    "trainer.log_every_n_steps=-1": "whole number",
    "+trainer.accumulate_grad_batches=2": r"data\.batch_size",
    "+trainer.gradient_clip_val=-1": "above 0",
    "+trainer.gradient_clip_val=abc": "must be a number",
    "+trainer.gradient_clip_algorithm=cut": "Allowed algorithms",
    "+trainer.num_nodes=2": "one machine",
    "+trainer.precision=17": "must be 64 or 32",
    "+trainer.precision=transformer-engine": "transformer_engine",
    "+trainer.strategy=ddp_fork": "first process; choose auto, ddp",
    "+trainer.strategy=fsdp": "first process; choose auto, ddp",
    "+trainer.plugins=abc": "must be a list",
    "+trainer.enable_checkpointing=false": "last and the best epoch",
    "trainer.use_distributed_sampler=true": "share themselves out",
    "+trainer.reload_dataloaders_every_n_epochs=1": "do not change",
    "+trainer.profiler=simple": "prints nothing",
    "+trainer.barebones=true": "record needs",
    "+trainer.model_registry=abc": "not sent",
    "+trainer.enable_autolog_hparams=false": "whole configuration",
    "+trainer.logger=false": "the run sets it itself",
    "+trainer.callbacks=[]": "the run sets it itself",
    "+trainer.default_root_dir=abc": "the run sets it itself",
    "+trainer.deterministic=abc": "true or false or warn",
    "+trainer.benchmark=abc": "true or false",
    "+trainer.detect_anomaly=abc": "true or false",
    "+trainer.inference_mode=abc": "true or false",
    "+trainer.sync_batchnorm=abc": "true or false",
    "trainer.enable_progress_bar=abc": "true or false",
    "trainer.enable_model_summary=abc": "true or false",
    "+trainer.epochs=3": "unknown to Trainer",
}


@pytest.mark.parametrize("word", REFUSED)
def test_what_no_run_can_be_made_with_is_refused_before_any_data(word, tmp_path, monkeypatch):
    monkeypatch.setattr(
        "combgrad.data.globe.datamodule.GlobeTSP.data_fingerprint",
        property(lambda _: pytest.fail("data were made")),
    )
    with pytest.raises((ValueError, InstantiationException)) as caught:
        run(compose([*WORDS, f"paths.root={tmp_path}", word]))
    said = describe(caught.value, [word])
    assert re.search(REFUSED[word], said), said
    assert "\n" not in said
    assert not (tmp_path / "outputs").exists()


@pytest.mark.skipif(torch.cuda.is_available(), reason="the machine has a GPU")
def test_a_gpu_that_is_not_there_is_named_with_what_would_work(tmp_path):
    with pytest.raises(ValueError, match=r"gpu.*trainer=default takes whatever device"):
        run(compose([*WORDS, f"paths.root={tmp_path}", "trainer=gpu"]))


#: Sets of words that a run can be made with, and whether its numbers are those of a run without.
ACCEPTED = [
    ("the same numbers", ["seed=4294967295", "threads=2"]),
    (
        "the same numbers",
        [
            "trainer.num_sanity_val_steps=-1",
            "trainer.log_every_n_steps=0",
            "+trainer.strategy=auto",
            "+trainer.precision=32-true",
            "+trainer.min_epochs=2",
            "+trainer.limit_val_batches=1.0",
            "+trainer.deterministic=true",
            "+trainer.benchmark=true",
            "+trainer.inference_mode=false",
            "+trainer.detect_anomaly=true",
            "+trainer.sync_batchnorm=true",
            "+trainer.gradient_clip_val=1e9",
            "+trainer.gradient_clip_algorithm=value",
            "+trainer.plugins=[]",
            "trainer.enable_model_summary=true",
            "trainer.enable_progress_bar=true",
        ],
    ),
    ("others", ["+trainer.precision=64-true", "trainer.num_sanity_val_steps=0"]),
    ("others", ["+trainer.gradient_clip_val=1e-3", "optimizer.lr=10"]),
]


@pytest.fixture(scope="module")
def usual(tmp_path_factory):
    root = tmp_path_factory.mktemp("usual")
    return {
        seed: run(compose([*WORDS, f"paths.root={root}", f"seed={seed}"]))
        for seed in (0, 2**32 - 1)
    }


@pytest.mark.parametrize(("numbers", "words"), ACCEPTED)
def test_what_is_accepted_leaves_a_whole_record(numbers, words, usual, tmp_path):
    config = compose([*WORDS, f"paths.root={tmp_path}", *words])
    record = run(config)
    assert load_records(tmp_path / "results" / "own") == [record]
    assert {len(curve) for curve in record.curves.values()} == {2}
    expected = usual[config.seed]
    assert record.metrics.keys() == expected.metrics.keys()
    same = (record.metrics, record.curves) == (expected.metrics, expected.curves)
    assert same or numbers == "others"


def test_every_argument_of_the_trainer_is_decided():
    words = [*REFUSED, *(word for _, words in ACCEPTED for word in words)]
    tried = {word.partition("=")[0].partition("trainer.")[2] for word in words}
    assert set(inspect.signature(pl.Trainer).parameters) <= tried


def test_a_metric_that_is_not_measured_is_found_before_the_training(tmp_path, monkeypatch):
    step = "combgrad.experiments.base.Experiment.training_step"
    monkeypatch.setattr(step, lambda *_: pytest.fail("it was trained"))
    for metric in ("val/accuracy", "train/loss", "test/edge_accuracy"):
        config = compose([*WORDS, f"paths.root={tmp_path}", f"monitor.metric={metric}"])
        with pytest.raises(ValueError, match=rf"is '{metric}'.*choose one of .*val/edge_accuracy"):
            run(config)
