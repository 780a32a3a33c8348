"""What a run takes beside its steps: the parts are all measured, and add up."""

import pytest

from benchmarks.run_shares import Clock, shares

NAMED = {"steps in the run", "evaluation", "checkpoints", "loggers"}


def test_a_clock_counts_the_calls_of_a_method_and_passes_on_what_they_say():
    class Counter:
        def add(self, value, *, times=1):
            if times < 0:
                raise ValueError("times")
            return value * times

    clock, counter = Clock(), Counter()
    clock.around("adding", counter, "add")
    assert counter.add(3, times=4) == 12
    with pytest.raises(ValueError, match="times"):
        counter.add(3, times=-1)
    assert list(clock.seconds) == ["adding"]
    assert clock.seconds["adding"] >= 0


def test_the_parts_of_a_run_add_up_to_its_training(tmp_path):
    small = ["data.train_size=100", "data.eval_size=50", f"paths.cache={tmp_path}"]
    found = shares("tsp5", small)
    assert set(found) == {"bare steps", "all of the training", "the rest", *NAMED}
    assert found["all of the training"] == pytest.approx(
        sum(found[name] for name in NAMED) + found["the rest"]
    )
    assert all(value > 0 for value in found.values())
