"""A sweep by its rules, with a launcher that does what the test says."""

import dataclasses
import json
import random
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pytest
from hydra.core.utils import JobReturn, JobStatus
from omegaconf import OmegaConf

from combgrad.files.claim import RunBusyError, Status, claim, note_record, read_status, write_status
from combgrad.results import RunRecord, save_record
from combgrad.results.identity import run_key
from combgrad.results.record import file_name
from combgrad.sweeps.jobs import Job
from combgrad.sweeps.summary import (
    JobsFailedError,
    print_plan,
    print_summary,
    raise_if_any_failed,
)
from combgrad.sweeps.sweep import FINAL, Progress, State, Sweep
from combgrad.sweeps.task import Outcome, ProcessDiedError


def make_job(root: Path, seed: int, grad="identity", experiment="tsp5") -> Job:
    config = {
        "paths": {
            "output": str(root / "outputs" / f"run{seed}"),
            "committed": str(root / "committed"),
            "results": str(root / "runs"),
        },
        "choices": {"grad": grad, "experiment": experiment},
        "profile": {"name": "smoke"},
        "monitor": {"metric": "val/edge_accuracy"},
    }
    key = run_key({"seed": seed}, "")
    return Job((f"seed={seed}",), "table6", OmegaConf.create(config), f"run{seed}", key)


def make_record(job: Job, seconds=(1.0, 0.5), finished="2026-01-01T00:00:00+00:00") -> RunRecord:
    train, evaluation = seconds
    values = {
        "name": job.name, "experiment": job.config.choices.experiment,
        "choices": dict(job.config.choices), "profile": "smoke",
        "config": {"seed": int(job.overrides[0].removeprefix("seed="))}, "best_epoch": 0,
        "data_source": "regenerated", "data_fingerprint": "", "seed": 0,
        "metrics": {"test/edge_accuracy": 0.5}, "curves": {}, "versions": {}, "commit": "",
        "seconds": {"train": train, "eval": evaluation, "solver": 0.1}, "hardware": {},
        "command": "", "started": finished, "finished": finished, "resumed_at": [],
    }  # fmt: skip
    return RunRecord(**values)


class Launcher:
    """Carries out jobs by `act(job, sweep id)`; remembers which it was given."""

    def __init__(self, jobs, act):
        self.jobs = {job.overrides[0]: job for job in jobs}
        self.act = act
        self.calls = []

    def __call__(self, batch):
        self.calls.append([words[0] for words in batch])
        returns = []
        for words in batch:
            (sweep,) = (word.removeprefix("sweep=") for word in words if word.startswith("sweep="))
            result = JobReturn(status=JobStatus.COMPLETED)
            try:
                result.return_value = self.act(self.jobs[words[0]], sweep)
            except RuntimeError as error:
                result.status, result.return_value = JobStatus.FAILED, error
            returns.append(result)
        return returns


def finish(job, sweep):
    with claim(job.folder, sweep):
        note_record(job.folder, save_record(make_record(job), job.results))


def begin_and_die(job, sweep):
    job.folder.mkdir(parents=True, exist_ok=True)
    write_status(job.folder, dataclasses.replace(Status.mine(sweep), epoch=3, epochs=9))


class Killed(Exception):
    """What a launcher raises when a worker dies."""


def outcome(tmp_path, number, act, **options):
    jobs = [make_job(tmp_path, seed) for seed in range(number)]
    launcher = Launcher(jobs, act)
    sweep = Sweep(jobs, launcher, root=str(tmp_path), **options)
    sweep.run()
    return sweep, launcher


def test_what_is_done_is_skipped_and_the_rest_is_run(tmp_path):
    done = make_job(tmp_path, 1)
    save_record(make_record(done), done.results)
    sweep, launcher = outcome(tmp_path, 3, finish)
    assert launcher.calls == [["seed=0", "seed=2"]]
    assert [e.state for e in sweep.progress] == [State.DONE, State.SKIPPED, State.DONE]
    again, idle = outcome(tmp_path, 3, finish)
    assert idle.calls == []
    assert {e.state for e in again.progress} == {State.SKIPPED}


