"""What an experiment may say for itself: batches of any form, whole-set metrics, rates."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from combgrad.data.datamodule import TensorDataModule
from combgrad.experiments.base import Experiment
from combgrad.experiments.checkpoints import BEST, LAST, Checkpoints, WholeFiles
from combgrad.experiments.history import History
from combgrad.experiments.measuring import gathered
from combgrad.experiments.rates import drops, groups_of
from combgrad.gradients import Identity
from combgrad.guards.lightning import pl
from combgrad.layer import CombinatorialLayer
from combgrad.solvers import TopK

ROWS, EPOCHS, EVERY = 10, 8, 3
#: The first, every third from there, and the last.
ASKED = [0, 3, 6, 7]


@dataclass
class Ragged:
    """Rows of different length."""

    rows: list[Tensor]


def ragged(loader):
    loader.collate_fn = lambda batch: Ragged(
        [torch.full((n + 1,), float(n)) for n in batch["number"].tolist()]
    )
    return loader


class RaggedData(TensorDataModule):
    """Row i has i + 1 numbers, which are i."""

    source = "regenerated"
    data_fingerprint = "ragged"
    eval_batch_size = 0
    scale = 3.0

    def __init__(self):
        super().__init__(train_size=ROWS, eval_size=ROWS, batch_size=4, order_seed=0)

    def columns(self, split):
        return {"number": torch.arange(ROWS)}

    def train_dataloader(self):
        return ragged(super().train_dataloader())

    def val_dataloader(self):
        return ragged(super().val_dataloader())

    test_dataloader = val_dataloader


class RaggedExperiment(Experiment):
    """Scales each row's sum, and measures over the whole set what no mean of batches can."""

    def __init__(self, **parts):
        layer = CombinatorialLayer(TopK(1), Identity())
        net = nn.Sequential(nn.Linear(1, 1), nn.Linear(1, 1))
        super().__init__(net=net, layer=layer, **parts)
        self.seen, self.lr, self.asked = [], [], []

    def prepare(self, data: RaggedData):
        self.scale = data.scale

    def batch_size(self, batch: Ragged):
        return len(batch.rows)

    def step(self, batch: Ragged, stage):
        sums = torch.stack([row.sum() for row in batch.rows])
        if stage != "train":
            self.keep(stage, sums=sums)
        error = (self.net(sums[:, None] / 100)[:, 0] - self.scale).square()
        return error.mean(), {"total": sums}

    def epoch_metrics(self, stage):
        if stage == "train":
            return {}
        self.asked.append((stage, self.current_epoch))
        sums = self.kept(stage)["sums"]
        self.seen.append(sums)
        # A metric with its best in the middle, at an epoch where it is asked for.
        return {"median": sums.median(), "late": torch.tensor(-abs(self.current_epoch - 5.9))}

    def on_train_epoch_start(self):
        super().on_train_epoch_start()
        self.lr.append([group["lr"] for group in self.trainer.optimizers[0].param_groups])


def fitted(folder, monitor="val/late", stop_after=EPOCHS, resume=False, **parts):
    torch.manual_seed(0)
    experiment = RaggedExperiment(optimizer=torch.optim.SGD, epoch_metrics_every=EVERY, **parts)
    history, checkpoints = History(), Checkpoints(folder, monitor, "max")
    stop = pl.callbacks.LambdaCallback(
        on_train_epoch_end=lambda trainer, module: setattr(
            trainer, "should_stop", trainer.current_epoch + 1 == stop_after
        )
    )
    trainer = pl.Trainer(
        max_epochs=EPOCHS,
        accelerator="cpu",
        logger=pl.loggers.CSVLogger(folder, name="", version=""),
        callbacks=[stop, history, checkpoints],
        plugins=[WholeFiles()],
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=1,
    )
    path = folder / LAST if resume else None
    data = RaggedData()
    trainer.fit(experiment, data, ckpt_path=path, weights_only=True)
    return experiment, trainer, history, checkpoints, data


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hooks")
    rates = {"0": 0.5, "1.bias": 0.0}
    return folder, fitted(folder, rates=rates, schedule=drops([0.5], 0.1))


def test_batches_may_have_any_form_and_their_size_weighs(run):
    _, (_, _, history, _, _) = run
    sums = [n * (n + 1) for n in range(ROWS)]
    for curve in ("train/total", "val/total"):
        assert history.curves[curve] == pytest.approx([np.mean(sums)] * EPOCHS)


