"""Snapshots are taken when they should be, change nothing, and survive an interruption."""

import shutil

import pytest
import torch

from combgrad.experiments.looking import only_looking
from combgrad.experiments.snapshots import Pictured, Snapshots, moments_of
from combgrad.runs.configuration import compose
from combgrad.runs.parts import build
from combgrad.runs.run import fit, run

WORDS = [
    "experiment=tsp5", "profile=smoke", "margin=noise", "margin.alpha=0.2", "logger=none",
    "trainer=cpu", "trainer.max_epochs=4", "seed=5",
]  # fmt: skip


def config(root, *more):
    return compose([*WORDS, f"paths.root={root}", *more])


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run of four epochs with pictures: its record and its folder."""
    root = tmp_path_factory.mktemp("trained")
    record = run(config(root))
    (folder,) = (root / "outputs").iterdir()
    return record, folder


def moments_in(folder):
    state = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)["callbacks"]
    (found,) = [value["moments"] for name, value in state.items() if name.startswith("Snapshots")]
    return found


def test_the_moments_lie_in_the_checkpoint_and_are_those_of_their_weights(trained, tmp_path):
    _, folder = trained
    moments = moments_in(folder)
    assert sorted(moments) == [0, 1, 2, 4]
    for points in moments.values():
        torch.testing.assert_close(points.norm(dim=1), torch.ones(100))
    assert (moments[0] - moments[4]).abs().max() > 0.01
    parts = build(config(tmp_path))
    parts.data.setup()
    parts.trainer.datamodule = parts.data
    parts.experiment.trainer = parts.trainer
    parts.experiment.setup("test")
    with torch.no_grad():
        torch.testing.assert_close(moments[0], parts.experiment.snapshot())
        weights = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)
        parts.experiment.load_state_dict(weights["state_dict"])
        torch.testing.assert_close(moments[4], parts.experiment.snapshot())


def test_the_picture_is_drawn(trained):
    _, folder = trained
    assert (folder / "training.png").read_bytes().startswith(b"\x89PNG")


def test_a_run_without_snapshots_has_the_same_numbers_and_no_picture(trained, tmp_path):
    record, _ = trained
    other = run(config(tmp_path, "~callbacks.snapshots", "pictures=false"))
    assert (other.metrics, other.curves) == (record.metrics, record.curves)
    assert (other.key, other.best_epoch) == (record.key, record.best_epoch)
    # Pictures may be wished for later; the moments that are gone are then missing, nothing else.
    shutil.rmtree(tmp_path / "results")
    assert run(config(tmp_path, "resume=true")).metrics == record.metrics
    (folder,) = (tmp_path / "outputs").iterdir()
    names = {path.name for path in folder.iterdir()}
    assert "tour.png" in names
    assert "training.png" not in names


class Cut(Exception):
    """What ends a training in the middle of an epoch."""


def test_a_resumed_run_has_the_snapshots_from_before_the_interruption(trained, tmp_path):
    wanted_alone = ("pictures=false", "callbacks.snapshots.wanted=true")
    parts = build(config(tmp_path, *wanted_alone))
    steps = []

    def cut_off(*_):
        steps.append(1)
        if len(steps) > 10:
            raise Cut

    parts.experiment.on_train_batch_end = cut_off
    with pytest.raises(Cut):
        fit(parts, None)
    (folder,) = (tmp_path / "outputs").iterdir()
    assert sorted(moments_in(folder)) == [0, 1, 2]
    record = run(config(tmp_path, *wanted_alone, "resume=true"))
    assert record.resumed_at == [2]
    expected, whole = trained
    assert record.metrics == expected.metrics
    found, wanted = moments_in(folder), moments_in(whole)
    assert sorted(found) == sorted(wanted)
    for epoch, points in wanted.items():
        assert torch.equal(found[epoch], points), epoch


class Part(torch.nn.Module):
    """Three parts in different modes, and what it looks like while it is looked at."""

    def __init__(self):
        super().__init__()
        self.frozen = torch.nn.Dropout(0.5).eval()
        self.active = torch.nn.Dropout(0.5)


def test_looking_leaves_modes_gradients_and_random_numbers_alone():
    module = Part().train()
    module.frozen.eval()
    state = torch.get_rng_state()
    with only_looking(module):
        assert not any(part.training for part in module.modules())
        assert not torch.is_grad_enabled()
        torch.testing.assert_close(module.active(torch.ones(9)), torch.ones(9))
    assert [part.training for part in module.modules()] == [True, False, True]
    assert torch.is_grad_enabled()
    assert torch.equal(torch.get_rng_state(), state)
    with pytest.raises(ZeroDivisionError), only_looking(module):
        _ = 1 / 0
    assert [part.training for part in module.modules()] == [True, False, True]


class FakeTrainer:
    """As much of a trainer as a callback asks for."""

    def __init__(self, *callbacks, max_epochs=10):
        self.callbacks, self.max_epochs, self.current_epoch = callbacks, max_epochs, 0


class Counter(torch.nn.Module):
    """A network of one number, which its snapshot is a view of."""

    def __init__(self):
        super().__init__()
        self.value = torch.zeros(1)

    def snapshot(self):
        return self.value


def epochs_of(callback, module, epochs=10):
    trainer = FakeTrainer(callback, max_epochs=epochs)
    callback.on_train_start(trainer, module)
    for epoch in range(epochs):
        trainer.current_epoch = epoch
        module.value = getattr(module, "value", 0) + 1
        callback.on_train_epoch_end(trainer, module)
    return moments_of(trainer)


def test_the_moments_are_fractions_of_the_training():
    found = epochs_of(Snapshots([1.0, 0.0, 0.01, 0.5]), Counter())
    assert {epoch: float(value) for epoch, value in found.items()} == {0: 0, 1: 1, 5: 5, 10: 10}
    assert list(found) == [0, 1, 5, 10]
    assert Snapshots([0.01, 0.5]).epochs(25) == {1, 12}
    assert Snapshots([0.01, 0.5, 1.0]).epochs(1) == {1}


def test_a_snapshot_does_not_change_with_the_network():
    callback, module = Snapshots([0.0]), Counter()
    callback.on_train_start(FakeTrainer(callback), module)
    module.value += 7
    assert float(callback.moments[0]) == 0


def test_pictures_decide_whether_any_are_kept():
    for pictures in (True, False):
        callbacks = compose([f"pictures={str(pictures).lower()}"]).callbacks
        assert callbacks.snapshots.wanted is pictures


def test_nothing_is_kept_where_it_is_not_wanted_or_there_is_nothing_to_keep():
    assert epochs_of(Snapshots([0.0, 1.0], wanted=False), Counter()) == {}
    assert epochs_of(Snapshots([0.0, 1.0]), torch.nn.Linear(1, 1)) == {}
    assert not isinstance(torch.nn.Linear(1, 1), Pictured)
    assert moments_of(FakeTrainer()) == {}


def test_moments_outside_the_training_are_refused():
    with pytest.raises(ValueError, match=r"callbacks\.snapshots\.at"):
        Snapshots([0.0, 1.5])