def test_rerun_runs_all_of_them_again(tmp_path):
    outcome(tmp_path, 2, finish)

    def finish_now(job, sweep):
        with claim(job.folder, sweep):
            # The clock was set back since the first run.
            save_record(make_record(job, finished="1999-01-01T00:00:00+00:00"), job.results)

    sweep, launcher = outcome(tmp_path, 2, finish_now, rerun=True)
    assert launcher.calls == [["seed=0", "seed=1"]]
    assert {e.state for e in sweep.progress} == {State.DONE}


def test_in_a_rerun_what_was_done_before_is_still_to_be_done(tmp_path):
    outcome(tmp_path, 2, finish)
    jobs = [make_job(tmp_path, seed) for seed in range(3)]
    for rerun, undone in ((False, jobs[2:]), (True, jobs)):
        assert Sweep(jobs, finish, root=str(tmp_path), rerun=rerun)._undone() == undone


def test_in_a_rerun_the_record_of_before_is_no_answer(tmp_path):
    outcome(tmp_path, 1, finish)

    def say_the_old_one(job, sweep):
        return Outcome(0.5, str(job.results / file_name(job.name, job.key)))

    sweep, launcher = outcome(tmp_path, 1, say_the_old_one, rerun=True)
    assert launcher.calls == 2 * [["seed=0"]]
    (entry,) = sweep.progress
    assert (entry.state, entry.error) == (State.FAILED, "it ended without a record")


def test_a_committed_record_that_claims_to_be_of_the_future_is_run_again_once(tmp_path):
    job = make_job(tmp_path, 0)
    save_record(make_record(job, finished="2999-01-01T00:00:00+00:00"), tmp_path / "committed")
    sweep, launcher = outcome(tmp_path, 1, finish, rerun=True)
    assert launcher.calls == [["seed=0"]]
    assert (sweep.progress[0].state, sweep.progress[0].note) == (State.DONE, "")


def test_a_dry_sweep_lists_its_jobs_and_what_is_not_known_of_their_time(tmp_path, capsys):
    done = make_job(tmp_path, 1)
    save_record(make_record(done), done.results)
    jobs = [make_job(tmp_path, seed) for seed in range(2)]
    print_plan(Sweep(jobs, Launcher(jobs, finish), root=str(tmp_path)).progress, [], rerun=False)
    lines = capsys.readouterr().out.splitlines()
    cells = [[word.strip() for word in line.split("│")[1:-1]] for line in lines if "│" in line]
    assert cells == [["run0", "to run", "unknown"], ["run1", "done", ""]]
    assert lines[-1] == "2 jobs, 1 done, 1 to run; training and evaluation: unknown"


def test_the_summary_has_means_over_seeds(tmp_path, capsys):
    values = {"a-seed0": (1, 0.25), "a-seed1": (1, 0.75), "b-seed0": (2, 0.5)}
    entries = []
    for number, (name, (rate, accuracy)) in enumerate(values.items()):
        job = dataclasses.replace(make_job(tmp_path, number), name=name)
        config = {"optimizer": {"lr": rate}, "seed": number}
        metrics = {"test/edge_accuracy": accuracy}
        record = dataclasses.replace(make_record(job), config=config, metrics=metrics)
        entries.append(Progress(job, State.DONE, record=record))
    print_summary(entries)
    lines = capsys.readouterr().out.splitlines()
    cells = [[word.strip() for word in line.split("│")[1:-1]] for line in lines if "│" in line]
    assert ["a", "2", "0.5000 ± 0.2500"] in cells
    assert ["b", "1", "0.5000"] in cells
    heads = [line.split("┃")[3].strip() for line in lines if line.startswith("┃")]
    assert heads == ["test/edge_accuracy", "test/edge_accuracy"]
    print_summary(entries[1:])
    assert "Means over seeds" not in capsys.readouterr().out