def test_a_metric_of_the_whole_set_sees_all_rows_in_order_at_its_epochs(run):
    _, (experiment, trainer, history, _, data) = run
    sums = [n * (n + 1) for n in range(ROWS)]
    # The first is Lightning's check of one batch.
    assert experiment.seen[0].tolist() == sums[:4]
    assert [seen.tolist() for seen in experiment.seen[1:]] == [sums] * len(ASKED)
    assert [epoch for _, epoch in experiment.asked[1:]] == ASKED
    assert history.epochs["val/median"] == ASKED
    assert history.curves["val/median"] == [sorted(sums)[(ROWS - 1) // 2]] * len(ASKED)
    assert history.epochs["val/total"] == history.epochs["train/loss"] == list(range(EPOCHS))
    assert history.sparse == dict.fromkeys(("val/median", "val/late"), ASKED)
    trainer.test(experiment, data, verbose=False)
    assert float(trainer.callback_metrics["test/median"]) == sorted(sums)[(ROWS - 1) // 2]


def test_the_best_epoch_is_one_of_those_in_which_it_was_measured(run):
    folder, (_, _, _, checkpoints, _) = run
    assert checkpoints.best_epoch == 6
    assert torch.load(folder / BEST, weights_only=True)["epoch"] == 6


def test_the_loggers_hear_of_a_sparse_metric_at_its_epochs_only(run):
    folder, _ = run
    lines = (folder / "metrics.csv").read_text().splitlines()
    names = lines[0].split(",")
    rows = [dict(zip(names, line.split(","), strict=True)) for line in lines[1:]]
    told = [int(row["epoch"]) for row in rows if row["val/median"]]
    assert told == ASKED
    assert [int(row["epoch"]) for row in rows if row["val/total"]] == list(range(EPOCHS))


def test_a_resumed_run_has_the_same_curves_and_best_epoch(run, tmp_path):
    _, (_, _, history, checkpoints, _) = run
    parts = {"rates": {"0": 0.5, "1.bias": 0.0}, "schedule": drops([0.5], 0.1)}
    fitted(tmp_path, stop_after=5, **parts)
    state = torch.load(tmp_path / LAST, weights_only=True)
    assert state["epoch"] == 4
    state["callbacks"]["History"]["stopped"] = False
    torch.save(state, tmp_path / LAST)
    _, _, again, best, _ = fitted(tmp_path, resume=True, **parts)
    assert (again.curves, again.epochs) == (history.curves, history.epochs)
    assert (best.best_epoch, best.best_score) == (checkpoints.best_epoch, checkpoints.best_score)


def test_a_metric_that_is_not_measured_is_refused_before_the_training(tmp_path):
    with pytest.raises(ValueError, match=r"'val/recall', which .* choose one of .*val/median"):
        fitted(tmp_path, monitor="val/recall")


def test_parts_of_the_network_have_their_rates_and_all_follow_the_schedule(run):
    _, (experiment, *_) = run
    usual = 1e-3  # of torch's SGD
    early, late = [usual, 0.5, 0.0], [usual / 10, 0.05, 0.0]
    np.testing.assert_allclose(experiment.lr, [early] * 4 + [late] * 4)
    torch.manual_seed(0)
    start = nn.Sequential(nn.Linear(1, 1), nn.Linear(1, 1))
    assert torch.equal(experiment.net[1].bias, start[1].bias)
    assert not torch.equal(experiment.net[1].weight, start[1].weight)
    assert not torch.equal(experiment.net[0].bias, start[0].bias)


def test_an_inner_part_goes_before_the_one_around_it():
    net = nn.Sequential(nn.Linear(2, 2), nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1)))
    groups = groups_of(net, {"1": 0.1, "1.1": 0.2})
    assert [group.get("lr") for group in groups] == [None, 0.1, 0.2]
    found = [[id(p) for p in group["params"]] for group in groups]
    assert found == [[id(p) for p in part.parameters()] for part in (net[0], net[1][0], net[1][1])]
    (whole,) = groups_of(net, {})
    assert [id(p) for p in whole["params"]] == [id(p) for p in net.parameters()]


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ({"rates": {"backbone": 0.1}}, "names 'backbone', .* its parts are 0, 1"),
        ({"rates": {"0": -1.0}}, r"task\.rates\.0 is -1\.0"),
        ({"rates": {"0": "fast"}}, r"task\.rates\.0 is 'fast'"),
        ({"epoch_metrics_every": 0}, "epoch_metrics_every is 0"),
        ({"epoch_metrics_every": 1.5}, r"epoch_metrics_every is 1\.5"),
    ],
)
def test_rates_and_times_that_cannot_be_are_refused(parts, said):
    with pytest.raises(ValueError, match=said):
        RaggedExperiment(optimizer=torch.optim.SGD, **parts)


@pytest.mark.parametrize("value", [torch.zeros(2), 0.5])
def test_a_metric_of_a_set_is_one_number(tmp_path, monkeypatch, value):
    monkeypatch.setattr(RaggedExperiment, "epoch_metrics", lambda self, stage: {"x": value})
    with pytest.raises(
        ValueError, match=r"epoch_metrics\('val'\) gives 'x' of shape .* one number"
    ):
        fitted(tmp_path)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (lambda loss: loss, "a tensor alone"),
        (lambda loss: {"loss": loss}, "{'loss': "),
        (lambda loss: (loss, loss), r"\[tensor\("),
        (lambda loss: None, "None"),
    ],
)
def test_a_step_that_answers_as_one_of_lightning_is_told_what_to_return(
    tmp_path, monkeypatch, answer, said
):
    step = RaggedExperiment.step
    monkeypatch.setattr(RaggedExperiment, "step", lambda *asked: answer(step(*asked)[0]))
    said = rf"RaggedExperiment\.step\('val'\) gives {said}.*must return the loss and its metrics"
    with pytest.raises(ValueError, match=said):
        fitted(tmp_path)


def test_a_metric_of_a_step_that_is_called_loss_is_refused(tmp_path, monkeypatch):
    def step(self, batch, stage):
        return torch.zeros((), requires_grad=True), {"loss": torch.ones(len(batch.rows))}

    monkeypatch.setattr(RaggedExperiment, "step", step)
    with pytest.raises(ValueError, match="gives a metric named 'loss'"):
        fitted(tmp_path)


@pytest.mark.parametrize(("rows", "world"), [(7, 3), (6, 3), (2, 2), (5, 1)])
def test_rows_of_several_processes_come_back_in_order(rows, world):
    whole = torch.arange(2 * rows).view(rows, 2)
    shares = [whole[rank::world] for rank in range(world)]
    most = len(shares[0])
    for own in shares:
        asked = []

        def gather(tensor, own=own, asked=asked):
            asked.append(tensor)
            if len(asked) == 1:
                assert int(tensor) == len(own)
                return torch.tensor([len(share) for share in shares])
            padded = [nn.functional.pad(share, (0, 0, 0, most - len(share))) for share in shares]
            assert tensor.shape == padded[0].shape
            return torch.stack(padded)

        assert torch.equal(gathered(own, gather), whole)
