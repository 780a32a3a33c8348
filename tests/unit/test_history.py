"""The clocks of a training: what is evaluation is no training, and none of the solver's in it."""

from types import SimpleNamespace

import pytest

from combgrad.experiments import history
from combgrad.experiments.history import History


def test_each_second_stands_on_the_clock_it_belongs_to(monkeypatch):
    now = SimpleNamespace(wall=100.0)
    monkeypatch.setattr(history.time, "perf_counter", lambda: now.wall)
    solver = SimpleNamespace(seconds=5.0)
    module = SimpleNamespace(
        layer=SimpleNamespace(solver=solver), measured_now=lambda name: name == "val/x"
    )
    trainer = SimpleNamespace(
        callback_metrics={"val/x": 1.0}, loggers=[], current_epoch=0, global_step=7,
        should_stop=False,
    )  # fmt: skip

    def work(wall, solving):
        now.wall += wall
        solver.seconds += solving

    clocks = History()
    # What Lightning tries before the training is evaluation alone.
    clocks.on_validation_start(trainer, module)
    work(64.0, 32.0)
    clocks.on_validation_end(trainer, module)
    for epoch in range(2):
        trainer.current_epoch = epoch
        work(1000.0, 500.0)  # between epochs, on no clock
        clocks.on_train_epoch_start(trainer, module)
        work(8.0, 4.0)
        for _ in range(2):
            clocks.on_validation_start(trainer, module)
            work(2.0, 1.0)
            clocks.on_validation_end(trainer, module)
            work(0.5, 0.25)
        clocks.on_train_epoch_end(trainer, module)
    assert clocks.seconds == pytest.approx({"train": 2 * 9.0, "eval": 64 + 2 * 4.0, "solver": 9.0})
    assert clocks.steps == [7, 7]
    assert clocks.sparse == {}