def test_the_summary_has_no_mean_over_different_data(tmp_path, capsys):
    # As by `data.path=/a,/b seeds=2`: the path is no part of what makes a cell, the data are.
    entries = []
    for number, (data, accuracy) in enumerate([("a", 0.2), ("a", 0.4), ("b", 0.7), ("b", 0.9)]):
        job = dataclasses.replace(make_job(tmp_path, number), name=f"run-seed{number % 2}")
        changes = {"data_fingerprint": data, "metrics": {"test/edge_accuracy": accuracy}}
        record = dataclasses.replace(make_record(job), config={"seed": number % 2}, **changes)
        entries.append(Progress(job, State.DONE, record=record))
    print_summary(entries)
    shown = capsys.readouterr().out
    assert "0.3000 ± 0.1000" in shown
    assert "0.8000 ± 0.1000" in shown


def test_the_summary_names_metrics_where_jobs_have_several(tmp_path, capsys):
    jobs = [make_job(tmp_path, seed) for seed in range(2)]
    jobs[1].config.monitor.metric = "val/loss"
    records = [make_record(job) for job in jobs]
    records[1] = dataclasses.replace(records[1], metrics={"test/loss": 2.0})
    print_summary([Progress(j, State.DONE, record=r) for j, r in zip(jobs, records, strict=True)])
    shown = capsys.readouterr().out
    assert "test/edge_accuracy 0.5000" in shown
    assert "test/loss 2.0000" in shown


def test_a_failed_job_does_not_stop_the_others_and_is_reported(tmp_path, capsys):
    def act(job, sweep):
        if job.name == "run1":
            raise RuntimeError("no more flags\nand more")
        finish(job, sweep)

    sweep, launcher = outcome(tmp_path, 3, act)
    assert [e.state for e in sweep.progress] == [State.DONE, State.FAILED, State.DONE]
    assert len(launcher.calls) == 1
    print_summary(sweep.progress)
    shown = capsys.readouterr().out
    assert "2 done, 1 failed" in shown
    assert "RuntimeError: no more flags" in shown
    assert "python train.py seed=1 resume=true" in shown
    with pytest.raises(JobsFailedError, match="1 of 3 jobs failed"):
        raise_if_any_failed(sweep.progress)


def test_a_stopped_sweep_says_what_was_done_and_what_was_cut_off(tmp_path, capsys):
    def act(job, sweep):
        if job.overrides[0] == "seed=1":
            begin_and_die(job, sweep)
            raise KeyboardInterrupt
        finish(job, sweep)

    jobs = [make_job(tmp_path, seed) for seed in range(3)]
    sweep = Sweep(jobs, Launcher(jobs, act), root=str(tmp_path))
    with pytest.raises(KeyboardInterrupt):
        sweep.run()
    assert [e.state for e in sweep.progress] == [State.DONE, State.STOPPED, State.WAITING]
    print_summary(sweep.progress)
    assert capsys.readouterr().out.splitlines()[-1] == "1 done, 1 stopped, 1 waiting"


def test_a_checkpoint_left_behind_is_resumed(tmp_path):
    checkpoints = make_job(tmp_path, 0).folder / "checkpoints"
    checkpoints.mkdir(parents=True)
    (checkpoints / "last.ckpt").touch()
    checkpoints = make_job(tmp_path, 1).folder / "checkpoints"  # of a run that begins anew: broken
    checkpoints.mkdir(parents=True)
    (checkpoints / "last.ckpt").touch()

    def act(job, sweep):
        with claim(job.folder, sweep):
            went_on = [3] if job.name == "run0" else []
            record = dataclasses.replace(make_record(job), resumed_at=went_on)
            save_record(record, Path(job.config.paths.results))

    sweep, _ = outcome(tmp_path, 3, act)
    assert [e.state for e in sweep.progress] == [State.RESUMED, State.DONE, State.DONE]


