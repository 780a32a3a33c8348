"""How long a sweep says that it will take."""

import dataclasses

import pytest
from omegaconf import OmegaConf

from combgrad.results import RunRecord
from combgrad.sweeps.jobs import Job
from combgrad.sweeps.progress import duration, total_duration
from combgrad.sweeps.times import Total, expected_seconds, total_time, work


def config_of(experiment="tsp5", grad="identity", instances=100, epochs=10, **sizes):
    task = experiment.rstrip("0123456789")
    return {
        "choices": {"experiment": experiment, "grad": grad, "task": task, "data": task},
        "data": {"train_size": instances, **sizes},
        "trainer": {"max_epochs": epochs},
    }


def a_job(*args, **options) -> Job:
    return Job((), None, OmegaConf.create(config_of(*args, **options)), "", "")


def a_run(seconds, *args, **options) -> RunRecord:
    """A record that took so many seconds, a tenth of them for the evaluation."""
    config = config_of(*args, **options)
    values = {f.name: None for f in dataclasses.fields(RunRecord)}
    values |= {"choices": config["choices"], "config": config}
    values |= {"experiment": config["choices"]["experiment"]}
    return RunRecord(**values | {"seconds": {"train": 0.9 * seconds, "eval": 0.1 * seconds}})


def test_the_median_of_the_runs_of_the_same_method_counts():
    records = [a_run(seconds) for seconds in (10, 20, 100)] + [a_run(50, grad="blackbox")]
    assert expected_seconds(a_job(), records) == pytest.approx(20)
    assert expected_seconds(a_job(grad="blackbox"), records) == pytest.approx(50)
    assert expected_seconds(a_job(grad="imle"), records) == pytest.approx(35)
    assert expected_seconds(a_job("dvae"), records) is None
    assert expected_seconds(a_job(), []) is None


def test_a_time_is_scaled_by_instances_and_epochs_from_the_nearest_run():
    records = [a_run(60), a_run(500, instances=1000)]
    # 10 times and 3 times the work of the one that is nearest.
    assert expected_seconds(a_job(instances=1000, epochs=100), records) == pytest.approx(5000)
    assert expected_seconds(a_job(epochs=30), records) == pytest.approx(180)


def test_a_time_is_scaled_by_the_size_where_nothing_is_known_of_the_experiment():
    records = [a_run(60, "warcraft12", cells=12), a_run(7, "dvae")]
    by_area = expected_seconds(a_job("warcraft30", cells=30), records)
    assert by_area == pytest.approx(60 * 30 * 30 / (12 * 12))
    # A single run of the experiment itself counts more, whatever its method.
    records.append(a_run(900, "warcraft30", "blackbox", epochs=1, cells=30))
    assert expected_seconds(a_job("warcraft30", cells=30), records) == pytest.approx(9000)


def test_a_run_too_small_to_judge_by_leaves_the_time_unknown():
    smoke = a_run(5, instances=20, epochs=1)
    assert expected_seconds(a_job(instances=200, epochs=10), [smoke]) == pytest.approx(500)
    assert expected_seconds(a_job(instances=200, epochs=11), [smoke]) is None


@pytest.mark.parametrize(
    ("seconds", "changes"),
    [
        ({}, {}),
        ({"train": 9.0}, {}),
        ({"train": 9.0, "eval": 1.0}, {"data": None}),
        ({"train": 9.0, "eval": 1.0}, {"data": {"train_size": "many"}}),
        ({"train": 9.0, "eval": 1.0}, {"data": {"train_size": 100, "cities": [5]}}),
        ({"train": 9.0, "eval": 1.0}, {"trainer": {"max_epochs": None}}),
    ],
)
def test_a_record_that_does_not_say_its_time_or_its_work_is_not_judged_by(seconds, changes):
    strange = a_run(1)
    strange = dataclasses.replace(strange, seconds=seconds, config=strange.config | changes)
    assert expected_seconds(a_job(), [strange]) is None
    assert expected_seconds(a_job(), [strange, a_run(20)]) == pytest.approx(20)


def test_a_total_says_what_it_does_not_know():
    records = [a_run(3600)]
    jobs = [(a_job(), 0.5), (a_job(), 1.0), (a_job("dvae"), 1.0)]
    total = total_time(jobs, records)
    assert (total.seconds, total.known, total.unknown) == (pytest.approx(5400), 2, 1)
    assert total_duration(total) == "at least 1 h 30 min (1 job of unknown length)"
    assert total_duration(total_time(jobs[:2], records), workers=2) == "about 45 min"
    assert total_duration(Total(0.0, 0, 2)) == "unknown"
    assert total_duration(Total(0.0, 0, 0)) == "no time"
    assert duration(None) == "unknown"


def test_the_work_of_a_configuration():
    assert work(config_of(instances=7, epochs=3)) == 21
    assert work(config_of(instances=7, epochs=3, cells=5)) == 21 * 25
    assert work(config_of(instances=7, epochs=3, cities=5)) == 21 * 5
    assert work({"data": {"train_size": 7}, "trainer": {}}) is None