def dying(deaths):
    """A launcher's act: each job finishes after `deaths[name]` deaths that take the launcher."""

    def act(job, sweep):
        if deaths.get(job.name, 0) > 0:
            deaths[job.name] -= 1
            begin_and_die(job, sweep)
            raise Killed("a worker was killed")
        finish(job, sweep)

    return act


def test_a_launcher_that_dies_with_a_worker_is_started_again(tmp_path):
    sweep, launcher = outcome(tmp_path, 3, dying({"run1": 1}))
    assert {e.state for e in sweep.progress} == {State.DONE}
    assert launcher.calls == [["seed=0", "seed=1", "seed=2"], ["seed=1", "seed=2"]]


def test_a_job_that_dies_too_often_fails_alone(tmp_path):
    sweep, _ = outcome(tmp_path, 3, dying({"run1": 9}), retries=2)
    assert [e.state for e in sweep.progress] == [State.DONE, State.FAILED, State.DONE]
    failed = sweep.progress[1]
    assert failed.launches == 3
    assert failed.error == "its process died after epoch 3 of 9 (Killed: a worker was killed)"


def test_a_launcher_that_starts_nothing_ends_the_sweep(tmp_path):
    def refuse(job, sweep):
        raise Killed("no such partition")

    sweep, launcher = outcome(tmp_path, 2, refuse)
    assert len(launcher.calls) == 1
    assert {e.error for e in sweep.progress} == {"the launcher gave up: Killed: no such partition"}


def test_a_run_that_another_process_is_at_is_waited_for_and_not_done_twice(tmp_path):
    other = make_job(tmp_path, 0)
    holder = claim(other.folder)
    holder.__enter__()

    def act(job, sweep):
        assert job.name != "run0"
        finish(job, sweep)
        save_record(make_record(other), other.results)
        holder.__exit__(None, None, None)

    sweep, launcher = outcome(tmp_path, 2, act)
    assert launcher.calls == [["seed=1"]]
    assert [e.state for e in sweep.progress] == [State.ELSEWHERE, State.DONE]


def test_a_job_that_finds_its_record_made_meanwhile_was_done_elsewhere(tmp_path):
    def act(job, sweep):
        path = save_record(make_record(job), job.results)  # another sweep was quicker
        with claim(job.folder, sweep):
            note_record(job.folder, path, found=True)

    sweep, launcher = outcome(tmp_path, 1, act)
    assert launcher.calls == [["seed=0"]]
    assert sweep.progress[0].state == State.ELSEWHERE


def test_what_was_done_elsewhere_is_told_apart_when_the_sweep_is_stopped_too(tmp_path):
    def act(job, sweep):
        path = save_record(make_record(job), job.results)
        with claim(job.folder, sweep):
            note_record(job.folder, path, found=job.name == "run0")
        if job.name == "run1":
            raise KeyboardInterrupt

    jobs = [make_job(tmp_path, seed) for seed in range(2)]
    sweep = Sweep(jobs, Launcher(jobs, act), root=str(tmp_path))
    with pytest.raises(KeyboardInterrupt):
        sweep.run()
    assert [entry.state for entry in sweep.progress] == [State.ELSEWHERE, State.DONE]


@pytest.mark.parametrize(
    ("error", "finishes", "state"),
    [
        (RunBusyError("process 1 on elsewhere"), True, State.ELSEWHERE),
        (RunBusyError("process 1 on elsewhere"), False, State.FAILED),
        (Killed("a worker was killed"), True, State.ELSEWHERE),
        (Killed("a worker was killed"), False, State.FAILED),
    ],
)
def test_a_run_that_another_process_takes_meanwhile_is_waited_for_and_launched_once(
    tmp_path, monkeypatch, error, finishes, state
):
    other = make_job(tmp_path, 0)
    holder = claim(other.folder)

    def act(job, sweep):
        holder.__enter__()
        raise error

    def wait(seconds):
        if finishes:
            save_record(make_record(other), other.results)
        holder.__exit__(None, None, None)

    monkeypatch.setattr("combgrad.sweeps.sweep.time", SimpleNamespace(sleep=wait))
    sweep, launcher = outcome(tmp_path, 1, act, retries=0)
    assert launcher.calls == [["seed=0"]]
    assert sweep.progress[0].state == state


def test_a_run_whose_other_process_died_is_taken_over(tmp_path):
    turns = []

    def act(job, sweep):
        turns.append(job.name)
        if len(turns) == 1:  # another sweep was quicker, and then it died
            raise RunBusyError("process 1 on elsewhere is at work on this run")
        finish(job, sweep)

    sweep, _ = outcome(tmp_path, 1, act)
    assert turns == ["run0", "run0"]
    assert sweep.progress[0].state == State.DONE


def test_a_broken_record_is_left_alone_and_made_again_beside_it(tmp_path):
    job = make_job(tmp_path, 0)
    path = save_record(make_record(job), job.results)
    path.write_text('{"key": "half a rec')
    with pytest.warns(UserWarning, match="left alone"):
        sweep, launcher = outcome(tmp_path, 1, finish)
    assert launcher.calls == [["seed=0"]]
    assert sweep.progress[0].state == State.DONE
    assert path.read_text() == '{"key": "half a rec'
    assert json.loads(path.with_stem(f"{path.stem}-2").read_text())["key"] == job.key


def test_a_committed_record_counts_as_done(tmp_path):
    committed, own = (make_job(tmp_path, seed).record_folders[seed] for seed in (0, 1))
    save_record(make_record(make_job(tmp_path, 1)), committed)
    sweep, launcher = outcome(tmp_path, 2, finish)
    assert launcher.calls == [["seed=0"]]
    assert sweep.progress[1].state == State.SKIPPED
    assert len(list(own.iterdir())) == 1


def tmp_path_of(job):
    return job.results.parent


def finish_elsewhere(job, sweep):
    """A job whose own `paths.results` and `paths.output` are not those of the check."""
    with claim(job.folder / "other", sweep):
        path = save_record(make_record(job), job.folder / "elsewhere")
    return Outcome(0.5, str(path))


def finish_with_another_key(job, sweep):
    other = make_job(tmp_path_of(job), int(job.name.removeprefix("run")) + 100)
    with claim(job.folder, sweep):
        note_record(job.folder, save_record(make_record(other), job.results))


def say_it_is_done(job, sweep):
    return Outcome(0.5, str(job.results / "nothing.json"))


def die_unseen(job, sweep):
    raise ProcessDiedError("its process died (SIGKILL)")


def be_refused(job, sweep):
    raise RunBusyError("process 1 on elsewhere is at work on this run")


def claim_and_leave(job, sweep):
    with claim(job.folder, sweep):
        pass


def do_nothing(job, sweep):
    pass


@pytest.mark.parametrize(
    ("act", "launches", "error"),
    [
        (finish_with_another_key, 1, "it ran another configuration than the one checked here"),
        (say_it_is_done, 3, "it ended without a record"),
        (do_nothing, 3, "it ended without a record"),
        (claim_and_leave, 3, "it ended without a record"),
        (die_unseen, 3, "its process died (SIGKILL)"),
        (begin_and_die, 3, "its process died after epoch 3 of 9"),
        (be_refused, 3, "another process was at work on it, and ended without a record"),
    ],
)
def test_a_job_without_a_record_is_launched_a_bounded_number_of_times(
    tmp_path, act, launches, error
):
    sweep, launcher = outcome(tmp_path, 2, act, retries=2)
    assert {entry.state for entry in sweep.progress} == {State.FAILED}
    assert [entry.launches for entry in sweep.progress] == [launches, launches]
    assert launcher.calls == launches * [["seed=0", "seed=1"]]
    assert sweep.progress[0].error.startswith(error)


def test_a_record_is_taken_from_where_the_job_says_it_is_and_the_odd_place_is_told(
    tmp_path, capsys
):
    sweep, launcher = outcome(tmp_path, 1, finish_elsewhere)
    (entry,) = sweep.progress
    assert (entry.state, entry.record) == (State.DONE, make_record(entry.job))
    assert launcher.calls == [["seed=0"]]
    print_summary(sweep.progress)
    shown = capsys.readouterr().out
    assert f"run0: its record is {entry.job.folder / 'elsewhere'}" in shown
    assert f"not in {entry.job.results}" in shown


@pytest.mark.parametrize("number", [0, 1, 3])
def test_a_launcher_that_answers_for_another_number_of_jobs_is_not_believed(tmp_path, number):
    jobs = [make_job(tmp_path, seed) for seed in range(2)]
    calls = []

    def launch(batch):
        calls.append(len(batch))
        return [JobReturn(status=JobStatus.COMPLETED)] * number

    sweep = Sweep(jobs, launch, root=str(tmp_path), retries=2)
    sweep.run()
    assert calls == [2]
    assert {entry.error for entry in sweep.progress} == {
        f"the launcher gave up: it answered {number} times for 2 jobs"
    }


MISHAPS = (
    finish, finish_elsewhere, finish_with_another_key, say_it_is_done, die_unseen, begin_and_die,
    be_refused, claim_and_leave, do_nothing,
)  # fmt: skip


@pytest.mark.parametrize("launcher_dies", [False, True])
def test_no_mixture_of_mishaps_launches_a_job_too_often(tmp_path, launcher_dies):
    for trial in range(30):
        choose = random.Random(trial)
        counts = Counter()

        def act(job, sweep, choose=choose, counts=counts):
            counts[job.name] += 1
            if launcher_dies and choose.random() < 0.3:
                dying({job.name: 1})(job, sweep)
            return choose.choice(MISHAPS)(job, sweep)

        sweep, launcher = outcome(tmp_path / str(trial), 4, act, retries=choose.randrange(3))
        # A launcher that dies takes with it the answers of jobs that left no trace of their own.
        most = len(launcher.calls) if launcher_dies else 1 + sweep.retries
        assert max(counts.values()) <= most
        assert len(launcher.calls) <= 4 * (1 + sweep.retries)
        assert {entry.state for entry in sweep.progress} <= FINAL


def test_a_copied_record_of_another_job_is_not_this_ones(tmp_path):
    done, copy = make_job(tmp_path, 0), make_job(tmp_path, 1)
    text = save_record(make_record(done), done.results).read_text()
    (copy.results / file_name(copy.name, copy.key)).write_text(text)
    with pytest.warns(UserWarning, match="records of the same run"):
        sweep, launcher = outcome(tmp_path, 2, finish)
    assert launcher.calls == [["seed=1"]]
    assert [entry.state for entry in sweep.progress] == [State.SKIPPED, State.DONE]


def test_results_that_cannot_be_written_are_found_before_anything_starts(tmp_path):
    (tmp_path / "runs").write_text("a file where the folder should be")
    jobs = [make_job(tmp_path, 0)]
    launcher = Launcher(jobs, finish)
    sweep = Sweep(jobs, launcher, root=str(tmp_path))
    with pytest.raises(OSError, match=r"cannot write into .*runs"):
        sweep.run()
    assert launcher.calls == []


def test_two_processes_cannot_claim_one_run_and_its_status_tells_the_end(tmp_path):
    with claim(tmp_path, "one"):
        assert read_status(tmp_path).state == "running"
        with pytest.raises(RunBusyError, match=rf"process {read_status(tmp_path).pid} on "):
            claim(tmp_path, "two").__enter__()
    assert read_status(tmp_path).state == "done"
    with pytest.raises(ZeroDivisionError), claim(tmp_path, "three"):
        _ = 1 / 0
    status = read_status(tmp_path)
    assert (status.state, status.sweep) == ("failed", "three")
    assert status.error == "ZeroDivisionError: division by zero"
